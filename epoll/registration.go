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

	// Poller.control, and Poller.mu to write.
	events     Events
	generation int32

	// Poller.control.
	removed bool
	absent  bool // not in the kernel's set: its one shot was fired when the set was replaced

	// Poller.mu.
	fired int32 // the generation of the last event that was handed out: a one-shot is disabled by it
	gone  bool  // the slot is somebody else's
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
	for {
		if err != nil {
			return nil, fd.Normalise(err)
		}
		r, err := p.addConn(conn, events, value)
		if !errors.Is(err, os.ErrClosed) || fd.Engine(conn) == nil {
			return r, err
		}
		// It may be a Poller that has moved to a new set meanwhile.
		again, cerr := c.SyscallConn()
		if cerr != nil || fd.Engine(again) == fd.Engine(conn) {
			return nil, err
		}
		conn = again
	}
}

func (p *Poller[T]) addConn(conn syscall.RawConn, events Events, value T) (*Registration[T], error) {
	r := &Registration[T]{p: p, conn: conn, engine: fd.Engine(conn), events: events}
	r.attachment = &attachment[T]{weak.Make(p), weak.Make(r)}
	p.control.Lock()
	defer p.control.Unlock()
	if err := p.occupy(r, value); err != nil {
		return nil, err
	}
	if err := r.enter(p.set.Load()); err != nil {
		p.vacate(r)
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
		if errors.Is(err, unix.EEXIST) && !r.p.registered(num, r) {
			// An item that a closed connection has left: a duplicate of it has its number now, and so can delete it.
			_ = r.ctl(s, unix.EPOLL_CTL_DEL, num, 0)
			err = r.ctl(s, unix.EPOLL_CTL_ADD, num, r.events)
		}
		if err != nil && r.engine != nil {
			r.engine.Unattach(r.attachment)
		}
		return err
	})
}

// registered says whether a registration other than r has the number.
func (p *Poller[T]) registered(num int, r *Registration[T]) bool {
	p.mu.Lock()
	var regs []*Registration[T]
	for i := range p.slots {
		if o := p.slots[i].reg; o != nil && o != r {
			regs = append(regs, o)
		}
	}
	p.mu.Unlock()
	for _, o := range regs {
		same := false
		_ = o.lend(func(n int) error { same = n == num; return nil })
		if same {
			return true
		}
	}
	return false
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
	s.value, s.reg = value, r
	r.fired = r.generation - 1
	p.live++
	return nil
}

// vacate takes r's slot away, and lets go of its value. The kernel doesn't have the item any more, or won't let go of it.
func (p *Poller[T]) vacate(r *Registration[T]) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || r.gone {
		return
	}
	r.gone = true
	s := &p.slots[r.index]
	*s = slot[T]{generation: s.generation + 2, next: int32(p.free)} // 1 may be on its way to the kernel
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

// modify gives the registration a new generation, so that what an earlier one has reported isn't taken for it. The caller holds
// Poller.control.
func (r *Registration[T]) modify(s *set, events Events) error {
	return r.lend(func(num int) error {
		op := unix.EPOLL_CTL_MOD
		if r.absent {
			op = unix.EPOLL_CTL_ADD
		}
		r.p.update(r, func(s *slot[T]) { s.modifying = true })
		r.generation++
		err := r.ctl(s, op, num, events)
		r.p.update(r, func(s *slot[T]) {
			s.modifying = false
			if err == nil {
				s.generation, r.events = r.generation, events
			}
		})
		if err != nil {
			r.generation--
			if errors.Is(err, unix.ENOENT) {
				return os.ErrClosed
			}
			return err
		}
		r.absent = false
		return nil
	})
}

// update changes r's slot, if it still has one.
func (p *Poller[T]) update(r *Registration[T], change func(s *slot[T])) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closed && !r.gone {
		change(&p.slots[r.index])
	}
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
	r.p.vacate(r)
	if errors.Is(err, os.ErrClosed) || errors.Is(err, unix.ENOENT) {
		err = nil
	}
	return fail("remove", err)
}

// hasFired says whether the registration is a one-shot that the kernel has disabled.
func (r *Registration[T]) hasFired() bool {
	r.p.mu.Lock()
	defer r.p.mu.Unlock()
	return r.events.Has(OneShot) && r.fired == r.generation
}

// readd puts r into a set that replaces another, and says whether it stays away. What was closed does, too.
func (r *Registration[T]) readd(s *set) (absent bool, err error) {
	if r.hasFired() {
		return true, nil
	}
	err = r.lend(func(num int) error { return r.ctl(s, unix.EPOLL_CTL_ADD, num, r.events) })
	if errors.Is(err, os.ErrClosed) {
		err = nil
	}
	return false, err
}

// Detach implements fd.Attachment: the descriptor is being closed.
func (a *attachment[T]) Detach(num int) {
	p, r := a.p.Value(), a.r.Value()
	if p == nil || r == nil {
		return
	}
	// A new set that is being made may have got the item before: then it is found to be stale there.
	_ = r.ctl(p.set.Load(), unix.EPOLL_CTL_DEL, num, 0)
	p.vacate(r)
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
	if r.absent = r.hasFired(); r.absent {
		err = to.Attach(r.attachment)
	} else {
		err = r.enter(s)
	}
	if errors.Is(err, os.ErrClosed) {
		p.vacate(r)
	} else if err != nil {
		// The next Wait tries again, and says why if it can't.
		_ = to.Attach(r.attachment)
		p.mu.Lock()
		p.stale = true
		p.mu.Unlock()
		s.fd.Kick(fd.Read)
	}
}
