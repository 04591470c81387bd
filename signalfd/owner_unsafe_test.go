//go:build linux

package signalfd

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// setOwner has a thread told of a descriptor: fcntl(F_SETOWN_EX).
func setOwner(num, tid int) error {
	owner := struct{ kind, id int32 }{0 /* F_OWNER_TID */, int32(tid)}
	_, _, e := unix.Syscall(unix.SYS_FCNTL, uintptr(num), unix.F_SETOWN_EX, uintptr(unsafe.Pointer(&owner)))
	if e != 0 {
		return e
	}
	return nil
}
