//go:build linux

package fd

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/fildes/fildes/internal/sys"
)

// Again, returned by an operation, makes it wait for readiness and run again.
const Again = sys.EAGAIN

// Await runs op, which makes one atomic system call, until it returns anything but Again, and returns that. Between the runs
// the goroutine is parked in Go's poller. op may run beside another goroutine's op of the same direction.
//
// ctx ends the wait, and so do the direction's deadline and Close; the errors match ctx.Err() and context.Cause(ctx),
// os.ErrDeadlineExceeded, os.ErrClosed. op must not use f other than through the number that it is given.
func (f *FD) Await(ctx context.Context, m Mode, op func(fd int) error) error {
	return f.run(ctx, m, false, op)
}

// Stream is Await for byte streams: calls of one direction exclude each other, so that op may keep its place between runs.
func (f *FD) Stream(ctx context.Context, m Mode, op func(fd int) error) error {
	return f.run(ctx, m, true, op)
}

// Enter begins the fast path of a stream: it lets the caller in for one ordinary system call on Num that doesn't wait, if the direction is admitted, no
// other call is in it and it is likely that there is no need to wait. Leave must follow if it says so, else the way is Stream.
func (f *FD) Enter(m Mode) bool {
	w := f.waits.Load()
	if w == nil || !w.dirs[m].gate.inside.CompareAndSwap(0, 1) {
		return false
	}
	if f.hold()&(uint64(Open|closed)|m.predict()|m.deadline()) == uint64(Open) {
		return true
	}
	f.Leave(m)
	return false
}

// Leave ends what Enter has begun.
func (f *FD) Leave(m Mode) {
	f.waits.Load().dirs[m].gate.leave()
	f.drop()
}

func (f *FD) run(ctx context.Context, m Mode, exclusive bool, op func(fd int) error) error {
	if f == nil || ctx == nil {
		return os.ErrInvalid
	}
	s := f.hold()
	defer f.drop()
	if err := refusal(s); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return contextError(ctx)
	}
	special := m.predict() | m.deadline()
	if !exclusive && s&special == 0 {
		if err := op(f.Num()); err != Again {
			return err
		}
	}
	w := f.ensureWaits()
	d := &w.dirs[m]
	if err := d.gate.enter(ctx); err != nil {
		return err
	}
	defer d.gate.leave()
	if err := refusal(f.state.Load()); err != nil {
		return err
	}
	if exclusive && f.state.Load()&special == 0 {
		if err := op(f.Num()); err != Again {
			return err
		}
	}
	return f.park(ctx, w, m, op)
}

// park runs op inside Go's poller. The caller holds a reference and the direction's gate.
func (f *FD) park(ctx context.Context, w *waits, m Mode, op func(fd int) error) error {
	num, d := f.Num(), &w.dirs[m]
	if err := w.register(num); err != nil {
		return err
	}
	if err := w.watch(ctx, d); err != nil {
		return err
	}
	for {
		tries := 0
		var result error
		try := func(uintptr) bool {
			tries++
			result = op(num)
			return result != Again
		}
		err := errNotPolled
		if w.polled {
			// The concrete type behind SyscallConn is known here, so that try, and all that op refers to, stay on the stack.
			c, _ := w.file.SyscallConn()
			if m == Read {
				err = c.Read(try)
			} else {
				err = c.Write(try)
			}
		}
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			// Go's poller refuses the descriptor: it doesn't take it, or has seen EPOLLERR alone and then fails every wait for
			// reading until something else happens.
			if tries == 0 {
				if try(0); result != Again {
					return result
				}
			}
			err = w.waitApart(num, m, op, &result)
		}
		if err == nil {
			f.predict(d, m, tries > 1)
			return result
		}
		if err = w.why(ctx, d, err); err != nil {
			return err
		}
	}
}

// predict remembers whether the next operation is likely to have to wait, and so needn't be tried before it goes to the poller.
func (f *FD) predict(d *direction, m Mode, waited bool) {
	if d.predicted == waited {
		return
	}
	d.predicted = waited
	if waited {
		f.state.Or(m.predict())
	} else {
		f.state.And(^m.predict())
	}
}

var errNotPolled = errors.New("not registered with the poller")

// waitApart waits in a private epoll set, which Go's poller waits for. The set reports an edge once, so that a lasting error
// condition doesn't make it ready for ever.
func (w *waits) waitApart(num int, m Mode, op func(fd int) error, result *error) error {
	alt, err := w.apart(num, m)
	if err != nil {
		if unpollable(err) { // what op answered is all there is
			return nil
		}
		return err
	}
	c, _ := alt.SyscallConn()
	if w.silent {
		return c.Read(func(set uintptr) bool {
			var ev sys.EpollEvent
			n, _ := sys.EpollPoll(int(set), &ev, 1) // what it has told of is tried now
			if *result = op(num); *result != Again {
				return true
			}
			if n > 0 { // it is ready for poll and not for op, and would be at once when it's armed
				time.Sleep(time.Millisecond)
			}
			if err := w.arm(int(set), num, m); err != nil {
				*result = err
				return true
			}
			return false
		})
	}
	return c.Read(func(set uintptr) bool {
		for {
			if *result = op(num); *result != Again {
				return true
			}
			var ev sys.EpollEvent
			if n, e := sys.EpollPoll(int(set), &ev, 1); e != 0 || n == 0 {
				return false
			}
		}
	})
}

// why tells what ended a wait; nil means that it goes on.
func (w *waits) why(ctx context.Context, d *direction, err error) error {
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		return err
	}
	w.mu.Lock()
	closed, cancelled, again := w.closed, d.cancelled, d.cancelled || d.kicked || d.deadline.IsZero()
	if err = os.ErrDeadlineExceeded; again {
		d.cancelled, d.kicked = false, false
		err = w.apply(d)
	}
	w.mu.Unlock()
	switch {
	case closed:
		return os.ErrClosed
	case cancelled && ctx.Err() != nil: // asked outside of the lock, because it may be anybody's code
		return contextError(ctx)
	}
	return err
}

// contextError says why ctx ended, in a form that matches its Err and its Cause.
func contextError(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	switch {
	case err == nil: // somebody's own context, which is done at the gate and doesn't say why
		return context.Canceled
	case cause == nil:
		return err
	case errors.Is(cause, err):
		return cause
	}
	return &causeError{cause, err}
}

type causeError struct{ cause, err error }

func (e *causeError) Error() string   { return e.err.Error() + ": " + e.cause.Error() }
func (e *causeError) Unwrap() []error { return []error{e.err, e.cause} }
func (e *causeError) Timeout() bool   { return errors.Is(e.err, context.DeadlineExceeded) }

// ContextError is the error of a wait that ctx has ended.
func ContextError(ctx context.Context) error { return contextError(ctx) }

// Sleep returns after d, or when ctx is done.
func Sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return contextError(ctx)
	}
}
