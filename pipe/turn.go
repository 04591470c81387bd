//go:build linux

package pipe

import (
	"context"

	"github.com/fildes/fildes/internal/fd"
)

// turns are how many opens may be in the kernel at a time: many at once would take a thread each, for none of them is certain to be quick, and those
// of a file system that hangs would take one for good. They are also how many hold more descriptors than they keep.
var turns = make(chan struct{}, 8)

// A turn is one open's.
type turn struct{ held bool }

// inTurn runs op when it is its turn.
func inTurn(ctx context.Context, op func(*turn) error) error {
	t := new(turn)
	if err := t.take(ctx); err != nil {
		return err
	}
	defer t.give()
	return op(t)
}

func (t *turn) take(ctx context.Context) error {
	select {
	case turns <- struct{}{}:
		t.held = true
		return nil
	case <-ctx.Done():
		return fd.ContextError(ctx)
	}
}

func (t *turn) give() {
	if t.held {
		<-turns
		t.held = false
	}
}

// aside runs op, which waits for others, while it is theirs. t may be nil.
func (t *turn) aside(ctx context.Context, op func() error) error {
	if t == nil {
		return op()
	}
	t.give()
	if err := op(); err != nil {
		return err
	}
	return t.take(ctx)
}
