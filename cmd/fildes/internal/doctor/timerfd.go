//go:build linux

package doctor

import (
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes/cmd/fildes/internal/host"
	"github.com/fildes/fildes/timerfd"
)

var timerfdKind = Kind{
	Name:         "timerfd",
	About:        "a timer: timerfd_create(2)",
	Capabilities: []host.Capability{unix.CAP_WAKE_ALARM, unix.CAP_SYS_TIME},
	Checks: []Check{
		{Name: "monotonic", What: "Monotonic: arm, wait for the expiry", Run: timerfdExpire(timerfd.Monotonic, unix.CLOCK_MONOTONIC)},
		{Name: "realtime", What: "Realtime: arm, wait for the expiry", Run: timerfdExpire(timerfd.Realtime, unix.CLOCK_REALTIME)},
		{Name: "boottime", What: "Boottime: arm, wait for the expiry", Run: timerfdExpire(timerfd.Boottime, unix.CLOCK_BOOTTIME)},
		{Name: "realtime-alarm", What: "RealtimeAlarm: arm, wait for the expiry", Needs: unix.CAP_WAKE_ALARM, Run: timerfdExpire(timerfd.RealtimeAlarm, unix.CLOCK_REALTIME_ALARM)},
		{Name: "boottime-alarm", What: "BoottimeAlarm: arm, wait for the expiry", Needs: unix.CAP_WAKE_ALARM, Run: timerfdExpire(timerfd.BoottimeAlarm, unix.CLOCK_BOOTTIME_ALARM)},
		{Name: "every", What: "expire regularly, wait for 3 expiries", Run: timerfdEvery},
		{Name: "cancel-on-set", What: "CancelOnSet: arm, ask how long", Run: timerfdCancelOnSet},
		{Name: "set-ticks", What: "restore a number of expirations", Run: timerfdSetTicks},
	},
}

// timer makes a timer that the trial closes.
func (t *Trial) timer(opts *timerfd.Options) (*timerfd.Timer, error) {
	tm, err := timerfd.New(opts)
	if err == nil {
		t.Cleanup(func() { _ = tm.Close() })
	}
	return tm, err
}

func (t *Trial) rawTimer(clock, flags int) (int, error) {
	n, err := unix.TimerfdCreate(clock, flags|unix.TFD_CLOEXEC)
	return n, t.own(os.NewSyscallError("timerfd_create", err), n)
}

// rawArm arms a timer for now, and then every interval.
func rawArm(n int, interval time.Duration) error {
	s := unix.ItimerSpec{Value: unix.NsecToTimespec(1), Interval: unix.NsecToTimespec(int64(interval))}
	return os.NewSyscallError("timerfd_settime", unix.TimerfdSettime(n, 0, &s, nil))
}

func timerfdExpire(clock timerfd.Clock, id int) func(*Trial) error {
	return func(t *Trial) error {
		tm, err := t.timer(&timerfd.Options{Clock: clock})
		if err != nil {
			return err
		}
		raw, err := t.rawTimer(id, 0)
		if err != nil {
			return err
		}
		t.Step("wait until the timer expires")
		return t.Measure(func() error {
			if err := tm.Arm(0); err != nil {
				return err
			}
			n, err := tm.Wait(t.ctx)
			if err != nil {
				return err
			}
			return want("the number of expirations", n, 1)
		}, func() error {
			if err := rawArm(raw, 0); err != nil {
				return err
			}
			_, err := rawTake(raw)
			return err
		})
	}
}

func timerfdEvery(t *Trial) error {
	tm, err := t.timer(nil)
	if err != nil {
		return err
	}
	raw, err := t.rawTimer(unix.CLOCK_MONOTONIC, 0)
	if err != nil {
		return err
	}
	const interval = 20 * time.Microsecond
	t.Step("wait until the timer has expired three times")
	return t.Measure(func() error {
		if err := tm.ArmEvery(0, interval); err != nil {
			return err
		}
		for n := uint64(0); n < 3; {
			k, err := tm.Wait(t.ctx)
			if err != nil {
				return err
			}
			n += k
		}
		return tm.Disarm()
	}, func() error {
		if err := rawArm(raw, interval); err != nil {
			return err
		}
		for n := uint64(0); n < 3; {
			k, err := rawTake(raw)
			if err != nil {
				return err
			}
			n += k
		}
		return os.NewSyscallError("timerfd_settime", unix.TimerfdSettime(raw, 0, &unix.ItimerSpec{}, nil))
	})
}

// timerfdCancelOnSet arms only: it leaves the clock alone.
func timerfdCancelOnSet(t *Trial) error {
	tm, err := t.timer(&timerfd.Options{Clock: timerfd.Realtime, CancelOnSet: true})
	if err != nil {
		return err
	}
	raw, err := t.rawTimer(unix.CLOCK_REALTIME, unix.TFD_NONBLOCK)
	if err != nil {
		return err
	}
	at := time.Now().Add(time.Hour)
	s := unix.ItimerSpec{Value: unix.NsecToTimespec(at.UnixNano())}
	return t.Measure(func() error {
		if err := tm.ArmAt(at, 0); err != nil {
			return err
		}
		left, _, err := tm.Remaining()
		if err == nil && left <= 0 {
			err = fmt.Errorf("a timer that is due in an hour has %v left", left)
		}
		return err
	}, func() error {
		const cancelOnSet = 1 << 1 // TFD_TIMER_CANCEL_ON_SET
		err := unix.TimerfdSettime(raw, unix.TFD_TIMER_ABSTIME|cancelOnSet, &s, nil)
		if err != nil && err != unix.ECANCELED { // then somebody has set the clock, and the timer is armed
			return os.NewSyscallError("timerfd_settime", err)
		}
		var cur unix.ItimerSpec
		return os.NewSyscallError("timerfd_gettime", unix.TimerfdGettime(raw, &cur))
	})
}

func timerfdSetTicks(t *Trial) error {
	tm, err := t.timer(nil)
	if err != nil {
		return err
	}
	t.Step("wait for the expirations that were restored")
	return t.Measure(func() error {
		if err := tm.SetTicks(7); err != nil {
			return err
		}
		n, err := tm.Wait(t.ctx)
		if err != nil {
			return err
		}
		return want("the number of expirations", n, 7)
	}, nil)
}
