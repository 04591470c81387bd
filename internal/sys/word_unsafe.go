//go:build linux

package sys

import (
	"syscall"
	"unsafe"
)

// The Raw forms don't tell the scheduler that a system call is under way. They are for descriptions that are ours alone,
// which nobody else can make blocking: a raw call that blocks would stop the whole program at the next collection. RawSyscall6 is
// a call less deep than RawSyscall.

// RawReadWord reads the 8 bytes of an eventfd or a timerfd: read(2).
func RawReadWord(fd int, p *uint64) Errno {
	_, _, e := syscall.RawSyscall6(syscall.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(p)), 8, 0, 0, 0)
	if raceEnabled && e == 0 {
		raceAcquire()
	}
	return e
}

// RawWriteWord writes the 8 bytes of an eventfd: write(2).
func RawWriteWord(fd int, p *uint64) Errno {
	if raceEnabled {
		raceRelease()
	}
	_, _, e := syscall.RawSyscall6(syscall.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(p)), 8, 0, 0, 0)
	return e
}

// RawWrite is write(2) to what never makes its writer wait, as a fanotify group.
func RawWrite(fd int, p []byte) Errno {
	if raceEnabled {
		raceReadRange(unsafe.Pointer(unsafe.SliceData(p)), len(p))
		raceRelease()
	}
	_, _, e := syscall.RawSyscall6(syscall.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), 0, 0, 0)
	return e
}

// ReadWord is RawReadWord for a description that somebody else may have made blocking.
func ReadWord(fd int, p *uint64) Errno {
	for {
		_, _, e := syscall.Syscall(syscall.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(p)), 8)
		if raceEnabled && e == 0 {
			raceAcquire()
		}
		if e != syscall.EINTR {
			return e
		}
	}
}

// WriteWord is RawWriteWord for a description that somebody else may have made blocking.
func WriteWord(fd int, p *uint64) Errno {
	if raceEnabled {
		raceRelease()
	}
	for {
		_, _, e := syscall.Syscall(syscall.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(p)), 8)
		if e != syscall.EINTR {
			return e
		}
	}
}
