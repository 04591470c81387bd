//go:build linux

// Package probe asks whether the running kernel, as this process may use it, has something: by trying it, and never by its
// version. Answers aren't kept here; whoever keeps one may keep a "no", because a seccomp filter can still take away what is
// there today.
package probe

import (
	"golang.org/x/sys/unix"

	"github.com/fildes/fildes/internal/sys"
)

// Missing says whether a system call is missing. It makes the call with -1 as its first argument and zeros for the others, which must be an error of
// the call itself and have no effect.
//
// A seccomp filter that doesn't know the call answers with ENOSYS, EPERM or the signal SIGSYS; all three mean that it is missing, and none
// ends the program.
func Missing(call uintptr) bool {
	_, e := sys.Guarded(call, ^uintptr(0), 0, 0, 0)
	return e == unix.ENOSYS || e == unix.EPERM
}
