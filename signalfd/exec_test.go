//go:build linux

package signalfd

import (
	"maps"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes/internal/fdtest"
	"github.com/fildes/fildes/internal/sys"
)

// dispositions are what a child starts with.
func dispositions(t *testing.T) map[string]Set {
	t.Helper()
	out, err := exec.Command(fdtest.NeedProgram(t, "cat"), "/proc/self/status").Output() // a Go program has handlers of its own
	check(t, err)
	found := make(map[string]Set)
	for _, name := range []string{"SigBlk", "SigIgn", "SigCgt"} {
		value, ok := sys.InfoField(out, name)
		if !ok {
			t.Fatalf("no %s in %s", name, out)
		}
		got, err := sys.ParseSignals(value)
		check(t, err)
		found[name] = Set{got[0], got[1]}
	}
	return found
}

// Whatever has a handler, a child starts as it would without. Only what was ignored isn't any more, as with os/signal.Notify: execve(2) makes the default of a handler.
func TestChildrenUnchanged(t *testing.T) {
	before := dispositions(t)
	var handled, others []Signal
	for sig := range All().Difference(Reserved()).Signals() {
		if sys.Handled(int(sig)) {
			handled = append(handled, sig)
		} else {
			others = append(others, sig)
		}
	}
	observer := notify(t, Observe, handled...)
	if got := dispositions(t); !maps.Equal(got, before) {
		t.Errorf("%v, and %v before", got, before)
	}
	owner, rest := notify(t, Notify, handled...), notify(t, Notify, others...)
	open := maps.Clone(before)
	open["SigIgn"] = before["SigIgn"].Difference(SetOf(others...))
	if got := dispositions(t); !maps.Equal(got, open) {
		t.Errorf("%v, and not %v", got, open)
	}
	for _, r := range []*Receiver{owner, observer, rest} {
		check(t, r.Close())
	}
	if got := dispositions(t); !maps.Equal(got, before) {
		t.Errorf("%v, and %v before", got, before)
	}
}

// What is blocked for New is blocked in children too, as documented.
func TestChildrenBlocked(t *testing.T) {
	set := SetOf(SIGUSR1, RT(1))
	if !blocking(t, set) {
		return
	}
	newReceiverOf(t, SIGUSR1, RT(1))
	if got := dispositions(t)["SigBlk"]; got.Intersection(set) != set {
		t.Errorf("blocked: %v", got)
	}
}

// unhandled has no handler of Go's, so that Go leaves ours in a child until that calls execve, and is ignored by default.
const unhandled = SIGCONT

// A signal reaches the child while it still has our handler, and the parent's memory: it signals itself, where it finds that its parent isn't the one that it was started by,
// and in a pid namespace of its own it sees none.
func TestForkWindow(t *testing.T) {
	fdtest.NeedRoot(t)
	if os.Getenv("FDTEST_EXEC") != "" {
		fdtest.Need(t, "pid_namespaces", "an emulator starts no child in one")
	}
	if os.Getpid() == 1 {
		t.Skip("the child has the same number")
	}
	r := notify(t, Notify, unhandled)
	for range 10 {
		cmd := brief(t)
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWPID, Pdeathsig: syscall.Signal(unhandled)}
		err := cmd.Run()
		if cmd.Process == nil {
			fdtest.Need(t, "pid_namespaces", err.Error())
		}
		check(t, err)
	}
	check(t, Queue(os.Getpid(), unhandled, Value{Int: 1}))
	if i := next(t, r); i.Code != Queued {
		t.Errorf("a child has written: %v", i)
	}
}

// A signal to the process group reaches children at whatever point: each is told once.
func TestForkStorm(t *testing.T) {
	out, child, err := fdtest.InChild(t)
	if !child {
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	check(t, syscall.Setpgid(0, 0))
	r := notify(t, Notify, unhandled)
	starts := fdtest.Rounds(300)
	if testing.Short() {
		starts = 3
	}
	var started [2]*fdtest.Caller
	for k := range started {
		started[k] = fdtest.Go(t, func() error {
			for range starts {
				if err := brief(t).Run(); err != nil {
					return err
				}
			}
			return nil
		})
	}
	sent := 0
	for ; !started[0].Done() || !started[1].Done(); sent++ {
		check(t, syscall.Kill(0, syscall.Signal(unhandled)))
		if i := next(t, r); i.Code != User || i.Lost() != 0 {
			t.Fatal(i)
		}
	}
	for _, c := range started {
		check(t, c.Err())
	}
	if n, err := r.TryReadBatch(make([]Info, 1)); n != 0 || err != nil {
		t.Errorf("more than the %d that were sent: %v", sent, err)
	}
	t.Logf("%d signals, %d processes", sent, 2*starts)
}
