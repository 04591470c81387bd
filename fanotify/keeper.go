//go:build linux

package fanotify

import (
	"encoding/binary"
	"sync"
	"time"
	"weak"

	"github.com/fildes/fildes/internal/fd"
)

// A keeper sees that whoever waits for an answer gets one, whatever becomes of the goroutines that should give it: it reads what nobody reads, allows what this process itself waits for, and gives the
// default to what has waited too long. It works from a timer, which runs often while something waits for an answer or nobody reads.
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
	idleLook  = time.Minute // while somebody reads, and nothing waits for an answer
	maxAhead  = 512         // events that the keeper keeps for who reads next
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
	k.pause = lastLook
	k.timer = time.AfterFunc(lastLook, func() {
		if g := wp.Value(); g != nil {
			g.look()
		}
	})
}

// asked says that an event waits for an answer, or that nobody reads any more.
func (k *keeper) asked() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.often && k.pause <= firstLook || k.stopped || k.timer == nil {
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

// again sets when to look next: soon, while something waits for an answer or nobody reads.
func (g *Group) again(own bool) {
	k := &g.keeper
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.stopped {
		return
	}
	switch k.often = g.pending.questions() > 0 || g.readers.Load() == 0; {
	case !k.often:
		k.pause = idleLook
	case own:
		k.pause = ownLook
	default:
		k.pause = min(max(2*k.pause, firstLook), lastLook)
		if g.within > 0 {
			k.pause = min(k.pause, max(g.within/4, ownLook))
		}
	}
	k.timer.Reset(k.pause)
}

// look does the keeper's work.
func (g *Group) look() {
	if g.fd.Check() != nil {
		return
	}
	before := g.counts.own.Load()
	if g.readers.Load() == 0 && (g.wanted.Load() || !g.shared.Load()) { // of a shared one, who reads may be another process
		g.readAhead()
	}
	for _, r := range g.pending.overdue(nil, false) {
		if g.answer(r, g.fallback, nil) == nil {
			g.counts.late.Add(1)
		}
	}
	g.again(g.counts.own.Load() != before)
}

// readAhead reads what is waiting, for whoever reads next. When it has read much, what asks gets the default, and the rest is lost: to stop reading would have this process wait for itself.
func (g *Group) readAhead() {
	found := false
	for more := true; more; {
		more = false
		_ = g.fd.Control(func(num int) error {
			g.mu.Lock()
			defer g.mu.Unlock()
			b, a := &g.scratch, &g.ahead
			if _, err := g.fill(num, b); err != nil {
				return err
			}
			more, found = true, true
			if len(a.rest) == 0 {
				a.refs, a.next = a.refs[:0], 0
			}
			if len(a.refs)-a.next < maxAhead {
				a.rest, a.refs, a.group = append(a.rest, b.rest...), append(a.refs, b.refs...), g
				return nil
			}
			for _, r := range b.refs {
				if r != (ref{}) && r != skipped {
					g.drop(r)
				}
			}
			if h, _ := decode(a.rest[len(a.rest)-headerSize:]); h.mask != Overflow {
				a.rest, a.refs = append(a.rest, overflowEvent(g.absent())...), append(a.refs, ref{})
			}
			return nil
		})
	}
	if found {
		g.fd.Kick(fd.Read)
	}
}

// overflowEvent is what the kernel says when it has lost events.
func overflowEvent(absent int32) []byte {
	b := make([]byte, headerSize)
	binary.NativeEndian.PutUint32(b, headerSize)
	b[4] = metadataVersion
	binary.NativeEndian.PutUint16(b[6:], headerSize)
	binary.NativeEndian.PutUint64(b[8:], uint64(Overflow))
	binary.NativeEndian.PutUint32(b[16:], uint32(absent))
	return b
}
