//go:build linux

package ops

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// These are the system calls of the baselines: of the same kind (raw where the library's are) and inlined into the loops.

func rawRead(fd int, p *uint64) syscall.Errno {
	_, _, e := syscall.RawSyscall(syscall.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(p)), 8)
	return e
}

func rawWrite(fd int, p *uint64) syscall.Errno {
	_, _, e := syscall.RawSyscall(syscall.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(p)), 8)
	return e
}

func rawEventFD() (int, syscall.Errno) {
	n, _, e := syscall.RawSyscall(unix.SYS_EVENTFD2, 0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK, 0)
	return int(n), e
}

func rawTimerSet(fd, flags int, s *itimerspec) syscall.Errno {
	_, _, e := syscall.RawSyscall6(sysTimerSet, uintptr(fd), uintptr(flags), uintptr(unsafe.Pointer(s)), 0, 0, 0)
	return e
}

// itimerspec is the kernel's struct __kernel_itimerspec.
type itimerspec struct{ intervalSec, intervalNsec, sec, nsec int64 }

// must and check end the program: a measurement of something that fails is worth nothing.
func must[T any](v T, err error) T {
	check(err)
	return v
}

func check(err error) {
	if err != nil {
		fail(err)
	}
}

//go:noinline
func fail(err error) { panic(err) }
