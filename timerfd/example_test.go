//go:build linux

package timerfd_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/fildes/fildes/timerfd"
)

// A ticker that counts the time in which the machine sleeps, and says how many ticks went by.
func Example() {
	t, err := timerfd.New(&timerfd.Options{Clock: timerfd.Boottime})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer t.Close()
	const interval = 5 * time.Millisecond
	if err := t.ArmEvery(interval, interval); err != nil {
		fmt.Println(err)
		return
	}
	var ticks uint64
	for ticks < 3 {
		n, err := t.Wait(context.Background())
		if err != nil {
			fmt.Println(err)
			return
		}
		ticks += n // after a night's sleep, all of the night's ticks at once
	}
	fmt.Println("three ticks or more")
	// Output: three ticks or more
}

// A job that runs at round times of the wall clock, whatever is done to the clock, and also if the machine slept.
func Example_calendar() {
	t, err := timerfd.New(&timerfd.Options{Clock: timerfd.Realtime, CancelOnSet: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer t.Close()
	const every = 10 * time.Millisecond // time.Hour, say
	for runs := 0; runs < 3; {
		next := time.Now().Truncate(every).Add(every)
		if err := t.ArmAt(next, 0); err != nil {
			fmt.Println(err)
			return
		}
		switch _, err := t.Wait(context.Background()); {
		case errors.Is(err, timerfd.ErrClockSet):
			continue // somebody has set the clock, or the machine has slept: which is the next round time now?
		case err != nil:
			fmt.Println(err)
			return
		}
		runs++
		fmt.Println("run", runs)
	}
	// Output:
	// run 1
	// run 2
	// run 3
}

// To be told of nothing but that the clock was set, arm for a time that doesn't come.
func Example_clockSet() {
	t, err := timerfd.New(&timerfd.Options{Clock: timerfd.Realtime, CancelOnSet: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer t.Close()
	never := time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC)
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond) // so that the example ends
	defer cancel()
	for {
		if err := t.ArmAt(never, 0); err != nil {
			fmt.Println(err)
			return
		}
		_, err := t.Wait(ctx)
		if !errors.Is(err, timerfd.ErrClockSet) {
			fmt.Println(errors.Is(err, context.DeadlineExceeded))
			return
		}
		// draw the clock anew
	}
	// Output: true
}

// SwapDisarm stops a timer and tells how long it had to go, so that it can go on later.
func ExampleTimer_SwapDisarm() {
	t, err := timerfd.New(nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer t.Close()
	if err := t.Arm(time.Hour); err != nil {
		fmt.Println(err)
		return
	}
	paused, err := t.SwapDisarm()
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(paused.Left.Round(time.Minute))
	if err := t.Arm(paused.Left); err != nil {
		fmt.Println(err)
	}
	// Output: 1h0m0s
}
