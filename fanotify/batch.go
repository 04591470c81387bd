//go:build linux

package fanotify

import (
	"context"
	"encoding/binary"
	"iter"
	"os"
	"runtime"
	"slices"
	"syscall"
	"time"

	"github.com/fildes/fildes/internal/fd"
	"github.com/fildes/fildes/internal/sys"
)

// A Batch is memory for the events of one [Group.ReadBatch]. The zero Batch is ready to use, and has room for 16 KiB: some 200 events with a handle and a name. It must not
// be used by two goroutines at once.
type Batch struct {
	buf   []byte
	rest  []byte // of buf: what Next hasn't returned
	refs  []ref  // of the events, if they own anything
	next  int    // in refs: that of rest's first
	group *Group // that the events are of
	guard *guard // of the events that the Batch is to end
}

const (
	batchSize = 16 << 10
	minBatch  = 4 << 10 // larger than any event
	maxBatch  = 1 << 20
	// oneEvent has room for one event with a descriptor and a pidfd, and never for two.
	oneEvent = 2*headerSize - 1
	// oneRange has room for one of PreAccess; two others may fit too.
	oneRange = headerSize + 8 + 24
)

// NewBatch returns a Batch with room for size bytes, of at least 4,096, so that any event fits.
func NewBatch(size int) *Batch {
	return &Batch{buf: make([]byte, min(max(size, minBatch), maxBatch))}
}

// Next takes the next event out of the batch.
func (b *Batch) Next() (Event, bool) {
	if b == nil {
		return Event{}, false
	}
	for {
		h, ok := decode(b.rest)
		if !ok {
			return Event{}, false
		}
		ev := Event{Mask: h.mask, PID: int(h.pid), group: b.group, guard: b.guard, object: h.object, Info: b.rest[h.fixed:h.size:h.size]}
		b.rest = b.rest[h.size:]
		if b.next < len(b.refs) {
			ev.ref = b.refs[b.next]
			if b.next++; ev.ref == skipped {
				continue
			}
		}
		return ev, true
	}
}

// Close ends the events that the batch has: those that wait for an answer get the group's default. The Batch can be used again.
func (b *Batch) Close() {
	if b == nil {
		return
	}
	b.rest, b.refs, b.next = nil, b.refs[:0], 0
	b.endReturned()
}

// endReturned ends the events that Next has returned.
func (b *Batch) endReturned() {
	if b.guard == nil {
		return
	}
	ahead := 0
	for _, r := range b.refs[b.next:] {
		if r != (ref{}) && r != skipped {
			ahead++
		}
	}
	b.guard.held.drop(ahead)
	runtime.KeepAlive(b.guard)
}

// left is how many events there are for Next.
func (b *Batch) left() int {
	n, _ := count(b.rest)
	for _, r := range b.refs[b.next:] {
		if r == skipped {
			n--
		}
	}
	return n
}

// own makes the batch end the events that were put into it.
func (b *Batch) own() {
	for _, r := range b.refs[b.next:] {
		if r != (ref{}) && r != skipped {
			if b.guard == nil {
				b.guard = newGuard()
			}
			b.guard.held.add(b.group, r)
		}
	}
}

// ReadBatch waits until there are events and takes as many as fit into b, without allocating: read(2). It returns how many there are for [Batch.Next]. The events that Next has returned from b are ended first: their
// descriptors are closed, and those that wait for an answer get the group's default, so that events are worked through, or kept ([Event.Keep]), before the batch is read into again. What Next hasn't returned
// comes first: then nothing is read.
//
// Events come in the order in which they happened; those of one object that nobody has read yet may be joined in one. Where the queue was full an event with Overflow stands for those
// that were lost. A done ctx fails the call before anything is taken, with an error that matches ctx.Err() and context.Cause(ctx).
func (g *Group) ReadBatch(ctx context.Context, b *Batch) (int, error) {
	if g != nil && ctx != nil && ctx.Err() == nil && b != nil && len(b.rest) == 0 && b.guard == nil && len(b.buf) > 0 && g.plain() && g.fd.Enter(fd.Read) {
		g.mu.Lock()
		got, e := uintptr(0), syscall.EAGAIN
		if len(g.ahead.rest) == 0 {
			got, e = sys.ReadOnce(g.fd.Num(), b.buf) // in this frame: to return from others costs as much as all else here
		}
		g.mu.Unlock()
		if g.fd.Leave(fd.Read); e == 0 {
			if n, whole := count(b.buf[:got]); whole && n > 0 {
				b.rest, b.group = b.buf[:got], g
				return n, nil
			}
			return 0, fail("read", "", errVersion)
		}
	}
	n, err := g.readBatch(ctx, b)
	return n, fail("read", "", err)
}

// reads counts those who read.
func (g *Group) reads(more int32) {
	if g == nil || g.class == Notify {
		return
	}
	g.wanted.Store(true)
	if g.readers.Add(more) == 0 {
		g.keeper.asked()
	}
}

// plain says whether the group's events own nothing.
func (g *Group) plain() bool {
	return g.report&(handles|ReportMount) != 0 && g.report&ReportPIDFD == 0
}

func (g *Group) readBatch(ctx context.Context, b *Batch) (n int, err error) {
	if b == nil {
		return 0, errNoBatch
	}
	g.reads(1)
	defer g.reads(-1)
	err = g.engine().Stream(ctx, fd.Read, func(num int) (err error) {
		if n, err = g.take(num, b); err == fd.Again && g.lingers(num) {
			n, err = g.take(num, b)
		}
		return err
	})
	return n, err
}

// lingering is how long a reader waits in the kernel after an answer. Who got it often asks again at once, and to be woken by way of Go's poller costs as much as all else.
const lingering = 2 * time.Millisecond

// lingers waits that long, if there was an answer just now, and says whether it did.
func (g *Group) lingers(num int) bool {
	if g.class == Notify || g.pending.now()-time.Duration(g.replied.Load()) > lingering {
		return false
	}
	sys.AwaitReadable(num, lingering)
	return true
}

// TryReadBatch is [Group.ReadBatch] where it need not wait. It returns 0 if there are no events.
func (g *Group) TryReadBatch(b *Batch) (int, error) {
	if b == nil {
		return 0, fail("try-read", "", errNoBatch)
	}
	n, err := g.tryTake(b)
	if err == fd.Again {
		return 0, nil
	}
	return n, fail("try-read", "", err)
}

func (g *Group) tryTake(b *Batch) (n int, err error) {
	err = g.engine().Control(func(num int) (err error) {
		n, err = g.take(num, b)
		return err
	})
	return n, err
}

// take fills b, with what was read ahead before all else.
func (g *Group) take(num int, b *Batch) (int, error) {
	b.endReturned()
	if n := b.left(); n > 0 {
		if b.group != g {
			return 0, errOtherGroup
		}
		return n, nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if a := &g.ahead; len(a.rest) > 0 {
		b.rest, b.refs, b.next, b.group = slices.Clone(a.rest), slices.Clone(a.refs[a.next:]), 0, g
		a.rest, a.refs, a.next = nil, a.refs[:0], 0
	}
	if b.group != g || b.left() == 0 {
		if _, err := g.fill(num, b); err != nil {
			return 0, err
		}
	}
	b.own()
	return b.left(), nil
}

// fill reads. It returns how many events there are for Next. The caller holds g.mu.
func (g *Group) fill(num int, b *Batch) (int, error) {
	if len(b.buf) == 0 {
		b.buf = make([]byte, batchSize)
	}
	buf := b.buf
	if g.single {
		buf = buf[:oneEvent]
	}
	for {
		got, e := sys.ReadOnce(num, buf)
		switch e {
		case 0:
		case syscall.EINTR:
			continue
		case syscall.EINVAL:
			if len(buf) == oneEvent {
				buf = b.buf[:oneRange]
				continue
			}
			return 0, e
		case syscall.EAGAIN, syscall.EBADF, syscall.EFAULT:
			return 0, e
		default:
			if !g.single {
				return 0, e
			}
			got = failedEvent(buf, e)
		}
		b.rest, b.refs, b.next, b.group = buf[:got], b.refs[:0], 0, g
		n, whole := count(b.rest)
		if !whole || n == 0 {
			b.rest = nil
			return 0, errVersion
		}
		if g.plain() {
			return n, nil
		}
		if n = g.adopt(num, b); n > 0 {
			return n, nil
		}
		if g.fd.Check() != nil {
			return 0, os.ErrClosed
		}
	}
}

// failedEvent makes an event of what a kernel without FAN_REPORT_FD_ERROR answers when it couldn't open the event's file.
func failedEvent(buf []byte, e syscall.Errno) uintptr {
	clear(buf[:headerSize])
	binary.NativeEndian.PutUint32(buf, headerSize)
	buf[4] = metadataVersion
	binary.NativeEndian.PutUint16(buf[6:], headerSize)
	binary.NativeEndian.PutUint32(buf[16:], uint32(-int32(e)))
	return headerSize
}

// adopt puts the descriptors of a batch's events into the table, and answers what nobody is to be asked. It returns how many events are left.
func (g *Group) adopt(num int, b *Batch) (left int) {
	for p := b.rest; len(p) > 0; {
		h, _ := decode(p)
		pidfd := int32(noFD)
		if g.report.Has(ReportPIDFD) {
			pidfd, _ = pidfdOf(p[h.fixed:h.size])
		}
		p = p[h.size:]
		question := h.object >= 0 && g.class != Notify && (h.mask&Permissions != 0 || h.mask&^(allRequested|Overflow) != 0) // what isn't known may be one
		r := ref{}
		switch {
		case question && !g.askOwn && g.own(int(h.pid)):
			g.counts.own.Add(1)
			_ = g.write(num, h.object, Allow, nil)
			closeBoth(h.object, pidfd)
			r = skipped
		case h.object >= 0 || pidfd >= 0:
			var ok bool
			if r, ok = g.pending.add(max(h.object, noFD), max(pidfd, noFD), question, g.within); !ok { // the group is being closed
				if question {
					_ = g.write(num, h.object, g.fallback, nil)
					g.counts.dropped.Add(1)
				}
				closeBoth(h.object, pidfd)
				r = skipped
			}
		}
		b.refs = append(b.refs, r)
		if r != skipped {
			left++
		}
	}
	if g.class != Notify && left > 0 {
		g.keeper.asked()
	}
	return left
}

// Read waits for an event and returns it: read(2). The event lasts until it is closed or forgotten; it is otherwise as [Group.ReadBatch].
//
// Events are read ahead, so that an epoll set may say that there are none while Read has some: use ReadBatch there, in a group that only hears. One that decides reads ahead by itself when nobody
// reads.
func (g *Group) Read(ctx context.Context) (Event, error) {
	ev, err := g.read(ctx)
	if err == nil {
		ev = ev.guarded()
	}
	return ev, fail("read", "", err)
}

// read returns an event that the caller must end.
func (g *Group) read(ctx context.Context) (ev Event, err error) {
	g.reads(1)
	defer g.reads(-1)
	err = g.engine().Stream(ctx, fd.Read, func(num int) (err error) {
		if ev, err = g.one(num); err == fd.Again && g.lingers(num) {
			ev, err = g.one(num)
		}
		return err
	})
	return ev, err
}

// one takes an event.
func (g *Group) one(num int) (Event, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for {
		if ev, ok := g.ahead.Next(); ok {
			ev.Info = slices.Clone(ev.Info)
			return ev, nil
		}
		if _, err := g.fill(num, &g.ahead); err != nil {
			return Event{}, err
		}
	}
}

// Events waits as Read does and yields one event after another, until the loop is left or something fails; the error is yielded once, last. Each event ends with its round of the loop, also if that panics: what
// waits for an answer gets the group's default. No lock is held meanwhile. What was read ahead when the loop is left is for whoever reads next.
func (g *Group) Events(ctx context.Context) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		for g.round(ctx, yield) {
		}
	}
}

func (g *Group) round(ctx context.Context, yield func(Event, error) bool) bool {
	ev, err := g.read(ctx)
	if err != nil {
		yield(Event{}, fail("read", "", err))
		return false
	}
	if ev.ref != (ref{}) {
		defer g.drop(ev.ref)
	}
	return yield(ev, nil)
}
