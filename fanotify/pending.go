//go:build linux

package fanotify

import (
	"os"
	"sync"
	"time"

	"github.com/fildes/fildes/internal/sys"
)

// A ref names a slot of the pending table: an index, from 1, and the generation that was in it. The zero ref is of an event that owns nothing.
type ref struct{ index, generation uint32 }

// skipped is the ref of an event that nobody is to see: it has been answered.
var skipped = ref{index: ^uint32(0)}

// What has become of an event that waits for an answer.
const (
	noQuestion uint8 = iota
	undecided
	answering
	answered
)

// A slot owns the descriptors of one event. The kernel knows an event that waits for an answer by the number of its descriptor, so that this stays open until it has it.
type slot struct {
	generation uint32
	state      uint8
	used       bool
	dropped    bool  // to be freed by the last that has it lent
	lent       int32 // those who use a number
	object     int32 // noFD if there is none (any more)
	pidfd      int32 // noFD if there is none (any more)
	due        time.Duration
	next       uint32 // the next free one
}

// pending is the table of a group's events that own something. It doesn't refer to the group, so that it can outlive it.
type pending struct {
	mu        sync.Mutex
	slots     []slot
	free      uint32
	undecided int
	shut      bool
	began     time.Time
}

func (p *pending) now() time.Duration { return time.Since(p.began) }

// add makes a slot for descriptors. It refuses once the table is shut.
func (p *pending) add(fd, pidfd int32, question bool, within time.Duration) (ref, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.shut {
		return ref{}, false
	}
	i := p.free
	if i == 0 {
		p.slots = append(p.slots, slot{})
		i = uint32(len(p.slots))
	} else {
		p.free = p.slots[i-1].next
	}
	s := &p.slots[i-1]
	*s = slot{generation: s.generation + 1, used: true, object: fd, pidfd: pidfd}
	if question {
		s.state = undecided
		p.undecided++
		if within > 0 {
			s.due = p.now() + within
		}
	}
	return ref{i, s.generation}, true
}

// at returns the slot that r means, or nil if its event has ended. The caller holds p.mu.
func (p *pending) at(r ref) *slot {
	if r.index == 0 || int64(r.index) > int64(len(p.slots)) {
		return nil
	}
	if s := &p.slots[r.index-1]; s.used && !s.dropped && s.generation == r.generation {
		return s
	}
	return nil
}

// begin claims the right to answer, and returns the number by which the kernel knows the event.
func (p *pending) begin(r ref) (int32, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.at(r)
	switch {
	case s == nil:
		return 0, os.ErrClosed
	case s.state == noQuestion:
		return 0, errNoQuestion
	case s.state != undecided:
		return 0, ErrAnswered
	}
	s.state = answering
	s.lent++
	p.undecided--
	return s.object, nil
}

// end says how answering went. Where the kernel didn't take the answer there is still one to give: by the caller, if nobody else will, who ends it again then.
func (p *pending) end(r ref, taken bool) (orphan bool) {
	p.mu.Lock()
	s := &p.slots[r.index-1] // it is lent
	if !taken && (s.dropped || p.shut) {
		p.mu.Unlock()
		return true
	}
	if s.state = answered; !taken {
		s.state = undecided
		p.undecided++
	}
	p.give(r.index)
	return false
}

// lend returns the event's descriptor, which stays what it is until give.
func (p *pending) lend(r ref) (int32, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.at(r)
	if s == nil {
		return noFD, os.ErrClosed
	}
	if s.object < 0 {
		return noFD, errTaken
	}
	s.lent++
	return s.object, nil
}

// give ends a loan. The caller holds p.mu, which it gives up.
func (p *pending) give(index uint32) {
	s := &p.slots[index-1]
	s.lent--
	var fd, pidfd int32 = noFD, noFD
	if s.dropped && s.lent == 0 {
		fd, pidfd = p.clear(index)
	}
	p.mu.Unlock()
	closeBoth(fd, pidfd)
}

// clear frees a slot and returns what is to be closed. The caller holds p.mu.
func (p *pending) clear(index uint32) (fd, pidfd int32) {
	s := &p.slots[index-1]
	if s.state == undecided {
		p.undecided--
	}
	fd, pidfd = s.object, s.pidfd
	*s = slot{generation: s.generation, next: p.free}
	p.free = index
	return fd, pidfd
}

// drop ends an event. Where there is an answer to give, the caller has claimed it, as by begin.
func (p *pending) drop(r ref) (claim int32, claimed, ok bool) {
	p.mu.Lock()
	s := p.at(r)
	if s == nil {
		p.mu.Unlock()
		return noFD, false, false
	}
	if s.state == undecided {
		s.state, s.dropped = answering, true
		s.lent++
		p.undecided--
		num := s.object
		p.mu.Unlock()
		return num, true, true
	}
	var fd, pidfd int32 = noFD, noFD
	if s.lent > 0 {
		s.dropped = true
	} else {
		fd, pidfd = p.clear(r.index)
	}
	p.mu.Unlock()
	closeBoth(fd, pidfd)
	return noFD, false, true
}

// take gives the descriptor away. A duplicate is needed while the kernel knows the event by it, or somebody uses it.
func (p *pending) take(r ref, pid bool) (int32, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.at(r)
	if s == nil {
		return noFD, os.ErrClosed
	}
	n := &s.object
	if pid {
		n = &s.pidfd
	}
	if *n < 0 {
		return noFD, errTaken
	}
	if s.lent > 0 || !pid && (s.state == undecided || s.state == answering) {
		dup, err := sys.Dup(int(*n))
		return int32(dup), err
	}
	given := *n
	*n = noFD
	return given, nil
}

// waiting says whether an event waits for an answer.
func (p *pending) waiting(r ref) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.at(r)
	return s != nil && s.state == undecided
}

// overdue appends the events whose time to be decided has passed, or all that wait for an answer.
func (p *pending) overdue(dst []ref, all bool) []ref {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	for i := range p.slots {
		if s := &p.slots[i]; s.used && s.state == undecided && (all || s.due > 0 && s.due <= now) {
			dst = append(dst, ref{uint32(i + 1), s.generation})
		}
	}
	return dst
}

func (p *pending) questions() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.undecided
}

// refuse has add refuse from now on.
func (p *pending) refuse() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.shut = true
}

// end of all: the descriptors of every event are closed.
func (p *pending) closeAll() {
	p.mu.Lock()
	p.shut = true
	var nums []int32
	for i := range p.slots {
		switch s := &p.slots[i]; {
		case !s.used:
		case s.lent > 0:
			s.dropped = true
		default:
			fd, pidfd := p.clear(uint32(i + 1))
			nums = append(nums, fd, pidfd)
		}
	}
	p.mu.Unlock()
	closeBoth(nums...)
}

func closeBoth(nums ...int32) {
	for _, n := range nums {
		if n >= 0 {
			_ = sys.Close(int(n))
		}
	}
}

// move gives a slot to another event, so that the refs of the old one mean nothing.
func (p *pending) move(r ref) (ref, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.at(r)
	if s == nil {
		return ref{}, os.ErrClosed
	}
	if s.lent > 0 {
		return ref{}, errInUse
	}
	s.generation++
	return ref{r.index, s.generation}, nil
}
