//go:build linux

package mqueue_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes"
	"github.com/fildes/fildes/internal/fdtest"
	"github.com/fildes/fildes/mqueue"
)

func readLimits(t testing.TB) mqueue.Limits {
	t.Helper()
	l, err := mqueue.ReadLimits()
	if errors.Is(err, fs.ErrNotExist) {
		fdtest.Need(t, "mqueue", err.Error())
	}
	check(t, err)
	return l
}

func TestLimits(t *testing.T) {
	l := readLimits(t)
	for name, got := range map[string]int{
		"queues_max": l.Queues, "msg_max": l.MaxMessages, "msgsize_max": l.MessageSize, "msg_default": l.DefaultMessages, "msgsize_default": l.DefaultSize,
	} {
		want, err := os.ReadFile("/proc/sys/fs/mqueue/" + name)
		check(t, err)
		if fmt.Sprintln(got) != string(want) {
			t.Errorf("%s: %d, not %s", name, got, want)
		}
	}
	var r unix.Rlimit
	check(t, unix.Getrlimit(unix.RLIMIT_MSGQUEUE, &r))
	if int64(r.Cur) != l.Bytes { // RLIM_INFINITY is all ones
		t.Errorf("%d, not %d", l.Bytes, r.Cur)
	}
}

// somebody is an ordinary user.
const somebody = 65534

// beLimited runs into a limit, as an ordinary user, and says how.
func beLimited(args []string) error {
	what, names := args[0], args[1:]
	small := unix.Rlimit{Cur: 1, Max: 2}
	var err error
	switch what {
	case "queues":
		err = os.WriteFile("/proc/sys/fs/mqueue/queues_max", []byte("1"), 0)
	case "bytes":
		err = unix.Setrlimit(unix.RLIMIT_MSGQUEUE, &small)
	case "descriptors":
		err = unix.Setrlimit(unix.RLIMIT_NOFILE, &small)
	}
	if err == nil && os.Geteuid() == 0 {
		err = errors.Join(syscall.Setgroups(nil), syscall.Setgid(somebody), syscall.Setuid(somebody))
	}
	if err != nil {
		return err
	}
	opts := made(1, 8)
	switch what {
	case "queues":
		q, err := mqueue.Open(names[0], made(1, 8))
		if err != nil {
			return err
		}
		defer q.Close()
	case "messages":
		opts.MaxMessages = 1 << 14
	case "size":
		opts.MessageSize = 1 << 23
	}
	_, err = mqueue.Open(names[1], opts)
	se, _ := errors.AsType[*os.SyscallError](err)
	if se == nil {
		return fmt.Errorf("the error is %w", err)
	}
	fmt.Printf("%s %s: %v\n", se.Syscall, unix.ErrnoName(se.Err.(syscall.Errno)), err)
	return nil
}

func limited(t *testing.T, attr *syscall.SysProcAttr, what string, want ...string) {
	t.Helper()
	cmd := peer(bounded(t), t, "inside", what, newName(t), newName(t))
	cmd.SysProcAttr = attr
	line, end := talking(t, cmd)
	got := line()
	end()
	for _, w := range want {
		if !strings.Contains(got, w) {
			t.Errorf("%q isn't in %q", w, got)
		}
	}
}

// needLimits skips where RLIMIT_MSGQUEUE isn't the kernel's.
func needLimits(t testing.TB) {
	t.Helper()
	if os.Getenv("FDTEST_EXEC") != "" {
		fdtest.Need(t, "rlimits", "an emulator keeps its own")
	}
}

// An error names the limit, with its value.
func TestLimitsInErrors(t *testing.T) {
	l := readLimits(t)
	if l.MaxMessages >= 1<<14 || l.MessageSize >= 1<<23 {
		fdtest.Need(t, "mqueue_limits", "fs.mqueue.msg_max and fs.mqueue.msgsize_max as they usually are")
	}
	sysctls := fmt.Sprintf("fs.mqueue.msg_max and fs.mqueue.msgsize_max are %d and %d", l.MaxMessages, l.MessageSize)
	t.Run("messages", func(t *testing.T) { limited(t, nil, "messages", "mq_open EINVAL", sysctls) })
	t.Run("size", func(t *testing.T) { limited(t, nil, "size", "mq_open EINVAL", sysctls) })
	t.Run("bytes", func(t *testing.T) {
		needLimits(t)
		limited(t, nil, "bytes", "mq_open EMFILE", "RLIMIT_MSGQUEUE is 1 bytes", "at most 2")
	})
	t.Run("descriptors", func(t *testing.T) { limited(t, nil, "descriptors", "mq_open EMFILE", "RLIMIT_NOFILE is 1:") })
	t.Run("queues", func(t *testing.T) {
		needIPC(t)
		limited(t, &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWIPC}, "queues", "mq_open ENOSPC", "the sysctl fs.mqueue.queues_max is 1")
		if again := readLimits(t); again != l {
			t.Errorf("the limits here went from %+v to %+v", l, again)
		}
	})
}

// Who may set limits still has that on bytes.
func TestBytesOfRoot(t *testing.T) {
	needLimits(t)
	fdtest.NeedCap(t, unix.CAP_SYS_RESOURCE, "sys_resource")
	name := newName(t)
	_, err := mqueue.Open(name, made(1<<13, 1<<13)) // more than msg_max
	wantIs(t, err, unix.EMFILE)
	if err == nil || !strings.Contains(err.Error(), "RLIMIT_MSGQUEUE") {
		t.Error(err)
	}
	open(t, name, made(20, 16))
}

// A kernel without queues, as a filter can make one.
func TestUnsupported(t *testing.T) {
	out, child, err := fdtest.InChild(t)
	if !child {
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	name := fmt.Sprintf("/fildes-unsupported-%d", os.Getpid()) // which nothing can make
	fdtest.Seccomp(t, fdtest.AnswerErrno(unix.ENOSYS), unix.SYS_MQ_OPEN, unix.SYS_MQ_UNLINK, unix.SYS_MQ_GETSETATTR)
	_, openErr := mqueue.OpenReceiver(name, nil)
	_, createErr := mqueue.Open(name, made(1, 8))
	_, defaultErr := mqueue.Open(name, made(1, 0))
	_, limitsErr := mqueue.ReadLimits()
	for _, err := range []error{openErr, createErr, defaultErr, limitsErr, mqueue.Unlink(name)} {
		if ue, ok := errors.AsType[*fildes.UnsupportedError](err); !ok || !strings.Contains(ue.Feature, "CONFIG_POSIX_MQUEUE") {
			t.Errorf("%v", err)
		}
		wantIs(t, err, errors.ErrUnsupported, unix.ENOSYS)
	}
}

// A kernel without netlink sockets has queues all the same.
func TestNotifyUnsupported(t *testing.T) {
	needNotify(t)
	out, child, err := fdtest.InChild(t)
	if !child {
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	call := uintptr(unix.SYS_SOCKET)
	if runtime.GOARCH == "386" || runtime.GOARCH == "s390x" {
		call = 102 // socketcall, which package unix uses there
	}
	q := newQueue(t, 1, 16)
	fdtest.Seccomp(t, fdtest.AnswerErrno(unix.EAFNOSUPPORT), call)
	_, err = q.Notify()
	wantIs(t, err, errors.ErrUnsupported, unix.EAFNOSUPPORT)
	if ue, ok := errors.AsType[*fildes.UnsupportedError](err); !ok || !strings.Contains(ue.Feature, "netlink") {
		t.Error(err)
	}
	check(t, q.NotifySignal(unix.SIGURG, 0))
	check(t, q.StopNotify())
	check(t, q.Send(t.Context(), nil, 0))
	wantNext(t, q, "", 0)
}

// Errors say each word once.
func TestErrorTexts(t *testing.T) {
	q := newQueue(t, 1, 16)
	name := newName(t)
	_, missing := mqueue.Open(name, nil)
	_, exists := mqueue.Open(q.Name(), made(1, 16))
	_, tooLarge := q.TrySend(make([]byte, 17), 0)
	_, _, tooSmall := q.Receive(t.Context(), make([]byte, 1))
	_, badName := mqueue.OpenSender("jobs", nil)
	r, w, err := os.Pipe()
	check(t, err)
	defer r.Close()
	defer w.Close()
	_, pipe := mqueue.ReceiverFromFile(r)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, c := range []struct {
		err  error
		want string
	}{
		{missing, "mqueue: open " + name + ": mq_open: no such file or directory"},
		{mqueue.Unlink(name), "mqueue: unlink " + name + ": mq_unlink: no such file or directory"},
		{exists, "mqueue: open " + q.Name() + ": mq_open: file exists"},
		{tooLarge, "mqueue: try-send " + q.Name() + ": a message of 17 bytes is too long: the queue takes up to 16"},
		{tooSmall, "mqueue: receive " + q.Name() + ": a buffer of 1 bytes is too small: messages have up to 16"},
		{q.Send(ctx, nil, 0), "mqueue: send " + q.Name() + ": context canceled"},
		{q.Send(ctx, nil, -1), "mqueue: send " + q.Name() + ": priorities are from 0 to 32767"},
		{badName, "mqueue: open jobs: a queue's name begins with a slash"},
		{pipe, "mqueue: from-file: the descriptor isn't a message queue"},
		{(*mqueue.Queue)(nil).Close(), "mqueue: close: invalid argument"},
	} {
		if c.err == nil || c.err.Error() != c.want {
			t.Errorf("%v\nnot\n%s", c.err, c.want)
		}
	}
}
