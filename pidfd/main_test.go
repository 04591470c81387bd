//go:build linux

package pidfd

import (
	"context"
	"os"
	"os/exec"
	"runtime"
	"testing"

	"github.com/fildes/fildes/internal/fdtest"
	"github.com/fildes/fildes/signalfd"
)

// leads is set in the process of TestWaitThreads, whose first thread TestMain must be on.
var leads = func() bool {
	is := os.Getenv(leaderEnv) != ""
	if is {
		runtime.LockOSThread()
	}
	return is
}()

var check, wantIs, bounded = fdtest.Check, fdtest.WantIs, fdtest.Bounded

func TestMain(m *testing.M) {
	if leads {
		leader()
	}
	if r, err := signalfd.Notify(signalfd.SIGUSR1); err == nil { // whose pipe is there for the next one, for ever
		_ = r.Close()
	}
	fdtest.Main(m)
}

// A child is a process that ends as it's told.
type child struct {
	*Process
	cmd *exec.Cmd
	end func() // lets it go on to its end
}

// ending starts a child that ends in a way of [fdtest.Program] once it's let go.
func ending(t testing.TB, how string) child {
	t.Helper()
	return started(t, "end", how)
}

// started starts a child, whose input ends with the test, or before.
func started(t testing.TB, program ...string) child {
	t.Helper()
	fdtest.NeedPidfd(t)
	cmd := fdtest.Program(context.Background(), t, program...)
	in, err := cmd.StdinPipe()
	check(t, err)
	p, err := Start(cmd)
	check(t, err)
	t.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		_ = p.Close()
	})
	return child{p, cmd, func() { _ = in.Close() }}
}

// opened makes a Process that ends with the test.
func opened(t testing.TB, p *Process, err error) *Process {
	t.Helper()
	fdtest.NeedPidfd(t)
	check(t, err)
	t.Cleanup(func() { _ = p.Close() })
	return p
}

var self = os.Getpid()

func openedPID(t testing.TB, pid int) *Process {
	t.Helper()
	fdtest.NeedPidfd(t)
	p, err := Open(pid)
	return opened(t, p, err)
}
