//go:build linux

package timerfd_test

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes/internal/fdtest"
	"github.com/fildes/fildes/timerfd"
)

// step is how far the wall clock is set. Each step is a relative one, ADJ_SETOFFSET, and is taken back by its opposite, so
// that the clock is left exactly as it was found.
const step = 2 * time.Second

// setClock moves the wall clock, for the length of the test at most, and returns what moves it back. It needs CAP_SYS_TIME.
func setClock(t *testing.T) (back func()) {
	t.Helper()
	fdtest.NeedCap(t, unix.CAP_SYS_TIME, "sys_time")
	noError(t, shift(step))
	done := false
	back = func() {
		if !done {
			done = true
			if err := shift(-step); err != nil {
				t.Errorf("THE CLOCK IS LEFT %v FAST: %v", step, err)
			}
		}
	}
	t.Cleanup(back)
	return back
}

// jolt moves the clock and moves it back.
func jolt(t *testing.T) {
	t.Helper()
	setClock(t)()
}

func shift(d time.Duration) error {
	tx := unix.Timex{Modes: unix.ADJ_SETOFFSET, Time: unix.NsecToTimeval(int64(d))}
	_, err := unix.Adjtimex(&tx)
	return err
}

// lockClock keeps other test processes on the machine from setting the clock until the test has ended.
func lockClock(t *testing.T) {
	t.Helper()
	dir, err := os.Open("/") // not the directory for temporary files, which a run may have to itself
	noError(t, err)
	t.Cleanup(func() { noError(t, dir.Close()) })
	raw, err := dir.SyscallConn()
	noError(t, err)
	for end := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		var err error
		noError(t, raw.Control(func(fd uintptr) { err = unix.Flock(int(fd), unix.LOCK_EX|unix.LOCK_NB) }))
		if err == nil {
			return
		}
		if err != unix.EWOULDBLOCK && err != unix.EINTR || time.Now().After(end) {
			t.Fatalf("flock %s: %v", dir.Name(), err)
		}
	}
}

// offset is how far the wall clock is ahead of CLOCK_MONOTONIC.
func offset(t *testing.T) time.Duration {
	t.Helper()
	var wall, mono unix.Timespec
	noError(t, unix.ClockGettime(unix.CLOCK_MONOTONIC, &mono))
	noError(t, unix.ClockGettime(unix.CLOCK_REALTIME, &wall))
	return time.Duration(wall.Nano() - mono.Nano())
}

func TestTheClockIsLeftAsItWasFound(t *testing.T) {
	lockClock(t)
	before := offset(t)
	back := setClock(t)
	set := offset(t)
	back()
	after := offset(t)
	// One reading may be interrupted for long, so that the bound is generous: what must not stay is a step.
	between(t, "the step", set-before, step/2, step*2)
	between(t, "what is left", after-before, -step/2, step/2)
}

// cancellable is called once in a test.
func cancellable(t *testing.T, c timerfd.Clock) *timerfd.Timer {
	t.Helper()
	lockClock(t)
	return newTimer(t, &timerfd.Options{Clock: c, CancelOnSet: true})
}

func hence(d time.Duration) time.Time { return time.Now().Add(d) }

func wantClockSet(t *testing.T, tm *timerfd.Timer) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	n, err := tm.Wait(ctx)
	wantError(t, "Wait", err, timerfd.ErrClockSet)
	if n != 0 || err == nil || err.Error() != "timerfd: wait: the wall clock was set" {
		t.Errorf("Wait gave %d, %v", n, err)
	}
}

func TestClockSet(t *testing.T) {
	for _, c := range []timerfd.Clock{timerfd.Realtime, timerfd.RealtimeAlarm} {
		t.Run(c.String(), func(t *testing.T) {
			tm := cancellable(t, c)
			noError(t, tm.ArmAt(hence(time.Hour), time.Minute))
			jolt(t)
			wantClockSet(t, tm)
			notExpired(t, "told once", tm)
			left, interval := remaining(t, tm)
			between(t, "left", left, time.Hour-time.Minute, time.Hour+time.Millisecond)
			if interval != time.Minute {
				t.Errorf("the interval is %v", interval)
			}
		})
	}
}

func TestClockSetByTryWait(t *testing.T) {
	tm := cancellable(t, timerfd.Realtime)
	noError(t, tm.ArmAt(hence(time.Hour), 0))
	jolt(t)
	n, ok, err := tm.TryWait()
	wantError(t, "TryWait", err, timerfd.ErrClockSet)
	if n != 0 || ok {
		t.Errorf("TryWait gave %d, %v", n, ok)
	}
	notExpired(t, "told once", tm)
}

func TestClockSetWakes(t *testing.T) {
	tm := cancellable(t, timerfd.Realtime)
	noError(t, tm.ArmAt(hence(time.Hour), 0))
	errs := make(chan error, 1)
	go func() { errs <- second(tm.Wait(context.Background())) }()
	jolt(t)
	select {
	case err := <-errs:
		wantError(t, "Wait", err, timerfd.ErrClockSet)
	case <-time.After(30 * time.Second):
		t.Error("Wait wasn't woken")
	}
}

// An interval timer that had expired isn't started again by the read that tells.
func TestClockSetStopsAnExpiredInterval(t *testing.T) {
	tm := cancellable(t, timerfd.Realtime)
	noError(t, tm.ArmAt(hence(-time.Second), time.Hour))
	expired(t, tm)
	jolt(t)
	wantClockSet(t, tm)
	if left, interval := remaining(t, tm); left != 0 || interval != time.Hour {
		t.Errorf("%v, %v remain", left, interval)
	}
	notExpired(t, "the expirations are gone", tm)
}

func TestOnlyArmAtIsCancelled(t *testing.T) {
	tm := cancellable(t, timerfd.Realtime)
	plain := newTimer(t, &timerfd.Options{Clock: timerfd.Realtime})
	noError(t, tm.ArmEvery(time.Hour, time.Hour))
	noError(t, plain.ArmAt(hence(time.Hour), 0))
	jolt(t)
	notExpired(t, "ArmEvery", tm)
	notExpired(t, "without CancelOnSet", plain)

	// What nobody has seen is dropped with the setting that it concerned, whether the kernel holds it or the Timer.
	for _, accident := range []bool{false, true} {
		for name, rearm := range map[string]func() error{
			"Arm":    func() error { return tm.Arm(time.Hour) },
			"Disarm": tm.Disarm,
		} {
			noError(t, tm.ArmAt(hence(time.Hour), 0))
			jolt(t)
			if accident {
				noError(t, tm.ArmAt(hence(time.Hour), 0))
			}
			noError(t, rearm())
			notExpired(t, name, tm)
		}
	}
}

// timerfd_settime that finds a pending notification arms, swallows it and fails.
func TestArmAtKeepsTheNotification(t *testing.T) {
	tm := cancellable(t, timerfd.Realtime)
	noError(t, tm.ArmAt(hence(time.Hour), time.Minute))
	jolt(t)
	noError(t, tm.ArmAt(hence(10*time.Millisecond), 0))
	wantClockSet(t, tm)
	if n := wait(t, tm); n != 1 {
		t.Errorf("then it expired %d times", n)
	}

	noError(t, tm.ArmAt(hence(time.Hour), time.Minute))
	jolt(t)
	s, err := tm.SwapArmAt(hence(-time.Second), 0)
	noError(t, err)
	between(t, "what was left", s.Left, time.Hour-time.Minute, time.Hour+time.Millisecond)
	if s.Interval != time.Minute {
		t.Errorf("the interval was %v", s.Interval)
	}
	if _, _, err := tm.TryWait(); !errors.Is(err, timerfd.ErrClockSet) {
		t.Errorf("TryWait gave %v", err)
	}
	if n := wait(t, tm); n != 1 {
		t.Errorf("then it expired %d times", n)
	}
}

func TestArmAtPassesTheNotificationOn(t *testing.T) {
	tm := cancellable(t, timerfd.Realtime)
	for range 3 {
		noError(t, tm.Disarm()) // the clock is set and set back, which may be told as two
		noError(t, tm.ArmAt(hence(time.Hour), 0))
		errs := make(chan error, 1)
		go func() { errs <- second(tm.Wait(context.Background())) }()
		jolt(t)
		noError(t, tm.ArmAt(hence(time.Hour), 0)) // before or after the waiter has seen it
		select {
		case err := <-errs:
			wantError(t, "Wait", err, timerfd.ErrClockSet)
		case <-time.After(30 * time.Second):
			t.Fatal("the notification is lost")
		}
	}
}

func TestSetTicksKeepsTheNotification(t *testing.T) {
	tm := cancellable(t, timerfd.Realtime)
	needTicks(t, tm.SetTicks(1))
	noError(t, tm.ArmAt(hence(time.Hour), 0))
	jolt(t)
	noError(t, tm.SetTicks(5))
	wantClockSet(t, tm)
	if n := wait(t, tm); n != 5 {
		t.Errorf("%d expirations", n)
	}
}

// Which clock a time is on: what remains is looked at while the wall clock is off by a step.
func TestWhatASetClockChanges(t *testing.T) {
	lockClock(t)
	const h, some = time.Hour, step / 4
	start, at := time.Now(), hence(h)
	arm := func(c timerfd.Clock, op func(tm *timerfd.Timer) error) *timerfd.Timer {
		tm := newTimer(t, &timerfd.Options{Clock: c})
		noError(t, op(tm))
		return tm
	}
	byWall := func(tm *timerfd.Timer) error { return tm.ArmAt(at.Round(0), 0) }
	byBoth := func(tm *timerfd.Timer) error { return tm.ArmAt(at, 0) }
	relative := func(tm *timerfd.Timer) error { return tm.Arm(h) }
	type row struct {
		name string
		tm   *timerfd.Timer
		want time.Duration
	}
	rows := []row{
		{"Realtime, absolute", arm(timerfd.Realtime, byBoth), h - step},
		{"Realtime, relative", arm(timerfd.Realtime, relative), h},
		{"Monotonic, wall reading", arm(timerfd.Monotonic, byWall), h},
		{"Monotonic, both readings", arm(timerfd.Monotonic, byBoth), h},
		{"Boottime", arm(timerfd.Boottime, byBoth), h},
	}
	back := setClock(t)
	rows = append(rows,
		row{"Realtime, armed afterwards", arm(timerfd.Realtime, byBoth), h - step},
		row{"Monotonic, wall reading, afterwards", arm(timerfd.Monotonic, byWall), h - step},
		row{"Monotonic, both readings, afterwards", arm(timerfd.Monotonic, byBoth), h},
		row{"Boottime, both readings, afterwards", arm(timerfd.Boottime, byBoth), h},
		row{"Boottime, wall reading, afterwards", arm(timerfd.Boottime, byWall), h - step},
	)
	lefts := make([]time.Duration, len(rows))
	for i, r := range rows {
		lefts[i], _ = remaining(t, r.tm)
	}
	back()
	took := time.Since(start)
	for i, r := range rows {
		between(t, r.name, lefts[i], r.want-some-took, r.want+some)
	}
}

// A time that the clock is set over expires.
func TestClockSetOverATime(t *testing.T) {
	lockClock(t)
	tm := newTimer(t, &timerfd.Options{Clock: timerfd.Realtime})
	start := time.Now()
	noError(t, tm.ArmAt(hence(step*3/4), 0))
	back := setClock(t)
	expired(t, tm)
	back()
	if e := time.Since(start); e >= step*3/4 {
		t.Errorf("it took %v", e)
	}
	if n := wait(t, tm); n != 1 {
		t.Errorf("%d expirations", n)
	}
}
