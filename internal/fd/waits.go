//go:build linux

package fd

import (
	"context"
	"errors"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes/internal/sys"
)

// waits is the part of an FD that is there once something has had to wait. It refers neither to the FD nor to its owner, so
// that a context which knows it doesn't keep a forgotten handle alive.
type waits struct {
	mu       sync.Mutex
	tried    atomic.Bool // registering was tried: file and polled don't change any more
	file     *os.File    // the number's registration with Go's poller, which owns the number from then on
	polled   bool        // the poller took it
	closed   bool
	released bool
	moved    bool // another FD has taken over what was attached
	silent   bool // waits are in private epoll sets that are armed for each: see WaitApart
	dirs     [2]direction
	attached map[Attachment]struct{}
	closing  *closing
}

// direction is the state of waiting for reading or writing.
type direction struct {
	mode      Mode
	gate      gate
	predicted bool     // copy of the state's flag; owned by the one inside the gate
	alt       *os.File // private epoll set, once Go's poller refused to wait

	// Owned by waits.mu. All that reaches the poller as a deadline is computed from these and waits.closed, in apply.
	deadline  time.Time // the user's
	cancelled bool      // a watched context is done
	kicked    bool      // the operation is to be run again

	// One registration with a context, which stays until a call comes with another one. Written under the gate and waits.mu, so
	// that either is enough to read it.
	watched struct {
		done <-chan struct{} // nil if there is none
		stop func() bool
	}
}

func (f *FD) ensureWaits() *waits {
	if w := f.waits.Load(); w != nil {
		return w
	}
	w := &waits{}
	w.dirs[Write].mode = Write
	if !f.waits.CompareAndSwap(nil, w) {
		return f.waits.Load()
	}
	f.owner.waits = w
	return w
}

// register hands the number to Go's poller, once.
func (w *waits) register(num int) error {
	if w.tried.Load() { // Close wakes whoever goes to the poller
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed || w.released {
		return os.ErrClosed
	}
	if w.tried.Load() {
		return nil
	}
	if w.silent {
		w.tried.Store(true)
		return startPoller()
	}
	if typ, err := sys.FileType(num); err != nil || neverBlocks(num, typ) {
		w.tried.Store(err == nil)
		return err
	}
	if err := startPoller(); err != nil {
		return err
	}
	// Where somebody else has made a shared description blocking, os.NewFile wouldn't register it.
	if err := sys.SetNonblocking(num, true); err != nil {
		if unpollable(err) {
			w.tried.Store(true)
			return nil
		}
		return err
	}
	w.file = os.NewFile(uintptr(num), "descriptor")
	w.polled = w.file.SetDeadline(time.Time{}) == nil
	w.tried.Store(true)
	return nil
}

var pollerStarted struct {
	sync.Mutex
	done atomic.Bool
}

// startPoller makes Go's poller start when there are descriptors for it, because it ends the program if it can't have two. (It may be running
// already, which can't be asked; and another goroutine may still be faster to take them.)
func startPoller() error {
	if pollerStarted.done.Load() {
		return nil
	}
	pollerStarted.Lock()
	defer pollerStarted.Unlock()
	if pollerStarted.done.Load() {
		return nil
	}
	var spare [3]int
	for i := range spare {
		n, e := sys.EventFD(0, false)
		if e != 0 {
			for _, n := range spare[:i] {
				_ = sys.Close(n)
			}
			return sys.Error("eventfd2", e)
		}
		spare[i] = n
	}
	_ = sys.Close(spare[1])
	_ = sys.Close(spare[2])
	_ = os.NewFile(uintptr(spare[0]), "descriptor").Close()
	pollerStarted.done.Store(true)
	return nil
}

// apart returns the direction's private epoll set.
func (w *waits) apart(num int, m Mode) (*os.File, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	d := &w.dirs[m]
	if d.alt != nil {
		return d.alt, nil
	}
	set, err := sys.EpollCreate()
	if err != nil {
		return nil, err
	}
	ev := sys.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLET}
	switch {
	case w.silent:
		ev.Events = 0
	case m == Write:
		ev.Events = unix.EPOLLOUT | unix.EPOLLET
	}
	err = sys.EpollControl(set, unix.EPOLL_CTL_ADD, num, &ev)
	if err == nil {
		err = sys.SetNonblocking(set, true)
	}
	if err != nil {
		_ = sys.Close(set)
		return nil, err
	}
	alt := os.NewFile(uintptr(set), "descriptor")
	if err := alt.SetReadDeadline(w.effective(d)); err != nil {
		_ = alt.Close()
		return nil, sys.Error("epoll_ctl", unix.ENOSPC)
	}
	d.alt = alt
	return alt, nil
}

// WaitApart keeps the number out of Go's poller, which wakes a thread for each event, also while somebody is awake to take it: it is watched by a private epoll set, and only
// while somebody waits. A wait costs some system calls more. It is called once, before f is seen by another goroutine.
func (f *FD) WaitApart() { f.ensureWaits().silent = true }

// arm has a private set tell of the next readiness, once.
func (w *waits) arm(set, num int, m Mode) error {
	ev := sys.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLONESHOT}
	if m == Write {
		ev.Events = unix.EPOLLOUT | unix.EPOLLONESHOT
	}
	return sys.EpollControl(set, unix.EPOLL_CTL_MOD, num, &ev)
}

// unpollable says whether epoll_ctl's refusal means that the descriptor can't be polled: EPERM where it has no poll method, EBADF where it is only
// a path.
func unpollable(err error) bool { return errors.Is(err, unix.EPERM) || errors.Is(err, unix.EBADF) }

// closeApart closes the private epoll sets.
func (w *waits) closeApart() {
	for i := range w.dirs {
		if alt := w.dirs[i].alt; alt != nil {
			_ = alt.Close()
		}
	}
}

// past is a deadline that wakes at once.
var past = time.Unix(1, 0)

// effective is the deadline that the poller is to have.
func (w *waits) effective(d *direction) time.Time {
	if w.closed || d.cancelled || d.kicked {
		return past
	}
	return d.deadline
}

// apply tells the poller. The caller holds w.mu.
func (w *waits) apply(d *direction) error {
	t := w.effective(d)
	var err error
	if w.polled {
		if d.mode == Read {
			err = w.file.SetReadDeadline(t)
		} else {
			err = w.file.SetWriteDeadline(t)
		}
	}
	if d.alt != nil {
		err = errors.Join(err, d.alt.SetReadDeadline(t))
	}
	return err
}

// wake ends all waits, for good.
func (w *waits) wake() {
	w.mu.Lock()
	if w.closed {
		w.mu.Unlock()
		return
	}
	w.closed = true
	var stops [2]func() bool
	for i := range w.dirs {
		d := &w.dirs[i]
		stops[i] = d.watched.stop
		_ = w.apply(d) // a registered descriptor takes every deadline
	}
	w.mu.Unlock()
	for _, stop := range stops {
		if stop != nil {
			stop()
		}
	}
}

// watch makes ctx end the direction's waits. The caller is inside the gate. A context may be anybody's code, and isn't called under
// the lock.
func (w *waits) watch(ctx context.Context, d *direction) error {
	done := ctx.Done()
	if d.watched.done == done {
		if done != nil && ctx.Err() != nil { // it has been told already, to another call
			return contextError(ctx)
		}
		return nil
	}
	w.mu.Lock()
	old := d.watched.stop
	d.watched.done, d.watched.stop = nil, nil
	w.mu.Unlock()
	if old != nil {
		old()
	}
	var stop func() bool
	if done != nil {
		stop = context.AfterFunc(ctx, func() { w.cancel(d) })
	}
	w.mu.Lock()
	d.watched.done, d.watched.stop = done, stop
	closed := w.closed
	w.mu.Unlock()
	if closed {
		if stop != nil {
			stop()
		}
		return os.ErrClosed
	}
	return nil
}

// cancel is called when a watched context is done. It may come late, and wake a wait with another context: that one goes on.
func (w *waits) cancel(d *direction) {
	w.mu.Lock()
	defer w.mu.Unlock()
	d.cancelled = true
	_ = w.apply(d)
}

// SetDeadline sets the deadline of the directions; the zero time is none. It returns os.ErrNoDeadline where the descriptor
// can't be polled.
func (f *FD) SetDeadline(t time.Time, modes ...Mode) error {
	if f == nil {
		return os.ErrInvalid
	}
	s := f.hold()
	defer f.drop()
	if err := refusal(s); err != nil {
		return err
	}
	w := f.ensureWaits()
	num := f.Num()
	if err := w.register(num); err != nil {
		return err
	}
	for _, m := range modes {
		if !w.polled {
			if _, err := w.apart(num, m); unpollable(err) {
				return os.ErrNoDeadline
			} else if err != nil {
				return err
			}
		}
		w.mu.Lock()
		d := &w.dirs[m]
		d.deadline = t
		err := w.apply(d)
		if t.IsZero() {
			f.state.And(^m.deadline())
		} else {
			f.state.Or(m.deadline())
		}
		w.mu.Unlock()
		if err != nil {
			return err
		}
	}
	return nil
}

// Kick makes a waiting operation of the direction run again. One that doesn't wait yet will run once more before it does.
func (f *FD) Kick(m Mode) {
	s := f.hold()
	defer f.drop()
	w := f.waits.Load()
	if refusal(s) != nil || w == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	d := &w.dirs[m]
	if d.gate.inside.Load() == 0 {
		return
	}
	d.kicked = true
	_ = w.apply(d)
}
