//go:build linux

package main_test

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// onTerminal runs the program on a pseudo-terminal and returns what it shows.
func onTerminal(t *testing.T, columns uint16, env []string, args ...string) string {
	t.Helper()
	master, terminal := openTerminal(t)
	defer func() { _ = master.Close() }()
	control(t, terminal, func(fd int) error {
		return unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Col: columns, Row: 50})
	})
	shown := make(chan []byte)
	go func() {
		// It ends with EIO when nobody has the terminal open any more.
		b, _ := io.ReadAll(master)
		shown <- b
	}()
	cmd := exec.Command(program, args...)
	cmd.Env = append(os.Environ(), append([]string{"NO_COLOR=", "TERM=xterm"}, env...)...)
	cmd.Stdout = terminal
	finish(t, cmd).want(t, 0)
	_ = terminal.Close()
	return string(bytes.ReplaceAll(<-shown, []byte("\r\n"), []byte("\n")))
}

// openTerminal makes a pseudo-terminal.
func openTerminal(t *testing.T) (master, terminal *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skip("needs pseudo-terminals:", err)
	}
	var name string
	control(t, master, func(fd int) error {
		if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
			return err
		}
		n, err := unix.IoctlGetUint32(fd, unix.TIOCGPTN)
		name = fmt.Sprintf("/dev/pts/%d", n)
		return err
	})
	terminal, err = os.OpenFile(name, os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skip("needs /dev/pts:", err)
	}
	return master, terminal
}

func control(t *testing.T, f *os.File, op func(fd int) error) {
	t.Helper()
	c, err := f.SyscallConn()
	if err == nil {
		if cerr := c.Control(func(fd uintptr) { err = op(int(fd)) }); cerr != nil {
			err = cerr
		}
	}
	if err != nil {
		t.Fatal(err)
	}
}

var escapes = regexp.MustCompile("\x1b\\[[0-9;]*m")

func TestTerminal(t *testing.T) {
	for _, columns := range []uint16{60, 80, 100, 200} {
		shown := onTerminal(t, columns, nil, "doctor", "eventfd")
		if !strings.Contains(shown, "\x1b[32mok") {
			t.Errorf("no colours at %d columns:\n%q", columns, shown)
		}
		narrow(t, escapes.ReplaceAllString(shown, ""), int(columns))
	}
}

func TestNoColor(t *testing.T) {
	for _, c := range []struct {
		env  string
		args string
		want bool
	}{
		{"NO_COLOR=1", "", false},
		{"NO_COLOR=1", "--color=always", true},
		{"TERM=dumb", "", false},
		{"TERM=xterm", "--color=never", false},
	} {
		shown := onTerminal(t, 80, []string{c.env}, append([]string{"doctor", "eventfd"}, strings.Fields(c.args)...)...)
		if got := strings.Contains(shown, "\x1b"); got != c.want {
			t.Errorf("%s %s: colours %v, want %v", c.env, c.args, got, c.want)
		}
	}
}
