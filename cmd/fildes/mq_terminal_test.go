//go:build linux

package main_test

import (
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes/mqueue"
)

// shown is a program on a terminal, and all that it has written there.
type shown struct {
	*running
	master *os.File
	sync.Mutex
	text string
	over chan struct{}
}

func show(t *testing.T, columns uint16, env []string, args ...string) *shown {
	t.Helper()
	return showCommand(t, columns, env, exec.Command(program, args...))
}

func showCommand(t *testing.T, columns uint16, env []string, cmd *exec.Cmd) *shown {
	t.Helper()
	master, terminal := openTerminal(t)
	cmd.Env = append(os.Environ(), append([]string{"NO_COLOR=", "TERM=xterm"}, env...)...)
	cmd.Stdin, cmd.Stdout = terminal, terminal
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	s := &shown{master: master, over: make(chan struct{})}
	s.resize(t, columns, 24)
	s.running = start(t, cmd)
	try(t, terminal.Close())
	go func() {
		defer close(s.over)
		buf := make([]byte, 4096)
		for {
			n, err := master.Read(buf)
			s.Lock()
			s.text += string(buf[:n])
			s.Unlock()
			if err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() { _ = master.Close() })
	return s
}

func (s *shown) resize(t *testing.T, columns, rows uint16) {
	t.Helper()
	control(t, s.master, func(fd int) error {
		return unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Col: columns, Row: rows})
	})
}

// take returns what is there when it's enough, and begins anew.
func (s *shown) take(what string, enough func(string) bool) (text string) {
	s.t.Helper()
	eventually(s.t, what, func() bool {
		s.Lock()
		defer s.Unlock()
		if !enough(s.text) {
			return false
		}
		text, s.text = s.text, ""
		return true
	})
	return text
}

// frame is the next that is drawn whole, without what moves the cursor.
func (s *shown) frame(what string) string {
	s.t.Helper()
	text := s.take(what, func(text string) bool { return strings.HasSuffix(text, "\x1b[J") })
	text = text[strings.LastIndex(text, "\x1b[H")+len("\x1b[H"):]
	return strings.NewReplacer("\x1b[K", "", "\x1b[J", "", "\r\r\n", "\n").Replace(text)
}

func TestMQWatchTerminal(t *testing.T) {
	q := newQueue(t, mqueue.Options{MaxMessages: 4, MessageSize: 50})
	full := newQueue(t, mqueue.Options{MaxMessages: 1, MessageSize: 50})
	fill(t, q, "hello", "world")
	fill(t, full, "x")
	for _, columns := range []uint16{200, 80, 60, 30, 15} {
		// Nothing is drawn again but for what the test does.
		s := show(t, columns, nil, "mq", "watch", "--interval", "1h", q.Name(), full.Name())
		first := s.frame("a frame")
		narrow(t, escapes.ReplaceAllString(first, ""), int(columns)-1)
		if columns >= 60 && (!regexp.MustCompile(`\n`+q.Name()+` +\x1b\[32m(█+)\x1b\[0m(░+) +2/4  +10 bytes  peak 2\n`).MatchString(first) ||
			!regexp.MustCompile(`\n`+full.Name()+` +\x1b\[1;31m(█+)\x1b\[0m +1/1  +1 byte  peak 1$`).MatchString(first)) {
			t.Errorf("%d columns: %q", columns, first)
		}
		s.resize(t, 70, 2)
		second := s.frame("another size")
		narrow(t, escapes.ReplaceAllString(second, ""), 69)
		if !strings.HasSuffix(second, "\nand 2 more, for which there is no room") {
			t.Errorf("%q", second)
		}
		s.signal(syscall.SIGINT)
		_ = s.end(0)
		<-s.over
		s.Lock()
		if last := strings.ReplaceAll(s.text, "\r\n", "\n"); !regexp.MustCompile(`^(\^C)?\x1b\[\?25h\x1b\[\?1049l` + q.Name() + ` .* 2/4 .*\n` + full.Name() + ` .* 1/1 .*\n$`).MatchString(last) {
			t.Errorf("it leaves %q", last)
		}
		s.Unlock()
	}
}

func TestMQWatchNoColor(t *testing.T) {
	q := newQueue(t, mqueue.Options{MaxMessages: 4})
	fill(t, q, "hello", "world")
	colors := regexp.MustCompile("\x1b\\[[0-9;]*m")
	s := show(t, 80, []string{"NO_COLOR=1"}, "mq", "watch", "--interval", "1h", q.Name())
	if text := s.frame("a frame"); colors.MatchString(text) || !strings.Contains(text, "█░") {
		t.Errorf("%q", text)
	}
	s.signal(syscall.SIGTERM)
	_ = s.end(0)
	if text := onTerminal(t, 80, []string{"TERM=dumb"}, "mq", "watch", "--count", "1", q.Name()); strings.Contains(text, "\x1b") || !strings.Contains(text, " 2/4 ") {
		t.Errorf("%q", text)
	}
}

// While it's stopped, the terminal is as it was.
func TestMQWatchStopped(t *testing.T) {
	q := newQueue(t, mqueue.Options{MaxMessages: 4})
	// A shell lets it go on.
	s := showCommand(t, 80, nil, exec.Command("sh", "-c", `set -m; "$@"; echo stopped; read line; fg`, "sh", program, "mq", "watch", "--interval", "1h", q.Name()))
	if text := s.frame("a frame"); strings.Contains(text, "\x1b[?") {
		t.Errorf("%q", text)
	}
	_, err := io.WriteString(s.master, "\x1a")
	try(t, err)
	text := s.take("it stops", func(text string) bool { return strings.HasSuffix(text, "stopped\r\n") })
	if strings.Count(text, "\x1b") != 2 || !strings.Contains(text, "\x1b[?25h\x1b[?1049l") {
		t.Errorf("it stops with %q", text)
	}
	_, err = io.WriteString(s.master, "\n")
	try(t, err)
	text = s.take("it comes back", func(text string) bool { return strings.HasSuffix(text, "\x1b[J") })
	if !strings.Contains(text, "\x1b[?1049h\x1b[?25l\x1b[H") || !strings.Contains(text, q.Name()) {
		t.Errorf("it comes back with %q", text)
	}
	_, err = io.WriteString(s.master, "\x03")
	try(t, err)
	_ = s.end(0)
}

// A message can't take over the terminal, but with --raw.
func TestMQReceiveTerminal(t *testing.T) {
	q := newQueue(t, mqueue.Options{MaxMessages: 4})
	fill(t, q, "\x1b[31mred", "plain ö\tline")
	if text := onTerminal(t, 80, nil, "mq", "recv", q.Name()); text != "\"\\x1b[31mred\"\nplain ö\tline\n" {
		t.Errorf("%q", text)
	}
	fill(t, q, "\x1b[31mred")
	if text := onTerminal(t, 80, nil, "mq", "recv", "--raw", q.Name()); text != "\x1b[31mred" {
		t.Errorf("%q", text)
	}
}

func TestMQListTerminal(t *testing.T) {
	needList(t)
	long := queueName(t)
	long += strings.Repeat("x", 100)
	fildes(t, "mq", "create", long).want(t, 0)
	t.Cleanup(func() { _ = mqueue.Unlink(long) })
	text := onTerminal(t, 80, nil, "mq", "ls")
	if !regexp.MustCompile(`\n` + long + `\n +0/\d+ +\d+ +0  -`).MatchString(text) {
		t.Errorf("%q", text)
	}
	narrow(t, strings.ReplaceAll(text, long, ""), 80)
}
