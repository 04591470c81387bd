//go:build linux

package probe_test

import (
	"os"
	"os/signal"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes/internal/fdtest"
	"github.com/fildes/fildes/internal/probe"
	"github.com/fildes/fildes/internal/sys"
)

func TestMain(m *testing.M) { fdtest.Main(m) }

func TestMissing(t *testing.T) {
	if probe.Missing(unix.SYS_EPOLL_CTL) {
		t.Error("epoll_ctl is missing")
	}
	if !probe.Missing(9999) {
		t.Error("there is a system call 9999")
	}
}

func TestMissingUnderSeccomp(t *testing.T) {
	for name, answer := range map[string]uint32{
		"SIGSYS": fdtest.AnswerSIGSYS,
		"EPERM":  fdtest.AnswerErrno(unix.EPERM),
		"ENOSYS": fdtest.AnswerErrno(unix.ENOSYS),
	} {
		t.Run(name, func(t *testing.T) {
			if name == "SIGSYS" && !sys.Guards {
				fdtest.Need(t, "guard", "a handler of SIGSYS, which internal/sys doesn't have for "+runtime.GOARCH)
			}
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
			fdtest.Seccomp(t, answer, unix.SYS_TIMERFD_GETTIME)
			for range 100 {
				if !probe.Missing(unix.SYS_TIMERFD_GETTIME) {
					t.Fatal("what the filter refuses isn't missing")
				}
			}
			if probe.Missing(unix.SYS_TIMERFD_SETTIME) {
				t.Error("what the filter allows is missing")
			}
			if name != "SIGSYS" {
				return
			}
			// The runtime's handler is back.
			c := make(chan os.Signal, 1)
			signal.Notify(c, unix.SIGSYS)
			if err := unix.Kill(unix.Getpid(), unix.SIGSYS); err != nil {
				t.Fatal(err)
			}
			<-c
		})
	}
}
