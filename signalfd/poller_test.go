//go:build linux

package signalfd

import (
	"os"
	"testing"

	"github.com/fildes/fildes/epoll"
)

// A set of epoll(7) tells of a Receiver as long as there are signals.
func inPoller(t *testing.T, r *Receiver, sig Signal) {
	t.Helper()
	p, err := epoll.New[string](nil)
	check(t, err)
	defer p.Close()
	registration, err := p.Add(r, epoll.Readable, "signals")
	check(t, err)
	evs := make([]epoll.Event[string], 2)
	for k := range int32(3) {
		for range 2 {
			check(t, Queue(os.Getpid(), sig, Value{Int: k}))
		}
		for range 2 {
			n, err := p.Wait(bounded(t), evs)
			check(t, err)
			if n != 1 || evs[0].Value != "signals" || !evs[0].Events.Has(epoll.Readable) {
				t.Fatal(n, evs)
			}
			i := next(t, r)
			if v, _ := i.Value(); v.Int != k {
				t.Fatalf("%v, not %d", i, k)
			}
		}
		if n, err := r.TryReadBatch(make([]Info, 1)); n != 0 || err != nil {
			t.Fatal(n, err)
		}
	}
	check(t, registration.Remove())
	check(t, Queue(os.Getpid(), sig, Value{Int: 9})) // the Receiver goes on without it
	if v, _ := next(t, r).Value(); v.Int != 9 {
		t.Error(v)
	}
}

func TestInPoller(t *testing.T) {
	if blocking(t, SetOf(RT(1))) {
		inPoller(t, newReceiverOf(t, RT(1)), RT(1))
	}
}

func TestNotifyInPoller(t *testing.T) {
	inPoller(t, notify(t, Notify, RT(20)), RT(20))
}
