//go:build linux

package eventfd_test

import (
	"context"
	"errors"
	"math"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes"
	"github.com/fildes/fildes/eventfd"
	"github.com/fildes/fildes/internal/fdtest"
)

func newCounter(t testing.TB, opts *eventfd.Options) *eventfd.Counter {
	t.Helper()
	c, err := eventfd.New(opts)
	check(t, err)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func wantWait(t testing.TB, c *eventfd.Counter, want uint64) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), fdtest.Bound)
	defer cancel()
	if n, err := c.Wait(ctx); n != want || err != nil {
		t.Fatalf("Wait: %d, %v, want %d", n, err, want)
	}
}

func wantEmpty(t testing.TB, c *eventfd.Counter) {
	t.Helper()
	if n, ok, err := c.TryWait(); n != 0 || ok || err != nil {
		t.Fatalf("TryWait: %d, %v, %v", n, ok, err)
	}
}

func TestCounter(t *testing.T) {
	c := newCounter(t, nil)
	wantEmpty(t, c)
	check(t, c.Add(t.Context(), 3))
	check(t, c.Add(t.Context(), 0))
	ok, err := c.TryAdd(4)
	if !ok || err != nil {
		t.Fatal(ok, err)
	}
	wantWait(t, c, 7)
	wantEmpty(t, c)
	if s, err := c.Semaphore(); s || err != nil {
		t.Error(s, err)
	}
}

func TestSemaphore(t *testing.T) {
	c := newCounter(t, &eventfd.Options{Initial: 2, Semaphore: true})
	wantWait(t, c, 1)
	wantWait(t, c, 1)
	wantEmpty(t, c)
	if s, err := c.Semaphore(); !s || err != nil {
		t.Error(s, err)
	}
}

func TestInitial(t *testing.T) {
	for _, n := range []uint64{1, math.MaxUint32, math.MaxUint32 + 1, 1 << 40, eventfd.Max} {
		wantWait(t, newCounter(t, &eventfd.Options{Initial: n}), n)
	}
	if _, err := eventfd.New(&eventfd.Options{Initial: math.MaxUint64}); !errors.Is(err, os.ErrInvalid) {
		t.Error(err)
	}
}

func TestTooLarge(t *testing.T) {
	c := newCounter(t, nil)
	if err := c.Add(t.Context(), math.MaxUint64); !errors.Is(err, os.ErrInvalid) {
		t.Error(err)
	}
	if ok, err := c.TryAdd(math.MaxUint64); ok || !errors.Is(err, os.ErrInvalid) {
		t.Error(ok, err)
	}
	wantEmpty(t, c)
}

// A counter that has room for 1 says that it is writable, though it has no room for more: the wait must neither spin nor miss.
func TestAddWaitsForRoom(t *testing.T) {
	c := newCounter(t, &eventfd.Options{Initial: eventfd.Max - 5})
	if ok, err := c.TryAdd(6); ok || err != nil {
		t.Fatal(ok, err)
	}
	ok, err := c.TryAdd(2)
	if !ok || err != nil {
		t.Fatal(ok, err)
	}
	add := fdtest.Go(t, func() error { return c.Add(t.Context(), 6) }).Parked()
	wantWait(t, c, eventfd.Max-3)
	check(t, add.Err())
	wantWait(t, c, 6)
}

func TestNothingIsLost(t *testing.T) {
	for _, semaphore := range []bool{false, true} {
		c := newCounter(t, &eventfd.Options{Semaphore: semaphore})
		const adders, takers = 4, 3
		each := fdtest.Rounds(2000)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var mu sync.Mutex
		var sum uint64
		var wg, adding sync.WaitGroup
		for range takers {
			wg.Go(func() {
				for {
					n, err := c.Wait(ctx)
					if err != nil {
						return
					}
					mu.Lock()
					if sum += n; sum == uint64(adders*each) {
						cancel()
					}
					mu.Unlock()
				}
			})
		}
		for range adders {
			adding.Go(func() {
				for range each {
					if err := c.Add(t.Context(), 1); err != nil {
						t.Error(err)
					}
				}
			})
		}
		adding.Wait()
		wg.Wait()
		if sum != uint64(adders*each) {
			t.Errorf("semaphore %v: %d of %d", semaphore, sum, adders*each)
		}
	}
}

func TestFromFile(t *testing.T) {
	c := newCounter(t, &eventfd.Options{Initial: 3, Semaphore: true})
	f, err := c.File()
	check(t, err)
	defer f.Close()
	d, err := eventfd.FromFile(f)
	check(t, err)
	defer d.Close()
	if s, err := d.Semaphore(); !s && !errors.Is(err, errors.ErrUnsupported) {
		t.Error(s, err)
	}
	wantWait(t, d, 1)
	wantWait(t, c, 1)
	check(t, c.Close())
	wantWait(t, d, 1)
	check(t, d.Add(t.Context(), 1))
	wantWait(t, d, 1)
	wait := fdtest.Go(t, func() error { _, err := d.Wait(t.Context()); return err }).Parked()
	check(t, d.Add(t.Context(), 1))
	check(t, wait.Err())

	plain := newCounter(t, nil)
	f2, err := plain.File()
	check(t, err)
	defer f2.Close()
	e, err := eventfd.FromFile(f2)
	check(t, err)
	defer e.Close()
	if s, err := e.Semaphore(); s || err != nil && !errors.Is(err, errors.ErrUnsupported) {
		t.Error(s, err)
	}
}

func TestFromFileOfAnotherKind(t *testing.T) {
	r, w, err := os.Pipe()
	check(t, err)
	defer r.Close()
	defer w.Close()
	regular, err := os.CreateTemp(t.TempDir(), "")
	check(t, err)
	defer regular.Close()
	n, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_CLOEXEC|unix.TFD_NONBLOCK)
	check(t, err)
	timer := os.NewFile(uintptr(n), "timer")
	defer timer.Close()
	for _, f := range []*os.File{r, w, regular, timer} {
		c, err := eventfd.FromFile(f)
		if c != nil || !errors.Is(err, os.ErrInvalid) {
			t.Errorf("%s: %v, %v", f.Name(), c, err)
		}
	}
	check(t, regular.Close())
	if _, err := eventfd.FromFile(regular); !errors.Is(err, os.ErrClosed) {
		t.Error(err)
	}
	if _, err := eventfd.FromFile(nil); !errors.Is(err, os.ErrInvalid) {
		t.Error(err)
	}
}

func TestInheritSaysWhyNot(t *testing.T) {
	if _, err := newCounter(t, nil).Inherit(); !errors.Is(err, errors.ErrUnsupported) {
		t.Error(err)
	}
}

func TestLimitIsNamed(t *testing.T) {
	first := newCounter(t, nil)
	n, err := first.Release()
	check(t, err)
	check(t, unix.Close(n))
	var was unix.Rlimit
	check(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &was))
	low := was
	low.Cur = uint64(n)
	check(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &low))
	_, err = eventfd.New(nil)
	check(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &was))
	oe, ok := errors.AsType[*fildes.OpError](err)
	if !ok || !errors.Is(err, unix.EMFILE) || oe.Hint == "" || !oe.Temporary() {
		t.Fatal(err)
	}
	t.Log(err)
}

// With a raw system call, a counter that another process has made blocking would stop the program at the next collection.
func TestOthersMakeItBlocking(t *testing.T) {
	c := newCounter(t, nil)
	f, err := c.File()
	check(t, err)
	defer f.Close()
	raw, err := f.SyscallConn()
	check(t, err)
	check(t, raw.Control(func(fd uintptr) { err = unix.SetNonblock(int(fd), false) }))
	check(t, err)
	wait := fdtest.Go(t, func() error { _, err := c.Wait(t.Context()); return err }).InSyscall()
	fdtest.Collect(t)
	check(t, c.Add(t.Context(), 1))
	check(t, wait.Err())
}

// A raw call that is about to be made when the descriptor is handed out must not block either.
func TestSharedWhileInUse(t *testing.T) {
	for range fdtest.Rounds(20) {
		c := newCounter(t, nil)
		var stop atomic.Bool
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				for !stop.Load() {
					if err := c.Add(t.Context(), 1); err != nil {
						t.Error(err)
					}
					if _, err := c.Wait(t.Context()); err != nil { // another may have taken it
						t.Error(err)
					}
				}
			})
		}
		fdtest.Collect(t)
		f, err := c.File()
		check(t, err)
		raw, err := f.SyscallConn()
		check(t, err)
		check(t, raw.Control(func(fd uintptr) { err = unix.SetNonblock(int(fd), false) }))
		check(t, err)
		fdtest.Collect(t)
		stop.Store(true)
		ended := fdtest.Go(t, func() error { wg.Wait(); return nil })
		for !ended.Done() {
			check(t, c.Add(t.Context(), 1))
		}
		check(t, f.Close())
		check(t, c.Close())
	}
}

// An Add for which there is room doesn't wait behind one for which there isn't.
func TestAddDoesntQueue(t *testing.T) {
	c := newCounter(t, &eventfd.Options{Initial: eventfd.Max})
	wait := fdtest.Go(t, func() error { return c.Add(t.Context(), eventfd.Max) }).Parked()
	if n, ok, err := c.TryWait(); n != eventfd.Max || !ok || err != nil {
		t.Fatal(n, ok, err)
	}
	check(t, wait.Err()) // and the next one goes to the poller at once
	wait = fdtest.Go(t, func() error { return c.Add(t.Context(), eventfd.Max) }).Parked()
	wantWait(t, c, eventfd.Max)
	check(t, wait.Err())
	wantWait(t, c, eventfd.Max)
	check(t, c.Add(t.Context(), 5))
	wait = fdtest.Go(t, func() error { return c.Add(t.Context(), eventfd.Max) }).Parked()
	check(t, fdtest.Go(t, func() error { return c.Add(t.Context(), 1) }).Err())
	wantWait(t, c, 6)
	check(t, wait.Err())
}

func TestAllocations(t *testing.T) {
	if fdtest.Race {
		t.Skip("the race detector allocates")
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	c := newCounter(t, nil)
	for name, op := range map[string]func(){
		"Background":  func() { _ = c.Add(context.Background(), 1); _, _ = c.Wait(context.Background()) },
		"cancellable": func() { _ = c.Add(ctx, 1); _, _ = c.Wait(ctx) },
		"try":         func() { _, _ = c.TryAdd(1); _, _, _ = c.TryWait(); _, _, _ = c.TryWait() },
	} {
		if n := testing.AllocsPerRun(fdtest.Rounds(1000), op); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
	n := testing.AllocsPerRun(fdtest.Rounds(1000), func() {
		c, err := eventfd.New(nil)
		if err != nil || c.Close() != nil {
			t.Fatal(err)
		}
	})
	if n > 1 {
		t.Errorf("New and Close: %v allocations", n)
	}
	a, b := newCounter(t, nil), newCounter(t, nil)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			if _, err := a.Wait(ctx); err != nil {
				return
			}
			_ = b.Add(ctx, 1)
		}
	}()
	if n := testing.AllocsPerRun(fdtest.Rounds(1000), func() { _ = a.Add(ctx, 1); _, _ = b.Wait(ctx) }); n != 0 {
		t.Errorf("a wait that parks: %v allocations", n)
	}
	cancel()
	<-done
}

// Mixed ends: this package on one side, os on the other. The race detector must see that the one orders the other.
func TestOrderedWithOS(t *testing.T) {
	there, back := newCounter(t, nil), newCounter(t, nil)
	files := make([]*os.File, 2)
	for i, c := range []*eventfd.Counter{there, back} {
		f, err := c.File()
		check(t, err)
		defer f.Close()
		check(t, f.SetDeadline(time.Now().Add(fdtest.Bound)))
		files[i] = f
	}
	shared := 0
	other := fdtest.Go(t, func() error {
		var word [8]byte
		for range 200 {
			if _, err := files[0].Read(word[:]); err != nil {
				return err
			}
			shared++
			if _, err := files[1].Write(word[:]); err != nil {
				return err
			}
		}
		return nil
	})
	for i := range 200 {
		shared++
		check(t, there.Add(t.Context(), 1))
		wantWait(t, back, 1)
		if shared != 2*(i+1) {
			t.Fatal(shared)
		}
	}
	check(t, other.Err())
}
