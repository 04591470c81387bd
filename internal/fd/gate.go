//go:build linux

package fd

import (
	"context"
	"runtime"
	"sync/atomic"
)

// A gate lets one in at a time, in order of arrival; waiting at it obeys a context. (A deadline and Close wake the one
// inside, who then lets the next one in to find the same.)
type gate struct {
	inside atomic.Int32                  // the one inside and those waiting
	turn   atomic.Pointer[chan struct{}] // tells one of those waiting to enter; made by the first
}

func (g *gate) enter(ctx context.Context) error {
	if g.inside.CompareAndSwap(0, 1) {
		return nil
	}
	if g.turn.Load() == nil {
		c := make(chan struct{}, 1)
		g.turn.CompareAndSwap(nil, &c)
	}
	if g.inside.Add(1) == 1 {
		return nil
	}
	turn := *g.turn.Load()
	select {
	case <-turn:
		return nil
	case <-ctx.Done():
	}
	for {
		n := g.inside.Load()
		if n == 1 { // the one inside has left: the turn has come or is about to, unless somebody new is faster
			select {
			case <-turn:
				g.leave()
				return contextError(ctx)
			default:
				runtime.Gosched()
				continue
			}
		}
		if g.inside.CompareAndSwap(n, n-1) {
			return contextError(ctx)
		}
	}
}

func (g *gate) leave() {
	if g.inside.Add(-1) > 0 {
		*g.turn.Load() <- struct{}{}
	}
}
