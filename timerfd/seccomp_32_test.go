//go:build linux && (386 || arm)

package timerfd_test

import (
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes/internal/fdtest"
	"github.com/fildes/fildes/timerfd"
)

// A filter from before the calls with 64-bit times, as old Android's, must not end the program.
func TestFilterThatKills(t *testing.T) {
	out, child, err := fdtest.InChild(t)
	if !child {
		if _, why, ok := strings.Cut(out, "needs seccomp: "); ok {
			fdtest.Need(t, "seccomp", strings.SplitN(why, "\n", 2)[0])
		}
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	fdtest.Seccomp(t, fdtest.AnswerSIGSYS, unix.SYS_TIMERFD_SETTIME64, unix.SYS_TIMERFD_GETTIME64)
	tm, err := timerfd.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer tm.Close()
	if err := tm.Arm(1); err != nil {
		t.Fatal(err)
	}
	if n, err := tm.Wait(t.Context()); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	if _, _, err := tm.Remaining(); err != nil {
		t.Fatal(err)
	}
}
