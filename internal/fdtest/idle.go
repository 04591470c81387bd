//go:build linux

package fdtest

import (
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Idle sees that the process comes to rest and stays so for d: while it waits for nothing but the test's calls, it takes no more than a hundredth of the time.
func Idle(t testing.TB, d time.Duration) {
	t.Helper()
	reason := ""
	if os.Getenv("FDTEST_EXEC") != "" {
		reason = "an emulator's own work is in the process's time"
	}
	Need(t, "processor_time", reason)
	var used time.Duration
	for end := time.Now().Add(Bound); time.Now().Before(end); { // what fits is being written, and the collector works
		before := processorTime(t)
		time.Sleep(d)
		used = processorTime(t) - before
		if used <= d/100 {
			t.Logf("%v of CPU in %v", used, d)
			return
		}
	}
	t.Fatalf("waiting goes on taking %v of CPU in %v", used, d)
}

func processorTime(t testing.TB) time.Duration {
	t.Helper()
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
