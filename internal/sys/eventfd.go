//go:build linux

package sys

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// EventFD makes an eventfd that is close-on-exec and non-blocking: eventfd2(2).
func EventFD(initial uint32, semaphore bool) (int, Errno) {
	flags := uintptr(unix.EFD_CLOEXEC | unix.EFD_NONBLOCK)
	if semaphore {
		flags |= unix.EFD_SEMAPHORE
	}
	n, _, e := syscall.RawSyscall(unix.SYS_EVENTFD2, uintptr(initial), flags, 0)
	return int(n), e
}
