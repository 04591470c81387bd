//go:build linux

package fd

import (
	"context"
	"errors"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes/internal/fdtest"
)

// Release and Close at once, while somebody has the number: one of them wins, and neither closes it under the other's user.
func TestReleaseAgainstClose(t *testing.T) {
	var released, closed int
	for round := range fdtest.Rounds(3000) {
		f := new(FD)
		f.Init(eventFD(t), true)
		if round%2 == 1 { // registered, so that Release gives a duplicate away
			if err := f.SetDeadline(time.Time{}, Read); err != nil {
				t.Fatal(err)
			}
		}
		inside, leave := make(chan struct{}), make(chan struct{})
		user := fdtest.Go(t, func() error {
			return f.Control(func(num int) error {
				close(inside)
				<-leave
				if !isOpen(num) {
					return errors.New("the number was closed while Control has it")
				}
				return nil
			})
		})
		<-inside
		var number int
		var errRelease, errClose error
		var wg sync.WaitGroup
		release, closing := func() { number, errRelease = f.Release() }, func() { errClose = f.Close() }
		if round%4 < 2 { // what starts last runs first, mostly
			wg.Go(release)
			wg.Go(closing)
		} else {
			wg.Go(closing)
			wg.Go(release)
		}
		for f.Check() == nil {
			runtime.Gosched()
		}
		close(leave)
		if err := user.Err(); err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		wg.Wait()
		switch {
		case errRelease == nil && errors.Is(errClose, os.ErrClosed):
			released++
			if err := unix.Close(number); err != nil {
				t.Fatalf("round %d: what was released isn't open: %v", round, err)
			}
		case errClose == nil && errors.Is(errRelease, os.ErrClosed):
			closed++
		default:
			t.Fatalf("round %d: Release %v, Close %v", round, errRelease, errClose)
		}
	}
	if released == 0 || closed == 0 {
		t.Errorf("released %d times, closed %d times: one of them was never tried", released, closed)
	}
}

// Those who queue behind a read that blocks don't read once the handle is closed.
func TestQueuedOperationsEndWithClose(t *testing.T) {
	p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(p[1])
	f := new(FD)
	f.Init(p[0], true) // blocking, as somebody else has made it
	read := func() error {
		return f.Stream(context.Background(), Read, func(num int) error {
			var b [1]byte
			_, err := unix.Read(num, b[:])
			return err
		})
	}
	first := fdtest.Go(t, read).InSyscall()
	queued := []*fdtest.Caller{fdtest.Go(t, read).Parked(), fdtest.Go(t, read).Parked()}
	closing := fdtest.Go(t, f.Close).Parked()
	if _, err := unix.Write(p[1], []byte{1}); err != nil { // for one
		t.Fatal(err)
	}
	if err := first.Err(); err != nil {
		t.Error(err)
	}
	for _, c := range queued {
		if err := c.Err(); !errors.Is(err, os.ErrClosed) {
			t.Error(err)
		}
	}
	if err := closing.Err(); err != nil {
		t.Error(err)
	}
}

// A call that is cancelled leaves the gate though somebody new is faster to enter.
func TestCancelledLeavesTheGate(t *testing.T) {
	var stuck atomic.Bool
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := 0; i < fdtest.Rounds(3000) && !stuck.Load(); i++ {
				var g gate
				_ = g.enter(context.Background())
				ctx, cancel := context.WithCancel(context.Background())
				left := make(chan struct{})
				go func() {
					defer close(left)
					if g.enter(ctx) == nil {
						g.leave()
					}
				}()
				for g.inside.Load() != 2 {
					runtime.Gosched()
				}
				entered, hold := make(chan struct{}), make(chan struct{})
				go func() {
					_ = g.enter(context.Background())
					close(entered)
					<-hold
					g.leave()
				}()
				go cancel()
				g.leave()
				<-entered
				select {
				case <-left:
				case <-time.After(fdtest.Bound):
					stuck.Store(true)
				}
				close(hold)
				<-left
			}
		})
	}
	wg.Wait()
	if stuck.Load() {
		t.Error("a cancelled call waits for whoever is inside")
	}
}

// lockedContext is a context whose Err takes a lock.
type lockedContext struct {
	context.Context
	mu *sync.Mutex
}

func (c lockedContext) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.Context.Err()
}

// A context's code doesn't run under a lock that a deadline needs.
func TestContextThatLocks(t *testing.T) {
	f := open(t)
	inner, cancel := context.WithCancel(context.Background())
	defer cancel()
	var mu sync.Mutex
	c := fdtest.Go(t, func() error { return f.Await(lockedContext{inner, &mu}, Read, take) }).Parked()
	mu.Lock()
	cancel()
	err := fdtest.Go(t, func() error { return f.SetDeadline(time.Now().Add(time.Hour), Read) }).Err()
	mu.Unlock()
	if err != nil {
		t.Error(err)
	}
	if err := c.Err(); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// Go's poller ends the program if it can't have its descriptors.
func TestFirstWaitAtTheLimit(t *testing.T) {
	out, child, err := fdtest.InChild(t, "FDTEST_COLD=1")
	if !child {
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	f := open(t)
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 64, Max: 64}); err != nil {
		t.Fatal(err)
	}
	var spare []int
	for {
		n, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
		if err != nil {
			break
		}
		spare = append(spare, n)
	}
	err = f.Await(t.Context(), Read, take)
	for _, n := range spare {
		_ = unix.Close(n)
	}
	if !errors.Is(err, unix.EMFILE) {
		t.Errorf("at the limit: %v", err)
	}
	c := fdtest.Go(t, func() error { return f.Await(t.Context(), Read, take) }).Parked()
	add(t, f)
	if err := c.Err(); err != nil {
		t.Errorf("below the limit: %v", err)
	}
}

// Of two calls with one context, the second may come to the poller when the first has been told already.
func TestContextOfTwoCalls(t *testing.T) {
	f := open(t)
	ctx, cancel := context.WithCancel(t.Context())
	first := fdtest.Go(t, func() error { return f.Await(ctx, Read, take) }).Parked()
	tried := false
	second := fdtest.Go(t, func() error {
		return f.Await(ctx, Read, func(num int) error {
			if !tried {
				tried = true
				cancel()
				if err := first.Err(); !errors.Is(err, context.Canceled) {
					return err
				}
			}
			return take(num)
		})
	})
	if err := second.Err(); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
