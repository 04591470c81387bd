//go:build linux

package fd

import (
	"context"
	"os"
	"syscall"
)

// RawConn lends the number out: it is what SyscallConn of every kind returns. Whoever gets the number that way may do with
// the description what it likes, so it counts as shared from then on; this module's own packages go to the FD instead.
type RawConn struct {
	f    *FD
	wrap func(op string, err error) error
}

// SyscallConn returns the RawConn of f, whose errors go through wrap.
func (f *FD) SyscallConn(wrap func(op string, err error) error) (syscall.RawConn, error) {
	if err := f.Check(); err != nil {
		return nil, err
	}
	return &RawConn{f, wrap}, nil
}

// Engine returns the engine behind a connection of this module, or nil.
func Engine(c syscall.RawConn) *FD {
	if r, ok := c.(*RawConn); ok {
		return r.f
	}
	return nil
}

var _ syscall.RawConn = (*RawConn)(nil)

// Control implements syscall.RawConn.
func (c *RawConn) Control(op func(fd uintptr)) error {
	if c == nil || op == nil {
		return os.ErrInvalid
	}
	return c.wrap("raw-control", c.f.Control(func(n int) error {
		c.f.SetShared()
		op(uintptr(n))
		return nil
	}))
}

// Read implements syscall.RawConn: op runs until it returns true, between two waits for readability.
func (c *RawConn) Read(op func(fd uintptr) bool) error { return c.wait("raw-read", Read, op) }

// Write implements syscall.RawConn: op runs until it returns true, between two waits for writability.
func (c *RawConn) Write(op func(fd uintptr) bool) error { return c.wait("raw-write", Write, op) }

func (c *RawConn) wait(name string, m Mode, op func(fd uintptr) bool) error {
	if c == nil || op == nil {
		return os.ErrInvalid
	}
	return c.wrap(name, c.f.Stream(context.Background(), m, func(n int) error {
		c.f.SetShared()
		if !op(uintptr(n)) {
			return Again
		}
		return nil
	}))
}
