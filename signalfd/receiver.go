//go:build linux

package signalfd

import (
	"context"
	"errors"
	"iter"
	"os"
	"sync"
	"syscall"

	"github.com/fildes/fildes"
	"github.com/fildes/fildes/internal/fd"
	"github.com/fildes/fildes/internal/sys"
)

// A Receiver is a queue of signals.
//
// All methods may be called by several goroutines at once; of several that read, one gets each signal. The zero Receiver and a nil *Receiver refuse every operation with [os.ErrInvalid], a closed one
// with [os.ErrClosed]. A Receiver must not be copied. One that is forgotten without Close is closed by the garbage collector, some time later.
type Receiver struct {
	fd     fd.FD
	tap    *tap    // of Notify and Observe
	thread *thread // of NewThread

	mu   sync.Mutex // held for each read
	buf  []byte
	told uint32 // of what was missed
}

// New makes a Receiver of signals that are blocked: signalfd(2), close-on-exec. It takes what is sent to the process, and to the thread that reads.
//
// The signals must be of [Blockable], and each thread of the process must have them blocked, else they would be handled instead of received, now and then: that is refused with [os.ErrInvalid]. In Go no thread
// can block a signal for others, so it takes a process that was started so: see [BlockAndReexec]. To tell, /proc must be mounted.
//
// A standard signal (one that isn't [Signal.RealTime]) that waits already isn't queued again. Real-time signals are queued, up to RLIMIT_SIGPENDING for all processes of the user: then sigqueue(3) fails with EAGAIN
// in the sender, and what kill(2) sends of them is one, and has no sender.
func New(set Set) (*Receiver, error) {
	r, err := newReceiver(set)
	return r, fail("new", err)
}

func newReceiver(set Set) (*Receiver, error) {
	if err := receivable(set); err != nil {
		return nil, err
	}
	n, err := sys.SignalFD(-1, signalSet(set))
	if err != nil {
		return nil, err
	}
	r := new(Receiver)
	r.fd.Init(n, false)
	return r, nil
}

// receivable says why signals can't be received by a signalfd.
func receivable(set Set) error {
	if rest := set.Difference(Blockable()); rest != (Set{}) {
		return invalid("a Go program can't have these blocked, which signalfd needs: " + rest.String())
	}
	blocked, err := blocked()
	if err != nil {
		return err
	}
	if rest := set.Difference(blocked); rest != (Set{}) {
		return invalid("these aren't blocked on all threads, which signalfd needs: " + rest.String() + ": call BlockAndReexec at the beginning of main, and not os/signal.Notify for them")
	}
	return nil
}

// blocked is what all threads have blocked.
func blocked() (Set, error) {
	got, err := sys.BlockedSignals()
	return Set{got[0], got[1]}, err
}

// FromFile makes a Receiver of a duplicate of f's descriptor: of a signalfd that was inherited or received. f stays the caller's. The set and O_NONBLOCK are shared; O_NONBLOCK is set. Who reads gets
// the signals of its own process, whoever made the signalfd.
//
// Anything but a signalfd is refused with [os.ErrInvalid], and so is a set that [New] would refuse. To tell, /proc must be mounted.
func FromFile(f *os.File) (*Receiver, error) {
	n, err := fd.FromFile(f)
	if err != nil {
		return nil, fail("from-file", err)
	}
	err = fd.CheckAnonymous(n, "[signalfd]")
	var set Set
	if err == nil {
		set, err = setOf(n)
	}
	if err == nil {
		err = receivable(set)
	}
	if err != nil {
		_ = sys.Close(n)
		return nil, fail("from-file", err)
	}
	r := new(Receiver)
	if err := r.fd.Adopt(n); err != nil {
		return nil, fail("from-file", err)
	}
	return r, nil
}

// setOf is what a signalfd receives.
func setOf(num int) (Set, error) {
	info, err := sys.ProcInfo(num)
	if err != nil {
		return Set{}, err
	}
	value, _ := sys.InfoField(info, "sigmask")
	got, err := sys.ParseSignals(value)
	return Set{got[0], got[1]}, err
}

// Update makes set what is received from now on. Of a signalfd(2), what waits already counts, too. It refuses what the function does that made the Receiver.
func (r *Receiver) Update(set Set) error {
	return fail("update", r.engine().Control(func(num int) error {
		switch {
		case r.tap != nil:
			return r.tap.update(set)
		case r.thread != nil:
			return r.thread.update(set)
		}
		if err := receivable(set); err != nil {
			return err
		}
		_, err := sys.SignalFD(num, signalSet(set))
		return err
	}))
}

// Set is what is received, as the kernel tells it in /proc, which must be mounted.
func (r *Receiver) Set() (set Set, err error) {
	err = r.engine().Control(func(num int) error {
		switch {
		case r.tap != nil:
			taps.mu.Lock()
			defer taps.mu.Unlock()
			set = r.tap.set
		case r.thread != nil:
			set = r.thread.current()
		default:
			set, err = setOf(num)
		}
		return err
	})
	return set, fail("set", err)
}

// Displaced is which signals a Receiver of [Notify] or [Observe] isn't told of any more, because something else has set another handler since: os/signal.Ignore does, and a later os/signal.Notify doesn't bring
// it back, but [Receiver.Update] with the same set does. Of [New]'s there are none. It asks the kernel for each signal: sigaction(2).
func (r *Receiver) Displaced() (set Set, err error) {
	err = r.engine().Control(func(int) error {
		if r.tap != nil {
			taps.mu.Lock()
			defer taps.mu.Unlock()
			set = r.tap.displaced()
		}
		return nil
	})
	return set, fail("displaced", err)
}

// batchSize is how many signals are read at a time.
const batchSize = 64

// Read waits for a signal and returns it: read(2). Of a signalfd(2), signals come in the order of their numbers, and real-time ones of one number in the order in which they were sent. A done ctx fails the call before anything
// is taken, with an error that matches ctx.Err() and context.Cause(ctx).
func (r *Receiver) Read(ctx context.Context) (Info, error) {
	var one [1]Info
	_, err := r.read(ctx, one[:])
	return one[0], fail("read", err)
}

// ReadBatch waits until there are signals and takes as many as fit into dst, 64 at most, without allocating: read(2). It returns how many there are. It is otherwise as [Receiver.Read].
func (r *Receiver) ReadBatch(ctx context.Context, dst []Info) (int, error) {
	if r != nil && ctx != nil && ctx.Err() == nil && len(dst) > 0 && r.fd.Enter(fd.Read) {
		n, e := r.take(r.fd.Num(), dst)
		if r.fd.Leave(fd.Read); e == 0 {
			return n, nil
		}
	}
	n, err := r.read(ctx, dst)
	if err != nil {
		err = fail("read", err)
	}
	return n, err
}

func (r *Receiver) read(ctx context.Context, dst []Info) (n int, err error) {
	if len(dst) == 0 {
		return 0, errNoRoom
	}
	err = r.engine().Stream(ctx, fd.Read, func(num int) error {
		var e syscall.Errno
		if n, e = r.take(num, dst); e != 0 {
			return e
		}
		return nil
	})
	return n, err
}

// TryReadBatch is [Receiver.ReadBatch] where it need not wait. It returns 0 if there are no signals.
func (r *Receiver) TryReadBatch(dst []Info) (n int, err error) {
	if len(dst) == 0 {
		return 0, fail("try-read", errNoRoom)
	}
	err = r.engine().Control(func(num int) error {
		var e syscall.Errno
		if n, e = r.take(num, dst); e != 0 {
			return e
		}
		return nil
	})
	if err == fd.Again {
		return 0, nil
	}
	return n, fail("try-read", err)
}

// take reads.
func (r *Receiver) take(num int, dst []Info) (n int, e syscall.Errno) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.buf == nil {
		r.buf = make([]byte, batchSize*recordSize)
	}
	form := native | fromFD
	if r.tap != nil {
		form = native
	}
	buf := r.buf[:min(len(dst), batchSize)*recordSize]
	got, e := sys.ReadOnce(num, buf)
	for e == syscall.EINTR {
		got, e = sys.ReadOnce(num, buf)
	}
	if e == 0 {
		for b := buf[:got]; len(b) >= recordSize; b = b[recordSize:] {
			decode(&dst[n], (*[recordSize]byte)(b), form)
			n++
		}
	}
	if r.tap != nil && n < len(dst) && int(got) < len(buf) && (e == 0 || e == syscall.EAGAIN) { // what fitted has been read
		if missed := r.tap.missed(); missed != r.told {
			dst[n] = Info{lost: missed - r.told}
			r.told = missed
			return n + 1, 0
		}
	}
	return n, e
}

// Events waits as Read does and yields one signal after another, until the loop is left or something fails; the error is yielded once, last. No lock is held meanwhile.
func (r *Receiver) Events(ctx context.Context) iter.Seq2[Info, error] {
	return func(yield func(Info, error) bool) {
		for {
			i, err := r.Read(ctx)
			if !yield(i, err) || err != nil {
				return
			}
		}
	}
}

func (r *Receiver) engine() *fd.FD {
	if r == nil {
		return nil
	}
	return &r.fd
}

type invalid string

func (e invalid) Error() string { return string(e) }
func (invalid) Unwrap() error   { return os.ErrInvalid }

var errNoRoom error = invalid("there is no room for a signal: the slice is empty")

// fail makes the error of a method; it returns nil for nil.
//
//go:noinline
func fail(op string, err error) error {
	if err == nil {
		return nil
	}
	if e, ok := err.(syscall.Errno); ok {
		err = sys.Error("read", e)
	}
	return fildes.NewOpError("signalfd", op, "", err)
}

// Close ends the Receiver: close(2). It wakes whoever waits, who then fails with [os.ErrClosed], and returns when the number is free. A second Close returns [os.ErrClosed]. What nobody has read
// goes on waiting if it is of [New], as the signals are blocked still, and else is lost.
func (r *Receiver) Close() error {
	err := r.engine().Close()
	if !errors.Is(err, os.ErrClosed) { // nobody reads any more
		r.untap()
	}
	return fail("close", err)
}

// untap ends what is in the signal handlers, or the thread.
func (r *Receiver) untap() {
	switch {
	case r == nil:
	case r.tap != nil:
		r.tap.end()
	case r.thread != nil:
		r.thread.end()
	}
}

// Lost is how many signals could not be kept because nobody has read: see [Info.Lost].
func (r *Receiver) Lost() (n int, err error) {
	err = r.engine().Control(func(int) error {
		if r.tap != nil {
			n = int(r.tap.missed())
		}
		return nil
	})
	return n, fail("lost", err)
}

// SyscallConn lends the descriptor out: see [fildes.FD.SyscallConn].
func (r *Receiver) SyscallConn() (syscall.RawConn, error) {
	c, err := r.engine().SyscallConn(fail)
	if err == nil && r.tap != nil {
		r.tap.shared.Store(true)
	}
	return c, fail("syscall-conn", err)
}

// File returns a duplicate of the descriptor; it shares the description, with the set and O_NONBLOCK: see [fildes.FD.File]. A child that reads from a signalfd gets its own signals. Of the other Receivers it is the end of a pipe,
// with the records of [New]'s or of siginfo_t.
func (r *Receiver) File() (*os.File, error) {
	if r != nil && r.tap != nil {
		r.tap.shared.Store(true) // first, as Close may be next
	}
	f, err := r.engine().File("signalfd")
	return f, fail("file", err)
}

// Inherit fails with an error that matches [errors.ErrUnsupported]: a signalfd can't be opened anew, so that a child would get a non-blocking descriptor. A child that knows what it
// gets takes [Receiver.File]'s.
func (r *Receiver) Inherit() (*os.File, error) {
	f, err := r.engine().Inherit("signalfd")
	return f, fail("inherit", err)
}

// Release ends the Receiver without closing the descriptor, and returns its number: see [fildes.FD.Release].
func (r *Receiver) Release() (int, error) {
	n, err := r.engine().Release()
	if err == nil {
		if r.tap != nil {
			r.tap.shared.Store(true)
		}
		r.untap()
	}
	return n, fail("release", err)
}
