//go:build linux

package sys

import (
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// dispositions is held while a handler is asked for and then set.
var dispositions sync.Mutex

// setSigaction is rt_sigaction(2).
func setSigaction(signal int, act, old *sigaction) Errno {
	_, _, e := syscall.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(signal), uintptr(unsafe.Pointer(act)), uintptr(unsafe.Pointer(old)),
		unsafe.Sizeof(sigaction{}.mask), 0, 0)
	return e
}

// Handled says whether a signal has a handler: it isn't ignored, and hasn't the kernel's default action.
func Handled(signal int) bool {
	var now sigaction
	return setSigaction(signal, nil, &now) == 0 && now.handler > 1
}

// DefaultSignal restores a signal's default disposition, and unblocks it on the calling thread.
func DefaultSignal(signal int) error {
	var act sigaction
	if e := setSigaction(signal, &act, nil); e != 0 {
		return Error("rt_sigaction", e)
	}
	var set SignalSet
	set[(signal-1)/64] |= 1 << ((signal - 1) % 64)
	return Named("rt_sigprocmask", unix.PthreadSigmask(unix.SIG_UNBLOCK, set.sigset(), nil))
}
