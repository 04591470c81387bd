//go:build linux

package inotify

import (
	"context"
	"errors"
	"iter"
	"time"

	"github.com/fildes/fildes/internal/fd"
	"github.com/fildes/fildes/internal/sys"
)

// A Change is an event, or both halves of a rename.
type Change struct {
	// Event is the event, and of a rename the half with MovedFrom.
	Event
	// To is a rename's half with MovedTo. Else its Mask is 0.
	To Event
}

// Renamed says whether both halves of a rename are there.
func (c Change) Renamed() bool { return c.To.Mask != 0 }

// A Pairer reads a Watcher and joins the halves of renames. It is for one goroutine at a time; make it with [NewPairer].
//
// A half whose other half doesn't come within some time stands alone: the file has left what is watched, if it is MovedFrom, or has come from elsewhere, if it is MovedTo. The kernel queues one half
// right after the other, but not atomically: other events may come in between, and the second may be late while its thread isn't running. Such a late half stands alone too.
//
// The order is kept: what comes after the first half waits with it.
type Pairer struct {
	w      *Watcher
	within time.Duration
	held   []held
}

// held is an event that waits behind a half.
type held struct {
	Event
	until time.Time // when a MovedFrom stands alone
}

// size is how many bytes of the queue the event took, at most.
func (h held) size() int { return sys.NoticeSize + (len(h.Name)+sys.NoticeSize)&^(sys.NoticeSize-1) }

// NewPairer returns a Pairer that waits for the second half of a rename for the given time; 10 milliseconds are plenty, and nothing is waited for that
// has been queued already, even with 0.
func NewPairer(w *Watcher, within time.Duration) *Pairer { return &Pairer{w: w, within: within} }

// Read waits for a change as [Watcher.Read] does for an event. What it holds when ctx ends it is kept for the next Read.
func (p *Pairer) Read(ctx context.Context) (Change, error) {
	c, err := p.read(ctx)
	return c, fail("read", "", err)
}

func (p *Pairer) read(ctx context.Context) (Change, error) {
	switch {
	case p == nil || p.w == nil || ctx == nil:
		return Change{}, errNoPairer
	case ctx.Err() != nil:
		return Change{}, fd.ContextError(ctx)
	}
	if err := p.w.engine().Check(); err != nil {
		return Change{}, err
	}
	if len(p.held) == 0 {
		if err := p.hold(ctx); err != nil {
			return Change{}, err
		}
	}
	first := p.held[0]
	if !first.Mask.Has(MovedFrom) {
		return p.drop(0, Event{}), nil
	}
	left := p.w.queued()
	for i := 1; ; i++ {
		if i == len(p.held) {
			if left <= 0 && !time.Now().Before(first.until) { // or there would be no end, if more and more comes
				return p.drop(0, Event{}), nil
			}
			if ok, err := p.holdUntil(ctx, first.until); err != nil {
				return Change{}, err
			} else if !ok {
				return p.drop(0, Event{}), nil
			}
			left -= p.held[i].size()
		}
		if e := p.held[i].Event; e.Mask.Has(MovedTo) && e.Cookie == first.Cookie {
			return p.drop(i, e), nil
		}
	}
}

// drop takes the first event out, and with it the one at i, its other half.
func (p *Pairer) drop(i int, to Event) Change {
	c := Change{p.held[0].Event, to}
	if i > 0 {
		p.held = append(p.held[:i], p.held[i+1:]...)
	}
	p.held = p.held[1:]
	return c
}

// hold adds an event to those that wait.
func (p *Pairer) hold(ctx context.Context) error {
	ev, err := p.w.read(ctx)
	if err == nil {
		p.held = append(p.held, held{ev, time.Now().Add(p.within)})
	}
	return err
}

// holdUntil does so too if one comes before the given time, or has come.
func (p *Pairer) holdUntil(ctx context.Context, until time.Time) (bool, error) {
	ev, ok, err := p.w.tryRead()
	if ok {
		p.held = append(p.held, held{ev, time.Now().Add(p.within)})
	}
	if ok || err != nil {
		return ok, err
	}
	wait, cancel := context.WithDeadline(ctx, until)
	defer cancel()
	err = p.hold(wait)
	switch {
	case err == nil:
		return true, nil
	case ctx.Err() != nil && errors.Is(err, wait.Err()):
		return false, fd.ContextError(ctx)
	case wait.Err() != nil && errors.Is(err, wait.Err()):
		return false, nil
	}
	return false, err
}

// Events yields one change after another: see [Watcher.Events].
func (p *Pairer) Events(ctx context.Context) iter.Seq2[Change, error] {
	return func(yield func(Change, error) bool) {
		for {
			c, err := p.Read(ctx)
			if !yield(c, err) || err != nil {
				return
			}
		}
	}
}
