//go:build linux

package sys

import (
	"time"

	"golang.org/x/sys/unix"
)

// AwaitReadable waits in the kernel, with the thread, until a descriptor is readable, or limit has passed, or earlier: poll(2).
func AwaitReadable(num int, limit time.Duration) {
	p := [1]unix.PollFd{{Fd: int32(num), Events: unix.POLLIN}}
	_, _ = unix.Poll(p[:], int(limit.Milliseconds()))
}
