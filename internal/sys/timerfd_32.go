//go:build linux && (386 || arm || mips || mipsle)

package sys

import "golang.org/x/sys/unix"

const (
	sysTimerSet    = unix.SYS_TIMERFD_SETTIME64
	sysTimerGet    = unix.SYS_TIMERFD_GETTIME64
	fallbackTime64 = true
)
