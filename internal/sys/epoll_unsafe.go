//go:build linux

package sys

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// EpollPoll is epoll_pwait(2) without a signal mask, which every architecture has, and doesn't wait; so there is no EINTR. It takes a mutex of the
// set, which others may hold for as long as they look through it: not for a raw call. first is the first of n events.
func EpollPoll(epfd int, first *EpollEvent, n int) (int, Errno) {
	k, _, e := syscall.Syscall6(unix.SYS_EPOLL_PWAIT, uintptr(epfd), uintptr(unsafe.Pointer(first)), uintptr(n), 0, 0, 0)
	return int(k), e
}
