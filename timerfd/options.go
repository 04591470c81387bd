//go:build linux

package timerfd

// Options are the options of [New]; nil means the zero value, which is a timer on [Monotonic].
type Options struct {
	// Clock is what the timer runs on.
	Clock Clock
	// CancelOnSet makes [Timer.Wait] fail with [ErrClockSet] when the wall clock is set while the timer is armed by
	// [Timer.ArmAt]: TFD_TIMER_CANCEL_ON_SET. A relative Arm isn't concerned. Only [Realtime] and [RealtimeAlarm] have it.
	CancelOnSet bool
}
