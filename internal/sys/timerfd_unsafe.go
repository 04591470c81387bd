//go:build linux

package sys

import (
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Timespec is the kernel's struct __kernel_timespec: 64-bit on every architecture.
type Timespec struct{ Sec, Nsec int64 }

// Itimerspec is the kernel's struct __kernel_itimerspec.
type Itimerspec struct{ Interval, Value Timespec }

// oldItimerspec is the 32-bit struct itimerspec of 32-bit architectures, which ends in 2038.
type oldItimerspec struct{ intervalSec, intervalNsec, valueSec, valueNsec int32 }

// noTime64 remembers that timerfd_settime64 and timerfd_gettime64 are missing (they came with Linux 5.1). It is never set on a
// 64-bit architecture.
var noTime64 atomic.Bool

// TimerFD makes a timerfd that is close-on-exec and non-blocking: timerfd_create(2).
func TimerFD(clock int) (int, Errno) {
	n, _, e := syscall.RawSyscall(unix.SYS_TIMERFD_CREATE, uintptr(clock), unix.TFD_CLOEXEC|unix.TFD_NONBLOCK, 0)
	return int(n), e
}

// RawTimerSet is timerfd_settime(2) for a description that is ours alone. old may be nil.
func RawTimerSet(fd, flags int, new, old *Itimerspec) Errno {
	_, _, e := syscall.RawSyscall6(sysTimerSet, uintptr(fd), uintptr(flags), uintptr(unsafe.Pointer(new)), uintptr(unsafe.Pointer(old)), 0, 0)
	return e
}

// TimerSet is RawTimerSet with a fallback for 32-bit kernels from before the 64-bit call. A time that the old call can't
// express is EOVERFLOW.
func TimerSet(fd, flags int, new, old *Itimerspec) Errno {
	if !noTime64.Load() {
		e := RawTimerSet(fd, flags, new, old)
		if !fallbackTime64 || !absent(e) {
			return e
		}
		noTime64.Store(true)
	}
	n, ok := new.narrow()
	if !ok {
		return syscall.EOVERFLOW
	}
	var o oldItimerspec
	_, _, e := syscall.RawSyscall6(unix.SYS_TIMERFD_SETTIME, uintptr(fd), uintptr(flags), uintptr(unsafe.Pointer(&n)), uintptr(unsafe.Pointer(&o)), 0, 0)
	if e == 0 && old != nil {
		*old = o.widen()
	}
	return e
}

// TimerGet is timerfd_gettime(2), with the same fallback.
func TimerGet(fd int, cur *Itimerspec) Errno {
	if !noTime64.Load() {
		_, _, e := syscall.RawSyscall(sysTimerGet, uintptr(fd), uintptr(unsafe.Pointer(cur)), 0)
		if !fallbackTime64 || !absent(e) {
			return e
		}
		noTime64.Store(true)
	}
	var o oldItimerspec
	_, _, e := syscall.RawSyscall(unix.SYS_TIMERFD_GETTIME, uintptr(fd), uintptr(unsafe.Pointer(&o)), 0)
	if e == 0 {
		*cur = o.widen()
	}
	return e
}

// absent says whether a refusal means that there is no such call. Neither call has an EPERM of its own: one comes from a seccomp
// filter that was written before the call.
func absent(e Errno) bool { return e == syscall.ENOSYS || e == syscall.EPERM }

func (s *Itimerspec) narrow() (oldItimerspec, bool) {
	o := oldItimerspec{int32(s.Interval.Sec), int32(s.Interval.Nsec), int32(s.Value.Sec), int32(s.Value.Nsec)}
	return o, o.widen() == *s
}

func (o oldItimerspec) widen() Itimerspec {
	return Itimerspec{
		Interval: Timespec{int64(o.intervalSec), int64(o.intervalNsec)},
		Value:    Timespec{int64(o.valueSec), int64(o.valueNsec)},
	}
}

// TimerSetTicks sets the count of expirations that the next read returns: ioctl(TFD_IOC_SET_TICKS).
func TimerSetTicks(fd int, ticks *uint64) Errno {
	_, _, e := syscall.RawSyscall(unix.SYS_IOCTL, uintptr(fd), tfdIOCSetTicks, uintptr(unsafe.Pointer(ticks)))
	return e
}

// ClockNow is clock_gettime(2), in nanoseconds.
func ClockNow(clock int) (int64, error) {
	var ts unix.Timespec
	if err := unix.ClockGettime(int32(clock), &ts); err != nil {
		return 0, Named("clock_gettime", err)
	}
	return ts.Nano(), nil
}
