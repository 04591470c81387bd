//go:build linux

package timerfd

import (
	"math"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes/internal/sys"
)

// A Clock is what a timer runs on.
type Clock int

// The clocks.
const (
	// Monotonic is CLOCK_MONOTONIC, which is never set, and stands still while the machine is suspended. It is the clock of
	// package time's timers and of the monotonic reading in a [time.Time].
	Monotonic Clock = iota
	// Realtime is CLOCK_REALTIME, the wall clock, which can be set.
	Realtime
	// Boottime is CLOCK_BOOTTIME, which is Monotonic plus the time that the machine was suspended. It doesn't wake the machine: a
	// timer that falls due in the meantime fires at resume. Since Linux 3.15.
	Boottime
	// RealtimeAlarm is CLOCK_REALTIME_ALARM, which is Realtime and wakes a suspended machine, if it has a real-time clock that
	// can. It needs CAP_WAKE_ALARM. Since Linux 3.11.
	RealtimeAlarm
	// BoottimeAlarm is CLOCK_BOOTTIME_ALARM, which is Boottime and wakes a suspended machine, if it has a real-time clock that
	// can. It needs CAP_WAKE_ALARM. Since Linux 3.11.
	BoottimeAlarm
)

var clocks = [...]struct {
	id, read     int // the clock of the timer, and one to read that goes with it: reading an alarm clock needs an RTC
	name, kernel string
	since        string
}{
	Monotonic:     {unix.CLOCK_MONOTONIC, unix.CLOCK_MONOTONIC, "Monotonic", "CLOCK_MONOTONIC", ""},
	Realtime:      {unix.CLOCK_REALTIME, unix.CLOCK_REALTIME, "Realtime", "CLOCK_REALTIME", ""},
	Boottime:      {unix.CLOCK_BOOTTIME, unix.CLOCK_BOOTTIME, "Boottime", "CLOCK_BOOTTIME", "3.15"},
	RealtimeAlarm: {unix.CLOCK_REALTIME_ALARM, unix.CLOCK_REALTIME, "RealtimeAlarm", "CLOCK_REALTIME_ALARM", "3.11"},
	BoottimeAlarm: {unix.CLOCK_BOOTTIME_ALARM, unix.CLOCK_BOOTTIME, "BoottimeAlarm", "CLOCK_BOOTTIME_ALARM", "3.11"},
}

// String returns the name of the constant, and Clock(17) for a value that is none.
func (c Clock) String() string {
	if !c.known() {
		return "Clock(" + strconv.Itoa(int(c)) + ")"
	}
	return clocks[c].name
}

func (c Clock) known() bool { return c >= 0 && int(c) < len(clocks) }
func (c Clock) alarm() bool { return c == RealtimeAlarm || c == BoottimeAlarm }
func (c Clock) wall() bool  { return c == Realtime || c == RealtimeAlarm }

// soonest is the value that fires at once: zero would disarm.
var soonest = sys.Timespec{Nsec: 1}

// relative is how the kernel is told a duration. What is negative or zero fires at once.
func relative(d time.Duration) sys.Timespec {
	d = max(d, 1)
	return sys.Timespec{Sec: int64(d / time.Second), Nsec: int64(d % time.Second)}
}

// interval is like relative, but zero stays zero.
func interval(d time.Duration) sys.Timespec {
	return sys.Timespec{Sec: int64(d / time.Second), Nsec: int64(d % time.Second)}
}

func duration(t sys.Timespec) time.Duration {
	return time.Duration(t.Sec)*time.Second + time.Duration(t.Nsec)
}

// forever is so late, in seconds since 1970, that it is later than all that the kernel knows. The last times that a time.Time can
// have compare as earlier than any other.
const forever = 1 << 40

// absolute is how the kernel is told a point in time on c.
func (c Clock) absolute(at time.Time) (sys.Timespec, error) {
	if c.wall() {
		t := sys.Timespec{Sec: at.Unix(), Nsec: int64(at.Nanosecond())}
		if t.Sec < 0 || t.Sec == 0 && t.Nsec == 0 {
			return soonest, nil
		}
		return t, nil
	}
	if at.Unix() > forever {
		return relative(math.MaxInt64), nil
	}
	const narrow = 2 * time.Microsecond // what an undisturbed bracket takes, generously
	var due int64
	best := time.Duration(math.MaxInt64)
	for range 4 {
		before := time.Now()
		now, err := sys.ClockNow(clocks[c].read)
		if err != nil {
			return sys.Timespec{}, err
		}
		width := time.Since(before)
		if width < best {
			// now was read after before, so this is late by at most the width, and never early.
			best, due = width, add(now, at.Sub(before))
		}
		if width < narrow {
			break
		}
	}
	return relative(time.Duration(due)), nil
}

// add adds a duration to a time since boot, and stays at the largest time instead of overflowing.
func add(now int64, d time.Duration) int64 {
	if sum := now + int64(d); d <= 0 || sum > 0 {
		return sum
	}
	return math.MaxInt64
}
