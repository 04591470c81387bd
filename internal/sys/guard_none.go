//go:build linux && !(386 || amd64 || arm || arm64)

package sys

import "syscall"

// Guards says whether Guarded survives SIGSYS on this architecture.
const Guards = false

// Guarded makes a system call as it is.
func Guarded(call, a1, a2, a3, a4 uintptr) (uintptr, Errno) {
	r, _, e := syscall.RawSyscall6(call, a1, a2, a3, a4, 0, 0)
	return r, e
}
