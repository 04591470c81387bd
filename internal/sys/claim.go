//go:build linux

package sys

import (
	"errors"

	"golang.org/x/sys/unix"
)

// Claim takes a name that one process of a network namespace may have at a time, and has until it closes the descriptor or ends: an abstract Unix socket's
// address, socket(2) and bind(2). If somebody has it taken is true.
func Claim(name string) (num int, taken bool, err error) {
	num, err = unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return -1, false, Named("socket", err)
	}
	if err = unix.Bind(num, &unix.SockaddrUnix{Name: "@" + name}); err != nil {
		_ = Close(num)
		return -1, errors.Is(err, unix.EADDRINUSE), Named("bind", err)
	}
	return num, false, nil
}
