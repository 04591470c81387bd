//go:build linux && (386 || arm || mips || mipsle)

package sys

import "golang.org/x/sys/unix"

// largeFile is for opening files of 2 GiB and more.
func largeFile() uint { return unix.O_LARGEFILE }
