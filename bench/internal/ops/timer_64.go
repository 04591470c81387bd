//go:build linux && !(386 || arm || mips || mipsle)

package ops

import "golang.org/x/sys/unix"

const sysTimerSet = unix.SYS_TIMERFD_SETTIME
