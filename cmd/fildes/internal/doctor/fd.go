//go:build linux

package doctor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes"
)

var fdKind = Kind{
	Name:  "fd",
	About: "any descriptor, as a stream of bytes: read(2), write(2)",
	Checks: []Check{
		{Name: "pipe", What: "adopt a pipe, write and read 64 bytes", Run: fdPipe},
		{Name: "vectored", What: "write and read 4 buffers at once", Run: fdVectored},
		{Name: "cancel", What: "a context ends a wait", Run: fdCancel},
		{Name: "deadline", What: "a deadline of 1 ms ends a read", Run: fdDeadline},
		{Name: "close", What: "Close ends another's wait", Run: fdClose},
		{Name: "inherit", What: "a child reads a pipe and answers", Run: fdInherit},
	},
}

// pipe makes a pipe of two FDs. One end is adopted, the other comes from a file.
func (t *Trial) pipe() (r, w *fildes.FD, err error) {
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
		return nil, nil, os.NewSyscallError("pipe2", err)
	}
	end := os.NewFile(uintptr(p[1]), "pipe")
	defer func() { _ = end.Close() }()
	r, err = fildes.Adopt(p[0], "pipe")
	if err != nil {
		return nil, nil, err
	}
	t.Cleanup(func() { _ = r.Close() })
	w, err = fildes.FromFile(end)
	if err != nil {
		return nil, nil, err
	}
	t.Cleanup(func() { _ = w.Close() })
	return r, w, nil
}

func fdPipe(t *Trial) error {
	r, w, err := t.pipe()
	if err != nil {
		return err
	}
	rr, rw, err := t.rawPipe(unix.O_NONBLOCK)
	if err != nil {
		return err
	}
	out, in := bytes.Repeat([]byte("fildes. "), 8), make([]byte, 128)
	t.Step("read what was written")
	return t.Measure(func() error {
		if _, err := w.WriteContext(t.ctx, out); err != nil {
			return err
		}
		n, err := r.ReadContext(t.ctx, in)
		if err == nil && !bytes.Equal(in[:n], out) {
			err = fmt.Errorf("%d bytes were written, and %d others read", len(out), n)
		}
		return err
	}, func() error {
		if _, err := unix.Write(rw, out); err != nil {
			return os.NewSyscallError("write", err)
		}
		_, err := unix.Read(rr, in)
		return os.NewSyscallError("read", err)
	})
}

func fdVectored(t *Trial) error {
	r, w, err := t.pipe()
	if err != nil {
		return err
	}
	rr, rw, err := t.rawPipe(unix.O_NONBLOCK)
	if err != nil {
		return err
	}
	out := [][]byte{[]byte("any "), []byte("number "), []byte("of "), []byte("buffers")}
	in := [][]byte{make([]byte, 4), make([]byte, 7), make([]byte, 3), make([]byte, 7)}
	t.Step("read what was written")
	return t.Measure(func() error {
		if _, err := w.WriteVectored(t.ctx, out); err != nil {
			return err
		}
		_, err := r.ReadVectored(t.ctx, in)
		if err == nil && !bytes.Equal(bytes.Join(in, nil), bytes.Join(out, nil)) {
			err = fmt.Errorf("%q was written, and %q read", out, in)
		}
		return err
	}, func() error {
		if _, err := unix.Writev(rw, out); err != nil {
			return os.NewSyscallError("writev", err)
		}
		_, err := unix.Readv(rr, in)
		return os.NewSyscallError("readv", err)
	})
}

// A waiter is a goroutine that waits for input of an FD; ready says that there is none yet, and that the wait is about to begin.
type waiter struct {
	ready chan struct{}
	done  chan error
}

func wait(ctx context.Context, f *fildes.FD) *waiter {
	w := &waiter{make(chan struct{}), make(chan error, 1)}
	go func() {
		first := true
		var b [1]byte
		w.done <- f.WaitRead(ctx, func(fd int) error {
			_, err := unix.Read(fd, b[:])
			if first && err == unix.EAGAIN {
				first = false
				close(w.ready)
			}
			return err
		})
	}()
	return w
}

// end waits until the waiter waits, runs f, and returns how long it took from there until the waiter had ended with an error
// that matches expected.
func (w *waiter) end(t *Trial, f func() error, expected error) (time.Duration, error) {
	select {
	case <-w.ready:
	case err := <-w.done:
		return 0, fmt.Errorf("a read from an empty pipe doesn't wait: %w", err)
	case <-t.ctx.Done():
		return 0, t.ctx.Err()
	}
	start := time.Now()
	if err := f(); err != nil {
		return 0, err
	}
	select {
	case err := <-w.done:
		return time.Since(start), refused("the wait", err, expected)
	case <-t.ctx.Done():
		return 0, t.ctx.Err()
	}
}

func fdCancel(t *Trial) error {
	r, w, err := t.pipe()
	if err != nil {
		return err
	}
	cause := errors.New("changed our mind")
	t.Step("a wait ends when its context is cancelled")
	err = t.Sample(func() (time.Duration, error) {
		ctx, cancel := context.WithCancelCause(t.ctx)
		defer cancel(nil)
		return wait(ctx, r).end(t, func() error {
			cancel(cause)
			return nil
		}, cause)
	}, nil)
	if err != nil {
		return err
	}
	t.Step("the pipe works after that")
	if _, err := w.WriteContext(t.ctx, []byte{1}); err != nil {
		return err
	}
	_, err = r.ReadContext(t.ctx, make([]byte, 1))
	return err
}

func fdDeadline(t *Trial) error {
	r, _, err := t.pipe()
	if err != nil {
		return err
	}
	rr, _, err := t.rawPipe(unix.O_NONBLOCK)
	if err != nil {
		return err
	}
	b := make([]byte, 1)
	const bound = time.Millisecond
	t.Step("a read ends at its deadline")
	return t.Measure(func() error {
		start := time.Now()
		if err := r.SetReadDeadline(start.Add(bound)); err != nil {
			return err
		}
		_, err := r.ReadContext(t.ctx, b)
		if err := refused("the read", err, os.ErrDeadlineExceeded); err != nil {
			return err
		}
		if early := bound - time.Since(start); early > 0 {
			return fmt.Errorf("the read ended %v before its deadline", early)
		}
		return nil
	}, func() error {
		ts := unix.NsecToTimespec(int64(bound))
		_, err := unix.Ppoll([]unix.PollFd{{Fd: int32(rr), Events: unix.POLLIN}}, &ts, nil)
		if err == unix.EINTR {
			err = nil
		}
		return os.NewSyscallError("ppoll", err)
	})
}

func fdClose(t *Trial) error {
	t.Step("a wait ends when the descriptor is closed")
	return t.Sample(func() (time.Duration, error) {
		// Not the trial's pipe, whose ends stay open until it ends.
		r, w, err := os.Pipe()
		if err != nil {
			return 0, err
		}
		defer func() { _ = w.Close() }()
		f, err := fildes.FromFile(r)
		_ = r.Close()
		if err != nil {
			return 0, err
		}
		defer func() { _ = f.Close() }()
		return wait(t.ctx, f).end(t, f.Close, os.ErrClosed)
	}, nil)
}

// fdInherit gives a child, which copies its input to its output, the inner ends of two pipes.
func fdInherit(t *Trial) error {
	in, ours, err := t.pipe()
	if err != nil {
		return err
	}
	answer, out, err := t.pipe()
	if err != nil {
		return err
	}
	child := Self(CopyCommand)
	if child.Stdin, err = inherit(in); err != nil {
		return err
	}
	if child.Stdout, err = inherit(out); err != nil {
		return err
	}
	t.Step("start a child")
	err = child.Start()
	_, _ = child.Stdin.(io.Closer).Close(), child.Stdout.(io.Closer).Close()
	if err != nil {
		return fmt.Errorf("start a child: %w", err)
	}
	t.Cleanup(func() { reap(child) })
	if err := errors.Join(in.Close(), out.Close()); err != nil {
		return err
	}
	t.Step("the child answers")
	b := make([]byte, 1)
	err = t.Measure(func() error {
		if _, err := ours.WriteContext(t.ctx, []byte{'?'}); err != nil {
			return err
		}
		_, err := answer.ReadContext(t.ctx, b)
		return err
	}, nil)
	if err != nil {
		return err
	}
	t.Step("the child's output ends after its input")
	if err := ours.Close(); err != nil {
		return err
	}
	_, err = answer.ReadContext(t.ctx, b)
	return refused("the read after the last", err, io.EOF)
}

// inherit makes a file for a child and sees that it blocks, whatever f does.
func inherit(f *fildes.FD) (*os.File, error) {
	file, err := f.Inherit()
	if err != nil {
		return nil, err
	}
	c, err := file.SyscallConn()
	if err != nil {
		return nil, err
	}
	var flags int
	if cerr := c.Control(func(fd uintptr) { flags, err = unix.FcntlInt(fd, unix.F_GETFL, 0) }); cerr != nil {
		return nil, cerr
	}
	if err == nil && flags&unix.O_NONBLOCK != 0 {
		err = errors.New("the child's end of the pipe is non-blocking")
	}
	return file, err
}

// reap ends a child.
func reap(child *exec.Cmd) {
	_ = child.Process.Kill()
	_ = child.Wait()
}

// CopyCommand is the program's hidden command that copies its input to its output.
const CopyCommand = "__copy"
