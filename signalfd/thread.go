//go:build linux

package signalfd

import (
	"os"
	"runtime"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes/internal/fd"
	"github.com/fildes/fildes/internal/sys"
)

// NewThread makes a Receiver of signals that are sent to one thread, which it starts, and which has them blocked: signalfd(2). [Receiver.Thread] says where they are to be sent: by [QueueThread] and tgkill(2), by timers with
// SIGEV_THREAD_ID, by descriptors with F_SETOWN_EX and F_OWNER_TID. They come in the order of [New], and none is lost short of RLIMIT_SIGPENDING.
//
// It needs no preparation but /proc, and is for all but those of [Reserved]: what is sent to the process as a whole is left to the other threads, as before. The thread is there as long as the Receiver is open; what waits when it is closed is lost. A
// signal takes a moment from the thread to the Receiver, and up to 16 milliseconds while one waits for the process: [Receiver.TryReadBatch] may be too early.
func NewThread(set Set) (*Receiver, error) {
	r, err := newThread(set)
	return r, fail("new-thread", err)
}

// A thread reads a signalfd, which shows it its own signals and the process's, and none of another thread's, and writes what it has read into a pipe. Its descriptors are its own.
type thread struct {
	wake  fd.FD // an eventfd
	ended chan struct{}

	mu   sync.Mutex // one request at a time
	asks chan Set
	told chan error

	tid int
	set Set

	ending sync.Once
}

func newThread(set Set) (*Receiver, error) {
	if err := directable(set); err != nil {
		return nil, err
	}
	out, in, err := sys.Pipe(false)
	if err != nil {
		return nil, err
	}
	wake, e := sys.EventFD(0, false)
	if e != 0 {
		_, _ = sys.Close(out), sys.Close(in)
		return nil, sys.Error("eventfd2", e)
	}
	t := &thread{ended: make(chan struct{}), asks: make(chan Set, 1), told: make(chan error)}
	t.wake.Init(wake, false)
	go t.start(in, wake, set)
	if err := <-t.told; err != nil {
		<-t.ended
		_ = sys.Close(out)
		return nil, err
	}
	r := &Receiver{thread: t}
	r.fd.Init(out, false)
	runtime.AddCleanup(r, (*thread).end, t)
	return r, nil
}

// directable says why signals can't be received by a thread.
func directable(set Set) error {
	if rest := set.Intersection(Reserved()); rest != (Set{}) {
		return invalid("the kernel, or Go's runtime, keeps these for itself: " + rest.String())
	}
	return nil
}

// start runs on a thread that ends with the goroutine, as all but the first do.
func (t *thread) start(in, wake int, set Set) {
	runtime.LockOSThread() // for good
	if unix.Gettid() != os.Getpid() {
		t.run(in, wake, set)
		return
	}
	locked := make(chan struct{})
	go func() {
		runtime.LockOSThread()
		close(locked)
		t.run(in, wake, set)
	}()
	<-locked
	runtime.UnlockOSThread()
}

// longest is for how many milliseconds a thread doesn't look while a signal waits that isn't for it.
const longest = 16

// run is the thread.
func (t *thread) run(in, wake int, set Set) {
	defer close(t.ended)
	defer func() { _, _ = sys.Close(in), t.wake.Close() }()
	quiet := SetOf(SIGPIPE) // of a Receiver that was closed
	_, err := sys.BlockSignals(signalSet(set.Union(quiet)))
	num := -1
	if err == nil {
		num, err = sys.SignalFD(-1, signalSet(set))
	}
	var status *os.File // it stays open, so that a signal comes also where there are no more descriptors
	if err == nil {
		status, err = sys.ThreadStatus()
	}
	t.tid, t.set = unix.Gettid(), set
	defer func() {
		_ = status.Close()
		if num >= 0 {
			_ = sys.Close(num)
		}
	}()
	if err == nil {
		_, err = sys.ThreadPending(status)
	}
	if t.told <- err; err != nil {
		return
	}
	var buf [recordSize]byte
	var rest []byte
	wait := 1
	for {
		p := []unix.PollFd{{Fd: int32(wake), Events: unix.POLLIN}, {Fd: int32(num), Events: unix.POLLIN}}
		if len(rest) > 0 {
			p[1] = unix.PollFd{Fd: int32(in), Events: unix.POLLOUT}
		}
		if wait > 1 {
			if n, _ := unix.Poll(p, 0); n == 0 { // whom it was for has it
				wait = 1
			}
		}
		if _, err := unix.Poll(p, -1); err != nil {
			continue // EINTR; the others can't be
		}
		if p[0].Revents != 0 {
			var n uint64
			_ = sys.ReadWord(wake, &n)
			next, more := <-t.asks
			if !more {
				return
			}
			t.told <- t.change(num, next, quiet)
			continue
		}
		if len(rest) == 0 {
			// A read takes what is sent to the thread first, and then what is sent to the process.
			if pending, err := sys.ThreadPending(status); err != nil || t.set.Intersection(Set{pending[0], pending[1]}) == (Set{}) {
				_, _ = unix.Poll(p[:1], wait) // until whom it is for has it
				wait = min(2*wait, longest)
				continue
			}
			wait = 1
			n, e := sys.ReadOnce(num, buf[:])
			if e != 0 {
				continue
			}
			rest = buf[:n]
		}
		switch n, e := sys.WriteOnce(in, rest); e {
		case 0:
			rest = rest[n:]
		case unix.EPIPE: // the Receiver is being closed
			rest = nil
		}
	}
}

// change makes it other signals.
func (t *thread) change(num int, set, quiet Set) error {
	if _, err := sys.BlockSignals(signalSet(set)); err != nil {
		return err
	}
	if _, err := sys.SignalFD(num, signalSet(set)); err != nil {
		return err
	}
	old := t.set
	t.set = set
	return sys.UnblockSignals(signalSet(old.Difference(set).Difference(quiet)))
}

func signalSet(set Set) sys.SignalSet { return sys.SignalSet{set.low, set.high} }

// update asks the thread to change.
func (t *thread) update(set Set) error {
	if err := directable(set); err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.asks <- set
	t.poke()
	return <-t.told
}

// current is what is received.
func (t *thread) current() Set {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.set
}

func (t *thread) poke() {
	_ = t.wake.Control(func(num int) error {
		one := uint64(1)
		sys.WriteWord(num, &one)
		return nil
	})
}

// end ends the thread. The Receiver is closed or forgotten, so that nobody updates.
func (t *thread) end() {
	t.ending.Do(func() {
		close(t.asks)
		t.poke()
		<-t.ended
	})
}

// Thread is the number of the thread whose signals a Receiver of [NewThread] receives; of another it fails with [os.ErrInvalid].
func (r *Receiver) Thread() (tid int, err error) {
	err = r.engine().Control(func(int) error {
		if r.thread == nil {
			return errNoThread
		}
		tid = r.thread.tid
		return nil
	})
	return tid, fail("thread", err)
}

var errNoThread error = invalid("only what NewThread makes has a thread")
