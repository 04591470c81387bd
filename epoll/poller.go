//go:build linux

package epoll

import (
	"context"
	"errors"
	"iter"
	"os"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/fildes/fildes"
	"github.com/fildes/fildes/internal/fd"
	"github.com/fildes/fildes/internal/sys"
)

// An Event says what happened to the descriptor of one registration.
type Event[T any] struct {
	// Events is what was reported: of what was asked for, and Error and Hangup.
	Events Events
	// Value is the value that was given to Add.
	Value T
	// Registration is what Add returned.
	Registration *Registration[T]
}

// A Poller is a set of registrations.
//
// All methods may be called by several goroutines at once; of several that wait, one gets each event. The zero Poller and a nil
// *Poller refuse every operation with [os.ErrInvalid], a closed one with [os.ErrClosed]. A Poller must not be copied. It keeps
// what is registered reachable. One that is forgotten without Close is closed by the garbage collector, some time later.
type Poller[T any] struct {
	set atomic.Pointer[set]

	// control serialises what changes the kernel's set. It is held while a connection lends its number, so it comes before mu,
	// and closing a descriptor never needs it.
	control sync.Mutex

	mu      sync.Mutex // all below
	slots   []slot[T]
	free    int // the first free slot, or -1
	live    int
	closed  bool
	retired bool             // the set is being given up
	stale   bool             // the set holds what can't be deleted, or lacks what it should have: it is to be replaced
	ahead   []sys.EpollEvent // read ahead by Events
	buf     []sys.EpollEvent
}

// likely says whether a Wait may look at once.
func (s *set) likely() bool { return s.fd.Likely(fd.Read) }

// The compiler inlines into generic code only what it has inlined into other code of the package before: EpollPoll into this.
var _ = func(s *set, first *sys.EpollEvent, n int) (int, sys.Errno) {
	return sys.EpollPoll(s.fd.Num(), first, n)
}

// set is the kernel's set. It is replaced when it holds what can't be deleted.
type set struct{ fd fd.FD }

// slot is where an event finds its value: the kernel's data word is the index and the generation.
type slot[T any] struct {
	value      T
	reg        *Registration[T] // nil in a free slot
	generation int32
	next       int32 // the next free slot
	modifying  bool  // the kernel may have the next generation already
}

// Options are the options of [New]; nil means the zero value.
type Options struct {
	// Capacity is for how many registrations to make room at once. There is no limit on their number.
	Capacity int
}

const (
	aheadLen = 64   // how many events a loop reads ahead
	batchLen = 1024 // how many events one Wait returns at most
)

// New makes an empty set: epoll_create1(2), close-on-exec.
//
// It fails with EMFILE or ENFILE at the limit on descriptors, which the error names.
func New[T any](opts *Options) (*Poller[T], error) {
	p := &Poller[T]{free: -1}
	if opts != nil {
		if opts.Capacity < 0 {
			return nil, fail("new", errCapacity)
		}
		p.slots = make([]slot[T], 0, min(opts.Capacity, 1<<16))
	}
	s, err := newSet()
	if err != nil {
		return nil, fail("new", err)
	}
	p.set.Store(s)
	return p, nil
}

func newSet() (*set, error) {
	n, err := sys.EpollCreate()
	if err != nil {
		return nil, err
	}
	s := new(set)
	s.fd.Init(n, false)
	return s, nil
}

type invalid string

func (e invalid) Error() string { return string(e) }
func (invalid) Unwrap() error   { return os.ErrInvalid }

var (
	errCapacity    error = invalid("the capacity is negative")
	errNoRoom      error = invalid("there is no room for an event: the slice is empty")
	errNoConn      error = invalid("there is no connection")
	errExclusive   error = invalid("Exclusive goes only with Readable, Writable, WakeUp, EdgeTriggered, Error and Hangup")
	errNotModified error = invalid("a registration can't be modified from or to Exclusive: remove it and add it again")
	errReplaced    error = errors.New("the set was replaced")
)

// fail makes the error of a method; it returns nil for nil.
//
//go:noinline
func fail(op string, err error) error {
	if err == nil {
		return nil
	}
	if oe, ok := err.(*fildes.OpError); ok {
		err = oe.Err // of another handle, which was to be added
	}
	err = fildes.NewOpError("epoll", op, "", err)
	if oe := err.(*fildes.OpError); oe.Hint == "" {
		switch {
		case errors.Is(oe.Err, syscall.EPERM):
			oe.Hint = "the descriptor can't be polled: a regular file or a directory is always ready"
		case errors.Is(oe.Err, syscall.EEXIST):
			oe.Hint = "the descriptor is registered already: modify that registration"
		case errors.Is(oe.Err, syscall.ELOOP):
			oe.Hint = "sets may be nested five deep, Go's poller included, and not in a loop"
		case errors.Is(oe.Err, syscall.EINVAL):
			oe.Hint = "a set can't be added to itself, nor with Exclusive to another"
		}
	}
	return err
}

// Wait waits until at least one registration is ready, and fills dst with events, at most 1,024 of them: epoll_wait(2), which is
// called only when it needn't wait. The waiting is done by Go's poller, so that it costs no thread and ends with ctx and Close.
//
// An event that was reported before a Remove returned is never returned by a Wait that begins after it. Level-triggered
// registrations are reported by each Wait as long as they are ready, in turn where dst is too short for all.
//
// A done ctx fails the call before anything is taken, with an error that matches ctx.Err() and context.Cause(ctx). An empty dst
// is refused with [os.ErrInvalid]. Moving to a new set (see the package's documentation) can fail with EMFILE and the like; the next Wait tries
// again.
func (p *Poller[T]) Wait(ctx context.Context, dst []Event[T]) (int, error) {
	if p != nil && ctx != nil && len(dst) > 0 && ctx.Err() == nil {
		if s := p.set.Load(); s != nil && s.likely() {
			if n, _ := p.collect(s, dst, 0); n > 0 {
				return n, nil
			}
		}
	}
	n, err := p.wait(ctx, dst, 0)
	return n, fail("wait", err)
}

func (p *Poller[T]) wait(ctx context.Context, dst []Event[T], ahead int) (n int, err error) {
	if p == nil {
		return 0, os.ErrInvalid
	}
	if len(dst) == 0 {
		return 0, errNoRoom
	}
	for {
		s := p.set.Load()
		if s == nil {
			return 0, os.ErrInvalid
		}
		err := s.fd.Await(ctx, fd.Read, func(int) (err error) {
			if n, err = p.collect(s, dst, ahead); n == 0 && err == nil {
				return fd.Again
			}
			return err
		})
		switch {
		case err == errReplaced || err == os.ErrClosed && p.set.Load() != s:
			if err := p.replace(s); err != nil {
				return 0, err
			}
		case err != nil:
			return 0, err
		default:
			return n, nil
		}
	}
}

// collect takes what is ready, up to len(dst) events, reading up to ahead of them from the kernel. What keeps the number valid is p.mu: who
// gives up a set retires it first.
func (p *Poller[T]) collect(s *set, dst []Event[T], ahead int) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		if p.stale || p.retired || p.set.Load() != s {
			return 0, errReplaced
		}
		evs := p.ahead
		fresh := len(evs) == 0
		if fresh {
			want := min(max(len(dst), ahead), batchLen)
			if len(p.buf) < want {
				p.buf = make([]sys.EpollEvent, want)
			}
			n, e := sys.EpollPoll(s.fd.Num(), &p.buf[0], want)
			if n <= 0 {
				return 0, sys.Error("epoll_pwait", e)
			}
			evs = p.buf[:n]
		}
		n := 0
		for len(evs) > 0 && n < len(dst) {
			switch {
			case p.decode(&evs[0], &dst[n]):
				n++
			case fresh:
				p.stale = true
			}
			evs = evs[1:]
		}
		p.ahead = evs
		if n > 0 {
			return n, nil
		}
	}
}

// decode turns the kernel's event into ours. One that fits no slot was read ahead before its registration was removed or modified;
// or, if it comes fresh from the kernel, it is of an item that couldn't be deleted, because nothing leaves a slot before the kernel's set.
func (p *Poller[T]) decode(in *sys.EpollEvent, out *Event[T]) bool {
	if uint32(in.Fd) >= uint32(len(p.slots)) { // not ours: somebody has the set's number
		return false
	}
	s := &p.slots[in.Fd]
	if s.reg == nil || in.Pad != s.generation && !(s.modifying && in.Pad == s.generation+1) {
		return false
	}
	s.reg.fired = in.Pad
	*out = Event[T]{Events(in.Events), s.value, s.reg}
	return true
}

// Events waits as Wait does and yields one event after another, until the loop is left or something fails; the error is yielded once,
// last. No lock is held meanwhile.
//
// Up to 64 events are read ahead, so that what one reports may be over when it is yielded: an operation that would block a thread must not
// rely on it. One whose registration has been removed or modified by then isn't yielded. Those that are left when the loop is left go back to the
// kernel, which reports what is still so to whoever waits next.
func (p *Poller[T]) Events(ctx context.Context) iter.Seq2[Event[T], error] {
	return func(yield func(Event[T], error) bool) {
		defer p.giveBack()
		for {
			var one [1]Event[T]
			if _, err := p.wait(ctx, one[:], aheadLen); err != nil {
				yield(Event[T]{}, fail("wait", err))
				return
			}
			if !yield(one[0], nil) {
				return
			}
		}
	}
}

// giveBack hands what was read ahead back to the kernel: it reports a level again by itself, and what else is ready when it is
// told to look again. Exclusive doesn't allow that: such an event stays.
func (p *Poller[T]) giveBack() {
	if p == nil || p.set.Load() == nil {
		return
	}
	p.control.Lock()
	defer p.control.Unlock()
	p.mu.Lock()
	s := p.set.Load()
	var again []*Registration[T]
	keep := p.ahead[:0]
	var ev Event[T]
	for _, in := range p.ahead {
		fired := int32(0)
		if uint32(in.Fd) < uint32(len(p.slots)) && p.slots[in.Fd].reg != nil {
			fired = p.slots[in.Fd].reg.fired
		}
		if !p.decode(&in, &ev) {
			continue
		}
		ev.Registration.fired = fired // it wasn't handed out
		switch e := ev.Registration.events; {
		case e.Has(Exclusive):
			keep = append(keep, in)
		case e&(EdgeTriggered|OneShot) != 0:
			again = append(again, ev.Registration)
		}
	}
	p.ahead = keep
	p.mu.Unlock()
	for _, r := range again {
		_ = r.modify(s, r.events) // fails only where the descriptor was closed
	}
	if len(keep) > 0 {
		s.fd.Kick(fd.Read)
	}
}

// Len is the number of registrations; 0 after Close.
func (p *Poller[T]) Len() int {
	if p == nil {
		return 0
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.live
}

// replace moves all registrations to a new set, if s is still the set.
func (p *Poller[T]) replace(s *set) error {
	p.control.Lock()
	defer p.control.Unlock()
	if p.set.Load() != s {
		return nil
	}
	if err := s.fd.Check(); err != nil {
		return err
	}
	p.mu.Lock()
	if !p.stale {
		p.mu.Unlock()
		return nil
	}
	var regs []*Registration[T]
	for i := range p.slots {
		if r := p.slots[i].reg; r != nil {
			regs = append(regs, r)
		}
	}
	p.mu.Unlock()
	n, err := newSet()
	if err != nil {
		return err
	}
	absent := make([]bool, len(regs))
	for i, r := range regs {
		if absent[i], err = r.readd(n); err != nil {
			_ = n.fd.Close()
			return err
		}
	}
	for i, r := range regs {
		r.absent = absent[i]
	}
	p.mu.Lock()
	p.set.Store(n)
	p.stale = false
	p.ahead = nil // all that is ready is reported by the new set
	p.mu.Unlock()
	s.fd.MoveAttachments(&n.fd)
	return s.fd.Close()
}

// Close ends the Poller: close(2). It wakes whoever waits, who then fails with [os.ErrClosed], lets go of all values and returns
// when the number is free. What was registered stays open. A second Close returns [os.ErrClosed].
func (p *Poller[T]) Close() error {
	_, err := p.end(func(s *set) (int, error) { return 0, s.fd.Close() })
	return fail("close", err)
}

// end gives up the set, and then lets go of all registrations.
func (p *Poller[T]) end(giveUp func(s *set) (int, error)) (int, error) {
	if p == nil || p.set.Load() == nil {
		return -1, os.ErrInvalid
	}
	p.control.Lock()
	defer p.control.Unlock()
	p.mu.Lock()
	was := p.retired
	p.retired = true
	p.mu.Unlock()
	n, err := giveUp(p.set.Load())
	p.mu.Lock()
	if err != nil {
		p.retired = was
		p.mu.Unlock()
		return -1, err
	}
	slots := p.slots
	p.closed = true
	p.slots, p.ahead, p.live, p.free = nil, nil, 0, -1
	p.mu.Unlock()
	for i := range slots {
		if r := slots[i].reg; r != nil && r.engine != nil {
			r.engine.Unattach(r.attachment)
		}
	}
	return n, nil
}

// engine returns the engine of the set, or nil.
func (p *Poller[T]) engine() *fd.FD {
	if p == nil {
		return nil
	}
	if s := p.set.Load(); s != nil {
		return &s.fd
	}
	return nil
}

// SyscallConn lends the set's descriptor out, to add it to another set, say: it is readable while something is ready. Moving to a new set
// (see the package's documentation) ends what was lent, except in a Poller.
func (p *Poller[T]) SyscallConn() (syscall.RawConn, error) {
	c, err := p.engine().SyscallConn(fail)
	return c, fail("syscall-conn", err)
}

// File returns a duplicate of the set's descriptor: see [fildes.FD.File]. Its events carry data words that mean nothing outside of
// the Poller.
func (p *Poller[T]) File() (*os.File, error) {
	f, err := p.engine().File("epoll")
	return f, fail("file", err)
}

// Inherit fails with an error that matches [errors.ErrUnsupported]: a set can't be opened anew.
func (p *Poller[T]) Inherit() (*os.File, error) {
	f, err := p.engine().Inherit("epoll")
	return f, fail("inherit", err)
}

// Release ends the Poller without closing the set's descriptor, and returns its number: see [fildes.FD.Release]. What is in the set
// stays there.
func (p *Poller[T]) Release() (int, error) {
	n, err := p.end(func(s *set) (int, error) { return s.fd.Release() })
	return n, fail("release", err)
}
