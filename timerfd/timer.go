//go:build linux

package timerfd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes"
	"github.com/fildes/fildes/internal/fd"
	"github.com/fildes/fildes/internal/probe"
	"github.com/fildes/fildes/internal/sys"
)

// ErrClockSet is why [Timer.Wait] fails when the wall clock was set and the timer was armed by [Timer.ArmAt] with
// [Options].CancelOnSet. Each setting is told once, to one Wait; several that nobody has waited for in between are one.
//
// A timer that hasn't expired stays armed, for the same reading of the clock; an interval timer that has stands still. So
// the remedy is to look at the clock and to arm anew.
var ErrClockSet = errors.New("the wall clock was set")

// A Timer is a timer in the kernel.
//
// All methods may be called by several goroutines at once; what is armed last holds. The zero Timer and a nil *Timer refuse every
// operation with [os.ErrInvalid], a closed one with [os.ErrClosed]. A Timer must not be copied. One that is forgotten without
// Close is closed by the garbage collector, some time later.
type Timer struct {
	fd          fd.FD
	clock       Clock
	cancelOnSet bool
	clockSet    atomic.Bool // a system call other than read has consumed the kernel's notification, which Wait is to have

	// Of an alarm clock's timer that was disarmed the kernel goes on telling what was left, so that it is remembered here.
	mu       sync.Mutex
	disarmed bool
}

// A Setting is what a timer was set to.
type Setting struct {
	// Left is the time until the next expiration. It is zero if the timer is disarmed, and if it was to expire once and has: see
	// [Timer.Remaining].
	Left time.Duration
	// Interval is the time between expirations; zero if the timer expires once.
	Interval time.Duration
}

const (
	absoluteTime = unix.TFD_TIMER_ABSTIME
	cancelOnSet  = unix.TFD_TIMER_ABSTIME | unix.TFD_TIMER_CANCEL_ON_SET
)

// New makes a timer that is disarmed: timerfd_create(2), close-on-exec and non-blocking.
//
// An unknown clock, and CancelOnSet on a clock that can't be set, are refused with [os.ErrInvalid]. The alarm clocks give
// [io/fs.ErrPermission] without CAP_WAKE_ALARM, and a clock that the kernel doesn't have for timers an [*fildes.UnsupportedError].
// EMFILE and ENFILE are the limits on descriptors, which the error names.
func New(opts *Options) (*Timer, error) {
	var o Options
	if opts != nil {
		o = *opts
	}
	t := &Timer{clock: o.Clock, cancelOnSet: o.CancelOnSet}
	switch {
	case !o.Clock.known():
		return nil, fail("new", invalid("there is no clock "+o.Clock.String()))
	case o.CancelOnSet && !o.Clock.wall():
		return nil, fail("new", invalid("CancelOnSet is for Realtime and RealtimeAlarm, and "+o.Clock.String()+" can't be set"))
	}
	checkTimes()
	n, e := sys.TimerFD(clocks[o.Clock].id)
	if e != 0 {
		err := sys.Error("timerfd_create", e)
		if since := clocks[o.Clock].since; e == unix.EINVAL && since != "" {
			err = &fildes.UnsupportedError{Feature: clocks[o.Clock].kernel, Since: since, Err: err}
		}
		return nil, t.fail("new", err)
	}
	t.fd.Init(n, false)
	return t, nil
}

// FromFile makes a Timer of a duplicate of f's descriptor: of a timerfd that was inherited or received. f stays the caller's. The
// description, and so the setting, the expirations and O_NONBLOCK, is shared; O_NONBLOCK is set, and a Wait during which
// another process clears it blocks a thread.
//
// The clock is the timer's, as /proc/self/fdinfo tells since Linux 3.17; an older kernel gives an [*fildes.UnsupportedError].
// CancelOnSet is taken over from the last arming: of a timer that was never armed, or was armed last without, it is off.
//
// Anything but a timerfd is refused with [os.ErrInvalid]. To tell, /proc must be mounted.
func FromFile(f *os.File) (*Timer, error) {
	n, err := fd.FromFile(f)
	if err != nil {
		return nil, fail("from-file", err)
	}
	checkTimes()
	t := new(Timer)
	if err = fd.CheckAnonymous(n, "[timerfd]"); err == nil {
		var info []byte
		if info, err = sys.ProcInfo(n); err == nil {
			err = t.describe(info)
		}
	}
	if err != nil {
		_ = sys.Close(n)
		return nil, fail("from-file", err)
	}
	if err := t.fd.Adopt(n); err != nil {
		return nil, fail("from-file", err)
	}
	return t, nil
}

// checkTimes looks, on a 32-bit architecture, for the calls with 64-bit times before they are made for the first time: a seccomp filter
// that doesn't know them may answer with SIGSYS, which ends the program.
func checkTimes() {
	if sys.Time32 && probe.Missing(sys.TimerSetCall) {
		sys.ForgoTime64()
	}
}

// describe takes the clock and CancelOnSet from the text in fdinfo.
func (t *Timer) describe(info []byte) error {
	id, ok := sys.InfoField(info, "clockid")
	if !ok {
		return &fildes.UnsupportedError{Feature: "clockid in /proc/self/fdinfo", Since: "3.17"}
	}
	n, err := strconv.Atoi(string(id))
	if err != nil {
		return fmt.Errorf("clockid in /proc/self/fdinfo: %w", err)
	}
	t.clock = -1
	for c := range clocks {
		if clocks[c].id == n {
			t.clock = Clock(c)
		}
	}
	if t.clock < 0 {
		return invalid("the timer runs on the kernel's clock " + strconv.Itoa(n) + ", which isn't known here")
	}
	if text, ok := sys.InfoField(info, "settime flags"); ok {
		flags, err := strconv.ParseUint(string(text), 8, 32)
		if err != nil {
			return fmt.Errorf("settime flags in /proc/self/fdinfo: %w", err)
		}
		t.cancelOnSet = t.clock.wall() && flags&cancelOnSet == cancelOnSet
	}
	return nil
}

type invalid string

func (e invalid) Error() string { return string(e) }
func (invalid) Unwrap() error   { return os.ErrInvalid }

// fail makes the error of a function; it returns nil for nil.
//
//go:noinline
func fail(op string, err error) error {
	if e, ok := err.(syscall.Errno); ok {
		err = sys.Error("read", e)
	}
	return fildes.NewOpError("timerfd", op, "", err)
}

// fail makes the error of a method, with the hint that a refused alarm calls for.
//
//go:noinline
func (t *Timer) fail(op string, err error) error {
	err = fail(op, err)
	if e, ok := err.(*fildes.OpError); ok && t != nil && t.clock.alarm() && errors.Is(err, unix.EPERM) {
		e.Hint = "a timer on " + t.clock.String() + " needs CAP_WAKE_ALARM in the initial user namespace"
	}
	return err
}

// Arm makes the timer expire once, after d: timerfd_settime(2). A d of zero or less expires at once. It replaces what was armed
// before and discards the expirations that nobody has waited for.
//
// It is counted on the timer's clock, from now on: [Monotonic] doesn't count the machine's sleep, [Boottime] does. On [Realtime]
// it is a duration too, which setting the clock doesn't change.
//
// On the alarm clocks it needs CAP_WAKE_ALARM, else it fails with [io/fs.ErrPermission] and the timer stays as it was.
func (t *Timer) Arm(d time.Duration) error {
	if t != nil && t.clock < RealtimeAlarm && !t.clockSet.Load() {
		if uint32(t.fd.Take())&fd.Lifetime == fd.Open {
			s := sys.Itimerspec{Value: relative(d)}
			var e sys.Errno
			if sys.Time32 {
				e = sys.TimerSet(t.fd.Num(), 0, &s, nil)
			} else {
				e = sys.RawTimerSet(t.fd.Num(), 0, &s, nil)
			}
			t.fd.Give()
			if e == 0 {
				return nil
			}
		} else {
			t.fd.Give()
		}
	}
	return t.armSlow(d)
}

//go:noinline
func (t *Timer) armSlow(d time.Duration) error {
	return t.set("arm", 0, sys.Itimerspec{Value: relative(d)}, nil)
}

// ArmEvery makes the timer expire after first, and then every interval: timerfd_settime(2). In all else it is [Timer.Arm].
//
// The expirations don't drift, and Wait returns how many there were since the last time. An interval that isn't positive is
// refused with [os.ErrInvalid].
func (t *Timer) ArmEvery(first, interval time.Duration) error {
	return t.armEvery("arm-every", first, interval, nil)
}

// ArmAt makes the timer expire when its clock reaches at, and then every interval; an interval of zero is once: timerfd_settime(2)
// with TFD_TIMER_ABSTIME, and with TFD_TIMER_CANCEL_ON_SET if the timer has [Options].CancelOnSet. A time that has passed expires
// at once, the zero time too; an interval counts from at, or from the clock's zero if that is later, so that Wait returns what fell due since. It never expires before at,
// by the clock that it goes by. A negative interval is refused with [os.ErrInvalid].
//
// On [Realtime] and [RealtimeAlarm] at is its reading of the wall clock: if the clock is set, the timer expires when the clock says
// at, sooner or later.
//
// On the other clocks at is its monotonic reading, which [time.Now] takes and Round(0) strips. Without one it is as far away as
// the wall clock says at the time of the call, as in [time.Until], and setting the clock afterwards changes nothing. On
// [Boottime] and [BoottimeAlarm] the distance from now to at is what counts: the machine's sleep before the call isn't part of a
// monotonic reading, and the sleep after it is counted.
//
// If the clock was set since the timer was armed, and no Wait has told, the next or the current Wait tells, and ArmAt succeeds.
// (timerfd_settime(2) then arms the timer and fails with ECANCELED.)
func (t *Timer) ArmAt(at time.Time, interval time.Duration) error {
	return t.armAt("arm-at", at, interval, nil)
}

// Disarm makes the timer never expire: timerfd_settime(2). It discards the expirations that nobody has waited for. Disarming a
// disarmed timer is no error. Who waits goes on waiting, until the timer is armed and expires.
func (t *Timer) Disarm() error { return t.set("disarm", 0, sys.Itimerspec{}, nil) }

// SwapArm is [Timer.Arm], and returns the setting that it replaced, as of that moment, in the same system call.
func (t *Timer) SwapArm(d time.Duration) (Setting, error) {
	var old sys.Itimerspec
	err := t.set("swap-arm", 0, sys.Itimerspec{Value: relative(d)}, &old)
	return setting(&old), err
}

// SwapArmEvery is [Timer.ArmEvery], and returns the setting that it replaced, as of that moment, in the same system call.
func (t *Timer) SwapArmEvery(first, interval time.Duration) (Setting, error) {
	var old sys.Itimerspec
	err := t.armEvery("swap-arm-every", first, interval, &old)
	return setting(&old), err
}

// SwapArmAt is [Timer.ArmAt], and returns the setting that it replaced, as of that moment, in the same system call.
//
// If the clock was set and no Wait has told, the kernel doesn't return the setting. So a timer with CancelOnSet asks for it just
// before, with timerfd_gettime(2), and returns that: another goroutine's arming may come in between, and is then missed.
func (t *Timer) SwapArmAt(at time.Time, interval time.Duration) (Setting, error) {
	var old sys.Itimerspec
	err := t.armAt("swap-arm-at", at, interval, &old)
	return setting(&old), err
}

// SwapDisarm is [Timer.Disarm], and returns the setting that it replaced, as of that moment, in the same system call.
func (t *Timer) SwapDisarm() (Setting, error) {
	var old sys.Itimerspec
	err := t.set("swap-disarm", 0, sys.Itimerspec{}, &old)
	return setting(&old), err
}

func setting(s *sys.Itimerspec) Setting {
	return Setting{Left: duration(s.Value), Interval: duration(s.Interval)}
}

func (t *Timer) armEvery(op string, first, every time.Duration, old *sys.Itimerspec) error {
	if err := t.engine().Check(); err != nil {
		return t.fail(op, err)
	}
	if every <= 0 {
		return t.fail(op, invalid("an interval must be positive: "+every.String()))
	}
	return t.set(op, 0, sys.Itimerspec{Value: relative(first), Interval: interval(every)}, old)
}

func (t *Timer) armAt(op string, at time.Time, every time.Duration, old *sys.Itimerspec) error {
	if err := t.engine().Check(); err != nil {
		return t.fail(op, err)
	}
	if every < 0 {
		return t.fail(op, invalid("an interval can't be negative: "+every.String()))
	}
	value, err := t.clock.absolute(at)
	if err != nil {
		return t.fail(op, err)
	}
	flags := absoluteTime
	if t.cancelOnSet {
		flags = cancelOnSet
	}
	return t.set(op, flags, sys.Itimerspec{Value: value, Interval: interval(every)}, old)
}

// set is timerfd_settime, which never waits: a raw call will do even if others have the description too.
func (t *Timer) set(op string, flags int, s sys.Itimerspec, old *sys.Itimerspec) error {
	var e sys.Errno
	alarm := t != nil && t.clock.alarm()
	if alarm {
		t.mu.Lock()
		defer t.mu.Unlock()
	}
	err := t.engine().Control(func(num int) error {
		if flags != cancelOnSet {
			// The timer has nothing to tell any more. (The kernel may, after the next ArmAt.)
			t.clockSet.Store(false)
		} else if old != nil {
			if e = sys.TimerGet(num, old); e != 0 {
				return sys.Error("timerfd_gettime", e)
			}
		}
		e = sys.TimerSet(num, flags, &s, old)
		if alarm && (e == 0 || e == unix.ECANCELED) {
			if old != nil && t.disarmed {
				old.Value = sys.Timespec{}
			}
			t.disarmed = s.Value == sys.Timespec{}
		}
		return nil
	})
	switch {
	case err != nil:
		return t.fail(op, err)
	case e == unix.ECANCELED:
		// The timer is armed all the same, and the kernel won't tell anybody else.
		t.notify()
		return nil
	case e != 0:
		return t.fail(op, settimeError(e))
	}
	return nil
}

// settimeError is the error of a refused timerfd_settime.
func settimeError(e sys.Errno) error {
	err := sys.Error("timerfd_settime", e)
	if e == unix.EOVERFLOW { // internal/sys's, where only the call with 32-bit times is there
		err = &fildes.UnsupportedError{Feature: "timerfd_settime64", Since: "5.1", Err: err}
	}
	return err
}

// notify makes a Wait fail with ErrClockSet: the one that is parked, or the next.
func (t *Timer) notify() {
	t.clockSet.Store(true)
	t.fd.Kick(fd.Read)
}

// Remaining returns the time until the next expiration and the interval: timerfd_gettime(2). It changes nothing.
//
// left is zero if the timer is disarmed, and if it was to expire once and has. It is never more than 292 years. For a time on the
// wall clock it changes when the clock is set.
//
// Of an alarm clock's timer that is disarmed the kernel tells what was left. That is put right here, unless another process
// has disarmed it.
func (t *Timer) Remaining() (left, interval time.Duration, err error) {
	var s sys.Itimerspec
	err = t.engine().Control(func(num int) error {
		if !t.clock.alarm() {
			return sys.Error("timerfd_gettime", sys.TimerGet(num, &s))
		}
		t.mu.Lock()
		defer t.mu.Unlock()
		e := sys.TimerGet(num, &s)
		if t.disarmed {
			s.Value = sys.Timespec{}
		}
		return sys.Error("timerfd_gettime", e)
	})
	if err != nil {
		return 0, 0, t.fail("remaining", err)
	}
	return duration(s.Value), duration(s.Interval), nil
}

// Wait waits until the timer expires, and returns how many times it has since it was armed or last waited for: read(2). That is 1
// for a timer that expires once. A timer that is disarmed is waited for until it is armed and expires.
//
// Of several that wait, one gets the number. It fails with [ErrClockSet] if the clock was set and the timer is to tell. A done ctx
// fails the call before anything is taken, with an error that matches ctx.Err() and context.Cause(ctx).
func (t *Timer) Wait(ctx context.Context) (expirations uint64, err error) {
	if t != nil && ctx != nil && !t.clockSet.Load() && ctx.Err() == nil {
		if uint32(t.fd.Take())&fd.ReadMask == fd.Open {
			var n uint64
			e := sys.RawReadWord(t.fd.Num(), &n)
			t.fd.Give()
			if e == 0 {
				return n, nil
			}
			if e == unix.ECANCELED { // told once
				return 0, t.fail("wait", ErrClockSet)
			}
		} else {
			t.fd.Give()
		}
	}
	return t.waitSlow(ctx)
}

//go:noinline
func (t *Timer) waitSlow(ctx context.Context) (n uint64, err error) {
	err = t.engine().Await(ctx, fd.Read, func(num int) error { return t.read(num, &n) })
	return n, t.fail("wait", err)
}

// TryWait is [Timer.Wait] where it need not wait. It returns false if the timer hasn't expired.
func (t *Timer) TryWait() (n uint64, ok bool, err error) {
	err = t.engine().Control(func(num int) error { return t.read(num, &n) })
	if err == nil || err == fd.Again {
		return n, err == nil, nil
	}
	return 0, false, t.fail("try-wait", err)
}

// read is for the slow paths; an errno below 256 becomes an error without an allocation.
func (t *Timer) read(num int, n *uint64) error {
	if t.clockSet.Load() && t.clockSet.CompareAndSwap(true, false) {
		return ErrClockSet
	}
	var e sys.Errno
	if t.fd.Raw() {
		e = sys.RawReadWord(num, n)
		t.fd.Give()
	} else {
		e = sys.ReadWord(num, n)
	}
	switch {
	case e == unix.ECANCELED:
		return ErrClockSet
	case e != 0:
		return e
	case *n == 0:
		// A description that somebody made blocking: the wall clock was set back between an expiration and this read, which
		// took the expiration back. A non-blocking one gives EAGAIN.
		return fd.Again
	}
	return nil
}

// SetTicks sets the number of expirations that the next Wait returns to n, and wakes who waits: ioctl(2), TFD_IOC_SET_TICKS. It is
// for restoring a timer that was saved, and doesn't change what is armed. An n of zero is refused with [os.ErrInvalid]: arming
// makes the number zero.
//
// The kernel must be 3.17 or later and have CONFIG_CHECKPOINT_RESTORE, and doesn't let 32-bit programs do it if it is a 64-bit
// one; else the error is a [*fildes.UnsupportedError].
func (t *Timer) SetTicks(n uint64) error {
	if err := t.engine().Check(); err != nil {
		return t.fail("set-ticks", err)
	}
	if n == 0 {
		return t.fail("set-ticks", invalid("the number of expirations must be positive"))
	}
	err := t.engine().Control(func(num int) error {
		for {
			switch e := sys.TimerSetTicks(num, &n); e {
			case unix.ECANCELED: // a notification was in the way, and now isn't
				t.clockSet.Store(true)
			case unix.ENOTTY, unix.ENOSYS:
				return &fildes.UnsupportedError{Feature: "TFD_IOC_SET_TICKS", Since: "3.17", Err: sys.Error("ioctl", e)}
			default:
				return sys.Error("ioctl", e)
			}
		}
	})
	return t.fail("set-ticks", err)
}

func (t *Timer) engine() *fd.FD {
	if t == nil {
		return nil
	}
	return &t.fd
}

// Clock returns the clock that the timer runs on. That of a nil Timer is Monotonic.
func (t *Timer) Clock() Clock {
	if t == nil {
		return Monotonic
	}
	return t.clock
}

// CancelOnSet says whether [Timer.ArmAt] makes Wait tell that the wall clock was set: see [Options] and [FromFile].
func (t *Timer) CancelOnSet() bool { return t != nil && t.cancelOnSet }

// Close ends the Timer: close(2). It wakes whoever waits, who then fails with [os.ErrClosed], and returns when the number is
// free. A second Close returns [os.ErrClosed]. The timer is gone unless somebody else has the description.
func (t *Timer) Close() error { return t.fail("close", t.engine().Close()) }

// SyscallConn lends the descriptor out: see [fildes.FD.SyscallConn].
func (t *Timer) SyscallConn() (syscall.RawConn, error) {
	r, err := t.engine().SyscallConn(fail)
	return r, fail("syscall-conn", err)
}

// File returns a duplicate of the descriptor, for a child process, say; it shares the description, with the setting, the
// expirations and O_NONBLOCK: see [fildes.FD.File].
func (t *Timer) File() (*os.File, error) {
	f, err := t.engine().File("timerfd")
	return f, fail("file", err)
}

// Inherit fails with an error that matches [errors.ErrUnsupported]: a timerfd can't be opened anew, so that a child would get a
// non-blocking descriptor. A child that knows what it gets takes [Timer.File]'s.
func (t *Timer) Inherit() (*os.File, error) {
	f, err := t.engine().Inherit("timerfd")
	return f, fail("inherit", err)
}

// Release ends the Timer without closing the descriptor, and returns its number: see [fildes.FD.Release].
func (t *Timer) Release() (int, error) {
	n, err := t.engine().Release()
	return n, fail("release", err)
}
