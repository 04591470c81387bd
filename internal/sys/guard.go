//go:build linux && (386 || amd64 || arm || arm64)

package sys

import (
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// A seccomp filter may answer a system call that it doesn't know with SIGSYS, as Android's does, and Go's runtime ends the
// program then. While a call is guarded, the signal's handler is one that makes the call fail with ENOSYS instead. Handlers are
// the process's: a call that another thread makes in that moment, and that would have ended the program, fails too.

// Guarded makes a system call that a seccomp filter may answer with SIGSYS; the answer is then ENOSYS. It is for probing: the guard costs
// two more calls, and none where no filter is installed.
func Guarded(call, a1, a2, a3, a4 uintptr) (uintptr, Errno) {
	if !filtered() {
		r, _, e := syscall.RawSyscall6(call, a1, a2, a3, a4, 0, 0)
		return r, e
	}
	dispositions.Lock()
	defer dispositions.Unlock()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	act := newSigaction(guardPC())
	var old sigaction
	if e := setSigaction(int(unix.SIGSYS), &act, &old); e != 0 {
		return 0, e
	}
	r, _, e := syscall.RawSyscall6(call, a1, a2, a3, a4, 0, 0)
	setSigaction(int(unix.SIGSYS), &old, nil)
	return r, e
}

// filtered says whether a seccomp filter may be installed: prctl(PR_GET_SECCOMP).
func filtered() bool {
	mode, err := unix.PrctlRetInt(unix.PR_GET_SECCOMP, 0, 0, 0, 0)
	return mode != 0 || err != nil && err != unix.EINVAL
}
