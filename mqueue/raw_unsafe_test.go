//go:build linux

package mqueue_test

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// blockingReceive is mq_receive(3), as C has it: a call without a timeout, on whatever the number is.
func blockingReceive(num int, buf []byte) (n int, priority uint32, err error) {
	for {
		k, _, e := unix.Syscall6(unix.SYS_MQ_TIMEDRECEIVE, uintptr(num), uintptr(unsafe.Pointer(unsafe.SliceData(buf))), uintptr(len(buf)), uintptr(unsafe.Pointer(&priority)), 0, 0)
		if e == 0 {
			return int(k), priority, nil
		}
		if e != unix.EINTR {
			return 0, 0, e
		}
	}
}

// blockingSend is mq_send(3).
func blockingSend(num int, msg []byte, priority uint32) error {
	for {
		_, _, e := unix.Syscall6(unix.SYS_MQ_TIMEDSEND, uintptr(num), uintptr(unsafe.Pointer(unsafe.SliceData(msg))), uintptr(len(msg)), uintptr(priority), 0, 0)
		if e == 0 {
			return nil
		}
		if e != unix.EINTR {
			return e
		}
	}
}
