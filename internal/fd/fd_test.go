//go:build linux

package fd

import (
	"context"
	"errors"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes/internal/fdtest"
	"github.com/fildes/fildes/internal/sys"
)

func eventFD(t testing.TB) int {
	t.Helper()
	n, e := sys.EventFD(0, true)
	if e != 0 {
		t.Fatal(e)
	}
	return n
}

func open(t testing.TB) *FD {
	t.Helper()
	f := new(FD)
	f.Init(eventFD(t), false)
	t.Cleanup(func() { _ = f.Close() })
	return f
}

// take is an operation that waits for the counter.
func take(num int) error {
	var v uint64
	if e := sys.ReadWord(num, &v); e != 0 {
		return e
	}
	return nil
}

func add(t testing.TB, f *FD) {
	t.Helper()
	err := f.Control(func(num int) error {
		one := uint64(1)
		return sys.Error("write", sys.WriteWord(num, &one))
	})
	if err != nil {
		t.Fatal(err)
	}
}

func isOpen(n int) bool {
	_, err := unix.FcntlInt(uintptr(n), unix.F_GETFD, 0)
	return err == nil
}

// A refused operation takes and gives a reference too, and must not close again.
func TestRefusedOperationsDontClose(t *testing.T) {
	f := open(t)
	n := f.Num()
	var wg sync.WaitGroup
	var stop atomic.Bool
	for range 2 {
		wg.Go(func() {
			for !stop.Load() {
				f.Take()
				f.Give()
			}
		})
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	stranger := eventFD(t)
	for range 100000 {
		f.Take()
		f.Give()
	}
	stop.Store(true)
	wg.Wait()
	if stranger != n {
		t.Fatalf("the stranger got %d, not %d", stranger, n)
	}
	if err := unix.Close(stranger); err != nil {
		t.Fatalf("the stranger was closed: %v", err)
	}
}

func TestZeroDoesntTouchStandardInput(t *testing.T) {
	var f FD
	if err := f.Close(); !errors.Is(err, os.ErrInvalid) {
		t.Error(err)
	}
	ran := false
	err := f.Await(t.Context(), Read, func(int) error { ran = true; return nil })
	if !errors.Is(err, os.ErrInvalid) || ran {
		t.Error(err, ran)
	}
	f.Take()
	f.Give()
	if !isOpen(0) {
		t.Error("standard input was closed")
	}
}

func TestCloseWaitsForControl(t *testing.T) {
	f := open(t)
	inside, leave := make(chan struct{}), make(chan struct{})
	var number int
	c := fdtest.Go(t, func() error {
		return f.Control(func(num int) error {
			number = num
			close(inside)
			<-leave
			if !isOpen(num) {
				return errors.New("closed while Control has it")
			}
			return nil
		})
	})
	<-inside
	closing := fdtest.Go(t, f.Close).Parked()
	if err := f.Control(func(int) error { return nil }); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Control during Close: %v", err)
	}
	close(leave)
	if err := c.Err(); err != nil {
		t.Error(err)
	}
	if err := closing.Err(); err != nil {
		t.Error(err)
	}
	if isOpen(number) {
		t.Error("still open")
	}
}

// An operation keeps its handle reachable, even if nothing else does.
func TestRunningOperationIsReachable(t *testing.T) {
	for range 20 {
		f := new(FD)
		f.Init(eventFD(t), false)
		err := f.Control(func(num int) error {
			f = nil
			for range 3 {
				runtime.GC()
				runtime.Gosched()
			}
			if !isOpen(num) {
				return errors.New("collected while it is used")
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestCloseErrorOfTheKernel(t *testing.T) {
	for _, registered := range []bool{false, true} {
		f := open(t)
		if registered {
			if err := f.SetDeadline(time.Time{}, Read); err != nil {
				t.Fatal(err)
			}
		}
		if err := f.Control(unix.Close); err != nil {
			t.Fatal(err)
		}
		err := f.Close()
		se, ok := errors.AsType[*os.SyscallError](err)
		if !ok || se.Syscall != "close" || se.Err != syscall.EBADF {
			t.Errorf("registered %v: got %v", registered, err)
		}
	}
}

// Being in Go's epoll set makes every operation dearer: only what has to wait goes there.
func TestRegistrationIsLazy(t *testing.T) {
	f := open(t)
	add(t, f)
	if err := f.Await(t.Context(), Read, take); err != nil {
		t.Fatal(err)
	}
	if fdtest.Watched(t, f.Num()) {
		t.Error("in an epoll set without having waited")
	}
	c := fdtest.Go(t, func() error { return f.Await(t.Context(), Read, take) }).Parked()
	if !fdtest.Watched(t, f.Num()) {
		t.Error("waits without being in an epoll set")
	}
	add(t, f)
	if err := c.Err(); err != nil {
		t.Error(err)
	}
}

// stopCounter is a context that counts the functions registered with it.
type stopCounter struct {
	context.Context
	registered, stopped atomic.Int32
}

func (c *stopCounter) AfterFunc(f func()) func() bool {
	c.registered.Add(1)
	stop := context.AfterFunc(c.Context, f)
	return func() bool { c.stopped.Add(1); return stop() }
}

func (c *stopCounter) Value(key any) any { return nil }

func TestContextIsRegisteredOnceAndLetGo(t *testing.T) {
	inner, cancel := context.WithCancel(context.Background())
	defer cancel()
	ctx := &stopCounter{Context: inner}
	f := open(t)
	wait := func(ctx context.Context) {
		t.Helper()
		c := fdtest.Go(t, func() error { return f.Await(ctx, Read, take) }).Parked()
		add(t, f)
		if err := c.Err(); err != nil {
			t.Fatal(err)
		}
	}
	for range 5 {
		wait(ctx)
	}
	if r, s := ctx.registered.Load(), ctx.stopped.Load(); r != 1 || s != 0 {
		t.Errorf("after 5 waits: %d registered, %d stopped", r, s)
	}
	wait(context.Background())
	if s := ctx.stopped.Load(); s != 1 {
		t.Errorf("after a wait with another context: %d stopped", s)
	}
	wait(ctx)
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if r, s := ctx.registered.Load(), ctx.stopped.Load(); r != 2 || s != 2 {
		t.Errorf("after Close: %d registered, %d stopped", r, s)
	}
}

func TestWaitAllocations(t *testing.T) {
	if fdtest.Race {
		t.Skip("the race detector allocates")
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	for name, ctx := range map[string]context.Context{"Background": context.Background(), "cancellable": ctx} {
		a, b := open(t), open(t)
		done := make(chan error)
		go func() {
			for {
				if err := a.Await(ctx, Read, take); err != nil {
					done <- err
					return
				}
				add(t, b)
			}
		}()
		n := testing.AllocsPerRun(fdtest.Rounds(1000), func() {
			add(t, a)
			if err := b.Await(ctx, Read, take); err != nil {
				t.Error(err)
			}
		})
		if n != 0 {
			t.Errorf("%s: %v allocations per wait", name, n)
		}
		_ = a.Close()
		if err := <-done; !errors.Is(err, os.ErrClosed) {
			t.Error(err)
		}
	}
	// The first wait on a new context.
	f := open(t)
	c := fdtest.Go(t, func() error { return f.Await(ctx, Read, take) }).Parked()
	add(t, f)
	if err := c.Err(); err != nil {
		t.Fatal(err)
	}
	w := f.waits.Load()
	const runs = 100
	var ctxs []context.Context
	for range runs + 1 {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		ctxs = append(ctxs, ctx)
	}
	i := 0
	n := testing.AllocsPerRun(runs, func() {
		if err := w.watch(ctxs[i], &w.dirs[Read]); err != nil {
			t.Error(err)
		}
		i++
	})
	if n > 6 {
		t.Errorf("the first wait on a context allocates %v times", n)
	}
}

// Nothing that comes after Close may take its wake-up back.
func TestDeadlinesRacingClose(t *testing.T) {
	for range fdtest.Rounds(100) {
		f := open(t)
		cs := []*fdtest.Caller{fdtest.Go(t, func() error { return f.Await(t.Context(), Read, take) })}
		for range 2 {
			cs = append(cs, fdtest.Go(t, func() error {
				for {
					if err := f.SetDeadline(time.Time{}, Read, Write); err != nil {
						return err
					}
					if err := f.SetDeadline(time.Now().Add(time.Hour), Read, Write); err != nil {
						return err
					}
				}
			}))
		}
		runtime.Gosched()
		if err := fdtest.Go(t, f.Close).Err(); err != nil {
			t.Fatal(err)
		}
		for _, c := range cs {
			if err := c.Err(); !errors.Is(err, os.ErrClosed) {
				t.Fatal(err)
			}
		}
	}
}

func TestKick(t *testing.T) {
	f := open(t)
	f.Kick(Read) // nobody waits, and nobody is hurt
	var kicked atomic.Bool
	runs := 0
	c := fdtest.Go(t, func() error {
		return f.Await(t.Context(), Read, func(num int) error {
			runs++
			if kicked.Load() {
				return nil
			}
			return take(num)
		})
	}).Parked()
	kicked.Store(true)
	f.Kick(Read)
	if err := c.Err(); err != nil || runs < 2 {
		t.Error(err, runs)
	}
	f.Kick(Read)
	kicked.Store(false)
	c = fdtest.Go(t, func() error { return f.Await(t.Context(), Read, take) }).Parked()
	add(t, f)
	if err := c.Err(); err != nil {
		t.Error(err)
	}
}

// A wait that has been turned away from the poller because of EPOLLERR alone goes on apart.
func TestErrorQueueDoesntEndReading(t *testing.T) {
	a, b := zeroCopyPair(t)
	f := new(FD)
	f.Init(a, true)
	defer f.Close()
	read := func(num int) error {
		var buf [1]byte
		n, err := unix.Read(num, buf[:])
		if n == 0 && err == nil {
			return errors.New("end of stream")
		}
		return err
	}
	for i := range 3 {
		ctx, cancel := context.WithCancel(t.Context())
		c := fdtest.Go(t, func() error { return f.Await(ctx, Read, read) }).Parked()
		// Filled, the socket isn't writable; the completions then raise EPOLLERR and nothing else.
		if err := f.Control(func(num int) error { return fillZeroCopy(num) }); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			waitForErrorOnly(t, f)
		}
		c.Parked()
		cancel()
		if err := c.Err(); !errors.Is(err, context.Canceled) {
			t.Fatalf("round %d: cancelled: %v", i, err)
		}
		if err := f.SetDeadline(time.Now().Add(20*time.Millisecond), Read); err != nil {
			t.Fatal(err)
		}
		if err := fdtest.Go(t, func() error { return f.Await(t.Context(), Read, read) }).Err(); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("round %d: past the deadline: %v", i, err)
		}
		if err := f.SetDeadline(time.Time{}, Read); err != nil {
			t.Fatal(err)
		}
		c = fdtest.Go(t, func() error { return f.Await(t.Context(), Read, read) }).Parked()
		if _, err := unix.Write(b, []byte{1}); err != nil {
			t.Fatal(err)
		}
		if err := c.Err(); err != nil {
			t.Fatalf("round %d: %v", i, err)
		}
	}
	c := fdtest.Go(t, func() error { return f.Await(t.Context(), Read, read) }).Parked()
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if err := c.Err(); !errors.Is(err, os.ErrClosed) {
		t.Error(err)
	}
}
