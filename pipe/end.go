//go:build linux

package pipe

import (
	"errors"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes"
	"github.com/fildes/fildes/internal/fd"
	"github.com/fildes/fildes/internal/sys"
)

// An end is what a Reader and a Writer have in common. All its methods may be called on nil.
type end struct {
	fd     fd.FD
	name   string
	packet bool
	other  bool                 // a standard stream that isn't a pipe
	iov    []sys.Iovec          // owned by whoever is inside the gate of the end's direction
	made   atomic.Pointer[made] // the FIFO to be removed
}

// made is a FIFO that an open has made and Close is to remove.
type made struct {
	path string
	file unix.Stat_t
}

func (e *end) engine() *fd.FD {
	if e == nil {
		return nil
	}
	return &e.fd
}

// fail makes the error of a method; it returns nil for nil.
//
//go:noinline
func (e *end) fail(op string, err error) error {
	name := ""
	if e != nil {
		name = e.name
	}
	return fail(op, name, err)
}

func fail(op, name string, err error) error {
	if err == nil {
		return nil
	}
	if no, ok := err.(syscall.Errno); ok {
		err = sys.Error(op, no)
	}
	return fildes.NewOpError("pipe", op, name, err)
}

// keep stores vectors for the next call, without keeping the buffers alive.
func (e *end) keep(iov []sys.Iovec) {
	clear(iov)
	e.iov = iov[:0]
}

// adopt takes ownership of num, which is ours alone unless others have its description too.
func (e *end) adopt(num int, others bool) error {
	flags, err := sys.StatusFlags(num)
	if err != nil {
		_ = sys.Close(num)
		return err
	}
	e.packet = flags&unix.O_DIRECT != 0
	e.fd.Init(num, others)
	return nil
}

// close removes the FIFO, while its inode is still held and nobody else's, and closes.
func (e *end) close() error {
	err := e.engine().Check()
	if err == nil {
		gone := e.remove()
		if err = e.fd.Close(); err == nil {
			err = gone
		}
	}
	return e.fail("close", err)
}

func (e *end) remove() error {
	m := e.made.Swap(nil)
	if m == nil {
		return nil
	}
	remove := func(int) error { return sys.Remove(sys.AtWorkingDirectory, m.path, &m.file) }
	if e.fd.Check() == nil {
		return e.fd.Control(remove) // so that no other Close lets go of the inode meanwhile
	}
	return remove(-1)
}

func (e *end) release() (int, error) {
	n, err := e.engine().Release()
	return n, e.fail("release", err)
}

func (e *end) syscallConn() (syscall.RawConn, error) {
	c, err := e.engine().SyscallConn(e.fail)
	return c, e.fail("syscall-conn", err)
}

func (e *end) file() (*os.File, error) {
	name := ""
	if e != nil {
		name = e.name
	}
	f, err := e.engine().File(name)
	return f, e.fail("file", err)
}

func (e *end) inherit() (*os.File, error) {
	name := ""
	if e != nil {
		name = e.name
	}
	f, err := e.engine().Inherit(name)
	return f, e.fail("inherit", err)
}

func (e *end) setDeadline(t time.Time, m fd.Mode) error {
	return e.fail("set-deadline", e.engine().SetDeadline(t, m))
}

func (e *end) buffered() (n int, err error) {
	err = e.engine().Control(func(num int) (err error) {
		n, err = sys.Unread(num)
		return err
	})
	return n, e.fail("buffered", err)
}

func (e *end) size() (n int, err error) {
	err = e.engine().Control(func(num int) (err error) {
		n, err = sys.PipeSize(num)
		return err
	})
	return n, e.fail("size", err)
}

func (e *end) setSize(want int) (n int, err error) {
	if err := e.engine().Check(); err != nil {
		return 0, e.fail("set-size", err)
	}
	if want <= 0 {
		return 0, e.fail("set-size", errSize)
	}
	err = e.engine().Control(func(num int) (err error) {
		n, err = sys.SetPipeSize(num, want)
		return err
	})
	if err == nil {
		return n, nil
	}
	failure := e.fail("set-size", err)
	if oe, ok := errors.AsType[*fildes.OpError](failure); ok {
		switch {
		case errors.Is(err, unix.EPERM):
			oe.Hint = sys.PipeLimits() + "; CAP_SYS_RESOURCE may exceed them"
		case errors.Is(err, unix.EBUSY):
			oe.Hint = "the pipe holds more bytes than would fit: read some first"
		}
	}
	return 0, failure
}

type invalid string

func (e invalid) Error() string { return string(e) }
func (invalid) Unwrap() error   { return os.ErrInvalid }

var errSize error = invalid("the size of a pipe is at least one byte")
