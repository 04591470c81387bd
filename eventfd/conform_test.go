//go:build linux

package eventfd_test

import (
	"context"
	"testing"

	"github.com/fildes/fildes/eventfd"
	"github.com/fildes/fildes/internal/fdtest"
)

func counter(c *eventfd.Counter, err error) (fdtest.Handle, error) {
	if err != nil {
		return nil, err
	}
	return c, nil
}

func TestConform(t *testing.T) {
	fdtest.Conform(t, fdtest.Subject{
		New: func(testing.TB) (fdtest.Handle, error) {
			return counter(eventfd.New(&eventfd.Options{Semaphore: true}))
		},
		Zero: new(eventfd.Counter), Nil: (*eventfd.Counter)(nil),
		Waits: []fdtest.Wait{{
			Name: "Wait",
			Call: func(ctx context.Context, h fdtest.Handle) error {
				_, err := h.(*eventfd.Counter).Wait(ctx)
				return err
			},
			Wake: func(h fdtest.Handle) error { return h.(*eventfd.Counter).Add(context.Background(), 1) },
		}},
	})
}

func TestConformFull(t *testing.T) {
	fdtest.Conform(t, fdtest.Subject{
		New: func(testing.TB) (fdtest.Handle, error) {
			return counter(eventfd.New(&eventfd.Options{Initial: eventfd.Max}))
		},
		Zero: new(eventfd.Counter), Nil: (*eventfd.Counter)(nil),
		Waits: []fdtest.Wait{{
			Name: "Add",
			Call: func(ctx context.Context, h fdtest.Handle) error {
				return h.(*eventfd.Counter).Add(ctx, eventfd.Max)
			},
			Wake: func(h fdtest.Handle) error {
				_, _, err := h.(*eventfd.Counter).TryWait()
				return err
			},
		}},
	})
}
