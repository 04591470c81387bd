//go:build linux

package sys

import (
	"runtime"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// The guard's handler makes the call that the signal interrupts fail with ENOSYS. (That a filter's SIGSYS gets there is tested in
// internal/probe; this runs where there are no filters, under an emulator for example.)
func TestGuardHandler(t *testing.T) {
	if guardPC() == 0 {
		t.Skip("needs guard: a handler of SIGSYS for " + runtime.GOARCH)
	}
	guard.Lock()
	defer guard.Unlock()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	act := newSigaction(guardPC())
	var old sigaction
	if e := setSigaction(&act, &old); e != 0 {
		t.Fatal(e)
	}
	_, _, e := syscall.RawSyscall(unix.SYS_TGKILL, uintptr(unix.Getpid()), uintptr(unix.Gettid()), uintptr(unix.SIGSYS))
	setSigaction(&old, nil)
	if e != unix.ENOSYS {
		t.Errorf("the interrupted call returned errno %d", e)
	}
}
