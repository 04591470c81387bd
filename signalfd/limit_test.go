//go:build linux

package signalfd

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes/internal/fdtest"
	"github.com/fildes/fildes/internal/sys"
)

// limitPending makes RLIMIT_SIGPENDING so many: of a child, for it stays.
func limitPending(t *testing.T, n uint64) {
	t.Helper()
	var l unix.Rlimit
	check(t, unix.Getrlimit(unix.RLIMIT_SIGPENDING, &l))
	l.Cur = min(n, l.Max)
	check(t, unix.Setrlimit(unix.RLIMIT_SIGPENDING, &l))
}

func wantFull(t *testing.T, err error, limit int) {
	t.Helper()
	wantIs(t, err, syscall.EAGAIN)
	if want := fmt.Sprintf("the receiver's RLIMIT_SIGPENDING is reached, which is %d here", limit); err != nil && !strings.Contains(err.Error(), want) {
		t.Errorf("%q lacks %q", err, want)
	}
}

// At the limit no more can be queued. What kill(2) sends arrives nevertheless: of a real-time signal that it was sent, of a standard one all.
func TestPendingLimit(t *testing.T) {
	if !blocking(t, Blockable()) {
		return
	}
	r := newReceiverOf(t, SIGUSR1, SIGUSR2, RT(1), RT(2))
	self := os.Getpid()
	const queued = 100
	for k := range int32(queued) {
		check(t, Queue(self, RT(1), Value{Int: k}))
	}
	limitPending(t, queued-1) // it counts what waits for all processes of the user
	wantFull(t, Queue(self, RT(1), Value{}), queued-1)
	limitPending(t, 0)
	wantFull(t, QueueThread(self, unix.Gettid(), RT(1), Value{}), 0)
	for range 2 {
		check(t, syscall.Kill(self, syscall.Signal(RT(2))))
	}
	check(t, Queue(self, SIGUSR1, Value{Int: 5}))
	check(t, syscall.Kill(self, syscall.SIGUSR2))
	var got []string
	counted := int32(0)
	dst := make([]Info, batchSize)
	for {
		n, err := r.TryReadBatch(dst)
		check(t, err)
		if n == 0 {
			break
		}
		for _, i := range dst[:n] {
			if v, ok := i.Value(); ok {
				if i.Signal != RT(1) || v.Int != counted {
					t.Fatalf("%v, not %d", i, counted)
				}
				counted++
				continue
			}
			got = append(got, i.String())
		}
	}
	if counted != queued {
		t.Errorf("%d came of %d", counted, queued)
	}
	want := []string{"SIGUSR1: SI_USER, from process 0 of user 0", fmt.Sprintf("SIGUSR2: SI_USER, from process %d of user %d", self, os.Getuid()), "SIGRTMIN+2: SI_USER, from process 0 of user 0"}
	if strings.Join(got, "; ") != strings.Join(want, "; ") {
		t.Errorf("%q, not %q", got, want)
	}
	limitPending(t, 10_000)
	check(t, Queue(self, RT(1), Value{})) // there is room again
}

// A handler is called at the limit, too.
func TestNotifyPendingLimit(t *testing.T) {
	out, child, err := fdtest.InChild(t)
	if !child {
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	r := notify(t, Notify, RT(1), SIGUSR1)
	limitPending(t, 0)
	wantFull(t, Queue(os.Getpid(), RT(1), Value{Int: 1}), 0)
	for _, c := range []struct {
		sig Signal
		pid int
	}{{RT(1), 0}, {SIGUSR1, os.Getpid()}} {
		check(t, syscall.Kill(os.Getpid(), syscall.Signal(c.sig)))
		i := next(t, r)
		if pid, _, ok := i.Sender(); i.Signal != c.sig || i.Code != User || pid != c.pid || !ok {
			t.Error(i)
		}
	}
}

// Of a standard signal that waits there is one, whoever is told; of a real-time one there are all.
func TestCoalesced(t *testing.T) {
	first, second := notify(t, Notify, SIGUSR1, RT(21)), notify(t, Notify, SIGUSR1, RT(21))
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	set := SetOf(SIGUSR1, RT(21))
	undo, err := sys.BlockSignals(sys.SignalSet{set.low, set.high})
	check(t, err)
	for k := range int32(5) {
		err = errors.Join(err, QueueThread(os.Getpid(), unix.Gettid(), SIGUSR1, Value{Int: k}), QueueThread(os.Getpid(), unix.Gettid(), RT(21), Value{Int: k}))
	}
	undo()
	check(t, err)
	for _, r := range []*Receiver{first, second} {
		seen := make(map[Signal][]int32)
		for range 6 {
			i := next(t, r)
			v, _ := i.Value()
			seen[i.Signal] = append(seen[i.Signal], v.Int)
		}
		// One thread handles them, so that their order is known: from the last to the first if all come at once.
		if n, err := r.TryReadBatch(make([]Info, 1)); n != 0 || err != nil || len(seen[RT(21)]) != 5 || len(seen[SIGUSR1]) != 1 || seen[SIGUSR1][0] != 0 {
			t.Error(n, err, seen)
		}
	}
}
