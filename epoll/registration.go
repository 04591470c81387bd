//go:build linux

package epoll

import (
	"errors"
	"os"
	"syscall"
	"weak"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes/internal/fd"
	"github.com/fildes/fildes/internal/sys"
)

// A Registration is one descriptor's place in a [Poller]. Its methods may be called by several goroutines at once. The zero
// Registration refuses every operation with [os.ErrInvalid].
type Registration[T any] struct {
	p          *Poller[T]
	conn       syscall.RawConn
	engine     *fd.FD // of a handle of this module, else nil; Poller.control
	attachment fd.Attachment
	index      int

	// Poller.control.
	events  Events
	removed bool
	absent  bool // not in the kernel's set: its one shot was fired when the set was replaced

	// Poller.mu.
	generation int32
	fired      bool // its one shot
	gone       bool // the slot is somebody else's
}

// attachment is what a handle of this module knows of its place in a set. The pointers are weak, so that a handle and a Poller
// that are both forgotten don't keep each other from being closed.
type attachment[T any] struct {
	p weak.Pointer[Poller[T]]
	r weak.Pointer[Registration[T]]
}

// Add registers c for events, and returns the registration; value comes back with each of its events: epoll_ctl(2),
// EPOLL_CTL_ADD. c is anything that lends its descriptor: a net.Conn, an [os.File], a handle of this module, which then leaves the set by
// itself when it is closed. Error and Hangup are reported unasked. The Poller keeps c reachable until Remove or Close.
//
// It fails with EPERM for what can't be polled (regular files, directories), EEXIST if the descriptor is registered already, ELOOP for a
// loop of sets, ENOSPC at the limit fs.epoll.max_user_watches, and with [os.ErrInvalid] where [Exclusive] doesn't go with the
// other events.
//
// The method SyscallConn of c, and its Control, must not call methods of the Poller.
func (p *Poller[T]) Add(c syscall.Conn, events Events, value T) (*Registration[T], error) {
	r, err := p.add(c, events, value)
	if err != nil {
		return nil, fail("add", err)
	}
	return r, nil
}

func (p *Poller[T]) add(c syscall.Conn, events Events, value T) (*Registration[T], error) {
	if p == nil || p.set.Load() == nil {
		return nil, os.ErrInvalid
	}
	if c == nil {
		return nil, errNoConn
	}
	if events.Has(Exclusive) && events&^exclusiveWith != 0 {
		return nil, errExclusive
	}
	conn, err := c.SyscallConn()
	if err != nil {
		return nil, fd.Normalise(err)
	}
	r := &Registration[T]{p: p, conn: conn, engine: fd.Engine(conn), events: events}
	r.attachment = &attachment[T]{weak.Make(p), weak.Make(r)}
	p.control.Lock()
	defer p.control.Unlock()
	if err := p.occupy(r, value); err != nil {
		return nil, err
	}
	if err := r.enter(p.set.Load()); err != nil {
		p.vacate(r, false)
		return nil, err
	}
	return r, nil
}

// enter puts r into the set, and sees to it that it leaves in time. The caller holds Poller.control.
func (r *Registration[T]) enter(s *set) error {
	return r.lend(func(num int) error {
		if r.engine != nil {
			if err := r.engine.Attach(r.attachment); err != nil {
				return err
			}
		}
		err := r.ctl(s, unix.EPOLL_CTL_ADD, num, r.events)
		if err != nil && r.engine != nil {
			r.engine.Unattach(r.attachment)
		}
		return err
	})
}

// lend runs op with the number. Of a handle of this module that doesn't make the description shared.
func (r *Registration[T]) lend(op func(num int) error) (err error) {
	if r.engine != nil {
		return r.engine.Control(op)
	}
	if cerr := r.conn.Control(func(num uintptr) { err = op(int(num)) }); cerr != nil {
		return fd.Normalise(cerr)
	}
	return err
}

// ctl calls epoll_ctl on the set.
func (r *Registration[T]) ctl(s *set, op, num int, events Events) error {
	ev := sys.EpollEvent{Events: uint32(events), Fd: int32(r.index), Pad: r.generation}
	return s.fd.Control(func(set int) error { return sys.EpollControl(set, op, num, &ev) })
}

// occupy gives r a slot.
func (p *Poller[T]) occupy(r *Registration[T], value T) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return os.ErrClosed
	}
	if p.free < 0 {
		p.slots = append(p.slots, slot[T]{next: -1})
		p.free = len(p.slots) - 1
	}
	s := &p.slots[p.free]
	r.index, r.generation = p.free, s.generation
	p.free = int(s.next)
	s.value, s.reg, s.oneShot = value, r, r.events.Has(OneShot)
	p.live++
	return nil
}

// vacate takes r's slot away, and lets go of its value. orphan says that the kernel may still have the item.
func (p *Poller[T]) vacate(r *Registration[T], orphan bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || r.gone {
		return
	}
	r.gone = true
	p.orphan = p.orphan || orphan
	p.slots[r.index] = slot[T]{generation: r.generation + 1, next: int32(p.free)}
	p.free = r.index
	p.live--
}

// admit says whether r may be changed. The caller holds Poller.control.
func (r *Registration[T]) admit() (*set, error) {
	r.p.mu.Lock()
	defer r.p.mu.Unlock()
	if r.p.closed || r.removed {
		return nil, os.ErrClosed
	}
	return r.p.set.Load(), nil
}

// Modify replaces what the registration looks for, and arms a [OneShot] again: epoll_ctl(2), EPOLL_CTL_MOD. What is ready now is
// reported, also to an edge-triggered registration. It waits for nothing.
//
// It fails with [os.ErrClosed] after Remove, after the Poller's Close and after the descriptor was closed, and with [os.ErrInvalid] if
// the old or the new events have [Exclusive].
func (r *Registration[T]) Modify(events Events) error {
	if r == nil || r.p == nil {
		return fail("modify", os.ErrInvalid)
	}
	r.p.control.Lock()
	defer r.p.control.Unlock()
	s, err := r.admit()
	if err == nil && (events | r.events).Has(Exclusive) {
		err = errNotModified
	}
	if err == nil {
		err = r.modify(s, events)
	}
	return fail("modify", err)
}

func (r *Registration[T]) modify(s *set, events Events) error {
	return r.lend(func(num int) error {
		op := unix.EPOLL_CTL_MOD
		if r.absent {
			op = unix.EPOLL_CTL_ADD
		}
		// Before the call, so that an event that comes right after it counts.
		old, fired := r.arm(events, false)
		if err := r.ctl(s, op, num, events); err != nil {
			r.arm(old, fired)
			if errors.Is(err, unix.ENOENT) {
				return os.ErrClosed
			}
			return err
		}
		r.absent = false
		return nil
	})
}

// arm replaces what the slot knows of the registration.
func (r *Registration[T]) arm(events Events, fired bool) (Events, bool) {
	r.p.mu.Lock()
	defer r.p.mu.Unlock()
	old, had := r.events, r.fired
	r.events, r.fired = events, fired
	if !r.p.closed && !r.gone {
		r.p.slots[r.index].oneShot = events.Has(OneShot)
	}
	return old, had
}

// Remove ends the registration: epoll_ctl(2), EPOLL_CTL_DEL. When it has returned, no Wait that begins later returns an event of
// it, and the Poller has let go of the value and the connection. An event that another goroutine's Wait has returned already is that goroutine's.
//
// Removing what has left the set because its descriptor was closed is no error. A second Remove, and one after the Poller's Close, returns
// [os.ErrClosed].
func (r *Registration[T]) Remove() error {
	if r == nil || r.p == nil {
		return fail("remove", os.ErrInvalid)
	}
	r.p.control.Lock()
	defer r.p.control.Unlock()
	s, err := r.admit()
	if err != nil {
		return fail("remove", err)
	}
	r.removed = true
	err = r.lend(func(num int) error {
		err := r.ctl(s, unix.EPOLL_CTL_DEL, num, 0)
		if r.engine != nil {
			r.engine.Unattach(r.attachment)
		}
		return err
	})
	closed := errors.Is(err, os.ErrClosed)
	r.p.vacate(r, closed)
	if closed || errors.Is(err, unix.ENOENT) {
		err = nil
	}
	return fail("remove", err)
}

// readd puts r into a set that replaces another. What was closed stays away.
func (r *Registration[T]) readd(s *set) error {
	r.p.mu.Lock()
	fired := r.fired && r.events.Has(OneShot)
	r.p.mu.Unlock()
	if fired {
		r.absent = true
		return nil
	}
	err := r.lend(func(num int) error { return r.ctl(s, unix.EPOLL_CTL_ADD, num, r.events) })
	if errors.Is(err, os.ErrClosed) {
		return nil
	}
	return err
}

// Detach implements fd.Attachment: the descriptor is being closed.
func (a *attachment[T]) Detach(num int) {
	p, r := a.p.Value(), a.r.Value()
	if p == nil || r == nil {
		return
	}
	// A set that replaces this one meanwhile doesn't get the number: its owner refuses to lend it.
	_ = r.ctl(p.set.Load(), unix.EPOLL_CTL_DEL, num, 0)
	p.vacate(r, false)
}

// Move implements fd.Attachment: the descriptor is a set, which was replaced by another.
func (a *attachment[T]) Move(to *fd.FD) {
	p, r := a.p.Value(), a.r.Value()
	if p == nil || r == nil {
		return
	}
	p.control.Lock()
	defer p.control.Unlock()
	s, err := r.admit()
	if err != nil {
		return
	}
	_ = r.lend(func(num int) error { return r.ctl(s, unix.EPOLL_CTL_DEL, num, 0) })
	r.engine = to
	if err := r.enter(s); err != nil {
		p.vacate(r, false)
	}
}
