// Package timerfd waits for a time, on the clock that the program chooses: timerfd_create(2).
//
// A timerfd is a timer that the kernel keeps and that becomes readable when it expires. Unlike a [time.Timer] it knows clocks that
// go on while the machine sleeps ([Boottime]), that follow the wall clock when it is set ([Realtime]) or that wake the machine
// up ([BoottimeAlarm], [RealtimeAlarm]); it counts the expirations that nobody has waited for; and it can stand in an epoll set
// beside sockets and pipes. A Wait parks a goroutine, not a thread.
//
//	t, err := timerfd.New(&timerfd.Options{Clock: timerfd.Boottime})
//	if err != nil {
//		return err
//	}
//	defer t.Close()
//	if err := t.ArmEvery(time.Minute, time.Minute); err != nil {
//		return err
//	}
//	for {
//		n, err := t.Wait(ctx) // n > 1 after a sleep of the machine, or when this loop is late
//		…
//	}
//
// # Go's timers are late after suspend, and don't notice that the clock was set
//
// The timers of package time run on CLOCK_MONOTONIC, which stands still while the machine is suspended: an hour's timer that was
// started before a night's sleep fires an hour later by that clock, eight hours late by any other. And a timer that was
// computed from the wall clock (next midnight) fires when the computed time has gone by, though the clock was set in between.
// A timer of this package does neither:
//
//   - On [Boottime] a duration is a duration, the machine's sleep included. What fell due in the sleep fires at resume.
//   - On [Realtime] [Timer.ArmAt] fires when the wall clock says so, also when it was set meanwhile. With
//     [Options].CancelOnSet, Wait fails with [ErrClockSet] as soon as the clock is set, so that the program can compute anew: a
//     calendar, a log's rotation, a clock on the screen. The package's examples show it.
//
// # What the kernel does that surprises
//
// Arming a timer anew, or disarming it, discards the expirations that nobody has waited for.
//
// A value of zero disarms a timer, even an absolute one; so here a time that is zero or has passed is one nanosecond, and fires at
// once. An interval timer that is armed with a time long past has expired as often as the interval fits in, and Wait returns all
// of that as one number: millions after a night, if the interval is a millisecond.
//
// Only the wall clock's discontinuous changes count as setting it: settimeofday, clock_settime, adjtimex with ADJ_SETOFFSET, a
// leap second; and a resume from suspend, for which the kernel corrects the difference between the clocks. The slow adjustment
// by NTP doesn't. What the kernel compares is the difference between the clocks now and when the timer was made or last told: a clock
// that is set, and set back to the nanosecond, may go unnoticed, and a setting from before the arming may be told. CancelOnSet concerns ArmAt alone:
// a relative Arm, on whichever clock, isn't affected by setting the clock and isn't cancelled. A notification that nobody has seen when a timer
// is armed that way, or disarmed, is told after the next ArmAt or not at all.
//
// When a notification comes, the expirations that nobody has waited for are gone, and an interval timer that had expired stands
// still: after [ErrClockSet] arm anew. A notification that is pending while a timer is armed makes timerfd_settime(2) fail with
// ECANCELED although it armed the timer, an accident that is kept for compatibility. Here ArmAt succeeds, and the next Wait
// tells.
//
// There is no timer slack: the kernel doesn't delay a timerfd to save wake-ups, and PR_SET_TIMERSLACK, which concerns a
// thread's sleeps, doesn't change that. The goroutine that waits is late by the time that it takes to be scheduled.
//
// # Limits
//
// A timer is one descriptor (RLIMIT_NOFILE, fs.file-max). Times reach to the year 2262 on the wall clock
// and to 292 years after boot on the others; what is later is then. The two alarm
// clocks need CAP_WAKE_ALARM in the initial user namespace, to make a timer and each time that one is armed; all else needs no
// privilege. timerfd_create(2) came with Linux 2.6.25, CancelOnSet with 3.0, the alarm clocks with 3.11, Boottime with 3.15.
//
// On 32-bit architectures the calls with 64-bit times are used, which came with Linux 5.1. Where they are missing, or a seccomp
// filter refuses them, the old ones are, and a time that these can't express (a duration or date of more than 2^31 seconds) is
// refused with an error that matches [errors.ErrUnsupported].
//
// The man pages are timerfd_create(2), clock_gettime(2), time_namespaces(7) and capabilities(7).
package timerfd
