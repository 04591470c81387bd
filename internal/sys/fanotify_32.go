//go:build linux && (386 || arm || mips || mipsle)

package sys

import "golang.org/x/sys/unix"

const largeFile = unix.O_LARGEFILE
