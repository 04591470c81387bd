//go:build linux

package epoll_test

import (
	"context"
	"errors"
	"net"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes/epoll"
	"github.com/fildes/fildes/eventfd"
	"github.com/fildes/fildes/internal/fdtest"
)

// orphan leaves an item in the set that can't be deleted and is ready, so that the next look at the set makes it move.
func orphan[T any](t testing.TB, p *epoll.Poller[T]) {
	t.Helper()
	n, err := unix.Eventfd(1, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	check(t, err)
	f := os.NewFile(uintptr(n), "orphan")
	dup, err := unix.FcntlInt(uintptr(n), unix.F_DUPFD_CLOEXEC, 0)
	check(t, err)
	t.Cleanup(func() { _ = unix.Close(dup) })
	var none T
	r, err := p.Add(f, epoll.Readable, none)
	check(t, err)
	check(t, f.Close())
	check(t, r.Remove())
}

// move makes the set move.
func move(t testing.TB, p *epoll.Poller[string]) {
	t.Helper()
	before := number(t, p)
	orphan(t, p)
	for end := time.Now().Add(fdtest.Bound); number(t, p) == before; {
		now(t, p)
		if time.Now().After(end) {
			t.Fatal("the set doesn't move")
		}
	}
}

func ready(t testing.TB) *eventfd.Counter {
	t.Helper()
	c := newCounter(t)
	add(t, c)
	return c
}

// Handles that are closed while the set moves, and live on in duplicates, must neither stay nor make it spin.
func TestCloseWhileMoving(t *testing.T) {
	for range fdtest.Rounds(20) {
		p, err := epoll.New[int](nil)
		check(t, err)
		n := max(fdtest.Rounds(200), 50)
		var cs []*eventfd.Counter
		var files []*os.File
		for i := range n {
			c := newCounter(t)
			add(t, c)
			f, err := c.File()
			check(t, err)
			_, err = p.Add(c, epoll.Readable, i)
			check(t, err)
			cs, files = append(cs, c), append(files, f)
		}
		orphan(t, p)
		var wg sync.WaitGroup
		wg.Go(func() {
			for i, c := range cs {
				check(t, c.Close())
				if i%16 == 0 {
					runtime.Gosched()
				}
			}
		})
		waiting := fdtest.Go(t, func() error {
			dst := make([]epoll.Event[int], 2*n)
			for p.Len() > 0 {
				ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
				_, err := p.Wait(ctx, dst)
				cancel()
				if err != nil && !errors.Is(err, context.DeadlineExceeded) {
					return err
				}
			}
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Millisecond)
			defer cancel()
			if k, err := p.Wait(ctx, dst); !errors.Is(err, context.DeadlineExceeded) {
				return errors.Join(err, errors.New("an event of what is closed: "+dst[max(k-1, 0)].Events.String()))
			}
			return nil
		})
		check(t, waiting.Err())
		wg.Wait()
		check(t, p.Close())
		for _, f := range files {
			check(t, f.Close())
		}
	}
}

// A duplicate of what was closed, under the number that it had, can be added.
func TestNumberComesBackWithTheSameDescription(t *testing.T) {
	p := newPoller(t)
	a, b := tcp(t)
	r, err := p.Add(a, epoll.Readable, "first")
	check(t, err)
	f, err := a.File()
	check(t, err)
	defer f.Close()
	n := number(t, a)
	check(t, a.Close())
	check(t, r.Remove())
	again, err := net.FileConn(f)
	check(t, err)
	defer again.Close()
	if number(t, again.(*net.TCPConn)) != n {
		t.Fatal("another number")
	}
	_, err = p.Add(again.(*net.TCPConn), epoll.Readable, "second")
	check(t, err)
	if _, err := p.Add(again.(*net.TCPConn), epoll.Readable, "third"); !errors.Is(err, unix.EEXIST) {
		t.Error(err)
	}
	_, err = b.Write([]byte("x"))
	check(t, err)
	if got := values(wait(t, p)); got != "second" {
		t.Error(got)
	}
}

func TestOneShotsThroughMoves(t *testing.T) {
	in, out := newPoller(t), newPoller(t)
	c := ready(t)
	_, err := in.Add(c, epoll.Readable, "c")
	check(t, err)
	r, err := out.Add(in, epoll.Readable|epoll.OneShot, "in")
	check(t, err)
	if got := values(wait(t, out)); got != "in" {
		t.Fatal(got)
	}
	for _, p := range []*epoll.Poller[string]{in, out, in, in, out} {
		move(t, p)
		if got := now(t, out); got != nil {
			t.Fatal("a one-shot that was fired is reported again:", got)
		}
	}
	check(t, r.Modify(epoll.Readable|epoll.OneShot))
	if got := values(wait(t, out)); got != "in" {
		t.Fatal(got)
	}
	check(t, r.Modify(epoll.Readable))
	move(t, in)
	move(t, out)
	if got := values(wait(t, out)); got != "in" {
		t.Fatal(got)
	}
}

// An event from before a Modify says nothing about what was asked for since.
func TestModifyForgetsWhatWasReadAhead(t *testing.T) {
	p := newPoller(t)
	a, b := ready(t), ready(t)
	regs := map[string]*epoll.Registration[string]{}
	counters := map[string]*eventfd.Counter{"a": a, "b": b}
	for name, c := range counters {
		r, err := p.Add(c, epoll.Readable|epoll.OneShot, name)
		check(t, err)
		regs[name] = r
	}
	for ev, err := range p.Events(t.Context()) {
		check(t, err)
		other := "a"
		if ev.Value == "a" {
			other = "b"
		}
		if _, _, err := counters[other].TryWait(); err != nil {
			t.Fatal(err)
		}
		check(t, regs[other].Modify(epoll.Readable|epoll.OneShot))
		if got := now(t, p); got != nil {
			t.Fatal("an event of the setting before:", got)
		}
		move(t, p)
		add(t, counters[other])
		if got := values(wait(t, p)); got != other {
			t.Fatal(got)
		}
		break
	}
}

// What a loop leaves is what is still so.
func TestLeftEventsAreLookedAtAnew(t *testing.T) {
	for _, mode := range []epoll.Events{0, epoll.EdgeTriggered, epoll.OneShot} {
		p, outer := newPoller(t), newPoller(t)
		a, b := ready(t), ready(t)
		for _, c := range []*eventfd.Counter{a, b} {
			_, err := p.Add(c, epoll.Readable|mode, "x")
			check(t, err)
		}
		_, err := outer.Add(p, epoll.Readable, "p")
		check(t, err)
		for _, err := range p.Events(t.Context()) {
			check(t, err)
			break
		}
		if got := values(wait(t, outer)); got != "p" {
			t.Fatalf("%v: %v", mode, got)
		}
		for _, c := range []*eventfd.Counter{a, b} {
			if _, _, err := c.TryWait(); err != nil {
				t.Fatal(err)
			}
		}
		if got := now(t, p); got != nil {
			t.Errorf("%v: nothing is ready, and yet %v", mode, got)
		}
	}
}

// An item that somebody else puts into the set is thrown out, and not taken for one of ours.
func TestStrayItem(t *testing.T) {
	for _, data := range []int32{-1, 0, 1000} {
		p := newPoller(t)
		stray := ready(t)
		raw, err := p.SyscallConn()
		check(t, err)
		check(t, raw.Control(func(set uintptr) {
			err = unix.EpollCtl(int(set), unix.EPOLL_CTL_ADD, int(number(t, stray)), &unix.EpollEvent{Events: unix.EPOLLIN, Fd: data, Pad: -7})
		}))
		check(t, err)
		c := ready(t)
		_, err = p.Add(c, epoll.Readable, "ours")
		check(t, err)
		if got := values(wait(t, p)); got != "ours" {
			t.Error(got)
		}
	}
}

func TestCapacity(t *testing.T) {
	p, err := epoll.New[int](&epoll.Options{Capacity: 1 << 30})
	check(t, err)
	check(t, p.Close())
}

// Go's poller is one of the levels, and says so when it is asked to wait.
func TestNestedTooDeep(t *testing.T) {
	p := newPoller(t)
	for range 3 {
		outer := newPoller(t)
		_, err := outer.Add(p, epoll.Readable, "")
		check(t, err)
		p = outer
	}
	if got := now(t, p); got != nil {
		t.Error(got)
	}
	for range 2 {
		outer := newPoller(t)
		if _, err := outer.Add(p, epoll.Readable, ""); err != nil {
			return // refused at once
		}
		p = outer
		var dst [1]epoll.Event[string]
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		_, err := p.Wait(ctx, dst[:])
		cancel()
		if oe := (&net.OpError{}); errors.As(err, &oe) || !errors.Is(err, unix.ELOOP) && !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		if errors.Is(err, unix.ELOOP) {
			return
		}
	}
	t.Error("no depth is too deep")
}

// A one-shot whose event is taken while Modify is still under way has been fired.
func TestOneShotTakenDuringModify(t *testing.T) {
	for range fdtest.Rounds(40) {
		p := newPoller(t)
		r, err := p.Add(ready(t), epoll.Readable, "x")
		check(t, err)
		c := fdtest.Go(t, func() error {
			for now(t, p) != nil {
				runtime.Gosched()
			}
			return nil
		})
		for range 20 {
			runtime.Gosched()
		}
		check(t, r.Modify(epoll.Readable|epoll.OneShot))
		check(t, c.Err())
		move(t, p)
		if got := now(t, p); got != nil {
			t.Fatal("a one-shot that was fired is reported again:", got)
		}
		check(t, p.Close())
	}
}
