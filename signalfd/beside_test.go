//go:build linux

package signalfd

import (
	"os"
	"os/signal"
	"syscall"
	"testing"

	"github.com/fildes/fildes/internal/fdtest"
	"github.com/fildes/fildes/internal/sys"
)

func raise(t *testing.T, sig Signal) {
	t.Helper()
	check(t, syscall.Kill(os.Getpid(), syscall.Signal(sig)))
}

// wantDisplaced says whether a Receiver has lost all its signals, or none.
func wantDisplaced(t *testing.T, r *Receiver, want bool) {
	t.Helper()
	all, err := r.Set()
	check(t, err)
	if !want {
		all = Set{}
	}
	if got, err := r.Displaced(); err != nil || got != all {
		t.Errorf("displaced: %v, not %v: %v", got, all, err)
	}
}

// os/signal.Notify after an Observe is told too, of a signal that Go has a handler for since the program began, and Stop and Reset change nothing for the Receiver.
func TestSignalAfter(t *testing.T) {
	r := notify(t, Observe, SIGTERM)
	told := make(chan os.Signal, 1)
	signal.Notify(told, syscall.SIGTERM)
	raise(t, SIGTERM)
	next(t, r)
	<-told
	ctx, stop := signal.NotifyContext(t.Context(), syscall.SIGTERM)
	raise(t, SIGTERM)
	next(t, r)
	<-told
	<-ctx.Done()
	stop()
	owner := notify(t, Notify, SIGTERM)
	signal.Stop(told)
	wantDisplaced(t, r, false)
	signal.Reset(syscall.SIGTERM)
	wantDisplaced(t, r, false)
	raise(t, SIGTERM) // that would end the program
	for _, r := range []*Receiver{r, owner} {
		if i := next(t, r); i.Signal != SIGTERM {
			t.Error(i)
		}
	}
	check(t, r.Close())
	wantDisplaced(t, owner, false)
	raise(t, SIGTERM)
	next(t, owner)
}

// Go sets a handler for this signal only when os/signal is asked: that takes the place of ours, until an Update.
func TestSignalTakesOver(t *testing.T) {
	out, child, err := fdtest.InChild(t) // Go's handler stays
	if !child {
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	if _, err := Observe(SIGTSTP); err == nil {
		t.Error("there is nothing that goes on")
	}
	r := notify(t, Notify, SIGTSTP)
	raise(t, SIGTSTP) // stops nothing
	next(t, r)
	told := make(chan os.Signal, 1)
	signal.Notify(told, syscall.SIGTSTP)
	wantDisplaced(t, r, true)
	raise(t, SIGTSTP)
	<-told
	check(t, r.Update(SetOf(SIGTSTP)))
	wantDisplaced(t, r, false)
	observer := notify(t, Observe, SIGTSTP)
	check(t, r.Close())
	raise(t, SIGTSTP)
	next(t, observer)
	<-told
	check(t, observer.Close())
	raise(t, SIGTSTP)
	<-told
}

// What is ignored can be had by a Notify, not by an Observe, and is ignored afterwards.
func TestSignalIgnored(t *testing.T) {
	check(t, notify(t, Notify, SIGWINCH).Close())
	signal.Ignore(syscall.SIGUSR2)
	told := make(chan os.Signal, 1)
	defer func() { // Reset alone would leave it ignored
		signal.Notify(told, syscall.SIGUSR2)
		signal.Reset(syscall.SIGUSR2)
	}()
	_, err := Observe(SIGUSR2)
	wantIs(t, err, os.ErrInvalid)
	r := notify(t, Notify, SIGUSR2)
	raise(t, SIGUSR2)
	if i := next(t, r); i.Signal != SIGUSR2 {
		t.Error(i)
	}
	if !signal.Ignored(syscall.SIGUSR2) {
		t.Error("os/signal doesn't know it any more")
	}
	o := notify(t, Observe, SIGUSR1)
	wantIs(t, o.Update(SetOf(SIGUSR1, RT(1), SIGKILL)), os.ErrInvalid)
	check(t, r.Close())
	if sys.Handled(int(SIGUSR2)) {
		t.Error("it has a handler")
	}
	raise(t, SIGUSR2) // would end the program
}

// The Receiver that is displaced by an Ignore lets that be when it is closed.
func TestSignalIgnoredSince(t *testing.T) {
	r := notify(t, Notify, SIGUSR2)
	signal.Ignore(syscall.SIGUSR2)
	told := make(chan os.Signal, 1)
	defer func() {
		signal.Notify(told, syscall.SIGUSR2)
		signal.Reset(syscall.SIGUSR2)
	}()
	wantDisplaced(t, r, true)
	check(t, r.Close())
	if sys.Handled(int(SIGUSR2)) {
		t.Error("it has a handler")
	}
	raise(t, SIGUSR2)
}
