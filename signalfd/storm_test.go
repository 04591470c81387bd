//go:build linux

package signalfd

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/pprof"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes/internal/fdtest"
)

// stormEnv says how long a storm lasts.
const stormEnv = "FILDES_STORM"

func stormTime(t *testing.T) time.Duration {
	t.Helper()
	if text := os.Getenv(stormEnv); text != "" {
		d, err := time.ParseDuration(text)
		check(t, err)
		return d
	}
	return time.Duration(fdtest.Rounds(int(2 * time.Second)))
}

// weather is what goes on meanwhile: the collector, timers, threads, forks and a CPU profile. It ends with done, and says what it was.
type weather struct {
	wg                         sync.WaitGroup
	collections, timers, forks atomic.Int64
}

func (w *weather) begin(t *testing.T, done <-chan struct{}) {
	again := func(n *atomic.Int64, do func()) {
		w.wg.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
					do()
					n.Add(1)
				}
			}
		})
	}
	again(&w.collections, func() {
		runtime.GC()
		time.Sleep(time.Millisecond) // the others are to run too
	})
	again(&w.timers, func() {
		fired := make(chan struct{})
		time.AfterFunc(100*time.Microsecond, func() { close(fired) })
		<-fired
	})
	again(&w.forks, func() {
		if err := brief(t).Run(); err != nil {
			t.Error(err)
		}
	})
	if err := pprof.StartCPUProfile(io.Discard); err == nil { // the test binary may have its own
		t.Cleanup(pprof.StopCPUProfile)
	}
}

func (w *weather) String() string {
	return fmt.Sprintf("%d collections, %d timers, %d processes", w.collections.Load(), w.timers.Load(), w.forks.Load())
}

// A queuer sends one value after another as fast as it may: the reader is at most this many behind.
type queuer struct {
	sig      Signal
	ahead    int32
	sent     atomic.Int32
	received atomic.Int32
}

func (q *queuer) run(t *testing.T, done <-chan struct{}) {
	for {
		select {
		case <-done:
			return
		default:
		}
		k := q.sent.Load()
		if k-q.received.Load() >= q.ahead {
			runtime.Gosched()
			continue
		}
		if err := Queue(os.Getpid(), q.sig, Value{Int: k}); err != nil {
			t.Error(err)
			return
		}
		q.sent.Add(1)
	}
}

// storm sends for a while, and has each signal that is read looked at, until all are there.
func storm(t *testing.T, r *Receiver, d time.Duration, queuers map[Signal]*queuer, besides func(), look func(Info)) (batches int) {
	t.Helper()
	done := make(chan struct{})
	var w weather
	w.begin(t, done)
	for _, q := range queuers {
		w.wg.Go(func() { q.run(t, done) })
	}
	w.wg.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
				besides()
			}
		}
	})
	ended := make(chan struct{})
	began := time.Now()
	time.AfterFunc(d, func() {
		close(done)
		w.wg.Wait()
		close(ended)
		raise(t, SIGUSR1) // for whom there is nothing any more
	})
	dst := make([]Info, batchSize)
	for {
		n, err := r.ReadBatch(t.Context(), dst)
		check(t, err)
		batches++
		for _, i := range dst[:n] {
			if q := queuers[i.Signal]; q != nil {
				q.received.Add(1)
			}
			look(i)
		}
		select {
		case <-ended:
		default:
			continue
		}
		left := int32(0)
		for _, q := range queuers {
			left += q.sent.Load() - q.received.Load()
		}
		if left == 0 {
			took := time.Since(began)
			total := int32(0)
			for _, q := range queuers {
				total += q.received.Load()
			}
			t.Logf("%d values in %v (%.0f a second, %.1f at once), %v", total, took.Round(time.Millisecond), float64(total)/took.Seconds(), float64(total)/float64(batches), &w)
			return batches
		}
	}
}

// At full speed, none is lost as long as the reader isn't further behind than a pipe is deep, and each is told once.
func TestStormNotify(t *testing.T) {
	r := notify(t, Notify, RT(14), RT(15), SIGUSR1)
	observer := notify(t, Observe, SIGWINCH)
	queuers := map[Signal]*queuer{RT(14): {sig: RT(14), ahead: int32(fdtest.Rounds(2000))}, RT(15): {sig: RT(15), ahead: int32(fdtest.Rounds(2000))}}
	seen := map[Signal][]uint64{}
	var standard, kills atomic.Int64
	storm(t, r, stormTime(t), queuers, func() {
		if err := unix.Kill(os.Getpid(), unix.SIGUSR1); err != nil {
			t.Error(err)
		}
		kills.Add(1)
		_ = unix.Kill(os.Getpid(), unix.SIGWINCH)
		time.Sleep(50 * time.Microsecond) // more than 8,192 would be too many
	}, func(i Info) {
		v, ok := i.Value()
		switch {
		case i.Lost() > 0:
			t.Fatal(i)
		case i.Signal == SIGUSR1:
			standard.Add(1)
		case !ok:
			t.Fatal(i)
		default:
			for len(seen[i.Signal]) <= int(v.Int)/64 {
				seen[i.Signal] = append(seen[i.Signal], 0)
			}
			if word := &seen[i.Signal][v.Int/64]; *word>>(v.Int%64)&1 != 0 {
				t.Fatalf("twice: %v", i)
			} else {
				*word |= 1 << (v.Int % 64)
			}
		}
	})
	if n := standard.Load(); n == 0 || n > kills.Load()+1 {
		t.Errorf("%d of %d standard signals", n, kills.Load())
	}
	if n, err := r.Lost(); n != 0 || err != nil {
		t.Error(n, err)
	}
	raise(t, SIGWINCH) // a slow machine may not have come to that yet
	if i := next(t, observer); i.Signal != SIGWINCH {
		t.Error(i)
	}
	t.Logf("%d of %d standard signals", standard.Load(), kills.Load())
}

// New keeps the order, and coalesces what is standard.
func TestStormNew(t *testing.T) {
	if !blocking(t, Blockable()) {
		return
	}
	r := newReceiverOf(t, RT(14), RT(15), SIGUSR1)
	queuers := map[Signal]*queuer{RT(14): {sig: RT(14), ahead: int32(fdtest.Rounds(2000))}, RT(15): {sig: RT(15), ahead: int32(fdtest.Rounds(2000))}}
	after := map[Signal]int32{}
	storm(t, r, min(stormTime(t), fdtest.Bound), queuers, func() {
		if err := unix.Kill(os.Getpid(), unix.SIGUSR1); err != nil {
			t.Error(err)
		}
		time.Sleep(50 * time.Microsecond)
	}, func(i Info) {
		if i.Signal == SIGUSR1 {
			return
		}
		if v, ok := i.Value(); !ok || v.Int != after[i.Signal] {
			t.Fatalf("%v, not %d", i, after[i.Signal])
		}
		after[i.Signal]++
	})
}
