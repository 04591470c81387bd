//go:build linux

package timerfd_test

import (
	"context"
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes"
	"github.com/fildes/fildes/internal/fdtest"
	"github.com/fildes/fildes/timerfd"
)

var allClocks = []timerfd.Clock{
	timerfd.Monotonic, timerfd.Realtime, timerfd.Boottime, timerfd.RealtimeAlarm, timerfd.BoottimeAlarm,
}

// newTimer needs CAP_WAKE_ALARM for an alarm clock.
func newTimer(tb testing.TB, opts *timerfd.Options) *timerfd.Timer {
	tb.Helper()
	if opts != nil && opts.Clock >= timerfd.RealtimeAlarm {
		fdtest.NeedCap(tb, unix.CAP_WAKE_ALARM, "wake_alarm")
	}
	tm, err := timerfd.New(opts)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := tm.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
			tb.Error(err)
		}
	})
	return tm
}

func perClock(t *testing.T, test func(t *testing.T, c timerfd.Clock)) {
	for _, c := range allClocks {
		t.Run(c.String(), func(t *testing.T) {
			if c == timerfd.Realtime || c == timerfd.RealtimeAlarm {
				lockClock(t)
			}
			test(t, c)
		})
	}
}

func noError(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

func wantError(tb testing.TB, what string, err, want error) {
	tb.Helper()
	if !errors.Is(err, want) {
		tb.Errorf("%s: got %v, want %v", what, err, want)
	}
	var oe *fildes.OpError
	if err != nil && !errors.As(err, &oe) {
		tb.Errorf("%s: %T is not an OpError", what, err)
	}
}

// wait fails the test when the timer hasn't expired in half a minute.
func wait(tb testing.TB, tm *timerfd.Timer) uint64 {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	n, err := tm.Wait(ctx)
	noError(tb, err)
	return n
}

// expired waits until the timer is readable, without reading it.
func expired(tb testing.TB, tm *timerfd.Timer) {
	tb.Helper()
	raw, err := tm.SyscallConn()
	noError(tb, err)
	noError(tb, raw.Control(func(num uintptr) {
		p := []unix.PollFd{{Fd: int32(num), Events: unix.POLLIN}}
		n := 0
		for end := time.Now().Add(30 * time.Second); n == 0 && time.Now().Before(end); {
			if n, err = unix.Poll(p, 1000); err == unix.EINTR {
				n, err = 0, nil
			}
		}
		if n != 1 || err != nil {
			tb.Errorf("the timer hasn't expired: poll gave %d, %v", n, err)
		}
	}))
}

func notExpired(tb testing.TB, what string, tm *timerfd.Timer) {
	tb.Helper()
	if n, ok, err := tm.TryWait(); ok || n != 0 || err != nil {
		tb.Errorf("%s: TryWait gave %d, %v, %v", what, n, ok, err)
	}
}

// between checks that d is in (low, high].
func between(tb testing.TB, what string, d, low, high time.Duration) {
	tb.Helper()
	if d <= low || d > high {
		tb.Errorf("%s is %v, not in (%v, %v]", what, d, low, high)
	}
}

func remaining(tb testing.TB, tm *timerfd.Timer) (left, interval time.Duration) {
	tb.Helper()
	left, interval, err := tm.Remaining()
	noError(tb, err)
	return left, interval
}

func TestOnce(t *testing.T) {
	perClock(t, func(t *testing.T, c timerfd.Clock) {
		tm := newTimer(t, &timerfd.Options{Clock: c})
		if tm.Clock() != c {
			t.Errorf("Clock() is %v", tm.Clock())
		}
		notExpired(t, "new", tm)
		for _, d := range []time.Duration{5 * time.Millisecond, 1, 0, -1, math.MinInt64} {
			start := time.Now()
			noError(t, tm.Arm(d))
			if n := wait(t, tm); n != 1 {
				t.Errorf("Arm(%v) expired %d times", d, n)
			}
			if e := time.Since(start); e < d {
				t.Errorf("Arm(%v) expired after %v", d, e)
			}
			notExpired(t, "waited for", tm)
			if left, interval := remaining(t, tm); left != 0 || interval != 0 {
				t.Errorf("expired, but %v, %v remain", left, interval)
			}
		}
	})
}

func TestEvery(t *testing.T) {
	perClock(t, func(t *testing.T, c timerfd.Clock) {
		tm := newTimer(t, &timerfd.Options{Clock: c})
		for _, first := range []time.Duration{3 * time.Millisecond, 0, math.MinInt64} {
			const interval = 2 * time.Millisecond
			start := time.Now()
			noError(t, tm.ArmEvery(first, interval))
			var sum uint64
			for sum < 10 {
				sum += wait(t, tm)
			}
			// The tenth falls due nine intervals after the first, and no more have than there was time for.
			e := time.Since(start)
			first := max(first, 0)
			if most := uint64((e-first)/interval) + 1; sum > most {
				t.Errorf("%d expirations in %v", sum, e)
			}
			if _, got := remaining(t, tm); got != interval {
				t.Errorf("the interval is %v", got)
			}
		}
	})
}

func TestPastTimesAreCounted(t *testing.T) {
	perClock(t, func(t *testing.T, c timerfd.Clock) {
		tm := newTimer(t, &timerfd.Options{Clock: c})
		const interval = 10 * time.Millisecond
		at := time.Now().Add(-time.Second)
		noError(t, tm.ArmAt(at, interval))
		n := wait(t, tm)
		if most := uint64(time.Since(at)/interval) + 1; n < 100 || n > most {
			t.Errorf("%d expirations, not 100 to %d", n, most)
		}
		if left, _ := remaining(t, tm); left < 0 || left > interval {
			t.Errorf("%v remain until the next", left)
		}
	})
}

func TestArmingDiscards(t *testing.T) {
	tm := newTimer(t, nil)
	for _, c := range []struct {
		name string
		arm  func() error
	}{
		{"Arm", func() error { return tm.Arm(time.Hour) }},
		{"ArmEvery", func() error { return tm.ArmEvery(time.Hour, time.Hour) }},
		{"ArmAt", func() error { return tm.ArmAt(time.Now().Add(time.Hour), 0) }},
		{"Disarm", tm.Disarm},
		{"Disarm again", tm.Disarm},
	} {
		noError(t, tm.ArmEvery(0, time.Nanosecond))
		expired(t, tm)
		noError(t, c.arm())
		notExpired(t, c.name, tm)
		left, _ := remaining(t, tm)
		if want := !strings.HasPrefix(c.name, "Disarm"); left > 0 != want {
			t.Errorf("after %s %v remain", c.name, left)
		}
	}
}

func TestDisarmedIsWaitedFor(t *testing.T) {
	tm := newTimer(t, nil)
	noError(t, tm.ArmEvery(time.Hour, time.Hour))
	got := make(chan uint64)
	go func() {
		n, _ := tm.Wait(context.Background())
		got <- n
	}()
	noError(t, tm.Disarm())
	select {
	case n := <-got:
		t.Fatalf("a disarmed timer expired %d times", n)
	default:
	}
	noError(t, tm.Arm(time.Millisecond))
	select {
	case n := <-got:
		if n != 1 {
			t.Errorf("%d expirations", n)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("the timer wasn't noticed")
	}
}

func TestRemaining(t *testing.T) {
	perClock(t, func(t *testing.T, c timerfd.Clock) {
		tm := newTimer(t, &timerfd.Options{Clock: c})
		if left, interval := remaining(t, tm); left != 0 || interval != 0 {
			t.Errorf("new, but %v, %v remain", left, interval)
		}
		noError(t, tm.Arm(time.Hour))
		left, interval := remaining(t, tm)
		between(t, "left", left, time.Hour-time.Minute, time.Hour)
		if interval != 0 {
			t.Errorf("the interval is %v", interval)
		}
		noError(t, tm.ArmEvery(time.Hour, 1500*time.Millisecond+1))
		left, interval = remaining(t, tm)
		between(t, "left", left, time.Hour-time.Minute, time.Hour)
		if interval != 1500*time.Millisecond+1 {
			t.Errorf("the interval is %v", interval)
		}
		noError(t, tm.Disarm())
		if left, interval := remaining(t, tm); left != 0 || interval != 0 {
			t.Errorf("disarmed, but %v, %v remain", left, interval)
		}
		noError(t, tm.Arm(time.Hour))
		left, _ = remaining(t, tm)
		between(t, "left after disarming and arming", left, time.Hour-time.Minute, time.Hour)
	})
}

func TestSwap(t *testing.T) {
	perClock(t, func(t *testing.T, c timerfd.Clock) {
		tm := newTimer(t, &timerfd.Options{Clock: c})
		const h = time.Hour
		check := func(name string, wantLeft, wantInterval time.Duration) func(timerfd.Setting, error) {
			return func(s timerfd.Setting, err error) {
				t.Helper()
				noError(t, err)
				if s.Interval != wantInterval {
					t.Errorf("%s: the interval was %v, not %v", name, s.Interval, wantInterval)
				}
				if wantLeft == 0 && s.Left != 0 || wantLeft != 0 && (s.Left > wantLeft || s.Left < wantLeft-time.Minute) {
					t.Errorf("%s: %v was left, not %v", name, s.Left, wantLeft)
				}
			}
		}
		check("SwapArm", 0, 0)(tm.SwapArm(h))
		check("SwapArmEvery", h, 0)(tm.SwapArmEvery(2*h, 3*h))
		check("SwapArmAt", 2*h, 3*h)(tm.SwapArmAt(time.Now().Add(4*h), 5*h))
		check("SwapDisarm", 4*h, 5*h)(tm.SwapDisarm())
		check("SwapDisarm again", 0, 0)(tm.SwapDisarm())
		noError(t, tm.ArmEvery(0, h))
		expired(t, tm)
		check("SwapArm of one that has expired", h, h)(tm.SwapArm(0))
		if n := wait(t, tm); n != 1 {
			t.Errorf("SwapArm(0) expired %d times", n)
		}
		if c == timerfd.Realtime {
			both := newTimer(t, &timerfd.Options{Clock: c, CancelOnSet: true})
			noError(t, both.ArmAt(time.Now().Add(h), 2*h))
			check("SwapArmAt with CancelOnSet", h, 2*h)(both.SwapArmAt(time.Now().Add(3*h), 0))
			check("SwapArm with CancelOnSet", 3*h, 0)(both.SwapArm(h))
		}
	})
}

func TestArmAtIsNeverEarly(t *testing.T) {
	perClock(t, func(t *testing.T, c timerfd.Clock) {
		tm := newTimer(t, &timerfd.Options{Clock: c})
		wall := c == timerfd.Realtime || c == timerfd.RealtimeAlarm
		for i := range 60 {
			at := time.Now().Add(time.Duration(i%10) * 100 * time.Microsecond)
			if wall || i%3 == 0 {
				at = at.Round(0)
			}
			noError(t, tm.ArmAt(at, 0))
			n := wait(t, tm)
			early := time.Until(at)
			if i%3 == 0 && !wall {
				early -= time.Millisecond // a wall clock that is being adjusted has another rate
			}
			if n != 1 || early > 0 {
				t.Fatalf("%d expirations, %v early", n, early)
			}
		}
	})
}

func TestArmAtReadings(t *testing.T) {
	perClock(t, func(t *testing.T, c timerfd.Clock) {
		tm := newTimer(t, &timerfd.Options{Clock: c})
		at := time.Now().Add(time.Hour)
		for name, at := range map[string]time.Time{
			"both": at, "wall": at.Round(0), "UTC": at.UTC(), "elsewhere": at.Round(0).In(time.FixedZone("", 7200)),
		} {
			noError(t, tm.ArmAt(at, 0))
			left, _ := remaining(t, tm)
			between(t, name, left, time.Hour-time.Minute, time.Hour+time.Millisecond)
		}
	})
}

func TestExtremes(t *testing.T) {
	const centuries = 200 * 365 * 24 * time.Hour
	perClock(t, func(t *testing.T, c timerfd.Clock) {
		tm := newTimer(t, &timerfd.Options{Clock: c})
		for _, at := range []time.Time{
			{}, time.Unix(0, 0), time.Unix(0, 1), time.Unix(-1, 999999999), time.Unix(1, 0), time.Unix(math.MinInt64, 0),
			time.Now().Add(math.MinInt64), time.Now(), time.Now().Add(-1).Round(0),
		} {
			noError(t, tm.ArmAt(at, 0))
			if n := wait(t, tm); n != 1 {
				t.Errorf("ArmAt(%v) expired %d times", at, n)
			}
		}
		noError(t, tm.ArmAt(time.Time{}, time.Nanosecond))
		if n := wait(t, tm); n < uint64(time.Second) {
			t.Errorf("an interval of 1ns since the beginning expired only %d times", n)
		}
		for _, at := range []time.Time{
			time.Now().Add(math.MaxInt64), time.Now().Add(math.MaxInt64).Round(0), time.Unix(1<<40, 0), time.Unix(math.MaxInt64, 999999999),
		} {
			noError(t, tm.ArmAt(at, math.MaxInt64))
			left, interval := remaining(t, tm)
			between(t, "left", left, centuries, math.MaxInt64)
			if interval != math.MaxInt64 {
				t.Errorf("the interval is %v", interval)
			}
			notExpired(t, "far away", tm)
		}
		noError(t, tm.Arm(math.MaxInt64))
		left, _ := remaining(t, tm)
		between(t, "left", left, centuries, math.MaxInt64)
		noError(t, tm.ArmEvery(math.MaxInt64, math.MaxInt64))
		notExpired(t, "far away", tm)

		for what, err := range map[string]error{
			"ArmEvery(1, 0)":       tm.ArmEvery(1, 0),
			"ArmEvery(1, -1)":      tm.ArmEvery(1, -1),
			"ArmAt(now, -1)":       tm.ArmAt(time.Now(), -1),
			"ArmAt(now, MinInt64)": tm.ArmAt(time.Now(), math.MinInt64),
			"SwapArmEvery(1, 0)":   second(tm.SwapArmEvery(1, 0)),
			"SwapArmAt(now, -1)":   second(tm.SwapArmAt(time.Now(), -1)),
			"SetTicks(0)":          tm.SetTicks(0),
		} {
			wantError(t, what, err, os.ErrInvalid)
		}
		if left, interval := remaining(t, tm); left < centuries || interval != math.MaxInt64 {
			t.Errorf("a refused call changed the setting to %v, %v", left, interval)
		}
	})
}

func second[T any](_ T, err error) error { return err }

func TestNewRefuses(t *testing.T) {
	for _, c := range []struct {
		opts timerfd.Options
		text string
	}{
		{timerfd.Options{Clock: 17}, "timerfd: new: there is no clock Clock(17)"},
		{timerfd.Options{Clock: -1}, "timerfd: new: there is no clock Clock(-1)"},
		{timerfd.Options{CancelOnSet: true}, "timerfd: new: CancelOnSet is for Realtime and RealtimeAlarm, and Monotonic can't be set"},
		{timerfd.Options{Clock: timerfd.BoottimeAlarm, CancelOnSet: true},
			"timerfd: new: CancelOnSet is for Realtime and RealtimeAlarm, and BoottimeAlarm can't be set"},
	} {
		tm, err := timerfd.New(&c.opts)
		wantError(t, c.text, err, os.ErrInvalid)
		if tm != nil || err == nil || err.Error() != c.text {
			t.Errorf("got %v, %v, want %s", tm, err, c.text)
		}
	}
}

func TestClockString(t *testing.T) {
	for c, want := range map[timerfd.Clock]string{
		0: "Monotonic", 1: "Realtime", 2: "Boottime", 3: "RealtimeAlarm", 4: "BoottimeAlarm",
		5: "Clock(5)", 17: "Clock(17)", -1: "Clock(-1)",
	} {
		if got := c.String(); got != want {
			t.Errorf("%d is %s, not %s", int(c), got, want)
		}
	}
}

func TestAtTheLimitOfDescriptors(t *testing.T) {
	var old syscall.Rlimit
	noError(t, syscall.Getrlimit(syscall.RLIMIT_NOFILE, &old))
	lower := old
	lower.Cur = 64
	noError(t, syscall.Setrlimit(syscall.RLIMIT_NOFILE, &lower))
	defer func() { noError(t, syscall.Setrlimit(syscall.RLIMIT_NOFILE, &old)) }()
	var all []*timerfd.Timer
	defer func() {
		for _, tm := range all {
			noError(t, tm.Close())
		}
	}()
	for len(all) < 64 {
		tm, err := timerfd.New(nil)
		if err == nil {
			all = append(all, tm)
			continue
		}
		wantError(t, "New", err, syscall.EMFILE)
		if !strings.Contains(err.Error(), "RLIMIT_NOFILE is 64") {
			t.Errorf("the limit isn't named: %v", err)
		}
		_, err = all[0].File()
		wantError(t, "File", err, syscall.EMFILE)
		return
	}
	t.Error("64 timers with a limit of 64 descriptors")
}

// dropAlarm takes CAP_WAKE_ALARM from the thread of the calling goroutine, which must end with it.
func dropAlarm(t *testing.T) {
	runtime.LockOSThread()
	h := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var d [2]unix.CapUserData
	if err := unix.Capget(&h, &d[0]); err != nil {
		t.Error(err)
	}
	d[unix.CAP_WAKE_ALARM/32].Effective &^= 1 << (unix.CAP_WAKE_ALARM % 32)
	if err := unix.Capset(&h, &d[0]); err != nil {
		t.Error(err)
	}
}

func TestAlarmsWithoutCapability(t *testing.T) {
	for _, c := range []timerfd.Clock{timerfd.RealtimeAlarm, timerfd.BoottimeAlarm} {
		t.Run(c.String(), func(t *testing.T) {
			before, _ := timerfd.New(&timerfd.Options{Clock: c}) // nil for an ordinary user
			if before != nil {
				defer before.Close()
				noError(t, before.Arm(time.Hour))
			}
			done := make(chan struct{})
			go func() {
				defer close(done)
				dropAlarm(t)
				_, err := timerfd.New(&timerfd.Options{Clock: c})
				hinted(t, "timerfd: new: timerfd_create: operation not permitted", c, err)
				if before != nil {
					hinted(t, "timerfd: arm: timerfd_settime: operation not permitted", c, before.Arm(time.Second))
					at := time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)
					hinted(t, "timerfd: arm-at: timerfd_settime: operation not permitted", c, before.ArmAt(at, 0))
					left, _ := remaining(t, before)
					between(t, "left after refusals", left, time.Hour-time.Minute, time.Hour)
				}
			}()
			<-done
			// On 32-bit architectures the refusal mustn't be taken for an old kernel's.
			tm := newTimer(t, nil)
			noError(t, tm.Arm(100*365*24*time.Hour))
		})
	}
}

func hinted(t *testing.T, text string, c timerfd.Clock, err error) {
	t.Helper()
	wantError(t, text, err, fs.ErrPermission)
	wantError(t, text, err, syscall.EPERM)
	want := text + " (a timer on " + c.String() + " needs CAP_WAKE_ALARM in the initial user namespace)"
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

func TestSetTicks(t *testing.T) {
	tm := newTimer(t, nil)
	err := tm.SetTicks(42)
	if errors.Is(err, errors.ErrUnsupported) {
		var ue *fildes.UnsupportedError
		if !errors.As(err, &ue) || ue.Feature != "TFD_IOC_SET_TICKS" || ue.Since != "3.17" {
			t.Errorf("%v", err)
		}
		needTicks(t, err)
	}
	noError(t, err)
	if n := wait(t, tm); n != 42 {
		t.Errorf("Wait returned %d", n)
	}
	noError(t, tm.SetTicks(math.MaxUint64))
	if n, ok, err := tm.TryWait(); n != math.MaxUint64 || !ok || err != nil {
		t.Errorf("TryWait gave %d, %v, %v", n, ok, err)
	}
	got := make(chan uint64)
	go func() {
		n, _ := tm.Wait(context.Background())
		got <- n
	}()
	noError(t, tm.SetTicks(7))
	if n := <-got; n != 7 {
		t.Errorf("a Wait under way returned %d", n)
	}
	noError(t, tm.SetTicks(8))
	noError(t, tm.Arm(time.Hour))
	notExpired(t, "armed", tm)
}

func TestFromFile(t *testing.T) {
	perClock(t, func(t *testing.T, c timerfd.Clock) {
		a := newTimer(t, &timerfd.Options{Clock: c})
		f, err := a.File()
		noError(t, err)
		defer f.Close()
		b, err := timerfd.FromFile(f)
		noError(t, err)
		defer b.Close()
		if b.Clock() != c || b.CancelOnSet() {
			t.Errorf("made a timer on %v, CancelOnSet %v", b.Clock(), b.CancelOnSet())
		}
		noError(t, b.ArmEvery(time.Hour, 2*time.Hour))
		left, interval := remaining(t, a)
		between(t, "left", left, time.Hour-time.Minute, time.Hour)
		if interval != 2*time.Hour {
			t.Errorf("the interval is %v", interval)
		}
		noError(t, a.Arm(time.Millisecond))
		if n := wait(t, b); n != 1 {
			t.Errorf("%d expirations", n)
		}
		noError(t, a.Close())
		noError(t, b.ArmAt(time.Now(), 0))
		if n := wait(t, b); n != 1 {
			t.Errorf("%d expirations", n)
		}
	})
}

func TestFromFileTakesCancelOnSetOver(t *testing.T) {
	a := newTimer(t, &timerfd.Options{Clock: timerfd.Realtime, CancelOnSet: true})
	check := func(what string, want bool) {
		t.Helper()
		f, err := a.File()
		noError(t, err)
		defer f.Close()
		b, err := timerfd.FromFile(f)
		noError(t, err)
		defer b.Close()
		if b.CancelOnSet() != want || b.Clock() != timerfd.Realtime {
			t.Errorf("%s: got %v, %v", what, b.Clock(), b.CancelOnSet())
		}
	}
	if !a.CancelOnSet() {
		t.Error("CancelOnSet is lost")
	}
	check("never armed", false)
	noError(t, a.ArmAt(time.Now().Add(time.Hour), 0))
	check("ArmAt", true)
	// The kernel has the flag for absolute times only.
	noError(t, a.Arm(time.Hour))
	check("Arm", false)
}

func TestFromFileRefuses(t *testing.T) {
	r, w, err := os.Pipe()
	noError(t, err)
	defer r.Close()
	defer w.Close()
	regular, err := os.Create(filepath.Join(t.TempDir(), "[timerfd]"))
	noError(t, err)
	defer regular.Close()
	num, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
	noError(t, err)
	event := os.NewFile(uintptr(num), "eventfd")
	defer event.Close()
	ended, err := os.Open("/dev/null")
	noError(t, err)
	ended.Close()
	for what, c := range map[string]struct {
		f    *os.File
		want error
	}{
		"nil": {nil, os.ErrInvalid}, "a pipe": {r, os.ErrInvalid}, "a file": {regular, os.ErrInvalid},
		"an eventfd": {event, os.ErrInvalid}, "a closed file": {ended, os.ErrClosed},
	} {
		before := countDescriptors(t)
		tm, err := timerfd.FromFile(c.f)
		wantError(t, what, err, c.want)
		if tm != nil {
			t.Errorf("%s: made a timer", what)
		}
		if after := countDescriptors(t); after != before {
			t.Errorf("%s: %d descriptors before, %d after", what, before, after)
		}
	}
}

func countDescriptors(t *testing.T) int {
	t.Helper()
	es, err := os.ReadDir("/proc/self/fd")
	noError(t, err)
	return len(es)
}

// methods are all that return an error.
func methods(tm *timerfd.Timer) map[string]error {
	ctx := context.Background()
	m := map[string]error{
		"Arm":          tm.Arm(1),
		"ArmEvery":     tm.ArmEvery(1, 1),
		"ArmAt":        tm.ArmAt(time.Now(), 0),
		"Disarm":       tm.Disarm(),
		"SwapArm":      second(tm.SwapArm(1)),
		"SwapArmEvery": second(tm.SwapArmEvery(1, 1)),
		"SwapArmAt":    second(tm.SwapArmAt(time.Now(), 0)),
		"SwapDisarm":   second(tm.SwapDisarm()),
		"Wait":         second(tm.Wait(ctx)),
		"SetTicks":     tm.SetTicks(1),
		"SyscallConn":  second(tm.SyscallConn()),
		"File":         second(tm.File()),
		"Inherit":      second(tm.Inherit()),
		"Release":      second(tm.Release()),
		"Close":        tm.Close(),
		// Bad arguments don't hide that there is no timer.
		"ArmEvery(1, 0)": tm.ArmEvery(1, 0),
		"ArmAt(now, -1)": tm.ArmAt(time.Now(), -1),
		"SetTicks(0)":    tm.SetTicks(0),
	}
	_, _, m["Remaining"] = tm.Remaining()
	_, _, m["TryWait"] = tm.TryWait()
	return m
}

func TestZeroNilAndClosed(t *testing.T) {
	for name, err := range methods(nil) {
		wantError(t, "nil "+name, err, os.ErrInvalid)
	}
	for name, err := range methods(new(timerfd.Timer)) {
		wantError(t, "zero "+name, err, os.ErrInvalid)
	}
	tm := newTimer(t, nil)
	noError(t, tm.Close())
	for name, err := range methods(tm) {
		wantError(t, "closed "+name, err, os.ErrClosed)
	}
	var none *timerfd.Timer
	if none.Clock() != timerfd.Monotonic || none.CancelOnSet() {
		t.Error("a nil Timer has properties")
	}
	var nothing context.Context
	_, err := newTimer(t, nil).Wait(nothing)
	wantError(t, "nil context", err, os.ErrInvalid)
}

func TestCloseEndsWaits(t *testing.T) {
	tm := newTimer(t, nil)
	noError(t, tm.Arm(time.Hour))
	const waiters = 4
	errs := make(chan error)
	for range waiters {
		go func() { errs <- second(tm.Wait(context.Background())) }()
	}
	noError(t, tm.Close())
	for range waiters {
		wantError(t, "Wait", <-errs, os.ErrClosed)
	}
}

func TestContext(t *testing.T) {
	tm := newTimer(t, nil)
	cause := errors.New("no more")
	ctx, cancel := context.WithCancelCause(context.Background())
	noError(t, tm.Arm(time.Hour))
	errs := make(chan error)
	go func() { errs <- second(tm.Wait(ctx)) }()
	cancel(cause)
	err := <-errs
	wantError(t, "ended", err, cause)
	wantError(t, "ended", err, context.Canceled)

	// A context that is done takes nothing, be it the first wait or not.
	for _, tm := range []*timerfd.Timer{newTimer(t, nil), tm} {
		noError(t, tm.Arm(0))
		for end := time.Now().Add(time.Millisecond); time.Now().Before(end); {
			wantError(t, "done", second(tm.Wait(ctx)), cause)
		}
		if n := wait(t, tm); n != 1 {
			t.Errorf("then Wait gave %d", n)
		}
	}

	noError(t, tm.Arm(time.Hour))
	short, stop := context.WithTimeout(context.Background(), time.Millisecond)
	defer stop()
	err = second(tm.Wait(short))
	wantError(t, "deadline", err, context.DeadlineExceeded)
	var oe *fildes.OpError
	if !errors.As(err, &oe) || !oe.Timeout() || oe.Kind != "timerfd" || oe.Op != "wait" {
		t.Errorf("%#v", err)
	}
	noError(t, tm.Arm(time.Millisecond))
	if n := wait(t, tm); n != 1 {
		t.Errorf("afterwards %d expirations", n)
	}
}

func TestBorrowAndRelease(t *testing.T) {
	tm := newTimer(t, nil)
	_, err := tm.Inherit()
	wantError(t, "Inherit", err, errors.ErrUnsupported)
	f, err := tm.File()
	noError(t, err)
	defer f.Close()
	noError(t, tm.Arm(0))
	expired(t, tm)
	var word [8]byte
	if n, err := f.Read(word[:]); n != 8 || err != nil {
		t.Errorf("the duplicate gave %d, %v", n, err)
	}
	notExpired(t, "read through the duplicate", tm)
	noError(t, tm.Arm(time.Hour))
	num, err := tm.Release()
	noError(t, err)
	defer unix.Close(num)
	var cur unix.ItimerSpec
	noError(t, unix.TimerfdGettime(num, &cur))
	if cur.Value.Sec < 3000 {
		t.Errorf("the released timer is set to %v", cur)
	}
	flags, err := unix.FcntlInt(uintptr(num), unix.F_GETFD, 0)
	if err != nil || flags&unix.FD_CLOEXEC == 0 {
		t.Errorf("flags %#x, %v", flags, err)
	}
}

func TestMemoryOrder(t *testing.T) {
	// Under the race detector: what was done before arming is seen by who waited, though the two have nothing in common but the
	// kernel's timer.
	a := newTimer(t, nil)
	f, err := a.File()
	noError(t, err)
	defer f.Close()
	b, err := timerfd.FromFile(f)
	noError(t, err)
	defer b.Close()
	var x int
	for i, arm := range []func() error{
		func() error { return a.Arm(time.Microsecond) },
		func() error { return a.ArmAt(time.Now(), 0) },
	} {
		go func() {
			x = i + 1
			_ = arm()
		}()
		wait(t, b)
		if x != i+1 {
			t.Errorf("x is %d", x)
		}
	}
}

func TestAllocations(t *testing.T) {
	tm := newTimer(t, nil)
	wall := newTimer(t, &timerfd.Options{Clock: timerfd.Realtime, CancelOnSet: true})
	boot := newTimer(t, &timerfd.Options{Clock: timerfd.Boottime})
	bg := context.Background()
	ctx, cancel := context.WithCancel(bg)
	defer cancel()
	at := time.Now().Add(time.Hour)
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name string
		op   func()
	}{
		{"Arm", func() { must(tm.Arm(time.Hour)) }},
		{"ArmEvery", func() { must(tm.ArmEvery(time.Hour, time.Hour)) }},
		{"ArmAt", func() { must(tm.ArmAt(at, 0)) }},
		{"ArmAt Realtime", func() { must(wall.ArmAt(at, 0)) }},
		{"ArmAt Boottime", func() { must(boot.ArmAt(at, 0)) }},
		{"Swap", func() {
			_, err := tm.SwapArm(time.Hour)
			must(err)
			_, err = tm.SwapArmEvery(time.Hour, time.Hour)
			must(err)
			_, err = tm.SwapArmAt(at, time.Hour)
			must(err)
			_, err = tm.SwapDisarm()
			must(err)
		}},
		{"Disarm", func() { must(tm.Disarm()) }},
		{"Remaining", func() {
			_, _, err := tm.Remaining()
			must(err)
		}},
		{"TryWait, not expired", func() {
			_, _, err := boot.TryWait()
			must(err)
		}},
		{"TryWait", func() {
			must(tm.Arm(0))
			for ok := false; !ok; {
				_, done, err := tm.TryWait()
				must(err)
				ok = done
			}
		}},
		{"Wait", func() {
			must(tm.Arm(0))
			_, err := tm.Wait(bg)
			must(err)
		}},
		{"Wait that parks", func() {
			must(tm.Arm(200 * time.Microsecond))
			_, err := tm.Wait(bg)
			must(err)
		}},
		{"Wait that parks, with a context", func() {
			must(tm.Arm(200 * time.Microsecond))
			_, err := tm.Wait(ctx)
			must(err)
		}},
	} {
		c.op() // the first wait makes the structures
		if n := testing.AllocsPerRun(100, c.op); n != 0 {
			t.Errorf("%s allocates %v times", c.name, n)
		}
	}
}

// needTicks needs a kernel that has TFD_IOC_SET_TICKS, as the error of SetTicks says.
func needTicks(t *testing.T, err error) {
	t.Helper()
	reason := ""
	if errors.Is(err, errors.ErrUnsupported) {
		reason = "TFD_IOC_SET_TICKS takes CONFIG_CHECKPOINT_RESTORE, and a 64-bit program on a 64-bit kernel"
	}
	fdtest.Need(t, "set_ticks", reason)
}
