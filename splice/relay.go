//go:build linux

package splice

import (
	"context"
	"errors"
	"os"
	"sync"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes/internal/sys"
)

// A Relay moves bytes between two stream connections, in both directions, as a proxy does, without copying them through the
// program where the kernel can: see [Copy]. While no bytes come it has no pipe, so that many idle ones cost little: a goroutine beside the one that called Run.
//
// Descriptors that come with the bytes of a Unix socket (SCM_RIGHTS) are closed by the kernel.
//
// It doesn't own the connections: they stay open. Its methods may be called by several goroutines at once. The zero Relay and a nil
// *Relay refuse to run with [os.ErrInvalid].
type Relay struct {
	a, b  syscall.Conn
	began atomic.Bool
	sent  [2]atomic.Pointer[copying]

	mu     sync.Mutex
	unsent [2][]byte
}

// The directions.
const (
	toB = iota
	toA
)

// NewRelay makes a Relay between a and b: TCP connections, Unix stream sockets, anything that can be read and written. Nothing is moved until
// Run.
func NewRelay(a, b syscall.Conn) *Relay { return &Relay{a: a, b: b} }

var (
	errNoRelay   error = invalid("the relay has no connections: make it with NewRelay")
	errRelayDone error = invalid("the relay has run already")
	errOther           = errors.New("the relay's other direction has failed")
)

// Run moves bytes until both connections have ended, and returns nil then. Where one ends, and the other is a socket, the other is told by
// shutdown(2) as soon as all bytes have been delivered, and its own direction goes on.
//
// Where a connection isn't read any more (EPIPE, or ECONNRESET when it was written to), only the direction to it ends, so that what its peer wrote before is delivered;
// any other error ends both. Run returns when neither connection is used any more, with the first error: EPIPE or ECONNRESET where a peer has gone, [os.ErrClosed] where a connection was closed here,
// [os.ErrDeadlineExceeded] where a deadline passed that was set on one, and what matches ctx's where that was done. A ctx that ends a Run takes
// the deadlines of connections of net and os with it: see the package's documentation. Run may be called once.
func (r *Relay) Run(ctx context.Context) error {
	switch {
	case r == nil || r.a == nil || r.b == nil:
		return fail("relay", "", errNoRelay)
	case r.began.Swap(true):
		return fail("relay", "", errRelayDone)
	}
	both, cancel := context.WithCancelCause(ctx)
	defer cancel(nil) // when the ends aren't waited for any more: it would take their deadlines
	ab, err := beginKnowing(ctx, r.b, r.a, 0)
	if err != nil {
		return fail("relay", "", err)
	}
	defer ab.close()
	ba, err := beginKnowing(ctx, r.a, r.b, 0)
	if err != nil {
		return fail("relay", "", err)
	}
	defer ba.close()
	var failed error
	direction := func(which int, p *pair) {
		c := &copying{pair: p}
		r.sent[which].Store(c)
		call, err := c.run(both)
		if err == nil {
			call, err = "shutdown", c.dst.endWriting()
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		r.unsent[which] = c.unsent
		if err == nil {
			return
		}
		if failed == nil {
			failed = fail("relay", call, err)
		}
		// Who doesn't read any more may have written before.
		if !errors.Is(err, unix.EPIPE) && !(c.delivering && errors.Is(err, unix.ECONNRESET)) {
			cancel(errOther)
		}
	}
	var wg sync.WaitGroup
	wg.Go(func() { direction(toB, ab) })
	direction(toA, ba)
	wg.Wait()
	return failed
}

// Sent is how many bytes have been delivered in each direction until now.
func (r *Relay) Sent() (toTheFirst, toTheSecond int64) {
	if r == nil {
		return 0, 0
	}
	count := func(which int) int64 {
		if c := r.sent[which].Load(); c != nil {
			return c.sent.Load()
		}
		return 0
	}
	return count(toA), count(toB)
}

// Unsent are the bytes of each direction that were taken from one connection and not delivered to the other, once Run has
// failed. There are none before, and none if it hasn't.
func (r *Relay) Unsent() (forTheFirst, forTheSecond []byte) {
	if r == nil {
		return nil, nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.unsent[toA], r.unsent[toB]
}

// endWriting tells a socket's peer that no more will come. A peer that has gone already needn't know, and what isn't a socket can't be
// told.
func (e *end) endWriting() error {
	err := e.lend(sys.ShutdownWrite)
	if errors.Is(err, unix.ENOTCONN) || errors.Is(err, unix.ENOTSOCK) || errors.Is(err, os.ErrClosed) {
		return nil
	}
	return err
}
