//go:build linux

package epoll_test

import (
	"context"
	"reflect"
	"syscall"
	"testing"

	"github.com/fildes/fildes/epoll"
	"github.com/fildes/fildes/eventfd"
	"github.com/fildes/fildes/internal/fdtest"
)

// watched is a Poller with one counter in it.
type watched struct {
	*epoll.Poller[int]
	c *eventfd.Counter
}

func TestConform(t *testing.T) {
	spare, err := eventfd.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer spare.Close()
	wake := func(h fdtest.Handle) error { return h.(watched).c.Add(context.Background(), 1) }
	fdtest.Conform(t, fdtest.Subject{
		New: func(t testing.TB) (fdtest.Handle, error) {
			p, err := epoll.New[int](nil)
			if err != nil {
				return nil, err
			}
			c, err := eventfd.New(nil)
			if err != nil {
				_ = p.Close()
				return nil, err
			}
			t.Cleanup(func() { _ = c.Close() })
			if _, err := p.Add(c, epoll.Readable|epoll.EdgeTriggered, 1); err != nil {
				t.Fatal(err)
			}
			return watched{p, c}, nil
		},
		Zero: new(epoll.Poller[int]), Nil: (*epoll.Poller[int])(nil),
		Args: map[reflect.Type]any{reflect.TypeFor[syscall.Conn](): spare},
		Waits: []fdtest.Wait{
			{
				Name: "Wait",
				Call: func(ctx context.Context, h fdtest.Handle) error {
					var dst [2]epoll.Event[int]
					_, err := pollerOf(h).Wait(ctx, dst[:])
					return err
				},
				Wake: wake,
			},
			{
				Name: "Events",
				Call: func(ctx context.Context, h fdtest.Handle) error {
					for _, err := range pollerOf(h).Events(ctx) {
						return err
					}
					return nil
				},
				Wake: wake,
			},
		},
	})
}

func pollerOf(h fdtest.Handle) *epoll.Poller[int] {
	if w, ok := h.(watched); ok {
		return w.Poller
	}
	return h.(*epoll.Poller[int])
}
