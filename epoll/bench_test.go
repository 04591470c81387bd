//go:build linux

package epoll_test

import (
	"context"
	"fmt"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes/epoll"
	"github.com/fildes/fildes/eventfd"
)

// counters makes n counters, of which the first few are ready.
func counters(b *testing.B, n, ready int) []*eventfd.Counter {
	b.Helper()
	cs := make([]*eventfd.Counter, n)
	for i := range cs {
		var o eventfd.Options
		if i < ready {
			o.Initial = 1
		}
		c, err := eventfd.New(&o)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = c.Close() })
		cs[i] = c
	}
	return cs
}

const registered = 256

var readyCounts = []int{1, 64}

func BenchmarkWait(b *testing.B) {
	for _, ready := range readyCounts {
		b.Run(fmt.Sprintf("%d of %d", ready, registered), func(b *testing.B) {
			p, err := epoll.New[int](nil)
			if err != nil {
				b.Fatal(err)
			}
			defer p.Close()
			for i, c := range counters(b, registered, ready) {
				if _, err := p.Add(c, epoll.Readable, i); err != nil {
					b.Fatal(err)
				}
			}
			dst := make([]epoll.Event[int], registered)
			ctx := context.Background()
			b.ReportAllocs()
			for b.Loop() {
				if n, err := p.Wait(ctx, dst); err != nil || n != ready {
					b.Fatal(n, err)
				}
			}
		})
	}
}

func BenchmarkWaitRaw(b *testing.B) {
	for _, ready := range readyCounts {
		b.Run(fmt.Sprintf("%d of %d", ready, registered), func(b *testing.B) {
			set, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
			if err != nil {
				b.Fatal(err)
			}
			defer unix.Close(set)
			for i := range registered {
				var first uint
				if i < ready {
					first = 1
				}
				fd, err := unix.Eventfd(first, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
				if err != nil {
					b.Fatal(err)
				}
				defer unix.Close(fd)
				if err := unix.EpollCtl(set, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN}); err != nil {
					b.Fatal(err)
				}
			}
			evs := make([]unix.EpollEvent, registered)
			for b.Loop() {
				if n, err := unix.EpollWait(set, evs, 0); err != nil || n != ready {
					b.Fatal(n, err)
				}
			}
		})
	}
}

func BenchmarkAddRemove(b *testing.B) {
	p, err := epoll.New[int](nil)
	if err != nil {
		b.Fatal(err)
	}
	defer p.Close()
	c := counters(b, 1, 0)[0]
	b.ReportAllocs()
	for b.Loop() {
		r, err := p.Add(c, epoll.Readable, 0)
		if err != nil {
			b.Fatal(err)
		}
		if err := r.Remove(); err != nil {
			b.Fatal(err)
		}
	}
}
