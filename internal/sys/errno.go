//go:build linux

package sys

import (
	"errors"
	"os"
	"syscall"
)

// Errno is the kernel's error number; zero is success.
type Errno = syscall.Errno

// EAGAIN, as an error, is what an operation returns to wait.
const EAGAIN = syscall.EAGAIN

// Error names the system call that was refused. It returns nil for errno 0.
func Error(call string, e Errno) error {
	if e == 0 {
		return nil
	}
	return &os.SyscallError{Syscall: call, Err: e}
}

// Named is Error for the wrappers of other packages, which return an errno as an error.
func Named(call string, err error) error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[Errno](err); ok {
		return Error(call, e)
	}
	return err
}

// retry runs op until it isn't interrupted.
func retry(op func() error) error {
	for {
		if err := op(); err != syscall.EINTR {
			return err
		}
	}
}
