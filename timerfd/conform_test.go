//go:build linux

package timerfd_test

import (
	"context"
	"testing"

	"github.com/fildes/fildes/internal/fdtest"
	"github.com/fildes/fildes/timerfd"
)

func TestConform(t *testing.T) {
	for name, opts := range map[string]*timerfd.Options{
		"Monotonic":   nil,
		"CancelOnSet": {Clock: timerfd.Realtime, CancelOnSet: true},
	} {
		t.Run(name, func(t *testing.T) {
			fdtest.Conform(t, fdtest.Subject{
				New: func(testing.TB) (fdtest.Handle, error) {
					tm, err := timerfd.New(opts)
					if err != nil {
						return nil, err
					}
					return tm, nil
				},
				Zero: new(timerfd.Timer), Nil: (*timerfd.Timer)(nil),
				Waits: []fdtest.Wait{{
					Name: "Wait",
					Call: func(ctx context.Context, h fdtest.Handle) error {
						_, err := h.(*timerfd.Timer).Wait(ctx)
						return err
					},
					Wake: func(h fdtest.Handle) error { return h.(*timerfd.Timer).Arm(0) },
				}},
			})
		})
	}
}
