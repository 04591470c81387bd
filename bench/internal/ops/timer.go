//go:build linux

package ops

import (
	"context"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes/timerfd"
)

func timerArm() (Run, func()) {
	t := must(timerfd.New(nil))
	run := func(n int, clock Clock) {
		clock.StartTimer()
		for range n {
			if err := t.Arm(time.Hour); err != nil {
				fail(err)
			}
		}
		clock.StopTimer()
	}
	return run, func() { check(t.Close()) }
}

func rawTimerArm() (Run, func()) {
	fd := must(unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_CLOEXEC|unix.TFD_NONBLOCK))
	run := func(n int, clock Clock) {
		clock.StartTimer()
		for range n {
			s := itimerspec{sec: 3600}
			if e := rawTimerSet(fd, 0, &s); e != 0 {
				fail(e)
			}
		}
		clock.StopTimer()
	}
	return run, func() { check(unix.Close(fd)) }
}

// timers is how many timers are armed in the past at once, to be read one after the other: a clock that is started and stopped
// around each single read would measure itself.
const timers = 64

func timerWait() (Run, func()) {
	before := numbers("anon_inode:[timerfd]")
	ts := make([]*timerfd.Timer, timers)
	for i := range ts {
		ts[i] = must(timerfd.New(nil))
	}
	// The handles would count as shared if they lent their numbers.
	var fds []unix.PollFd
	for fd := range numbers("anon_inode:[timerfd]") {
		if !before[fd] {
			fds = append(fds, unix.PollFd{Fd: int32(fd), Events: unix.POLLIN})
		}
	}
	past, ctx := time.Now(), context.Background()
	run := func(n int, clock Clock) {
		for ; n > 0; n -= timers {
			for _, t := range ts {
				check(t.ArmAt(past, 0))
			}
			allReadable(fds)
			clock.StartTimer()
			for _, t := range ts[:min(n, timers)] {
				if _, err := t.Wait(ctx); err != nil {
					fail(err)
				}
			}
			clock.StopTimer()
		}
	}
	return run, func() {
		for _, t := range ts {
			check(t.Close())
		}
	}
}

func rawTimerWait() (Run, func()) {
	ts := make([]int, timers)
	fds := make([]unix.PollFd, timers)
	for i := range ts {
		ts[i] = must(unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_CLOEXEC|unix.TFD_NONBLOCK))
		fds[i] = unix.PollFd{Fd: int32(ts[i]), Events: unix.POLLIN}
	}
	run := func(n int, clock Clock) {
		for ; n > 0; n -= timers {
			for _, fd := range ts {
				if e := rawTimerSet(fd, unix.TFD_TIMER_ABSTIME, &itimerspec{nsec: 1}); e != 0 {
					fail(e)
				}
			}
			allReadable(fds)
			clock.StartTimer()
			for _, fd := range ts[:min(n, timers)] {
				var got uint64
				if e := rawRead(fd, &got); e != 0 {
					fail(e)
				}
			}
			clock.StopTimer()
		}
	}
	return run, func() {
		for _, fd := range ts {
			check(unix.Close(fd))
		}
	}
}

// allReadable waits until all timers have expired, which is an interrupt's work, though they were armed in the past.
func allReadable(fds []unix.PollFd) {
	if len(fds) != timers {
		panic("not all timers were found in /proc/self/fd")
	}
	for {
		n, err := unix.Poll(fds, -1)
		if err != nil && err != unix.EINTR {
			fail(err)
		}
		if n == timers {
			return
		}
	}
}

// numbers returns the open descriptors of a kind.
func numbers(kind string) map[int]bool {
	found := make(map[int]bool)
	for _, e := range must(os.ReadDir("/proc/self/fd")) {
		if to, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil && to == kind {
			found[must(strconv.Atoi(e.Name()))] = true
		}
	}
	return found
}
