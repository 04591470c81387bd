//go:build linux

package main_test

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes/signalfd"
)

// forge sends a signal of another process, as it says: rt_sigqueueinfo(2).
func forge(pid int, sig signalfd.Signal, claimed int) error {
	info := struct {
		signo, errno, code int32
		_                  [unsafe.Sizeof(uintptr(0)) - 4]byte
		pid                int32
		uid                uint32
		rest               [112]byte
	}{code: int32(signalfd.Queued), pid: int32(claimed)}
	if _, _, e := syscall.Syscall(unix.SYS_RT_SIGQUEUEINFO, uintptr(pid), uintptr(sig), uintptr(unsafe.Pointer(&info))); e != 0 {
		return e
	}
	return nil
}
