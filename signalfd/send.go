//go:build linux

package signalfd

import (
	"math"
	"slices"

	"github.com/fildes/fildes/internal/sys"
)

// Queue sends a signal with a value to a process: rt_sigqueueinfo(2), as sigqueue(3) does. The receiver is told this process and its real user. It fails with EAGAIN if as many signals wait as RLIMIT_SIGPENDING allows
// the receiver's user (but a signal that isn't [Signal.RealTime] is sent even then, without the value and the sender), with ESRCH if there is no such process, and with EPERM if it isn't one that this may signal (CAP_KILL). Of the value the Pointer is sent if it isn't 0, else Int.
//
// The number may belong to another process by now: a child's that hasn't been waited for doesn't.
func Queue(pid int, sig Signal, value Value) error {
	info, err := queued(sig, value, pid)
	if err == nil {
		err = sys.QueueSignal(pid, int(sig), &info)
	}
	return fail("queue", err)
}

// QueueThread is [Queue] to a thread of a process: rt_tgsigqueueinfo(2).
func QueueThread(pid, tid int, sig Signal, value Value) error {
	info, err := queued(sig, value, pid, tid)
	if err == nil {
		err = sys.QueueThreadSignal(pid, tid, int(sig), &info)
	}
	return fail("queue-thread", err)
}

// queued is the siginfo_t of a signal that is sent.
func queued(sig Signal, value Value, to ...int) ([recordSize]byte, error) {
	switch {
	case slices.ContainsFunc(to, func(n int) bool { return n <= 0 || n > math.MaxInt32 }):
		return [recordSize]byte{}, invalid("processes and threads have numbers from 1 to 2147483647")
	case sig < 0 || sig > Last:
		return [recordSize]byte{}, invalid("there is no such signal here: " + sig.String())
	case value.Pointer>>32 != 0 && !native.has(wide):
		return [recordSize]byte{}, invalid("a pointer has 32 bits here")
	}
	return sys.QueuedInfo(int(sig), value.Int, value.Pointer), nil
}
