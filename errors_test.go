//go:build linux

package fildes_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"reflect"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes"
)

// The chain of errors is part of the API: whole values, and what they print and match.
func TestOpError(t *testing.T) {
	call := func(name string, e syscall.Errno) error { return &os.SyscallError{Syscall: name, Err: e} }
	unsupported := &fildes.UnsupportedError{Feature: "timerfd_settime64", Since: "5.1", Err: call("timerfd_settime64", unix.ENOSYS)}
	for _, c := range []struct {
		err                error
		text               string
		is                 []error
		timeout, temporary bool
	}{
		{&fildes.OpError{Kind: "inotify", Op: "add", Name: "/etc/passwd", Err: call("inotify_add_watch", unix.ENOSPC)},
			"inotify: add /etc/passwd: inotify_add_watch: no space left on device", []error{unix.ENOSPC}, false, true},
		{&fildes.OpError{Kind: "fd", Op: "read", Name: "pipe", Err: call("read", unix.EIO)},
			"fd: read pipe: input/output error", []error{unix.EIO}, false, false},
		{&fildes.OpError{Kind: "eventfd", Op: "new", Err: call("eventfd2", unix.EMFILE), Hint: "RLIMIT_NOFILE is 3"},
			"eventfd: new: eventfd2: too many open files (RLIMIT_NOFILE is 3)", []error{unix.EMFILE}, false, true},
		{&fildes.OpError{Kind: "fd", Op: "adopt", Err: call("open", unix.EACCES)},
			"fd: adopt: open: permission denied", []error{fs.ErrPermission, unix.EACCES}, false, false},
		{&fildes.OpError{Kind: "fd", Op: "adopt", Err: call("open", unix.ENOENT)},
			"fd: adopt: open: no such file or directory", []error{fs.ErrNotExist}, false, false},
		{&fildes.OpError{Kind: "fd", Op: "read", Err: os.ErrDeadlineExceeded}, "fd: read: i/o timeout", []error{os.ErrDeadlineExceeded}, true, true},
		{&fildes.OpError{Kind: "fd", Op: "read", Err: context.DeadlineExceeded}, "fd: read: context deadline exceeded",
			[]error{context.DeadlineExceeded}, true, true},
		{&fildes.OpError{Kind: "fd", Op: "read", Err: os.ErrClosed}, "fd: read: file already closed", []error{os.ErrClosed}, false, false},
		{&fildes.OpError{Kind: "timerfd", Op: "arm", Err: unsupported},
			"timerfd: arm: timerfd_settime64 is not supported by this kernel (needs Linux 5.1): timerfd_settime64: function not implemented",
			[]error{errors.ErrUnsupported, unix.ENOSYS}, false, false},
		{&fildes.UnsupportedError{Feature: "x"}, "x is not supported by this kernel", []error{errors.ErrUnsupported}, false, false},
		{&fildes.OpError{Kind: "fd", Op: "read"}, "fd: read", nil, false, false},
		{(*fildes.OpError)(nil), "<nil>", nil, false, false},
		{(*fildes.UnsupportedError)(nil), "<nil>", []error{errors.ErrUnsupported}, false, false},
	} {
		if got := c.err.Error(); got != c.text {
			t.Errorf("got  %q\nwant %q", got, c.text)
		}
		for _, is := range c.is {
			if !errors.Is(c.err, is) {
				t.Errorf("%q doesn't match %v", c.text, is)
			}
		}
		if oe, ok := c.err.(*fildes.OpError); ok {
			if oe.Timeout() != c.timeout || oe.Temporary() != c.temporary {
				t.Errorf("%q: Timeout %v, Temporary %v", c.text, oe.Timeout(), oe.Temporary())
			}
		}
	}
}

func TestErrorsAsWholeValues(t *testing.T) {
	r, w := pipe(t)
	check(t, r.Close())
	_, err := w.Write([]byte("x"))
	want := &fildes.OpError{Kind: "fd", Op: "write", Name: "writer", Err: &os.SyscallError{Syscall: "write", Err: unix.EPIPE}}
	if !reflect.DeepEqual(err, want) {
		t.Errorf("got %#v", err)
	}
	_, err = r.Read(nil)
	if want := (&fildes.OpError{Kind: "fd", Op: "read", Name: "reader", Err: os.ErrClosed}); !reflect.DeepEqual(err, want) {
		t.Errorf("got %#v", err)
	}
	cause := errors.New("why")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	_, err = w.WriteContext(ctx, nil)
	if !errors.Is(err, cause) || !errors.Is(err, context.Canceled) || err.Error() != "fd: write writer: context canceled: why" {
		t.Error(err)
	}
}
