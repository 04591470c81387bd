//go:build linux

package pipe

import (
	"errors"
	"fmt"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes/internal/sys"
)

// Stdin returns a Reader of the program's standard input, whatever it is, with contexts and deadlines. Descriptor 0 stays as it is, open.
//
//   - A pipe, a FIFO or a terminal is opened anew through /proc/self/fd, for reading only, so that neither the shell nor a sibling process ever has its
//     input or output made non-blocking by us.
//   - A regular file, a directory, a block device or a device that can't be polled (/dev/null) is used as it is, by a duplicate: opened anew, it would
//     begin at offset 0. It can't be waited for: a read blocks a thread, and deadlines give [os.ErrNoDeadline].
//   - Anything else is refused, because its O_NONBLOCK is shared and can't be had apart: a socket (of inetd, or systemd's journal) with an
//     error that matches [errors.ErrUnsupported]; a pipe or a terminal that may not be opened, because the process has changed its user (EACCES), or by
//     TIOCEXCL (EBUSY), with that. [fildes.FromFile] of os.Stdin takes them all, and makes them non-blocking for everybody who has them.
//   - A stream that is closed gives EBADF; but the Go runtime opens /dev/null in its place when the program starts.
func Stdin() (*Reader, error) {
	r := new(Reader)
	if err := r.e.standard(0, "/dev/stdin", unix.O_RDONLY); err != nil {
		return nil, fail("open", "/dev/stdin", err)
	}
	return r, nil
}

// Stdout returns a Writer of the program's standard output: see [Stdin], what it says of descriptor 0 is true of descriptor 1. Bytes are
// written at once: mixed with those of os.Stdout they stay in the order of the calls.
//
// Closing it is no end of file for the other side as long as descriptor 1 is open too, here or in a child or a sibling: close os.Stdout as well.
//
// When nobody reads a pipe or socket any more, a write ends the program as one of os.Stdout's does, by SIGPIPE, unless the program asks os/signal for that
// signal or ignores it; see [Writer.ExitOnBroken]. In a program that is a C library (buildmode c-shared or c-archive) the signal is left to what the host program has
// for it, as package os/signal says.
func Stdout() (*Writer, error) { return output(1, "/dev/stdout", stdout) }

// Stderr is [Stdout] for the standard error, descriptor 2.
func Stderr() (*Writer, error) { return output(2, "/dev/stderr", stderr) }

// A broken pipe ends a program in package os, by the number of the descriptor that is written to. These files are never forgotten, because
// their descriptors would be closed with them.
var (
	stdout = sync.OnceValue(func() *os.File { return os.NewFile(1, "/dev/stdout") })
	stderr = sync.OnceValue(func() *os.File { return os.NewFile(2, "/dev/stderr") })
)

func output(num int, name string, file func() *os.File) (*Writer, error) {
	w := new(Writer)
	if err := w.e.standard(num, name, unix.O_WRONLY); err != nil {
		return nil, fail("open", name, err)
	}
	w.broken = func(rest []byte) (int, error) { return retryBroken(&w.e, num, file, rest) }
	return w, nil
}

// ExitOnBroken says whether a write of [Stdout]'s or [Stderr]'s Writer ends the program when nobody reads any more. It does unless it was
// told not to; then the write fails with EPIPE, as that of any other Writer does, for which it is refused with [os.ErrInvalid].
func (w *Writer) ExitOnBroken(exit bool) error {
	err := w.end().engine().Check()
	if err == nil && w.broken == nil {
		err = errNotStandard
	}
	if err == nil {
		w.lenient.Store(!exit)
	}
	return w.end().fail("exit-on-broken", err)
}

// retryBroken writes what was left to the stream itself, as package os does, if e is still that stream.
func retryBroken(e *end, stream int, file func() *os.File, rest []byte) (int, error) {
	same := false
	err := e.fd.Control(func(num int) error {
		a, err := sys.Stat(num)
		if err != nil {
			return err
		}
		b, err := sys.Stat(stream)
		same = err == nil && sys.SameFile(&a, &b)
		return nil
	})
	if err != nil || !same {
		return 0, sys.Error("write", unix.EPIPE)
	}
	return file().Write(rest)
}

// standard makes e of a duplicate of a standard stream.
func (e *end) standard(stream int, name string, mode int) error {
	e.name = name
	num, err := sys.Dup(stream)
	if err != nil {
		return err
	}
	typ, err := sys.FileType(num)
	if err == nil {
		err = checkMode(num, mode)
	}
	if err != nil {
		_ = sys.Close(num)
		return err
	}
	e.other = typ != unix.S_IFIFO
	terminal := typ == unix.S_IFCHR && sys.IsTerminal(num)
	switch {
	case typ == unix.S_IFIFO:
		err = e.replace(num, func() (int, error) { return reopenPipe(num, mode) })
	case terminal:
		err = e.replace(num, func() (int, error) { return reopenTerminal(num, mode) })
	default:
		never := typ == unix.S_IFREG || typ == unix.S_IFDIR || typ == unix.S_IFBLK
		if !never {
			never, err = neverReady(num)
		}
		if never {
			return e.adopt(num, true)
		}
		_ = sys.Close(num)
		if err != nil {
			return err
		}
		err = errShared
	}
	if err != nil {
		err = fmt.Errorf("it has no description of our own, whose O_NONBLOCK nobody shares (fildes.FromFile does without): %w", err)
	}
	return err
}

// replace makes e of what open returns instead of num.
func (e *end) replace(num int, open func() (int, error)) error {
	own, err := open()
	_ = sys.Close(num)
	if err != nil {
		return err
	}
	return e.adopt(own, false)
}

func reopenTerminal(num, mode int) (int, error) {
	own, err := sys.Reopen(num, mode|unix.O_NONBLOCK)
	if err == nil && !sys.SameTerminal(num, own) {
		_ = sys.Close(own)
		return -1, errOtherTerminal
	}
	return own, err
}

// neverReady says whether epoll refuses a descriptor: it doesn't know O_NONBLOCK either.
func neverReady(num int) (bool, error) {
	set, err := sys.EpollCreate()
	if err != nil {
		return false, err
	}
	defer func() { _ = sys.Close(set) }()
	return errors.Is(sys.EpollControl(set, unix.EPOLL_CTL_ADD, num, &sys.EpollEvent{}), unix.EPERM), nil
}

var (
	errNotStandard   error = invalid("it is neither the standard output nor the standard error")
	errShared              = fmt.Errorf("it is neither a pipe, a FIFO, a terminal nor a file: %w", errors.ErrUnsupported)
	errOtherTerminal       = fmt.Errorf("the name leads to another terminal: %w", errors.ErrUnsupported)
)
