//go:build linux

package ops

import (
	"errors"
	"runtime"

	"golang.org/x/sys/unix"
)

// twoCores returns two of the cores that this process may use.
func twoCores() (a, b int) {
	var all unix.CPUSet
	check(unix.SchedGetaffinity(0, &all))
	if all.Count() < 2 {
		fail(errors.New("threads on cores of their own need two; this process may use one only (see taskset(1))"))
	}
	for a = 0; !all.IsSet(a); a++ {
	}
	for b = a + 1; !all.IsSet(b); b++ {
	}
	return a, b
}

// pin keeps the calling goroutine on a thread, and that on a core, until it is undone.
func pin(core int) (undo func()) {
	runtime.LockOSThread()
	var before, only unix.CPUSet
	check(unix.SchedGetaffinity(0, &before))
	only.Set(core)
	check(unix.SchedSetaffinity(0, &only))
	return func() {
		check(unix.SchedSetaffinity(0, &before))
		runtime.UnlockOSThread()
	}
}
