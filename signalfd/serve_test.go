//go:build linux

package signalfd

import (
	"errors"
	"os"
	"os/exec"
	"slices"
	"syscall"
	"testing"

	"github.com/fildes/fildes/internal/fdtest"
)

func TestServe(t *testing.T) {
	r := notify(t, Notify, SIGHUP, SIGUSR1, SIGUSR2, RT(12))
	end := errors.New("the end")
	var got []string
	say := func(what string, err error) func(Info) error {
		return func(i Info) error {
			got = append(got, what+" "+i.Signal.String())
			return err
		}
	}
	self := os.Getpid()
	h := Handlers{
		Signals:  map[Signal]func(Info) error{SIGHUP: say("own", nil), SIGUSR1: say("end", end)},
		RealTime: say("real-time", nil),
		Default:  say("default", nil),
	}
	send := func(sig Signal) {
		t.Helper()
		check(t, Queue(self, sig, Value{}))
		got = nil
	}
	for _, c := range []struct {
		sig  Signal
		want string
	}{{SIGHUP, "own SIGHUP"}, {RT(12), "real-time SIGRTMIN+12"}, {SIGUSR2, "default SIGUSR2"}} {
		send(c.sig)
		check(t, h.call(next(t, r)))
		if !slices.Equal(got, []string{c.want}) {
			t.Errorf("%q, not %q", got, c.want)
		}
	}
	send(SIGUSR1)
	if err := r.Serve(bounded(t), h); err != end {
		t.Error(err)
	}
	wantIs(t, r.Serve(bounded(t), Handlers{}), os.ErrInvalid)
	h.Unknown = say("unknown", nil)
	check(t, h.call(Info{Signal: SIGHUP, Code: 0x1000}))
	h.Lost = func(n int) error { got = append(got, "lost"); return nil }
	check(t, h.call(Info{lost: 3}))
	if want := []string{"end SIGUSR1", "unknown SIGHUP", "lost"}; !slices.Equal(got, want) {
		t.Errorf("%q, not %q", got, want)
	}
}

// The parent sees which signal has ended the process, though that was received.
func TestReraise(t *testing.T) {
	check(t, notify(t, Notify, SIGWINCH).Close())
	for _, sig := range []Signal{SIGTERM, SIGUSR1, RT(4), SIGWINCH, SIGKILL} {
		t.Run(sig.String(), func(t *testing.T) {
			_, child, err := fdtest.InChild(t)
			if child {
				if sig == SIGKILL { // as another process's State says it
					Reraise(Info{Signal: sig})
				}
				r := notify(t, Notify, sig)
				check(t, Queue(os.Getpid(), sig, Value{}))
				Reraise(next(t, r))
			}
			exit, ok := errors.AsType[*exec.ExitError](err)
			if !ok {
				t.Fatal(err)
			}
			status := exit.Sys().(syscall.WaitStatus)
			if sig == SIGWINCH {
				if status.ExitStatus() != 128+int(sig) {
					t.Error(status)
				}
			} else if !status.Signaled() || status.Signal() != syscall.Signal(sig) {
				t.Errorf("%#x", status)
			}
		})
	}
}
