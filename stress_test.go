//go:build linux

package fildes_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes"
	"github.com/fildes/fildes/eventfd"
	"github.com/fildes/fildes/internal/fdtest"
	"github.com/fildes/fildes/timerfd"
)

// stressTime is how long the stress tests run: FILDES_STRESS=30s.
func stressTime(t testing.TB) time.Duration {
	t.Helper()
	s := os.Getenv("FILDES_STRESS")
	if s == "" {
		return time.Duration(fdtest.Rounds(2000)) * time.Millisecond
	}
	d, err := time.ParseDuration(s)
	check(t, err)
	return d
}

// shortly is a context that ends at any moment of the next fraction of a millisecond, or not at all.
func shortly(ctx context.Context) (context.Context, context.CancelFunc) {
	switch rand.IntN(4) {
	case 0:
		return ctx, func() {}
	case 1:
		return context.WithTimeout(ctx, time.Duration(rand.IntN(300))*time.Microsecond)
	}
	ctx, cancel := context.WithCancel(ctx)
	t := time.AfterFunc(time.Duration(rand.IntN(300))*time.Microsecond, cancel)
	return ctx, func() { t.Stop(); cancel() }
}

// ended says whether an operation may fail this way while contexts end and deadlines move.
func ended(err error) bool {
	return err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded)
}

// Goroutines that wait, cancel, move deadlines and close: nothing is lost, nothing hangs, nothing is left behind.
func TestStress(t *testing.T) {
	end := time.Now().Add(stressTime(t))
	for round := 0; time.Now().Before(end); round++ {
		c := fdtest.Go(t, func() error {
			if round%2 == 0 {
				stressCounter(t, round%4 == 0)
			} else {
				stressStream(t, round%4 == 1)
			}
			return nil
		})
		check(t, c.Err())
		if t.Failed() {
			return
		}
	}
}

const stressRound = 50 * time.Millisecond

func stressCounter(t *testing.T, closing bool) {
	c, err := eventfd.New(nil)
	check(t, err)
	defer c.Close()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var added, taken atomic.Uint64
	var adders, takers sync.WaitGroup
	run := func(wg *sync.WaitGroup, op func(ctx context.Context) error) {
		wg.Go(func() {
			for ctx.Err() == nil {
				short, cancel := shortly(ctx)
				err := op(short)
				cancel()
				if errors.Is(err, os.ErrClosed) && closing {
					return
				}
				if !ended(err) {
					t.Error(err)
					return
				}
			}
		})
	}
	for range 4 {
		run(&takers, func(ctx context.Context) error {
			n, err := c.Wait(ctx)
			taken.Add(n)
			return err
		})
		run(&adders, func(ctx context.Context) error {
			n := uint64(rand.IntN(3))
			if rand.IntN(50) == 0 {
				n = eventfd.Max / 2 // full, now and then
			}
			err := c.Add(ctx, n)
			if err == nil {
				added.Add(n)
			}
			return err
		})
	}
	timer := time.AfterFunc(stressRound, stop)
	defer timer.Stop()
	if closing {
		<-time.After(time.Duration(rand.IntN(int(stressRound))))
		check(t, c.Close())
	}
	adders.Wait()
	takers.Wait()
	if closing {
		return
	}
	n, _, err := c.TryWait()
	check(t, err)
	if got := taken.Load() + n; got != added.Load() { // both wrap around alike
		t.Errorf("added %d, taken %d", added.Load(), got)
	}
}

func stressStream(t *testing.T, closing bool) {
	r, w := pipe(t)
	ctx, stop := context.WithTimeout(t.Context(), stressRound)
	defer stop()
	var moving, writing, reading sync.WaitGroup
	for _, f := range []*fildes.FD{r, w} {
		moving.Go(func() {
			for ctx.Err() == nil {
				var at time.Time
				if rand.IntN(3) > 0 {
					at = time.Now().Add(time.Duration(rand.IntN(400)-50) * time.Microsecond)
				}
				if err := f.SetDeadline(at); err != nil {
					if !closing || !errors.Is(err, os.ErrClosed) {
						t.Error(err)
					}
					return
				}
			}
			if err := f.SetDeadline(time.Time{}); err != nil && !(closing && errors.Is(err, os.ErrClosed)) {
				t.Error(err)
			}
		})
	}
	var wrote int
	writing.Go(func() {
		for ctx.Err() == nil {
			b := make([]byte, rand.IntN(100000))
			for i := range b {
				b[i] = byte((wrote + i) % 251)
			}
			short, cancel := shortly(ctx)
			n, err := w.WriteContext(short, b)
			cancel()
			wrote += n
			if closing && (errors.Is(err, os.ErrClosed) || errors.Is(err, unix.EPIPE)) {
				return
			}
			if !ended(err) {
				t.Error(err)
			}
		}
	})
	var read int
	finished := make(chan struct{})
	reading.Go(func() {
		b := make([]byte, 10000)
		for {
			short, cancel := shortly(t.Context())
			n, err := r.ReadContext(short, b)
			cancel()
			for i := range n {
				if b[i] != byte((read+i)%251) {
					t.Errorf("byte %d is another", read+i)
					return
				}
			}
			read += n
			select {
			case <-finished:
				if err == io.EOF {
					return
				}
			default:
			}
			if closing && errors.Is(err, os.ErrClosed) {
				return
			}
			if err != io.EOF && !ended(err) {
				t.Error(err)
				return
			}
		}
	})
	if closing {
		<-time.After(time.Duration(rand.IntN(int(stressRound))))
		check(t, r.Close())
		check(t, w.Close())
	}
	writing.Wait()
	moving.Wait()
	close(finished)
	if !closing {
		check(t, w.Close())
	}
	reading.Wait()
	if !closing && read != wrote {
		t.Errorf("wrote %d, read %d", wrote, read)
	}
}

// 10,000 goroutines wait for 10,000 descriptors, and no thread does.
func TestManyWaiters(t *testing.T) {
	n := 5000 // of each kind
	switch {
	case testing.Short():
		n = 200
	case fdtest.Race:
		n = 2000 // the race detector has room for 8,128 goroutines
	}
	var was unix.Rlimit
	check(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &was))
	if was.Max < uint64(2*n+100) {
		fdtest.Need(t, "nofile", fmt.Sprintf("the hard limit RLIMIT_NOFILE is too low for %d descriptors", 2*n))
	}
	high := was
	high.Cur = was.Max
	check(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &high))
	defer func() { check(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &was)) }()
	var counters []*eventfd.Counter
	var timers []*timerfd.Timer
	var wg sync.WaitGroup
	for range n {
		c, err := eventfd.New(nil)
		check(t, err)
		defer c.Close()
		counters = append(counters, c)
		tm, err := timerfd.New(nil)
		check(t, err)
		defer tm.Close()
		timers = append(timers, tm)
		wg.Go(func() {
			if k, err := c.Wait(t.Context()); k != 1 || err != nil {
				t.Error(k, err)
			}
		})
		wg.Go(func() {
			if k, err := tm.Wait(t.Context()); k != 1 || err != nil {
				t.Error(k, err)
			}
		})
	}
	for end := time.Now().Add(fdtest.Bound); ; {
		parked := 0
		for _, g := range fdtest.Goroutines() {
			if g.State == "IO wait" {
				parked++
			}
		}
		if parked >= 2*n {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("%d of %d goroutines wait", parked, 2*n)
		}
		time.Sleep(10 * time.Millisecond) // looking at so many is work
	}
	if k := threads(t); k >= 20 {
		t.Errorf("%d threads while %d goroutines wait", k, 2*n)
	}
	for i := range n {
		check(t, counters[i].Add(t.Context(), 1))
		check(t, timers[i].Arm(0))
	}
	wg.Wait()
	k := threads(t)
	t.Logf("%d goroutines on %d threads", 2*n, k)
	if k >= 20 {
		t.Errorf("%d threads after %d goroutines waited", k, 2*n)
	}
}

func threads(t testing.TB) int {
	t.Helper()
	d, err := os.ReadDir("/proc/self/task")
	check(t, err)
	return len(d)
}
