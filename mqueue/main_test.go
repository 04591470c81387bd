//go:build linux

package mqueue_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/fildes/fildes/internal/fdtest"
	"github.com/fildes/fildes/mqueue"
)

// roleEnv makes this binary a peer in a process of its own: a role and its arguments, a line each.
const roleEnv = "MQUEUE_TEST_ROLE"

// roles is what a peer may be.
var roles = map[string]func(args []string) error{
	"register": beRegistered,
	"once":     sendOnce,
	"block":    beBlocking,
	"namespace": func(args []string) error {
		return beInNamespace(args[0])
	},
	"flood":  beFlood,
	"drain":  beDrain,
	"send":   beSender,
	"work":   beReceiver,
	"worker": beWorker,
	"inside": beLimited,
	"race":   beRacing,
}

var check, wantIs, bounded = fdtest.Check, fdtest.WantIs, fdtest.Bounded

func TestMain(m *testing.M) {
	text := os.Getenv(roleEnv)
	if text == "" {
		fdtest.Main(m)
		return
	}
	args := strings.Split(text, "\n")
	err := os.Unsetenv(roleEnv)
	if err == nil {
		err = roles[args[0]](args[1:])
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "%q: %v\n", args, err)
		os.Exit(99)
	}
	os.Exit(0)
}

// peer is a command that runs a role.
func peer(ctx context.Context, t testing.TB, role string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := fdtest.Self(ctx, t)
	cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0", roleEnv+"="+strings.Join(append([]string{role}, args...), "\n"))
	cmd.Stderr = os.Stderr
	return cmd
}

// talking starts a command and returns what reads its lines, and what ends its input and waits for its end.
func talking(t testing.TB, cmd *exec.Cmd) (line func() string, end func()) {
	t.Helper()
	in, err := cmd.StdinPipe()
	check(t, err)
	out, err := cmd.StdoutPipe()
	check(t, err)
	check(t, cmd.Start())
	lines := bufio.NewScanner(out)
	ended := false
	end = func() {
		if ended {
			return
		}
		ended = true
		_ = in.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("a peer has ended with %v", err)
		}
	}
	t.Cleanup(end)
	return func() string {
		t.Helper()
		if !lines.Scan() {
			t.Fatalf("a peer says nothing more: %v", lines.Err())
		}
		return lines.Text()
	}, end
}

var names atomic.Int64

// newName is the name of a queue that is nobody's, and is nobody's again when the test has ended.
func newName(t testing.TB) string {
	t.Helper()
	_, err := mqueue.Open("/fildes-is-there-mq_open", nil)
	if errors.Is(err, errors.ErrUnsupported) {
		fdtest.Need(t, "mqueue", err.Error())
	}
	test := strings.Map(func(r rune) rune {
		if r == '/' || r == ' ' {
			return '.'
		}
		return r
	}, t.Name())
	name := fmt.Sprintf("/fildes-%.150s-%d-%d", test, os.Getpid(), names.Add(1))
	t.Cleanup(func() {
		if err := mqueue.Unlink(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Error(err)
		}
	})
	return name
}

// made are the options of a queue that is new.
func made(messages, size int) *mqueue.Options {
	return &mqueue.Options{Create: true, Exclusive: true, MaxMessages: messages, MessageSize: size}
}

func newQueue(t testing.TB, messages, size int) *mqueue.Queue {
	t.Helper()
	return open(t, newName(t), made(messages, size))
}

func open(t testing.TB, name string, opts *mqueue.Options) *mqueue.Queue {
	t.Helper()
	q, err := mqueue.Open(name, opts)
	check(t, err)
	t.Cleanup(func() { _ = q.Close() })
	return q
}

func openSender(t testing.TB, name string) *mqueue.Sender {
	t.Helper()
	s, err := mqueue.OpenSender(name, nil)
	check(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func openReceiver(t testing.TB, name string) *mqueue.Receiver {
	t.Helper()
	r, err := mqueue.OpenReceiver(name, nil)
	check(t, err)
	t.Cleanup(func() { _ = r.Close() })
	return r
}

type receiver interface {
	Receive(ctx context.Context, buf []byte) (n, priority int, err error)
	Attr() (mqueue.Attr, error)
}

// next receives one message.
func next(t testing.TB, r receiver) (string, int) {
	t.Helper()
	a, err := r.Attr()
	check(t, err)
	buf := make([]byte, a.MessageSize)
	n, p, err := r.Receive(bounded(t), buf)
	check(t, err)
	return string(buf[:n]), p
}

func wantNext(t testing.TB, r receiver, text string, priority int) {
	t.Helper()
	if got, p := next(t, r); got != text || p != priority {
		t.Errorf("received %q with priority %d, not %q with %d", got, p, text, priority)
	}
}

// wantCount looks at how many messages there are.
func wantCount(t testing.TB, q interface{ Attr() (mqueue.Attr, error) }, want int) {
	t.Helper()
	a, err := q.Attr()
	check(t, err)
	if a.Messages != want {
		t.Errorf("there are %d messages, not %d", a.Messages, want)
	}
}

// needNotify skips where mq_notify is emulated.
func needNotify(t testing.TB) {
	t.Helper()
	if os.Getenv("FDTEST_EXEC") != "" {
		fdtest.Need(t, "mq_notify", "an emulator doesn't have it")
	}
}
