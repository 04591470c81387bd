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

// Time32 says that a kernel of this architecture may know 32-bit times only: TimerSet must be called then, not RawTimerSet.
const Time32 = fallbackTime64

// TimerSetCall is the number of the call that RawTimerSet makes.
const TimerSetCall = sysTimerSet

// ForgoTime64 makes TimerSet and TimerGet use the calls with 32-bit times. It does nothing on a 64-bit architecture.
func ForgoTime64() { noTime64.Store(fallbackTime64) }

// RawTimerSet is timerfd_settime(2), which never waits; on 32-bit architectures it is the call with 64-bit times. old may be nil.
func RawTimerSet(fd, flags int, new, old *Itimerspec) Errno {
	if raceEnabled {
		raceRelease() // who reads the expiration sees what was done before
	}
	_, _, e := syscall.RawSyscall6(sysTimerSet, uintptr(fd), uintptr(flags), uintptr(unsafe.Pointer(new)), uintptr(unsafe.Pointer(old)), 0, 0)
	return e
}

// TimerSet is RawTimerSet with a fallback for 32-bit kernels from before the call with 64-bit times, and for a seccomp filter that was
// written before it and answers EPERM. A time that the old call can't express is EOVERFLOW.
func TimerSet(fd, flags int, new, old *Itimerspec) Errno {
	if !fallbackTime64 {
		return RawTimerSet(fd, flags, new, old)
	}
	if noTime64.Load() {
		return oldTimerSet(fd, flags, new, old)
	}
	e := RawTimerSet(fd, flags, new, old)
	if e != syscall.ENOSYS && e != syscall.EPERM {
		return e
	}
	// EPERM is also the call's own: for an alarm clock without CAP_WAKE_ALARM. The old call then says the same.
	o := oldTimerSet(fd, flags, new, old)
	if e == syscall.EPERM && (o == syscall.EPERM || o == syscall.EOVERFLOW) {
		return e
	}
	noTime64.Store(true)
	return o
}

func oldTimerSet(fd, flags int, new, old *Itimerspec) Errno {
	n, ok := new.narrow()
	if !ok {
		return syscall.EOVERFLOW
	}
	if raceEnabled {
		raceRelease()
	}
	var o oldItimerspec
	_, _, e := syscall.RawSyscall6(unix.SYS_TIMERFD_SETTIME, uintptr(fd), uintptr(flags), uintptr(unsafe.Pointer(&n)), uintptr(unsafe.Pointer(&o)), 0, 0)
	if e == 0 && old != nil {
		*old = o.widen()
	}
	return e
}

// TimerGet is timerfd_gettime(2), with the same fallback. It has no EPERM of its own.
func TimerGet(fd int, cur *Itimerspec) Errno {
	if !fallbackTime64 || !noTime64.Load() {
		_, _, e := syscall.RawSyscall(sysTimerGet, uintptr(fd), uintptr(unsafe.Pointer(cur)), 0)
		if !fallbackTime64 || e != syscall.ENOSYS && e != syscall.EPERM {
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
	if raceEnabled {
		raceRelease()
	}
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
