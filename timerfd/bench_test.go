//go:build linux

package timerfd_test

import (
	"context"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes/internal/fd"
	"github.com/fildes/fildes/internal/sys"
	"github.com/fildes/fildes/timerfd"
)

// The raw benchmarks make the same system calls by the same entry, on a descriptor in the same state.

func rawTimer(b *testing.B) int {
	n, e := sys.TimerFD(unix.CLOCK_MONOTONIC)
	if e != 0 {
		b.Fatal(e)
	}
	b.Cleanup(func() { _ = sys.Close(n) })
	return n
}

func BenchmarkArm(b *testing.B) {
	tm := newTimer(b, nil)
	b.ReportAllocs()
	for b.Loop() {
		if err := tm.Arm(time.Hour); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkArmRaw(b *testing.B) {
	n := rawTimer(b)
	b.ReportAllocs()
	for b.Loop() {
		s := sys.Itimerspec{Value: sys.Timespec{Sec: 3600}}
		if e := sys.RawTimerSet(n, 0, &s, nil); e != 0 {
			b.Fatal(e)
		}
	}
}

func BenchmarkArmEvery(b *testing.B) {
	tm := newTimer(b, nil)
	b.ReportAllocs()
	for b.Loop() {
		if err := tm.ArmEvery(time.Hour, time.Hour); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkArmAt(b *testing.B) {
	tm := newTimer(b, nil)
	at := time.Now().Add(time.Hour)
	b.ReportAllocs()
	for b.Loop() {
		if err := tm.ArmAt(at, 0); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRemaining(b *testing.B) {
	tm := newTimer(b, nil)
	if err := tm.Arm(time.Hour); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := tm.Remaining(); err != nil {
			b.Fatal(err)
		}
	}
}

// expiredTimers is how many timers are waited for in one measured round: arming them again isn't measured.
const expiredTimers = 64

// rounds runs arm, which must leave all timers expired, and times wait, which reads each once.
func rounds(b *testing.B, arm, wait func()) {
	b.ReportAllocs()
	var total time.Duration
	n := 0
	for b.Loop() {
		arm()
		start := time.Now()
		wait()
		total += time.Since(start)
		n += expiredTimers
	}
	b.ReportMetric(float64(total.Nanoseconds())/float64(n), "ns/wait")
}

func checkReadable(b *testing.B, p []unix.PollFd) {
	for i := range p {
		for p[i].Revents = 0; p[i].Revents&unix.POLLIN == 0; {
			if _, err := unix.Poll(p[i:i+1], 1000); err != nil && err != unix.EINTR {
				b.Fatal(err)
			}
		}
	}
}

// settle comes after the poll that found all expired, and lets the interrupts pass.
func settle() {
	for end := time.Now().Add(50 * time.Microsecond); time.Now().Before(end); {
	}
}

func BenchmarkWait(b *testing.B) {
	var tms [expiredTimers]*timerfd.Timer
	var p [expiredTimers]unix.PollFd
	for i := range tms {
		tms[i] = newTimer(b, nil)
		raw, err := tms[i].SyscallConn()
		if err != nil {
			b.Fatal(err)
		}
		// Control would make the description count as shared.
		p[i] = unix.PollFd{Fd: int32(fd.Engine(raw).Num()), Events: unix.POLLIN}
	}
	ctx := context.Background()
	rounds(b, func() {
		for _, tm := range tms {
			if err := tm.Arm(0); err != nil {
				b.Fatal(err)
			}
		}
		checkReadable(b, p[:])
		settle()
	}, func() {
		for _, tm := range tms {
			if _, err := tm.Wait(ctx); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkWaitRaw(b *testing.B) {
	var p [expiredTimers]unix.PollFd
	for i := range p {
		p[i] = unix.PollFd{Fd: int32(rawTimer(b)), Events: unix.POLLIN}
	}
	rounds(b, func() {
		for i := range p {
			s := sys.Itimerspec{Value: sys.Timespec{Nsec: 1}}
			if e := sys.RawTimerSet(int(p[i].Fd), 0, &s, nil); e != 0 {
				b.Fatal(e)
			}
		}
		checkReadable(b, p[:])
		settle()
	}, func() {
		for i := range p {
			var n uint64
			if e := sys.RawReadWord(int(p[i].Fd), &n); e != 0 {
				b.Fatal(e)
			}
		}
	})
}

func BenchmarkNewClose(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		tm, err := timerfd.New(nil)
		if err != nil {
			b.Fatal(err)
		}
		if err := tm.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkNewCloseRaw(b *testing.B) {
	for b.Loop() {
		n, e := sys.TimerFD(unix.CLOCK_MONOTONIC)
		if e != 0 {
			b.Fatal(e)
		}
		if err := sys.Close(n); err != nil {
			b.Fatal(err)
		}
	}
}
