//go:build linux

package sys

import (
	"golang.org/x/sys/unix"
)

// EpollEvent is the kernel's struct epoll_event; its 64-bit data word is Fd and Pad.
type EpollEvent = unix.EpollEvent

// EpollCreate makes a set that is close-on-exec: epoll_create1(2).
func EpollCreate() (int, error) {
	n, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return -1, Named("epoll_create1", err)
	}
	return n, nil
}

// EpollControl is epoll_ctl(2).
func EpollControl(epfd, op, fd int, ev *EpollEvent) error {
	return Named("epoll_ctl", unix.EpollCtl(epfd, op, fd, ev))
}
