//go:build linux

package eventfd

import (
	"bytes"
	"context"
	"math"
	"os"
	"strings"
	"syscall"

	"github.com/fildes/fildes"
	"github.com/fildes/fildes/internal/fd"
	"github.com/fildes/fildes/internal/sys"
)

// Max is the largest value that adding can make.
const Max = math.MaxUint64 - 1

// A Counter is a counter in the kernel.
//
// All methods may be called by several goroutines at once. The zero Counter and a nil *Counter refuse every operation with
// [os.ErrInvalid], a closed one with [os.ErrClosed]. A Counter must not be copied. One that is forgotten without Close is closed by the
// garbage collector, some time later.
type Counter struct {
	fd        fd.FD
	semaphore mode
}

type mode uint8

const (
	plain mode = iota
	semaphore
	unknown
)

// Options are the options of [New]; nil means the zero value, which is a plain counter that starts at zero.
type Options struct {
	// Initial is the value that the counter starts with, at most [Max].
	Initial uint64
	// Semaphore makes each Wait take 1 instead of the whole value.
	Semaphore bool
}

// New makes a counter: eventfd2(2), close-on-exec and non-blocking. An Initial that doesn't fit into the call's 32 bits is added
// before anybody else can see the counter.
//
// It fails with EMFILE or ENFILE at the limit on descriptors, which the error names.
func New(opts *Options) (*Counter, error) {
	var o Options
	if opts != nil {
		o = *opts
	}
	if o.Initial > Max {
		return nil, fail("new", errTooLarge)
	}
	c := new(Counter)
	if o.Semaphore {
		c.semaphore = semaphore
	}
	first := uint32(o.Initial)
	if uint64(first) != o.Initial {
		first = 0
	}
	n, e := sys.EventFD(first, o.Semaphore)
	if e != 0 {
		return nil, fail("new", sys.Error("eventfd2", e))
	}
	if uint64(first) != o.Initial {
		if e := sys.RawWriteWord(n, &o.Initial); e != 0 {
			_ = sys.Close(n)
			return nil, fail("new", sys.Error("write", e))
		}
	}
	c.fd.Init(n, false)
	return c, nil
}

// FromFile makes a Counter of a duplicate of f's descriptor: of an eventfd that was inherited or received. f stays the caller's.
// The description, and so the value and O_NONBLOCK, is shared; O_NONBLOCK is set, and a Wait during which another process
// clears it blocks a thread.
//
// Anything but an eventfd is refused with [os.ErrInvalid]. To tell, /proc must be mounted.
func FromFile(f *os.File) (*Counter, error) {
	n, err := fd.FromFile(f)
	if err != nil {
		return nil, fail("from-file", err)
	}
	c := new(Counter)
	if err := fd.CheckAnonymous(n, "[eventfd]"); err != nil {
		_ = sys.Close(n)
		return nil, fail("from-file", err)
	}
	if err := c.fd.Adopt(n); err != nil {
		return nil, fail("from-file", err)
	}
	c.semaphore = unknown
	err = c.fd.Control(func(n int) error {
		info, err := sys.ProcInfo(n)
		if v, ok := sys.InfoField(info, "eventfd-semaphore"); ok {
			c.semaphore = plain
			if !bytes.Equal(v, []byte("0")) {
				c.semaphore = semaphore
			}
		}
		return err
	})
	if err != nil {
		_ = c.fd.Close()
		return nil, fail("from-file", err)
	}
	return c, nil
}

var errTooLarge error = invalid("a counter holds at most 2^64-2")

type invalid string

func (e invalid) Error() string { return string(e) }
func (invalid) Unwrap() error   { return os.ErrInvalid }

// fail makes the error of a method; it returns nil for nil.
//
//go:noinline
func fail(op string, err error) error {
	if err == nil {
		return nil
	}
	if e, ok := err.(syscall.Errno); ok {
		call := "read"
		if strings.HasSuffix(op, "add") {
			call = "write"
		}
		err = sys.Error(call, e)
	}
	return fildes.NewOpError("eventfd", op, "", err)
}

// Add adds n to the counter, and waits while that would make it larger than [Max]: write(2). It wakes those who wait for the
// counter. Of several that wait, the first is the first to be tried again, also if a later one would fit. An n of zero changes nothing, but wakes an edge-triggered epoll set.
//
// An n of 2^64-1 is refused with [os.ErrInvalid]. A done ctx fails the call before anything is added, with an error that matches
// ctx.Err() and context.Cause(ctx).
func (c *Counter) Add(ctx context.Context, n uint64) error {
	if c != nil && n <= Max && ctx != nil && ctx.Err() == nil {
		if uint32(c.fd.Take())&fd.WriteMask == fd.Open {
			e := sys.RawWriteWord(c.fd.Num(), &n)
			c.fd.Give()
			if e == 0 {
				return nil
			}
		} else {
			c.fd.Give()
		}
	}
	return c.addSlow(ctx, n)
}

//go:noinline
func (c *Counter) addSlow(ctx context.Context, n uint64) error {
	if n > Max {
		return fail("add", errTooLarge)
	}
	if ctx != nil && ctx.Err() == nil {
		// Not behind one that waits: there may be room for this one.
		if ok, err := c.TryAdd(n); ok && err == nil {
			return nil
		}
	}
	return fail("add", c.engine().Await(ctx, fd.Write, func(num int) error { return c.write(num, n) }))
}

// Wait waits until the counter isn't zero, and takes its value, which leaves zero: read(2). In semaphore mode it takes 1, and
// returns 1.
//
// Of several that wait, one gets the value. A done ctx fails the call before anything is taken, with an error that matches ctx.Err() and
// context.Cause(ctx).
func (c *Counter) Wait(ctx context.Context) (uint64, error) {
	if c != nil && ctx != nil && ctx.Err() == nil {
		if uint32(c.fd.Take())&fd.ReadMask == fd.Open {
			var n uint64
			e := sys.RawReadWord(c.fd.Num(), &n)
			c.fd.Give()
			if e == 0 {
				return n, nil
			}
		} else {
			c.fd.Give()
		}
	}
	return c.waitSlow(ctx)
}

//go:noinline
func (c *Counter) waitSlow(ctx context.Context) (n uint64, err error) {
	err = c.engine().Await(ctx, fd.Read, func(num int) error { return c.read(num, &n) })
	return n, fail("wait", err)
}

// TryAdd is Add where it need not wait. It returns false if the counter would become larger than [Max].
func (c *Counter) TryAdd(n uint64) (bool, error) {
	if n > Max {
		return false, fail("try-add", errTooLarge)
	}
	return try("try-add", c.engine().Control(func(num int) error { return c.write(num, n) }))
}

// TryWait is Wait where it need not wait. It returns false if the counter is zero.
func (c *Counter) TryWait() (n uint64, ok bool, err error) {
	ok, err = try("try-wait", c.engine().Control(func(num int) error { return c.read(num, &n) }))
	return n, ok, err
}

func try(op string, err error) (bool, error) {
	if err == nil || err == fd.Again {
		return err == nil, nil
	}
	return false, fail(op, err)
}

// read and write are for the slow paths. An errno below 256 becomes an error without an allocation.
func (c *Counter) read(num int, n *uint64) error {
	var e sys.Errno
	if c.fd.Raw() {
		e = sys.RawReadWord(num, n)
		c.fd.Give()
	} else {
		e = sys.ReadWord(num, n)
	}
	if e != 0 {
		return e
	}
	return nil
}

func (c *Counter) write(num int, n uint64) error {
	var e sys.Errno
	if c.fd.Raw() {
		e = sys.RawWriteWord(num, &n)
		c.fd.Give()
	} else {
		e = sys.WriteWord(num, &n)
	}
	if e != 0 {
		return e
	}
	return nil
}

func (c *Counter) engine() *fd.FD {
	if c == nil {
		return nil
	}
	return &c.fd
}

// Semaphore says whether each Wait takes 1. Of a counter from [FromFile] a kernel before 6.5 doesn't tell: the error then is a
// [*fildes.UnsupportedError], and only what Wait returns will show.
func (c *Counter) Semaphore() (bool, error) {
	if err := c.engine().Check(); err != nil {
		return false, fail("semaphore", err)
	}
	if c.semaphore == unknown {
		return false, fail("semaphore", &fildes.UnsupportedError{Feature: "eventfd-semaphore in /proc/self/fdinfo", Since: "6.5"})
	}
	return c.semaphore == semaphore, nil
}

// Close ends the Counter: close(2). It wakes whoever waits, who then fails with [os.ErrClosed], and returns when the number is free. A
// second Close returns [os.ErrClosed]. The value is lost unless somebody else has the description.
func (c *Counter) Close() error { return fail("close", c.engine().Close()) }

// SyscallConn lends the descriptor out: see [fildes.FD.SyscallConn].
func (c *Counter) SyscallConn() (syscall.RawConn, error) {
	r, err := c.engine().SyscallConn(fail)
	return r, fail("syscall-conn", err)
}

// File returns a duplicate of the descriptor, for a child process, say; it shares the description, with the value and O_NONBLOCK: see
// [fildes.FD.File].
func (c *Counter) File() (*os.File, error) {
	f, err := c.engine().File("eventfd")
	return f, fail("file", err)
}

// Inherit fails with an error that matches [errors.ErrUnsupported]: an eventfd can't be opened anew, so that a child would get a
// non-blocking descriptor. A child that knows what it gets takes [Counter.File]'s.
func (c *Counter) Inherit() (*os.File, error) {
	f, err := c.engine().Inherit("eventfd")
	return f, fail("inherit", err)
}

// Release ends the Counter without closing the descriptor, and returns its number: see [fildes.FD.Release].
func (c *Counter) Release() (int, error) {
	n, err := c.engine().Release()
	return n, fail("release", err)
}
