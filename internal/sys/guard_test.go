//go:build linux && (386 || amd64 || arm || arm64)

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
	dispositions.Lock()
	defer dispositions.Unlock()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	act := newSigaction(guardPC())
	var old sigaction
	if e := setSigaction(int(unix.SIGSYS), &act, &old); e != 0 {
		t.Fatal(e)
	}
	_, _, e := syscall.RawSyscall(unix.SYS_TGKILL, uintptr(unix.Getpid()), uintptr(unix.Gettid()), uintptr(unix.SIGSYS))
	setSigaction(int(unix.SIGSYS), &old, nil)
	if e != unix.ENOSYS {
		t.Errorf("the interrupted call returned errno %d", e)
	}
}
