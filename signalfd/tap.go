//go:build linux

package signalfd

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes"
	"github.com/fildes/fildes/internal/sys"
)

// Notify makes a Receiver that takes signals over: sigaction(2). It is for all but those of [Reserved], SIGTERM, SIGINT and SIGCHLD too, and needs no preparation. What Go's runtime or os/signal would do with them isn't done
// while the Receiver is open: a SIGTERM doesn't end the program, and os/signal.Notify isn't told.
//
// Each signal that reaches the process is one Info, whichever thread it reaches. Two threads that handle one each at the same time may change their order: of real-time signals [New] keeps it. Standard signals that wait are
// one before they get here, as always. Several Receivers may take the same signal, 8 at most: each gets it.
func Notify(signals ...Signal) (*Receiver, error) {
	r, err := newTap(signals, false)
	return r, fail("notify", err)
}

// Observe makes a Receiver that is told of signals, while the program goes on handling them as before: by Go's runtime, which may end the program before anybody has read, or by os/signal. It is otherwise as [Notify].
//
// A signal that has no handler is refused with [os.ErrInvalid], and so is one whose handler was set by C code while a Receiver had the signal: it may go on to the Receiver's, which would go on to it, for ever.
func Observe(signals ...Signal) (*Receiver, error) {
	r, err := newTap(signals, true)
	return r, fail("observe", err)
}

// A tap is the end of a Receiver that is in the signal handler.
type tap struct {
	pipe    *pipe
	observe bool
	shared  atomic.Bool // others may have the pipe, or an epoll set, so that it can't be used again

	set  Set // taps.mu is held for these
	ends [Last + 1]int8
	lost [Last + 1]uint32 // of each end, when it was opened
	gone uint32           // what ends that were closed had lost
}

// A pipe leads from the handler, which may run late, to a Receiver. So neither end is ever closed; the next Receiver takes the pipe again.
type pipe struct {
	out, in int32
	lent    bool // somebody else may have it
}

// taps is all that the handlers have.
var taps struct {
	mu        sync.Mutex
	free      []*pipe
	used      [Last + 1]uint8 // a bit for each end
	notifiers [Last + 1]int
	observers [Last + 1]int
}

// pipeSize is what a pipe may hold without privilege: 8,192 records.
const pipeSize = 1 << 20

func newTap(signals []Signal, observe bool) (*Receiver, error) {
	set := SetOf(signals...)
	bad := slices.ContainsFunc(signals, func(sig Signal) bool { return !set.Has(sig) })
	switch {
	case !sys.Taps:
		return nil, &fildes.UnsupportedError{Feature: "signal handlers on " + runtime.GOARCH}
	case bad:
		return nil, invalid("there is no such signal here")
	}
	if err := tappable(set); err != nil {
		return nil, err
	}
	taps.mu.Lock()
	defer taps.mu.Unlock()
	p, err := takePipe()
	if err != nil {
		return nil, err
	}
	t := &tap{pipe: p, observe: observe}
	if err := t.open(set); err != nil {
		taps.free = append(taps.free, p)
		return nil, err
	}
	num, err := sys.Dup(int(p.out))
	if err != nil {
		t.close()
		taps.free = append(taps.free, p)
		return nil, err
	}
	r := &Receiver{tap: t}
	r.fd.Init(num, false)
	runtime.AddCleanup(r, (*tap).end, t)
	return r, nil
}

// tappable says why a handler can't be told of signals.
func tappable(set Set) error {
	if set == (Set{}) {
		return invalid("there must be signals")
	}
	if rest := set.Intersection(Reserved()); rest != (Set{}) {
		return invalid("the kernel, or Go's runtime, keeps these for itself: " + rest.String())
	}
	return nil
}

// takePipe is a pipe that nobody uses, and that is empty.
func takePipe() (*pipe, error) {
	if last := len(taps.free) - 1; last >= 0 {
		p := taps.free[last]
		if p.lent {
			if err := p.renew(); err != nil {
				return nil, err
			}
		}
		taps.free = taps.free[:last]
		var b [batchSize * recordSize]byte
		for {
			if n, err := unix.Read(int(p.out), b[:]); n <= 0 && err != unix.EINTR {
				return p, nil
			}
		}
	}
	return newPipe()
}

func newPipe() (*pipe, error) {
	out, in, err := sys.Pipe(false)
	if err != nil {
		return nil, err
	}
	_, _ = sys.SetPipeSize(out, pipeSize) // it has less where the user has many
	return &pipe{out: int32(out), in: int32(in)}, nil
}

// renew puts another pipe under the numbers.
func (p *pipe) renew() error {
	fresh, err := newPipe()
	if err == nil {
		err = errors.Join(sys.Replace(int(fresh.in), int(p.in)), sys.Replace(int(fresh.out), int(p.out)))
	}
	p.lent = err != nil
	return err
}

// open adds signals: all, or none if that fails. The caller holds taps.mu.
func (t *tap) open(set Set) error {
	before := t.set
	for sig := range set.Difference(before).Signals() {
		if err := t.add(sig); err != nil {
			for sig := range t.set.Difference(before).Signals() {
				t.remove(sig)
			}
			return err
		}
	}
	return nil
}

// update makes it those signals.
func (t *tap) update(set Set) error {
	if err := tappable(set); err != nil {
		return err
	}
	taps.mu.Lock()
	defer taps.mu.Unlock()
	if err := t.open(set); err != nil {
		return err
	}
	for sig := range t.set.Difference(set).Signals() {
		t.remove(sig)
	}
	for sig := range t.displaced().Signals() {
		if taps.observers[sig] > 0 && sys.TapForeign(int(sig)) {
			return errForeign(sig)
		}
		if err := sys.TapInstall(int(sig)); err != nil {
			return err
		}
	}
	return nil
}

// errForeign refuses to go on to a handler that may go on to ours.
func errForeign(sig Signal) error {
	return invalid("another handler of " + sig.String() + " was set while a Receiver had it, which may go on to the Receiver's: nothing can go on to it")
}

// displaced is which signals have another handler now. The caller holds taps.mu.
func (t *tap) displaced() (set Set) {
	for sig := range t.set.Signals() {
		if !sys.Tapped(int(sig)) {
			set = set.Union(SetOf(sig))
		}
	}
	return set
}

func (t *tap) add(sig Signal) error {
	end := 0
	for end < sys.TapEnds && taps.used[sig]>>end&1 != 0 {
		end++
	}
	if end == sys.TapEnds {
		return fmt.Errorf("%d Receivers have %v already, and there can't be more", end, sig)
	}
	if t.observe && !sys.TapHandled(int(sig)) {
		return invalid(sig.String() + " has no handler, so there is nothing to go on as before: it is ignored, or has the kernel's default action")
	}
	if t.observe && sys.TapForeign(int(sig)) {
		return errForeign(sig)
	}
	t.lost[sig] = sys.TapLost(int(sig), end)
	t.ends[sig] = int8(end)
	sys.TapOpen(int(sig), end, int(t.pipe.in)) // first, so that what comes now is told to somebody
	sys.TapForward(int(sig), forwards(sig, t.observe, 1))
	if err := sys.TapInstall(int(sig)); err != nil {
		sys.TapForward(int(sig), forwards(sig, t.observe, -1))
		sys.TapClose(int(sig), end)
		return err
	}
	taps.used[sig] |= 1 << end
	t.set = t.set.Union(SetOf(sig))
	return nil
}

// forwards counts who has a signal, and says whether the handler before is to be called too.
func forwards(sig Signal, observe bool, more int) bool {
	if observe {
		taps.observers[sig] += more
	} else {
		taps.notifiers[sig] += more
	}
	return taps.notifiers[sig] == 0 && taps.observers[sig] > 0
}

// remove ends a signal.
func (t *tap) remove(sig Signal) {
	end := int(t.ends[sig])
	on := forwards(sig, t.observe, -1)
	taps.used[sig] &^= 1 << end
	if taps.used[sig] == 0 {
		_ = sys.TapRemove(int(sig))
	} else {
		sys.TapForward(int(sig), on)
	}
	sys.TapClose(int(sig), end)
	t.gone += sys.TapLost(int(sig), end) - t.lost[sig]
	t.set = t.set.Difference(SetOf(sig))
}

// close ends all signals. The caller holds taps.mu.
func (t *tap) close() {
	for sig := range t.set.Signals() {
		t.remove(sig)
	}
}

// end is close, after which the pipe is for the next one.
func (t *tap) end() {
	taps.mu.Lock()
	defer taps.mu.Unlock()
	t.close()
	if t.pipe == nil {
		return
	}
	if t.shared.Load() {
		_ = t.pipe.renew() // or else when it's taken
	}
	taps.free = append(taps.free, t.pipe)
	t.pipe = nil
}

// missed is how many records didn't fit into the pipe.
func (t *tap) missed() uint32 {
	taps.mu.Lock()
	defer taps.mu.Unlock()
	n := t.gone
	for sig := range t.set.Signals() {
		n += sys.TapLost(int(sig), int(t.ends[sig])) - t.lost[sig]
	}
	return n
}
