//go:build linux && (386 || arm || mips || mipsle)

package sys

import (
	"runtime"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// tooFar is what the old call can't express.
var tooFar = Itimerspec{Value: Timespec{Sec: 1 << 31}}

func TestTimerWithoutTime64(t *testing.T) {
	was := noTime64.Swap(true)
	defer noTime64.Store(was)
	n := testTimer(t)
	exerciseTimer(t, n)
	if e := TimerSet(n, 0, &tooFar, nil); e != syscall.EOVERFLOW {
		t.Errorf("set for 2^31 s: %v", e)
	}
	var cur Itimerspec
	if e := TimerSet(n, 0, &Itimerspec{Value: Timespec{Sec: 1<<31 - 1}}, nil); e != 0 {
		t.Errorf("set for 2^31-1 s: %v", e)
	}
	if e := TimerGet(n, &cur); e != 0 || cur.Value.Sec < 1<<31-60 {
		t.Errorf("set for 2^31-1 s: %v, %v", cur, e)
	}
}

// An EPERM of the kernel's own, for an alarm clock without CAP_WAKE_ALARM, isn't a missing call.
func TestTimerRefusedAlarm(t *testing.T) {
	n, e := TimerFD(unix.CLOCK_BOOTTIME_ALARM)
	if e == syscall.EPERM {
		t.Skip("needs wake_alarm: the process doesn't have CAP_WAKE_ALARM")
	}
	if e != 0 {
		t.Fatal(e)
	}
	defer func() { _ = Close(n) }()
	was := noTime64.Swap(false)
	defer noTime64.Store(was)
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and end the thread with the goroutine
		h := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		var d [2]unix.CapUserData
		if err := unix.Capget(&h, &d[0]); err != nil {
			t.Error(err)
		}
		d[unix.CAP_WAKE_ALARM/32].Effective &^= 1 << (unix.CAP_WAKE_ALARM % 32)
		if err := unix.Capset(&h, &d[0]); err != nil {
			t.Error(err)
		}
		for _, s := range []Itimerspec{{Value: Timespec{Sec: 1}}, tooFar} {
			if e := TimerSet(n, 0, &s, nil); e != syscall.EPERM {
				t.Errorf("set for %v: %v", s, e)
			}
		}
	}()
	<-done
	if noTime64.Load() {
		t.Error("the refusal was taken for a missing call")
	}
	if e := TimerSet(n, 0, &tooFar, nil); e != 0 {
		t.Errorf("set for 2^31 s: %v", e)
	}
}
