//go:build linux

package main_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes/internal/fdtest"
	"github.com/fildes/fildes/mqueue"
)

var queues atomic.Int64

// queueName is a name that nobody else has, of a queue that the test removes.
func queueName(t *testing.T) string {
	t.Helper()
	name := fmt.Sprintf("/fildes-test-%d-%d", os.Getpid(), queues.Add(1))
	t.Cleanup(func() {
		if err := mqueue.Unlink(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Error(err)
		}
	})
	return name
}

// newQueue makes a queue.
func newQueue(t *testing.T, opts mqueue.Options) *mqueue.Queue {
	t.Helper()
	opts.Create, opts.Exclusive = true, true
	q, err := mqueue.Open(queueName(t), &opts)
	if errors.Is(err, errors.ErrUnsupported) {
		fdtest.Need(t, "mqueue", err.Error())
	}
	try(t, err)
	t.Cleanup(func() { _ = q.Close() })
	return q
}

func fill(t *testing.T, q *mqueue.Queue, messages ...string) {
	t.Helper()
	for _, m := range messages {
		if ok, err := q.TrySend([]byte(m), 0); err != nil || !ok {
			t.Fatal(ok, err)
		}
	}
}

// rest takes all messages.
func rest(t *testing.T, q *mqueue.Queue) (messages []string) {
	t.Helper()
	buf := make([]byte, 8192)
	for {
		n, p, ok, err := q.TryReceive(buf)
		try(t, err)
		if !ok {
			return messages
		}
		m := string(buf[:n])
		if p > 0 {
			m = fmt.Sprintf("%d:%s", p, m)
		}
		messages = append(messages, m)
	}
}

// eventually polls.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(fdtest.Bound); !done(); runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatal("it doesn't happen: ", what)
		}
	}
}

func needList(t *testing.T) {
	t.Helper()
	if _, err := mqueue.List(); err != nil {
		fdtest.Need(t, "mqueue-list", err.Error())
	}
}

func TestMQ(t *testing.T) {
	q := newQueue(t, mqueue.Options{MaxMessages: 3, MessageSize: 50, Perm: 0o640})
	short := q.Name()[1:]
	fildes(t, "mq", "send", short, "hello", "", "--priority", "3").want(t, 0)
	fildes(t, "mq", "send", q.Name(), "-p", "5", "--", "--urgent").want(t, 0)
	o := fildes(t, "mq", "stat", short).want(t, 0)
	for _, text := range []string{q.Name() + "\n", "messages  3 of 3\n", "size      up to 50 bytes each\n", "bytes     13 in all messages\n",
		"owner     " + userName(t) + " (", "mode      0640\n", "notify    nobody"} {
		if !strings.Contains(o.stdout, text) {
			t.Errorf("%q lacks %q", o.stdout, text)
		}
	}
	if o := fildes(t, "mq", "recv", short, "--show-priority").want(t, 0); o.stdout != "5\t--urgent\n3\thello\n3\t\n" || o.stderr != "" {
		t.Errorf("%q, %q", o.stdout, o.stderr)
	}
	if o := fildes(t, "mq", "recv", short).want(t, 0); o.stdout != "" || o.stderr != "fildes: "+q.Name()+" is empty\n" {
		t.Errorf("%q, %q", o.stdout, o.stderr)
	}
	other := newQueue(t, mqueue.Options{})
	o = fildes(t, "mq", "rm", short+"-none", short, "a/b", other.Name()).want(t, 1)
	if want := "fildes: mqueue: unlink " + q.Name() + "-none: mq_unlink: no such file or directory\nfildes: mqueue: unlink /a/b: a queue's name has one slash, at its beginning\n"; o.stderr != want {
		t.Errorf("%q, not %q", o.stderr, want)
	}
	for _, name := range []string{q.Name(), other.Name()} {
		if o := fildes(t, "mq", "stat", name).want(t, 1); !strings.Contains(o.stderr, "no such file or directory") {
			t.Error(o.stderr)
		}
	}
}

func TestMQCreate(t *testing.T) {
	_ = newQueue(t, mqueue.Options{})
	name := queueName(t)
	fildes(t, "mq", "create", name[1:], "--messages", "4", "--size", "100", "--mode", "0620").want(t, 0)
	what := "fildes: " + name + " exists, with room for 4 messages of 100 bytes, and mode 0620\n"
	for args, status := range map[string]int{"": 0, "--messages 4 --mode 620": 0, "--messages 5": 1, "--size 99": 1, "--mode 600": 1} {
		if o := fildes(t, append([]string{"mq", "create", name}, strings.Fields(args)...)...).want(t, status); o.stderr != what || o.stdout != "" {
			t.Errorf("%s: %q, %q", args, o.stdout, o.stderr)
		}
	}
	if o := fildes(t, "mq", "create", name, "--exclusive").want(t, 1); !strings.Contains(o.stderr, "mq_open: file exists") {
		t.Error(o.stderr)
	}
	if o := fildes(t, "mq", "create", queueName(t), "--messages", "10000000").want(t, 1); !strings.Contains(o.stderr, "fs.mqueue.msg_max") {
		t.Error(o.stderr)
	}
}

// listed is a queue in JSON, with no other fields than the documented ones.
type listed struct {
	Time        time.Time `json:"time"`
	Name        string    `json:"name"`
	RawName     []byte    `json:"raw_name"`
	Messages    *int      `json:"messages"`
	MaxMessages int       `json:"max_messages"`
	MessageSize int       `json:"message_size"`
	Bytes       *int64    `json:"bytes"`
	Notify      *struct {
		PID    int      `json:"pid"`
		Way    string   `json:"way"`
		Signal string   `json:"signal"`
		Args   []string `json:"command_line"`
	} `json:"notify"`
	UID   *uint32   `json:"uid"`
	Owner string    `json:"owner"`
	GID   *uint32   `json:"gid"`
	Group string    `json:"group"`
	Mode  string    `json:"mode"`
	Used  time.Time `json:"used"`
	Error string    `json:"error"`
}

func objects(t *testing.T, text string) (all []listed) {
	t.Helper()
	for line := range strings.Lines(text) {
		d := json.NewDecoder(strings.NewReader(line))
		d.DisallowUnknownFields()
		var l listed
		if err := d.Decode(&l); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		all = append(all, l)
	}
	return all
}

func find(t *testing.T, all []listed, name string) listed {
	t.Helper()
	i := slices.IndexFunc(all, func(l listed) bool { return l.Name == name })
	if i < 0 {
		t.Fatalf("%s isn't there: %+v", name, all)
	}
	return all[i]
}

func TestMQList(t *testing.T) {
	needList(t)
	q := newQueue(t, mqueue.Options{MaxMessages: 3, MessageSize: 50})
	fill(t, q, "hello")
	n, err := q.Notify()
	try(t, err)
	defer func() { _ = n.Close() }()
	long := newQueue(t, mqueue.Options{})
	line := fmt.Sprintf(`(?m)^%s +1/3 +50 +5 +socket %d +%s +0600$`, q.Name(), os.Getpid(), regexp.QuoteMeta(userName(t)))
	o := fildes(t, "mq", "ls").want(t, 0)
	if !regexp.MustCompile(line).MatchString(o.stdout) || !strings.HasPrefix(o.stdout, "NAME ") || !strings.Contains(o.stdout, long.Name()) {
		t.Errorf("it lacks %s:\n%s", line, o.stdout)
	}
	l := find(t, objects(t, fildes(t, "mq", "ls", "--json").want(t, 0).stdout), q.Name())
	if *l.Messages != 1 || l.MaxMessages != 3 || l.MessageSize != 50 || *l.Bytes != 5 || l.Notify.PID != os.Getpid() || l.Notify.Way != "socket" || l.Notify.Args != nil ||
		int(*l.UID) != os.Geteuid() || int(*l.GID) != os.Getegid() || l.Mode != "0600" || l.Error != "" || time.Since(l.Used) > time.Minute || time.Since(l.Time) > time.Minute {
		t.Errorf("%+v", l)
	}
	l = find(t, objects(t, fildes(t, "mq", "stat", "--json", q.Name()).want(t, 0).stdout), q.Name())
	if l.Notify == nil || !slices.Equal(l.Notify.Args, os.Args) {
		t.Errorf("%+v", l.Notify)
	}
	if o := fildes(t, "mq", "stat", q.Name()).want(t, 0); !strings.Contains(o.stdout, fmt.Sprintf("notify    by a socket, process %d %s", os.Getpid(), os.Args[0])) {
		t.Error(o.stdout)
	}
	// Nobody's registration is lost by being looked at.
	fildes(t, "mq", "watch", q.Name(), "--count", "2", "--interval", "1ms").want(t, 0)
	s, err := q.Status()
	if err != nil || s.Registration.PID != os.Getpid() || s.Messages != 1 {
		t.Errorf("%+v, %v", s, err)
	}
}

// Where there are none, that is said; it's no failure.
func TestMQListEmpty(t *testing.T) {
	needList(t)
	fdtest.NeedCap(t, unix.CAP_SYS_ADMIN, "sys_admin")
	for _, args := range [][]string{{"ls"}, {"ls", "--json"}} {
		cmd := exec.Command(program, append([]string{"mq"}, args...)...)
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWIPC} // which has none
		if o := finish(t, cmd).want(t, 0); o.stdout != "" || o.stderr != "fildes: there are no queues\n" {
			t.Errorf("%v: %q, %q", args, o.stdout, o.stderr)
		}
	}
}

func TestMQLimits(t *testing.T) {
	l, err := mqueue.ReadLimits()
	if errors.Is(err, errors.ErrUnsupported) {
		t.Skip("needs a kernel with queues:", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	o := fildes(t, "mq", "ls", "--limits").want(t, 0)
	narrow(t, o.stdout, 80)
	if !regexp.MustCompile(fmt.Sprintf(`(?m)^fs\.mqueue\.queues_max +%d  queues in`, l.Queues)).MatchString(o.stdout) {
		t.Error(o.stdout)
	}
	var got map[string]int64
	try(t, json.Unmarshal([]byte(fildes(t, "mq", "ls", "--limits", "--json").want(t, 0).stdout), &got))
	if len(got) != 6 || got["msg_max"] != int64(l.MaxMessages) || got["msgsize_default"] != int64(l.DefaultSize) {
		t.Error(got)
	}
}

func send(t *testing.T, stdin string, args ...string) outcome {
	t.Helper()
	cmd := exec.Command(program, append([]string{"mq", "send"}, args...)...)
	cmd.Stdin = strings.NewReader(stdin)
	return finish(t, cmd)
}

func TestMQSend(t *testing.T) {
	q := newQueue(t, mqueue.Options{MaxMessages: 4, MessageSize: 10})
	file := filepath.Join(t.TempDir(), "file")
	try(t, os.WriteFile(file, []byte("x\ny\n"), 0o600))
	for _, c := range []struct {
		stdin, args string
		want        []string
		status      int
		err         string
	}{
		{"a\n\nb\xff\x00", "", []string{"a", "", "b\xff\x00"}, 0, ""},
		{"", "", nil, 0, ""},
		{"a\nb\x00c", "--null", []string{"a\nb", "c"}, 0, ""},
		{"a\nb\n", "--whole -p 32767", []string{"32767:a\nb\n"}, 0, ""},
		{"", "--whole", []string{""}, 0, ""},
		{"z", "--file FILE --file -", []string{"x\ny\n", "z"}, 0, ""},
		{"z", "--file FILE --lines", []string{"x", "y"}, 0, ""},
		{"", "FILE", nil, 1, "MESSAGE 1: a message of "},
		{"", "one two", []string{"one", "two"}, 0, ""},
		{"a\n12345678901\nb\n", "", []string{"a"}, 1, "line 2 of standard input: a message of 11 bytes is too long: the queue takes up to 10; 1 message was sent before"},
		{strings.Repeat("x", 100000), "", nil, 1, "a message of 100000 bytes is too long: the queue takes up to 10; no message was sent"},
		{strings.Repeat("x", 100000), "--whole", nil, 1, "standard input: a message of 100000 bytes is too long"},
		{"", "one 12345678901", nil, 1, "MESSAGE 2: a message of 11 bytes is too long: the queue takes up to 10; no message was sent"},
		{"", "--file FILE --file FILE-none", nil, 1, "no such file or directory; no message was sent"},
		{"", "--file FILE --file DIR", nil, 1, "is a directory; no message was sent"},
		{"", "--file FILE --file LARGE", nil, 1, "LARGE: a message of 11 bytes is too long"},
		{"1\n2\n3\n4\n5\n6\n", "--no-wait", []string{"1", "2", "3", "4"}, 1, "line 5 of standard input: the queue is full; 4 messages were sent before"},
		{"1\n2\n3\n4\n5\n6\n", "--timeout 1ms", []string{"1", "2", "3", "4"}, 1, "the queue has been full for 1ms; 4 messages"},
	} {
		large := filepath.Join(filepath.Dir(file), "LARGE")
		try(t, os.WriteFile(large, []byte("12345678901"), 0o600))
		args := strings.NewReplacer("FILE", file, "DIR", filepath.Dir(file), "LARGE", large).Replace(c.args)
		o := send(t, c.stdin, append([]string{q.Name()}, strings.Fields(args)...)...).want(t, c.status)
		if got := rest(t, q); !slices.Equal(got, c.want) || o.stdout != "" || !strings.Contains(o.stderr, c.err) || (o.stderr == "") != (c.err == "") {
			t.Errorf("%.20q, %s: %q, not %q; stderr %q lacks %q", c.stdin, c.args, got, c.want, o.stderr, c.err)
		}
	}
	if o := send(t, "a\n", q.Name()+"-none").want(t, 1); !strings.Contains(o.stderr, "mq_open: no such file or directory") {
		t.Error(o.stderr)
	}
	name := queueName(t)
	send(t, "a\n", "--create", name).want(t, 0)
	if o := fildes(t, "mq", "recv", name).want(t, 0); o.stdout != "a\n" {
		t.Error(o.stdout)
	}
}

// running is a program that is spoken to while it runs.
type running struct {
	t      *testing.T
	cmd    *exec.Cmd
	stderr bytes.Buffer
}

func start(t *testing.T, cmd *exec.Cmd) *running {
	t.Helper()
	r := &running{t: t, cmd: cmd}
	cmd.Stderr = &r.stderr
	try(t, cmd.Start())
	kill := context.AfterFunc(bounded(t), func() { _ = cmd.Process.Kill() })
	t.Cleanup(func() {
		kill()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return r
}

func (r *running) signal(sig syscall.Signal) { r.t.Helper(); try(r.t, r.cmd.Process.Signal(sig)) }

// end waits for it.
func (r *running) end(status int) string {
	r.t.Helper()
	err := r.cmd.Wait()
	if _, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
		r.t.Fatal(err)
	}
	if got := r.cmd.ProcessState.ExitCode(); got != status {
		r.t.Errorf("exit status %v, not %d; stderr %q", r.cmd.ProcessState, status, &r.stderr)
	}
	return r.stderr.String()
}

// Who waits for room is interrupted, and says what was sent.
func TestMQSendInterrupted(t *testing.T) {
	q := newQueue(t, mqueue.Options{MaxMessages: 2, MessageSize: 10})
	cmd := exec.Command(program, "mq", "send", q.Name(), "a", "b", "c")
	r := start(t, cmd)
	eventually(t, "the queue is full", func() bool {
		a, err := q.Attr()
		try(t, err)
		return a.Full()
	})
	r.signal(syscall.SIGINT)
	if got := r.end(1); got != "fildes: interrupted; 2 messages were sent before\n" {
		t.Error(got)
	}
	// And who waits for a line.
	in, err := cmdWithPipe(t, exec.Command(program, "mq", "send", q.Name()))
	try(t, err)
	if got := rest(t, q); !slices.Equal(got, []string{"a", "b"}) {
		t.Error(got)
	}
	_, err = in.in.WriteString("line\nhalf a li")
	try(t, err)
	eventually(t, "the line is sent", func() bool {
		a, err := q.Attr()
		try(t, err)
		return a.Messages == 1
	})
	in.signal(syscall.SIGTERM)
	if got := in.end(1); got != "fildes: interrupted; 1 message was sent before\n" {
		t.Error(got)
	}
}

type fed struct {
	*running
	in *os.File
}

func cmdWithPipe(t *testing.T, cmd *exec.Cmd) (*fed, error) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { _ = w.Close() })
	cmd.Stdin = r
	f := &fed{start(t, cmd), w}
	return f, r.Close()
}

func TestMQReceive(t *testing.T) {
	q := newQueue(t, mqueue.Options{MaxMessages: 5, MessageSize: 10})
	for _, c := range []struct {
		args   string
		want   string
		left   int
		status int
		err    string
	}{
		{"", "a\nb\xff\x00\n\n", 0, 0, ""},
		{"--null", "a\x00b\xff\x00\x00\x00", 0, 0, ""},
		{"--raw", "ab\xff\x00", 0, 0, ""},
		{"--count 2", "a\nb\xff\x00\n", 1, 0, ""},
		{"--count 4 --no-wait", "a\nb\xff\x00\n\n", 0, 1, ": the queue is empty, after 3 of 4\n"},
		{"--count 4 --timeout 1ms", "a\nb\xff\x00\n\n", 0, 1, ": no message has come in 1ms, after 3 of 4\n"},
		{"--timeout 1h", "a\nb\xff\x00\n\n", 0, 0, ""},
		{"--follow --timeout 1ms", "a\nb\xff\x00\n\n", 0, 0, ""},
	} {
		_ = rest(t, q)
		fill(t, q, "a", "b\xff\x00", "")
		o := fildes(t, append([]string{"mq", "recv", q.Name()}, strings.Fields(c.args)...)...).want(t, c.status)
		a, err := q.Attr()
		try(t, err)
		if o.stdout != c.want || a.Messages != c.left || !strings.HasSuffix(o.stderr, c.err) || (o.stderr == "") != (c.err == "") {
			t.Errorf("%s: %q, not %q; %d are left; %q", c.args, o.stdout, c.want, a.Messages, o.stderr)
		}
	}
	_ = rest(t, q)
	if o := fildes(t, "mq", "recv", q.Name(), "--timeout", "1ms").want(t, 1); !strings.HasSuffix(o.stderr, q.Name()+": no message has come in 1ms\n") {
		t.Error(o.stderr)
	}
	fill(t, q, "a\"\n", "\xff", "")
	o := fildes(t, "mq", "recv", "--json", q.Name()).want(t, 0)
	for i, want := range []string{"a\"\n", "\xff", ""} {
		var m message
		try(t, json.Unmarshal([]byte(strings.Split(o.stdout, "\n")[i]), &m))
		if got := m.text(t); got != want || m.Queue != q.Name() || m.Priority == nil || time.Since(m.Time) > time.Minute {
			t.Errorf("%+v: %q, not %q", m, got, want)
		}
	}
}

// message is a message in JSON.
type message struct {
	Time     time.Time
	Queue    string
	Priority *int
	Data     *string
	RawData  string `json:"raw_data"`
}

func (m message) text(t *testing.T) string {
	t.Helper()
	if m.Data != nil {
		return *m.Data
	}
	b, err := base64.StdEncoding.DecodeString(m.RawData)
	if err != nil || len(b) == 0 {
		t.Errorf("%+v: %v", m, err)
	}
	return string(b)
}

func TestMQFollow(t *testing.T) {
	q := newQueue(t, mqueue.Options{MaxMessages: 5, MessageSize: 10})
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		cmd := exec.Command(program, "mq", "recv", "--follow", q.Name())
		out, err := cmd.StdoutPipe()
		try(t, err)
		r := start(t, cmd)
		in := bufio.NewReader(out)
		for _, m := range []string{"first", "second"} {
			fill(t, q, m)
			if line, err := in.ReadString('\n'); err != nil || line != m+"\n" {
				t.Fatal(line, err)
			}
		}
		r.signal(sig)
		if got := r.end(0); got != "" {
			t.Error(got)
		}
	}
	fill(t, q, "stays")
	if got := rest(t, q); !slices.Equal(got, []string{"stays"}) {
		t.Error(got)
	}
}

// A message that can't be written isn't lost, and no other is taken.
func TestMQLost(t *testing.T) {
	q := newQueue(t, mqueue.Options{MaxMessages: 5, MessageSize: 10})
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("needs /dev/full:", err)
	}
	defer func() { _ = full.Close() }()
	fill(t, q, "a\xff", "b")
	cmd := exec.Command(program, "mq", "recv", q.Name())
	cmd.Stdout = full
	wantLost(t, finish(t, cmd).want(t, 1).stderr, "no space left on device", "a\xff")
	if got := rest(t, q); !slices.Equal(got, []string{"b"}) {
		t.Error(got)
	}
}

func wantLost(t *testing.T, stderr, why, data string) {
	t.Helper()
	told, object, _ := strings.Cut(stderr, "\n")
	var m message
	if err := json.Unmarshal([]byte(object), &m); err != nil {
		t.Fatalf("%v: %q", err, stderr)
	}
	if !strings.HasPrefix(told, "fildes: a message that was received couldn't be written: ") || !strings.Contains(told, why) || m.text(t) != data {
		t.Errorf("%q", stderr)
	}
}

// Who has nobody that reads takes nothing: neither what is there, nor what comes later.
func TestMQNobodyReads(t *testing.T) {
	q := newQueue(t, mqueue.Options{MaxMessages: 5, MessageSize: 10})
	for _, there := range []bool{true, false} {
		cmd := exec.Command(program, "mq", "recv", "--follow", q.Name())
		r, w, err := os.Pipe()
		try(t, err)
		cmd.Stdout = w
		if there {
			fill(t, q, "a")
			try(t, r.Close())
		}
		run := start(t, cmd)
		try(t, w.Close())
		if !there { // it reads one, so that it runs
			fill(t, q, "a")
			line, err := bufio.NewReader(r).ReadString('\n')
			try(t, err, r.Close())
			if line != "a\n" {
				t.Error(line)
			}
		}
		if got := run.end(1); got != "" {
			t.Error(got)
		}
		fill(t, q, "later")
		want := []string{"later"}
		if there {
			want = []string{"a", "later"}
		}
		if got := rest(t, q); !slices.Equal(got, want) {
			t.Errorf("%q, not %q", got, want)
		}
	}
}

// What is stuck in writing is given up by a second signal, and not lost.
func TestMQStuck(t *testing.T) {
	q := newQueue(t, mqueue.Options{MaxMessages: 5, MessageSize: 10})
	r, w, err := os.Pipe()
	try(t, err)
	defer func() { _ = r.Close() }()
	fillPipe(t, w)
	cmd := exec.Command(program, "mq", "recv", "--follow", q.Name())
	cmd.Stdout = w
	run := start(t, cmd)
	try(t, w.Close())
	fill(t, q, "a", "b")
	eventually(t, "the message is taken", func() bool {
		a, err := q.Attr()
		try(t, err)
		return a.Messages == 1
	})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		wantLost(t, run.end(1), "interrupted while nobody read it", "a")
	}()
	for more := true; more; {
		select {
		case <-ended:
			more = false
		default:
			_ = run.cmd.Process.Signal(syscall.SIGINT)
			runtime.Gosched()
		}
	}
	if got := rest(t, q); !slices.Equal(got, []string{"b"}) {
		t.Error(got)
	}
}

// fillPipe fills a pipe, which blocks afterwards.
func fillPipe(t *testing.T, w *os.File) {
	t.Helper()
	control(t, w, func(fd int) error {
		if err := unix.SetNonblock(fd, true); err != nil {
			return err
		}
		for {
			if _, err := unix.Write(fd, make([]byte, 4096)); err == unix.EAGAIN {
				return unix.SetNonblock(fd, false)
			} else if err != nil {
				return err
			}
		}
	})
}

func TestMQWatch(t *testing.T) {
	q := newQueue(t, mqueue.Options{MaxMessages: 3, MessageSize: 50})
	fill(t, q, "hello")
	o := fildes(t, "mq", "watch", q.Name(), "--count", "3", "--interval", "1ms").want(t, 0)
	line := regexp.MustCompile(`^(\d\d:\d\d:\d\d\.\d{3} +1/3 +5 bytes  ` + q.Name() + "\n){3}$")
	if !line.MatchString(o.stdout) || o.stderr != "" {
		t.Errorf("%q, %q", o.stdout, o.stderr)
	}
	cmd := exec.Command(program, "mq", "watch", q.Name(), "--interval", "1ms", "--json")
	out, err := cmd.StdoutPipe()
	try(t, err)
	r := start(t, cmd)
	in := bufio.NewReader(out)
	until := func(what string, ok func(listed) bool) {
		for {
			line, err := in.ReadString('\n')
			if err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			if ok(objects(t, line)[0]) {
				return
			}
		}
	}
	until("a message", func(l listed) bool { return l.Messages != nil && *l.Messages == 1 && *l.Bytes == 5 })
	fill(t, q, "more")
	until("two messages", func(l listed) bool { return l.Messages != nil && *l.Messages == 2 })
	try(t, mqueue.Unlink(q.Name()))
	until("gone", func(l listed) bool { return l.Messages == nil && strings.Contains(l.Error, "no such file") })
	fildes(t, "mq", "create", q.Name(), "--messages", "7").want(t, 0)
	until("another", func(l listed) bool { return l.MaxMessages == 7 })
	r.signal(syscall.SIGTERM)
	if got := r.end(0); got != "" {
		t.Error(got)
	}
	if o := fildes(t, "mq", "watch", q.Name()+"-none").want(t, 1); !strings.Contains(o.stderr, "no such file or directory") {
		t.Error(o.stderr)
	}
}

func TestMQWatchAll(t *testing.T) {
	needList(t)
	q := newQueue(t, mqueue.Options{MaxMessages: 7})
	if o := fildes(t, "mq", "watch", "--count", "1").want(t, 0); !strings.Contains(o.stdout, "0/7        0 bytes  "+q.Name()+"\n") {
		t.Error(o.stdout)
	}
}

func TestMQUsage(t *testing.T) {
	for args, want := range map[string]string{
		"nosuch":                        `unknown command "nosuch" for "fildes mq"`,
		"ls x":                          "unknown command",
		"create":                        "which queue?",
		"create a b":                    "which queue?",
		"create a --mode 0800":          "an octal number",
		"create a --mode 1777":          "an octal number",
		"create a --messages 0":         "room for one at least",
		"create a --size -1":            "a byte at least",
		"send":                          "which queue?",
		"send a --priority 32768":       "priorities are from 0 to 32767",
		"send a b --file c":             "either MESSAGEs or --file",
		"send a b --lines":              "a MESSAGE is sent as it is",
		"send a --whole --lines":        "--whole excludes",
		"send a --timeout 1s --no-wait": "exclude each other",
		"send a --timeout -1s":          "more than nothing",
		"recv":                          "which queue?",
		"recv a --count 0":              "one message at least",
		"recv a --count 1 --follow":     "exclude each other",
		"recv a --json --raw":           "exclude each other",
		"recv a --json --show-priority": "--json has the priority",
		"stat":                          "which queues?",
		"rm":                            "which queues?",
		"watch --interval 0s":           "more than nothing",
		"watch --count 0":               "one look at least",
	} {
		if o := fildes(t, append([]string{"mq"}, strings.Fields(args)...)...).want(t, 2); !strings.Contains(o.stderr, want) || !strings.HasPrefix(o.stderr, "fildes: ") || o.stdout != "" {
			t.Errorf("%s: %q lacks %q", args, o.stderr, want)
		}
	}
	for _, name := range []string{"", "ls", "create", "send", "recv", "stat", "rm", "watch"} {
		o := fildes(t, append([]string{"mq", "--help"}, strings.Fields(name)...)...).want(t, 0)
		narrow(t, o.stdout, 80)
		if !strings.Contains(o.stdout, "Usage:") || !strings.Contains(o.stdout, "Examples:") {
			t.Errorf("%s:\n%s", name, o.stdout)
		}
	}
}

func TestMQCompletion(t *testing.T) {
	needList(t)
	q := newQueue(t, mqueue.Options{})
	for given, want := range map[string]string{"": q.Name(), q.Name()[:5]: q.Name(), q.Name()[1:5]: q.Name()[1:]} {
		if o := fildes(t, "__complete", "mq", "stat", given).want(t, 0); !strings.Contains(o.stdout, want+"\n") {
			t.Errorf("%q: %q", given, o.stdout)
		}
	}
	if o := fildes(t, "__complete", "mq", "recv", q.Name()[1:], "").want(t, 0); strings.Contains(o.stdout, q.Name()) {
		t.Error(o.stdout)
	}
}

// An ordinary user has all but the list, which it's told how to get.
func TestMQOrdinaryUser(t *testing.T) {
	fdtest.NeedRoot(t)
	as := func(caps ...uintptr) func(args ...string) outcome {
		return func(args ...string) outcome {
			cmd := exec.Command(program, append([]string{"mq"}, args...)...)
			cmd.Dir = "/"
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}, AmbientCaps: caps}
			return finish(t, cmd)
		}
	}
	nobody, name := as(), queueName(t)
	nobody("create", name, "--messages", "3").want(t, 0)
	nobody("send", name, "a").want(t, 0)
	if o := nobody("stat", name).want(t, 0); !strings.Contains(o.stdout, "messages  1 of 3") {
		t.Error(o.stdout)
	}
	nobody("watch", name, "--count", "1").want(t, 0)
	if o := nobody("recv", name).want(t, 0); o.stdout != "a\n" {
		t.Error(o.stdout)
	}
	nobody("rm", name).want(t, 0)
	if _, err := os.Stat(mqueue.Directory); err != nil {
		for _, c := range []string{"ls", "watch"} {
			o := nobody(c).want(t, 1)
			for _, text := range []string{"mount -t mqueue none /dev/mqueue", "operation not permitted", "root can list them", "fildes mq stat NAME"} {
				if !strings.Contains(o.stderr, text) {
					t.Errorf("%s: %q lacks %q", c, o.stderr, text)
				}
			}
		}
	}
	mine := newQueue(t, mqueue.Options{Perm: 0o622, MaxMessages: 3})
	fill(t, mine, "a")
	o := nobody("stat", mine.Name()).want(t, 0)
	for _, text := range []string{"messages  1 of 3", "owner     root (0)", "mode      0622", "unknown   the rest: receiving from it is refused (permission denied)"} {
		if !strings.Contains(o.stdout, text) {
			t.Errorf("%q lacks %q", o.stdout, text)
		}
	}
	if o := nobody("rm", mine.Name()).want(t, 1); !strings.Contains(o.stderr, "not permitted") && !strings.Contains(o.stderr, "permission denied") {
		t.Error(o.stderr)
	}
	// Who may list sees what can't be read.
	mounter := as(unix.CAP_SYS_ADMIN)
	o = mounter("ls").want(t, 0)
	if !regexp.MustCompile(`(?m)^`+mine.Name()+` +\? +\? +\? +\? +root +0622$`).MatchString(o.stdout) || !strings.Contains(o.stderr, "can't be received from, so that not all is known: ") {
		t.Errorf("%q, %q", o.stdout, o.stderr)
	}
	l := find(t, objects(t, mounter("ls", "--json").want(t, 0).stdout), mine.Name())
	if l.Messages != nil || l.Mode != "0622" || !strings.Contains(l.Error, "permission denied") {
		t.Errorf("%+v", l)
	}
}

// A name may be a stranger's, who has thought of the terminal.
func TestMQHostileName(t *testing.T) {
	fdtest.NeedRoot(t)
	name := "/\x01\x1b[31m\u009b\n" + queueName(t)[1:]
	q, err := mqueue.Open(name, &mqueue.Options{Create: true, Exclusive: true, MaxMessages: 1, MessageSize: 8})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _, _ = mqueue.Unlink(name), q.Close() }()
	for _, args := range [][]string{{"ls"}, {"ls", "--json"}, {"stat", name}, {"stat", name, "--json"}, {"rm", name}} {
		cmd := exec.Command(program, append([]string{"mq"}, args...)...)
		cmd.Dir = "/"
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}, AmbientCaps: []uintptr{unix.CAP_SYS_ADMIN}}
		o := finish(t, cmd)
		if strings.ContainsAny(o.stdout+o.stderr, "\x01\x1b\u009b") || !strings.Contains(o.stdout+o.stderr, "[31m") {
			t.Errorf("%q: %q, %q", args, o.stdout, o.stderr)
		}
	}
}
