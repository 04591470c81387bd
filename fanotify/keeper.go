//go:build linux

package fanotify

import (
	"slices"
	"sync"
	"time"
	"weak"

	"github.com/fildes/fildes/internal/fd"
)

// A keeper sees that whoever waits for an answer gets one, whatever becomes of the goroutines that should give it: it reads what nobody reads, allows what this process itself waits for, and gives the
// default to what has waited too long. It works from a timer, which only runs often while something waits for an answer.
type keeper struct {
	mu      sync.Mutex
	timer   *time.Timer
	often   bool
	pause   time.Duration
	stopped bool
}

const (
	firstLook = 5 * time.Millisecond // most answers have been given by then
	ownLook   = time.Millisecond     // while this process waits for itself
	lastLook  = 50 * time.Millisecond
	maxAhead  = 4096 // events that the keeper reads ahead
)

// keep starts the keeper of a group that decides.
func (g *Group) keep() {
	if g.class == Notify {
		return
	}
	wp := weak.Make(g)
	k := &g.keeper
	k.mu.Lock()
	defer k.mu.Unlock()
	k.timer = time.AfterFunc(g.idle(), func() {
		if g := wp.Value(); g != nil {
			g.look()
		}
	})
}

// idle is how often the keeper looks while nothing is known to wait.
func (g *Group) idle() time.Duration {
	if g.within == 0 {
		return time.Minute
	}
	return min(max(g.within/4, time.Millisecond), time.Minute)
}

// asked says that an event waits for an answer.
func (k *keeper) asked() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.often || k.stopped || k.timer == nil {
		return
	}
	k.often, k.pause = true, firstLook
	k.timer.Reset(firstLook)
}

func (k *keeper) stop() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.stopped = true
	if k.timer != nil {
		k.timer.Stop()
	}
}

// again sets when to look next.
func (k *keeper) again(waiting, own bool, idle, within time.Duration) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.stopped {
		return
	}
	switch k.often = waiting; {
	case !waiting:
		k.pause = idle
	case own:
		k.pause = ownLook
	default:
		k.pause = min(max(2*k.pause, firstLook), lastLook)
	}
	if within > 0 {
		k.pause = min(k.pause, max(within/4, time.Millisecond))
	}
	k.timer.Reset(k.pause)
}

// look does the keeper's work.
func (g *Group) look() {
	if g.fd.Check() != nil {
		return
	}
	before := g.counts.own.Load()
	if g.readers.Load() == 0 {
		g.readAhead()
	}
	for _, r := range g.pending.overdue(nil, false) {
		if g.answer(r, g.fallback, nil) == nil {
			g.counts.late.Add(1)
		}
	}
	g.keeper.again(g.pending.questions() > 0, g.counts.own.Load() != before, g.idle(), g.within)
}

// readAhead reads what is waiting, for whoever reads next.
func (g *Group) readAhead() {
	found := false
	for {
		more := false
		_ = g.fd.Control(func(num int) error {
			g.mu.Lock()
			defer g.mu.Unlock()
			a := &g.ahead
			if len(a.refs)-a.next >= maxAhead {
				return nil
			}
			var b Batch
			if _, err := g.fill(num, &b); err != nil {
				return err
			}
			a.rest = append(slices.Clip(a.rest), b.rest...)
			a.refs, a.next = append(slices.Clone(a.refs[a.next:]), b.refs...), 0
			a.group = g
			more, found = true, true
			return nil
		})
		if !more {
			break
		}
	}
	if found {
		g.fd.Kick(fd.Read)
	}
}
