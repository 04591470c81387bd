//go:build linux && !(386 || arm || mips || mipsle)

package sys

import "golang.org/x/sys/unix"

const (
	sysQueueSend    = unix.SYS_MQ_TIMEDSEND
	sysQueueReceive = unix.SYS_MQ_TIMEDRECEIVE
)
