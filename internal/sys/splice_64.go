//go:build linux && !(386 || arm || mips || mipsle)

package sys

import "golang.org/x/sys/unix"

// SendfileCall is the number of the call with a 64-bit offset.
const SendfileCall = unix.SYS_SENDFILE
