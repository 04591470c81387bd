//go:build linux

package ops

import (
	"context"
	"runtime"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes/epoll"
	"github.com/fildes/fildes/eventfd"
)

const (
	registered = 1000 // descriptors in a set
	room       = 64   // events that a wait may return
)

// pollerReady waits for a set of which some are ready, and stay so.
func pollerReady(ready int) Setup {
	return func() (Run, func()) {
		p := must(epoll.New[int](nil))
		cs := make([]*eventfd.Counter, registered)
		for i := range cs {
			cs[i] = must(eventfd.New(&eventfd.Options{Initial: initial(i, ready)}))
			must(p.Add(cs[i], epoll.Readable, i))
		}
		ctx, dst := context.Background(), make([]epoll.Event[int], room)
		run := func(n int, clock Clock) {
			sum := 0 // uses what a wait returned, as a program would
			clock.StartTimer()
			for range n {
				k, err := p.Wait(ctx, dst)
				if err != nil {
					fail(err)
				}
				for i := range dst[:k] {
					sum += dst[i].Value
				}
			}
			clock.StopTimer()
			runtime.KeepAlive(sum)
		}
		return run, func() {
			for _, c := range cs {
				check(c.Close())
			}
			check(p.Close())
		}
	}
}

func rawEpollReady(ready int) Setup {
	return func() (Run, func()) {
		set := must(unix.EpollCreate1(unix.EPOLL_CLOEXEC))
		fds := make([]int, registered)
		for i := range fds {
			fds[i] = must(unix.Eventfd(uint(initial(i, ready)), unix.EFD_CLOEXEC|unix.EFD_NONBLOCK))
			check(unix.EpollCtl(set, unix.EPOLL_CTL_ADD, fds[i], &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(i)}))
		}
		dst := make([]unix.EpollEvent, room)
		run := func(n int, clock Clock) {
			sum := 0 // uses what a wait returned, as a program would
			clock.StartTimer()
			for range n {
				k, err := unix.EpollWait(set, dst, 0)
				if err != nil {
					fail(err)
				}
				for i := range dst[:k] {
					sum += int(dst[i].Fd)
				}
			}
			clock.StopTimer()
			runtime.KeepAlive(sum)
		}
		return run, func() {
			for _, fd := range fds {
				check(unix.Close(fd))
			}
			check(unix.Close(set))
		}
	}
}

// initial spreads the ready ones over the set.
func initial(i, ready int) uint64 {
	if every := registered / ready; i%every == 0 && i/every < ready {
		return 1
	}
	return 0
}

// pollerParking is a ping-pong with a goroutine that waits in a Poller.
func pollerParking() (Run, func()) {
	there, back := must(eventfd.New(nil)), must(eventfd.New(nil))
	p := must(epoll.New[int](nil))
	must(p.Add(there, epoll.Readable, 0))
	ctx := context.Background()
	run := func(n int, clock Clock) {
		dst := make([]epoll.Event[int], 1)
		wait := partner(func() {
			for range n {
				if _, err := p.Wait(ctx, dst); err != nil {
					fail(err)
				}
				if _, err := there.Wait(ctx); err != nil {
					fail(err)
				}
				if err := back.Add(ctx, 1); err != nil {
					fail(err)
				}
			}
		})
		clock.StartTimer()
		for range n {
			if err := there.Add(ctx, 1); err != nil {
				fail(err)
			}
			if _, err := back.Wait(ctx); err != nil {
				fail(err)
			}
		}
		clock.StopTimer()
		wait()
	}
	return run, func() {
		check(there.Close())
		check(back.Close())
		check(p.Close())
	}
}

// threadParking is the same with a thread of its own that sleeps in epoll_wait. What it waits for isn't in Go's poller either.
// Where the kernel runs that thread decides what it costs: on the core of its waker a switch, elsewhere the waking of a core.
func threadParking() (Run, func()) {
	there, back := must(unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)), must(eventfd.New(nil))
	set := epollOf(there)
	ctx := context.Background()
	run := func(n int, clock Clock) {
		wait := partner(func() {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			for range n {
				takeByEpoll(set, there)
				if err := back.Add(ctx, 1); err != nil {
					fail(err)
				}
			}
		})
		clock.StartTimer()
		for range n {
			give(there)
			if _, err := back.Wait(ctx); err != nil {
				fail(err)
			}
		}
		clock.StopTimer()
		wait()
	}
	return run, func() {
		check(unix.Close(there))
		check(back.Close())
		check(unix.Close(set))
	}
}

// threadsParking has a thread at either end, each on a core of its own and asleep in epoll_wait while the other runs. Go's
// scheduler has no part in it.
func threadsParking() (Run, func()) {
	there, back := must(unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)), must(unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK))
	thereSet, backSet := epollOf(there), epollOf(back)
	here, elsewhere := twoCores()
	run := func(n int, clock Clock) {
		wait := partner(func() {
			unpin := pin(elsewhere)
			defer unpin()
			for range n {
				takeByEpoll(thereSet, there)
				give(back)
			}
		})
		unpin := pin(here)
		defer unpin()
		clock.StartTimer()
		for range n {
			give(there)
			takeByEpoll(backSet, back)
		}
		clock.StopTimer()
		wait()
	}
	return run, func() {
		for _, fd := range []int{there, back, thereSet, backSet} {
			check(unix.Close(fd))
		}
	}
}

func epollOf(fd int) int {
	set := must(unix.EpollCreate1(unix.EPOLL_CLOEXEC))
	check(unix.EpollCtl(set, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN}))
	return set
}

// takeByEpoll waits in epoll_wait for the one descriptor of a set and takes its value.
func takeByEpoll(set, fd int) {
	var dst [1]unix.EpollEvent
	_, err := unix.EpollWait(set, dst[:], -1)
	for err == unix.EINTR {
		_, err = unix.EpollWait(set, dst[:], -1)
	}
	check(err)
	var got uint64
	if e := rawRead(fd, &got); e != 0 {
		fail(e)
	}
}

func give(fd int) {
	one := uint64(1)
	if e := rawWrite(fd, &one); e != 0 {
		fail(e)
	}
}
