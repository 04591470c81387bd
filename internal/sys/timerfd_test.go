//go:build linux

package sys

import (
	"math"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func testTimer(t *testing.T) int {
	t.Helper()
	n, e := TimerFD(unix.CLOCK_MONOTONIC)
	if e != 0 {
		t.Fatal(e)
	}
	t.Cleanup(func() { _ = Close(n) })
	return n
}

func TestTimer(t *testing.T) {
	n := testTimer(t)
	exerciseTimer(t, n)
	far := Itimerspec{Value: Timespec{Sec: 1 << 33}, Interval: Timespec{Sec: 1 << 32, Nsec: 1}}
	if e := TimerSet(n, 0, &far, nil); e != 0 {
		t.Fatal(e)
	}
	var cur Itimerspec
	if e := TimerGet(n, &cur); e != 0 || cur.Value.Sec < 1<<33-60 || cur.Interval != far.Interval {
		t.Errorf("armed for %v, got %v, %v", far, cur, e)
	}
	var word uint64
	if e := RawReadWord(n, &word); e != EAGAIN {
		t.Errorf("read: %d, %v", word, e)
	}
}

// exerciseTimer checks both calls with values that every form of them has, by what the kernel shows.
func exerciseTimer(t *testing.T, n int) {
	t.Helper()
	first := Itimerspec{Value: Timespec{Sec: 3600, Nsec: 999999999}, Interval: Timespec{Sec: 7200, Nsec: 5}}
	if e := TimerSet(n, 0, &first, nil); e != 0 {
		t.Fatal(e)
	}
	var cur, old unix.ItimerSpec // x/sys's own form, with the old call where there are two
	if err := unix.TimerfdGettime(n, &cur); err != nil {
		t.Fatal(err)
	}
	if cur.Value.Sec < 3500 || cur.Value.Sec > 3600 || cur.Interval.Sec != 7200 || cur.Interval.Nsec != 5 {
		t.Errorf("set %v, the kernel has %v", first, cur)
	}
	var was, is Itimerspec
	if e := TimerSet(n, 0, &Itimerspec{Value: Timespec{Sec: 100}}, &was); e != 0 {
		t.Fatal(e)
	}
	if was.Value.Sec < 3500 || was.Value.Sec > 3600 || was.Interval != first.Interval {
		t.Errorf("replaced %v, got %v", first, was)
	}
	if err := unix.TimerfdSettime(n, 0, &unix.ItimerSpec{Value: unix.Timespec{Sec: 50}, Interval: unix.Timespec{Nsec: 7}}, &old); err != nil {
		t.Fatal(err)
	}
	if old.Value.Sec < 30 || old.Value.Sec > 100 || old.Interval.Sec != 0 {
		t.Errorf("set 100 s, the kernel had %v", old)
	}
	if e := TimerGet(n, &is); e != 0 {
		t.Fatal(e)
	}
	if is.Value.Sec < 20 || is.Value.Sec > 50 || is.Interval != (Timespec{Nsec: 7}) {
		t.Errorf("the kernel has 50 s, got %v", is)
	}
	if e := TimerSet(n, 0, &Itimerspec{Value: Timespec{Nsec: 1e9}}, nil); e != syscall.EINVAL {
		t.Errorf("a bad value: %v", e)
	}
	if e := TimerSet(-1, 0, &first, nil); e != syscall.EBADF {
		t.Errorf("a bad descriptor: %v", e)
	}
}

func TestNarrow(t *testing.T) {
	for _, c := range []struct {
		s  Itimerspec
		ok bool
	}{
		{Itimerspec{}, true},
		{Itimerspec{Interval: Timespec{1, 2}, Value: Timespec{3, 4}}, true},
		{Itimerspec{Interval: Timespec{math.MaxInt32, 999999999}, Value: Timespec{math.MaxInt32, 999999999}}, true},
		{Itimerspec{Value: Timespec{math.MaxInt32 + 1, 0}}, false},
		{Itimerspec{Interval: Timespec{math.MaxInt32 + 1, 0}}, false},
		{Itimerspec{Value: Timespec{1 << 32, 0}}, false},
		{Itimerspec{Value: Timespec{1<<32 + 5, 1}}, false},
		{Itimerspec{Value: Timespec{math.MaxInt64, 0}}, false},
	} {
		o, ok := c.s.narrow()
		if ok != c.ok || ok && o.widen() != c.s {
			t.Errorf("%v: %v, %v", c.s, o, ok)
		}
	}
}
