//go:build linux

package fd

import (
	"errors"
	"os"
	"syscall"

	"github.com/fildes/fildes/internal/sys"
)

// Close refuses new operations, wakes the waiting ones and returns when the number is free, with close(2)'s error. A second
// Close returns os.ErrClosed.
func (f *FD) Close() error {
	if f == nil {
		return os.ErrInvalid
	}
	for {
		s := f.state.Load()
		if err := refusal(s); err != nil {
			return err
		}
		next := s&^uint64(Open) | uint64(closed)
		if s&count == 0 {
			if f.state.CompareAndSwap(s, next|uint64(dead)) {
				return f.end()
			}
		} else if f.state.CompareAndSwap(s, next+one) {
			return f.closeBusy()
		}
	}
}

// closing is what a Close that has to wait for others waits for.
type closing struct {
	done chan struct{}
	err  error
}

// closeBusy finishes a Close that found f in use. It gives up the reference that the caller holds.
func (f *FD) closeBusy() error {
	w := f.ensureWaits()
	w.wake()
	c := &closing{done: make(chan struct{})}
	w.closing = c // read by whoever gives the last reference, after this one is given
	f.drop()
	<-c.done
	return c.err
}

// settle is Give on a closed FD: the last one ends it. Refused operations also come here, before and after, so that only
// the one that sets dead may go on.
func (f *FD) settle(s uint64) {
	for {
		if s&count != 0 || uint32(s)&dead != 0 {
			return
		}
		if f.state.CompareAndSwap(s, s|uint64(dead)) {
			break
		}
		s = f.state.Load()
	}
	w := f.waits.Load()
	c := w.closing
	c.err = f.end()
	close(c.done)
}

// end gives up the number. Only the setter of dead calls it.
func (f *FD) end() error {
	o := f.owner
	num, w := o.num, f.waits.Load()
	o.num = -1
	f.owner = nil
	var err error
	if w != nil {
		w.wake()
	}
	if w != nil && w.released && w.file == nil {
		w.detach(num)
		w.closeApart()
	} else {
		err = closeNumber(num, w)
	}
	o.recycle()
	return err
}

// Release waits for what is in flight, ends f and returns the number of the descriptor, close-on-exec and as blocking as it was,
// which is the caller's from then on. Once f has been registered with Go's poller, which can't let go of a number, it is
// another number for the same description. If there is none to be had f stays as it was.
func (f *FD) Release() (int, error) {
	if f == nil {
		return -1, os.ErrInvalid
	}
	s := f.hold()
	if err := refusal(s); err != nil {
		f.drop()
		return -1, err
	}
	w, num := f.ensureWaits(), f.Num()
	given, err := w.beginRelease(num)
	for err == nil {
		s := f.state.Load()
		if err = refusal(s); err == nil && f.state.CompareAndSwap(s, s&^uint64(Open)|uint64(closed)) {
			if err := f.closeBusy(); err != nil {
				_ = sys.Close(given)
				return -1, err
			}
			return given, nil
		}
		if err != nil { // a Close was faster, and closes the number
			w.undoRelease()
			if given != num {
				_ = sys.Close(given)
			}
		}
	}
	f.drop()
	return -1, err
}

// beginRelease decides which number is given away, before anything is refused.
func (w *waits) beginRelease(num int) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed || w.released {
		return -1, os.ErrClosed
	}
	if w.file != nil {
		dup, err := sys.Dup(num)
		if err != nil {
			return -1, err
		}
		num = dup
	}
	w.released = true
	return num, nil
}

func (w *waits) undoRelease() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.released = false
}

// closeError turns os.File's error into the one that a wrapper of close(2) returns.
func closeError(err error) error {
	if e, ok := errors.AsType[syscall.Errno](err); ok {
		return sys.Error("close", e)
	}
	return err
}
