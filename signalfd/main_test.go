//go:build linux

package signalfd

import (
	"context"
	"errors"
	"flag"
	"os"
	"os/exec"
	"runtime"
	"testing"

	"github.com/fildes/fildes/internal/fdtest"
	"github.com/fildes/fildes/internal/sys"
)

var check, wantIs, bounded = fdtest.Check, fdtest.WantIs, fdtest.Bounded

// TestMain knows the pipes that are never closed, and are there for the next Receiver. Benchmarks can't be in a child, so their process is started anew.
func TestMain(m *testing.M) {
	set := Set{} // where children of Unblock become what they are to be
	if flag.Parse(); flag.Lookup("test.bench").Value.String() != "" {
		set = SetOf(benched)
	}
	if err := BlockAndReexec(set); err != nil {
		panic(err)
	}
	fdtest.Main(m, func() (numbers []int) {
		taps.mu.Lock()
		defer taps.mu.Unlock()
		for _, p := range taps.free {
			numbers = append(numbers, int(p.in), int(p.out))
		}
		return numbers
	})
}

// needBlocked skips where /proc doesn't tell what is blocked.
func needBlocked(t testing.TB) {
	t.Helper()
	if os.Getenv("FDTEST_EXEC") != "" {
		fdtest.Need(t, "blocked_signals", "an emulator has other numbers for real-time signals, and /proc tells those")
	}
}

// blocking runs the test again in a child that has had signals blocked since it began, and says whether this is that.
func blocking(t *testing.T, set Set) bool {
	t.Helper()
	needBlocked(t)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	undo, err := sys.BlockSignals(signalSet(set))
	check(t, err)
	out, child, err := fdtest.InChild(t)
	undo()
	if child {
		return true
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return false
}

// newReceiverOf makes a Receiver of signals that are blocked, which ends with the test.
func newReceiverOf(t testing.TB, signals ...Signal) *Receiver {
	t.Helper()
	r, err := New(SetOf(signals...))
	check(t, err)
	t.Cleanup(func() { _ = r.Close() })
	return r
}

// ending are Handlers that end with the first signal.
var ending = Handlers{Default: func(Info) error { return errEnd }}

var errEnd = errors.New("that was it")

func serveOne(ctx context.Context, h fdtest.Handle) error {
	err := h.(*Receiver).Serve(ctx, ending)
	if err == errEnd {
		return nil
	}
	return err
}

// blockedIn is what the status of a thread in /proc says.
func blockedIn(status []byte) (Set, error) {
	value, _ := sys.InfoField(status, "SigBlk")
	got, err := sys.ParseSignals(value)
	return Set{got[0], got[1]}, err
}

// brief is a command that ends at once.
func brief(t testing.TB) *exec.Cmd {
	t.Helper()
	if path, err := exec.LookPath("true"); err == nil {
		return exec.Command(path)
	}
	return fdtest.Program(context.Background(), t, "true")
}
