//go:build linux

package fildes

import (
	"context"
	"errors"
	"os"
	"strings"
	"syscall"

	"github.com/fildes/fildes/internal/sys"
)

// OpError is the error of every operation of this module.
//
// It matches with errors.Is whatever Err matches: the errno and, with it, [fs.ErrPermission] or [fs.ErrNotExist];
// [os.ErrClosed] after Close; [os.ErrInvalid] for a zero or nil handle and for a bad argument; [os.ErrDeadlineExceeded]; both
// the Err and the Cause of a context that ended a wait; [errors.ErrUnsupported] for what the kernel doesn't have.
type OpError struct {
	// Kind is the package: "eventfd", "timerfd", "epoll", or "fd" for an [FD].
	Kind string
	// Op is the operation, in lower case: "new", "wait", "read".
	Op string
	// Name says which object, where it has a name: a path, or what was given to [Adopt].
	Name string
	// Err is an [*os.SyscallError] where the kernel refused, an [*UnsupportedError] where it doesn't know how, and else an error
	// of this module or the standard library.
	Err error
	// Hint says what to do, where there is something: which limit was met, its value, and how to raise it. It may be empty.
	Hint string
}

// NewOpError returns an OpError with the hint that err calls for. A nil err gives nil. The packages of this module make their
// errors with it.
func NewOpError(kind, op, name string, err error) error {
	if err == nil {
		return nil
	}
	return &OpError{Kind: kind, Op: op, Name: name, Err: err, Hint: sys.Limit(err)}
}

// Error has the form "kind: op name: call: reason (hint)". A call that has the name of the operation isn't said twice.
func (e *OpError) Error() string {
	if e == nil {
		return "<nil>"
	}
	var b strings.Builder
	b.WriteString(e.Kind)
	b.WriteString(": ")
	b.WriteString(e.Op)
	if e.Name != "" {
		b.WriteByte(' ')
		b.WriteString(e.Name)
	}
	if e.Err != nil {
		b.WriteString(": ")
		if se, ok := e.Err.(*os.SyscallError); ok && se.Syscall == e.Op {
			b.WriteString(se.Err.Error())
		} else {
			b.WriteString(e.Err.Error())
		}
	}
	if e.Hint != "" {
		b.WriteString(" (")
		b.WriteString(e.Hint)
		b.WriteByte(')')
	}
	return b.String()
}

// Unwrap returns Err.
func (e *OpError) Unwrap() error {
	if e == nil {
		return nil
	}
	return e.Err
}

// Timeout says whether a deadline or the deadline of a context ended the operation.
func (e *OpError) Timeout() bool {
	return e != nil && (errors.Is(e.Err, os.ErrDeadlineExceeded) || errors.Is(e.Err, context.DeadlineExceeded))
}

// Temporary says whether the same call may succeed later without anything being changed: after a deadline, an interruption
// or a full queue, and when a limit on descriptors or memory was met.
func (e *OpError) Temporary() bool {
	if e == nil {
		return false
	}
	errno, ok := errors.AsType[syscall.Errno](e.Err)
	return e.Timeout() || ok && (errno.Temporary() || errno == syscall.ENFILE || errno == syscall.ENOMEM || errno == syscall.ENOSPC)
}

// UnsupportedError says that the running kernel, as it was built and as this process may use it, doesn't know a feature. It
// matches [errors.ErrUnsupported].
type UnsupportedError struct {
	// Feature is what is missing, in the kernel's words: a system call, a flag, a field of fdinfo.
	Feature string
	// Since is the first version of Linux that can have it, or empty; a kernel with backports may have it earlier.
	Since string
	// Err is the refusal, if there was one.
	Err error
}

// Error names the feature and where it would be found.
func (e *UnsupportedError) Error() string {
	if e == nil {
		return "<nil>"
	}
	s := e.Feature + " is not supported by this kernel"
	if e.Since != "" {
		s += " (needs Linux " + e.Since + ")"
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns [errors.ErrUnsupported] and Err.
func (e *UnsupportedError) Unwrap() []error {
	if e == nil || e.Err == nil {
		return []error{errors.ErrUnsupported}
	}
	return []error{errors.ErrUnsupported, e.Err}
}
