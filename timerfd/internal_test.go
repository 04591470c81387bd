//go:build linux

package timerfd

import (
	"bytes"
	"context"
	"errors"
	"math"
	"os"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/fildes/fildes"
	"github.com/fildes/fildes/internal/fdtest"
	"github.com/fildes/fildes/internal/sys"
)

// A notification that another call than read has consumed reaches the Wait that is parked, or the next one, once. (That the
// kernel does this needs a clock that is set: see the tests of ErrClockSet.)
func TestNotify(t *testing.T) {
	tm, err := New(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer tm.Close()
	if err := tm.Arm(0); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	tm.notify()
	if n, err := tm.Wait(ctx); n != 0 || !errors.Is(err, ErrClockSet) {
		t.Errorf("before the expirations: %d, %v", n, err)
	}
	if n, err := tm.Wait(ctx); n != 1 || err != nil {
		t.Errorf("then: %d, %v", n, err)
	}
	tm.notify()
	if n, ok, err := tm.TryWait(); n != 0 || ok || !errors.Is(err, ErrClockSet) {
		t.Errorf("TryWait: %d, %v, %v", n, ok, err)
	}
	if n, ok, err := tm.TryWait(); n != 0 || ok || err != nil {
		t.Errorf("then: %d, %v, %v", n, ok, err)
	}
	if err := tm.Arm(time.Hour); err != nil {
		t.Fatal(err)
	}
	errs := make(chan error)
	for i := range fdtest.Rounds(200) {
		go func() {
			_, err := tm.Wait(ctx)
			errs <- err
		}()
		if i%2 == 0 { // else the waiter is somewhere on its way to the poller
			awaitParked(ctx, t)
		}
		tm.notify()
		if err := <-errs; !errors.Is(err, ErrClockSet) {
			t.Fatal(err)
		}
	}
	for _, arm := range []func() error{func() error { return tm.Arm(time.Hour) }, tm.Disarm} {
		tm.notify()
		if err := arm(); err != nil {
			t.Fatal(err)
		}
		if _, ok, err := tm.TryWait(); ok || err != nil {
			t.Errorf("after arming: %v, %v", ok, err)
		}
	}
}

// awaitParked returns when a goroutine is parked in Wait.
func awaitParked(ctx context.Context, t *testing.T) {
	t.Helper()
	buf := make([]byte, 1<<20)
	for ctx.Err() == nil {
		for g := range bytes.SplitSeq(buf[:runtime.Stack(buf, true)], []byte("\n\n")) {
			if bytes.Contains(g, []byte("[IO wait")) && bytes.Contains(g, []byte("(*Timer).Wait")) {
				return
			}
		}
	}
	t.Fatal("nobody waits in the poller")
}

func TestDescribe(t *testing.T) {
	const head = "pos:\t0\nflags:\t02004002\nmnt_id:\t17\nino:\t1039\n"
	for text, want := range map[string]struct {
		clock  Clock
		cancel bool
	}{
		"clockid: 1\nticks: 0\nsettime flags: 00\nit_value: (0, 0)\nit_interval: (0, 0)\n": {Monotonic, false},
		"clockid: 0\nticks: 1\nsettime flags: 03\nit_value: (0, 0)\nit_interval: (1, 0)\n": {Realtime, true},
		"clockid: 0\nticks: 1\nsettime flags: 01\n":                                        {Realtime, false},
		"clockid: 0\nticks: 1\nsettime flags: 02\n":                                        {Realtime, false},
		"clockid: 7\nticks: 1\nsettime flags: 03\n":                                        {Boottime, false},
		"clockid: 8\nsettime flags: 03\n":                                                  {RealtimeAlarm, true},
		"clockid: 9\n":                                                                     {BoottimeAlarm, false},
	} {
		var tm Timer
		if err := tm.describe([]byte(head + text)); err != nil || tm.clock != want.clock || tm.cancelOnSet != want.cancel {
			t.Errorf("%q: %v, %v, %v", text, tm.clock, tm.cancelOnSet, err)
		}
	}
	for text, want := range map[string]error{
		"": errors.ErrUnsupported, "clockid: 4\n": os.ErrInvalid, "clockid: x\n": nil, "clockid: 1\nsettime flags: 08\n": nil,
	} {
		if err := new(Timer).describe([]byte(head + text)); err == nil || want != nil && !errors.Is(err, want) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestSettimeError(t *testing.T) {
	err := settimeError(syscall.EOVERFLOW)
	var ue *fildes.UnsupportedError
	if !errors.As(err, &ue) || ue.Since != "5.1" || !errors.Is(err, syscall.EOVERFLOW) || !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("%v", err)
	}
	var se *os.SyscallError
	err = settimeError(syscall.EINVAL)
	if !errors.As(err, &se) || se.Syscall != "timerfd_settime" || errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("%v", err)
	}
}

func TestTimesForTheKernel(t *testing.T) {
	for d, want := range map[time.Duration]sys.Timespec{
		0: {Nsec: 1}, -1: {Nsec: 1}, math.MinInt64: {Nsec: 1}, 1: {Nsec: 1}, time.Second - 1: {Nsec: 999999999}, time.Second: {Sec: 1},
		math.MaxInt64: {Sec: 9223372036, Nsec: 854775807},
	} {
		got := relative(d)
		if got != want {
			t.Errorf("%v is %v, not %v", d, got, want)
		}
		if d > 0 && duration(got) != d {
			t.Errorf("%v comes back as %v", d, duration(got))
		}
	}
	if got := interval(0); got != (sys.Timespec{}) {
		t.Errorf("an interval of 0 is %v", got)
	}
	for _, c := range []struct {
		now  int64
		d    time.Duration
		want int64
	}{
		{5, 7, 12}, {5, -7, -2}, {5, math.MinInt64, math.MinInt64 + 5}, {1, math.MaxInt64, math.MaxInt64},
		{math.MaxInt64, 1, math.MaxInt64}, {1, math.MaxInt64 - 1, math.MaxInt64},
		{0, math.MaxInt64, math.MaxInt64}, {math.MaxInt64, math.MaxInt64, math.MaxInt64},
	} {
		if got := add(c.now, c.d); got != c.want {
			t.Errorf("%d + %d is %d, not %d", c.now, c.d, got, c.want)
		}
	}
	for at, want := range map[time.Time]sys.Timespec{
		{}: {Nsec: 1}, time.Unix(0, 0): {Nsec: 1}, time.Unix(0, 1): {Nsec: 1}, time.Unix(0, 2): {Nsec: 2},
		time.Unix(5, 6):          {Sec: 5, Nsec: 6},
		time.Unix(-1, 999999999): {Nsec: 1}, time.Unix(math.MaxInt64, 7): {Sec: math.MaxInt64, Nsec: 7},
	} {
		if got, err := Realtime.absolute(at); got != want || err != nil {
			t.Errorf("%v is %v, not %v", at, got, want)
		}
	}
}

// A monotonic reading is carried over to the kernel's clock closely, and never to before it.
func TestMonotonicReadingIsExact(t *testing.T) {
	closest := time.Duration(math.MaxInt64)
	for range 1000 {
		at := time.Now()
		earliest, err := sys.ClockNow(clocks[Monotonic].read)
		if err != nil {
			t.Fatal(err)
		}
		got, err := Monotonic.absolute(at.Add(time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		// at was read before earliest, so the result may lie before it, by how long that took.
		late := duration(got) - time.Hour - time.Duration(earliest)
		closest = min(closest, max(late, -late))
	}
	if closest > 20*time.Microsecond {
		t.Errorf("the closest of 1000 was off by %v", closest)
	}
}
