//go:build linux

package splice

import (
	"context"
	"errors"
	"io"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes/internal/fd"
	"github.com/fildes/fildes/internal/sys"
)

// An end is one of the two descriptors of a move, for the time of one call of this package.
type end struct {
	mode   fd.Mode // what the move does with it
	conn   syscall.Conn
	raw    syscall.RawConn
	engine *fd.FD // of a handle of this module, else nil
	own    *fd.FD // what is used instead of a terminal that blocks, else nil

	// blocks says that somebody else's descriptor doesn't have O_NONBLOCK: each operation must be preceded by a look whether it would
	// wait.
	blocks bool
	kind   uint32 // S_IFMT, or 0 for an anonymous inode, once it is known
	known  bool

	apart *fd.FD      // a private epoll set with the descriptor, once Go's poller has refused to wait for it
	alarm *ctxAlarm   // makes a context end waits of somebody else's descriptor
	stop  func() bool // of alarm

	// What a connection of net or os is given to run; each would be an allocation if it were made for the call.
	lent, waiting struct {
		op     func(num int) error
		result error
	}
	ctx     context.Context // of the wait
	unarmed bool
	borrow  func(uintptr)
	try     func(uintptr) bool
}

// newEnd looks at the descriptor of c. close must follow.
func newEnd(c syscall.Conn, m fd.Mode) (*end, error) {
	if absent(c) {
		return nil, errNoConn
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return nil, fd.Normalise(err)
	}
	e := &end{mode: m, conn: c, raw: raw, engine: fd.Engine(raw)}
	e.borrow = func(num uintptr) { e.lent.result = e.lent.op(int(num)) }
	e.try = func(num uintptr) bool {
		if e.waiting.result = e.waiting.op(int(num)); e.waiting.result != fd.Again {
			return true
		}
		e.unarmed = !e.armed(e.ctx)
		return e.unarmed
	}
	if e.engine == nil {
		err = e.lend(func(num int) error {
			flags, err := sys.StatusFlags(num)
			if err != nil || flags&unix.O_NONBLOCK != 0 {
				return err
			}
			if err := e.know(num); err != nil || e.onDisk() {
				return err
			}
			if e.blocks = m != fd.Write || e.kind != unix.S_IFCHR || !sys.IsTerminal(num); !e.blocks {
				e.blocks = !e.reopen(num)
			}
			return nil
		})
	}
	return e, err
}

// reopen makes a description of our own of a terminal: one that blocks says that it takes bytes, and then waits if they are more than it takes.
func (e *end) reopen(num int) bool {
	own, err := sys.Reopen(num, unix.O_WRONLY|unix.O_NONBLOCK)
	if err != nil {
		return false
	}
	if !sys.SameTerminal(num, own) {
		_ = sys.Close(own)
		return false
	}
	e.own = new(fd.FD)
	e.own.Init(own, false)
	return true
}

// know looks at what the descriptor is, once.
func (e *end) know(num int) (err error) {
	if !e.known {
		e.kind, err = sys.FileType(num)
		e.known = err == nil
	}
	return err
}

// absent says whether c is nil, or one of the library's usual pointers that is.
func absent(c syscall.Conn) bool {
	f, ok := c.(*os.File)
	return c == nil || ok && f == nil
}

// onDisk says whether reads and writes are known never to wait for anybody else.
func (e *end) onDisk() bool {
	return e.kind == unix.S_IFREG || e.kind == unix.S_IFBLK || e.kind == unix.S_IFDIR
}

// close lets go of what was needed for waiting.
func (e *end) close() {
	if e == nil {
		return
	}
	e.disarm()
	if e.apart != nil {
		_ = e.apart.Close()
	}
	if e.own != nil {
		_ = e.own.Close()
	}
}

// lend runs op with the number, once.
func (e *end) lend(op func(num int) error) error {
	if e.engine != nil {
		return e.engine.Control(op)
	}
	if e.own != nil {
		return e.own.Control(op)
	}
	e.lent.op = op
	if err := e.raw.Control(e.borrow); err != nil {
		return fd.Normalise(err)
	}
	return e.lent.result
}

// run runs op until it returns anything but Again. Between the runs the goroutine is parked until the descriptor may be ready: in Go's
// poller, whose reset comes before op, so that no edge is lost; so op may lend the other end's number, but not wait for it.
func (e *end) run(ctx context.Context, op func(num int) error) error {
	if ctx.Err() != nil {
		return fd.ContextError(ctx)
	}
	if e.engine != nil {
		return e.engine.Stream(ctx, e.mode, op)
	}
	if e.own != nil {
		return e.own.Stream(ctx, e.mode, op)
	}
	for {
		if e.apart != nil {
			return e.runApart(ctx, op)
		}
		e.ctx, e.unarmed = ctx, false
		e.waiting.op, e.waiting.result = op, fd.Again
		var err error
		if e.mode == fd.Write {
			err = e.raw.Write(e.try)
		} else {
			err = e.raw.Read(e.try)
		}
		result := e.waiting.result
		switch {
		case err == nil && result == fd.Again && e.unarmed:
			e.arm(ctx)
		case err == nil:
			return result
		case errors.Is(err, os.ErrDeadlineExceeded):
			if ctx.Err() != nil {
				return fd.ContextError(ctx)
			}
			return os.ErrDeadlineExceeded
		case errors.Is(fd.Normalise(err), os.ErrClosed):
			return os.ErrClosed
		default:
			// Go's poller doesn't have the descriptor, or refuses to wait because of an error condition.
			if err := e.setApart(); err != nil {
				return err
			}
		}
		if ctx.Err() != nil {
			return fd.ContextError(ctx)
		}
	}
}

// setApart makes a private epoll set of the descriptor. It reports an edge once, so that a lasting error condition doesn't make it ready for
// ever.
func (e *end) setApart() error {
	set, err := sys.EpollCreate()
	if err != nil {
		return err
	}
	ev := sys.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLET}
	if e.mode == fd.Write {
		ev.Events = unix.EPOLLOUT | unix.EPOLLET
	}
	if err := e.lend(func(num int) error { return sys.EpollControl(set, unix.EPOLL_CTL_ADD, num, &ev) }); err != nil {
		_ = sys.Close(set)
		return err
	}
	if err := sys.SetNonblocking(set, true); err != nil {
		_ = sys.Close(set)
		return err
	}
	e.apart = new(fd.FD)
	e.apart.Init(set, false)
	return nil
}

// runApart looks now and then whether the descriptor has been closed, of which nobody tells.
func (e *end) runApart(ctx context.Context, op func(num int) error) error {
	for {
		watch, cancel := context.WithTimeout(ctx, closedTime)
		err := e.awaitApart(watch, op)
		over := err != nil && watch.Err() != nil && errors.Is(err, watch.Err())
		cancel()
		switch {
		case !over:
			return err
		case ctx.Err() != nil:
			return fd.ContextError(ctx)
		}
		if err := e.lend(func(int) error { return nil }); err != nil {
			return err
		}
	}
}

// closedTime is how long it takes at most to notice a Close of a descriptor that Go's poller doesn't have.
const closedTime = time.Second

func (e *end) awaitApart(ctx context.Context, op func(num int) error) error {
	return e.apart.Await(ctx, fd.Read, func(set int) error {
		for {
			if err := e.lend(op); err != fd.Again {
				return err
			}
			var ev sys.EpollEvent
			if n, errno := sys.EpollPoll(set, &ev, 1); errno != 0 || n == 0 {
				return fd.Again
			}
		}
	})
}

// A ctxAlarm tells somebody else's connection that a context is done, in the only way there is: by a deadline that has passed.
type ctxAlarm struct {
	set   func(time.Time) error
	fired chan struct{}
}

// armed says whether nothing has to be done for ctx to end a wait.
func (e *end) armed(ctx context.Context) bool {
	return ctx.Done() == nil || e.alarm != nil || e.deadline() == nil
}

func (e *end) deadline() func(time.Time) error {
	if e.mode == fd.Read {
		if d, ok := e.conn.(interface{ SetReadDeadline(t time.Time) error }); ok {
			return d.SetReadDeadline
		}
	} else if d, ok := e.conn.(interface{ SetWriteDeadline(t time.Time) error }); ok {
		return d.SetWriteDeadline
	}
	return nil
}

func (e *end) arm(ctx context.Context) {
	a := &ctxAlarm{e.deadline(), make(chan struct{})}
	e.alarm = a
	e.stop = context.AfterFunc(ctx, func() {
		_ = a.set(time.Unix(1, 0)) // what has no deadlines isn't waited for by Go's poller
		close(a.fired)
	})
}

// disarm takes the deadline away again. What was there before can't be known.
func (e *end) disarm() {
	if e.alarm == nil || e.stop() {
		return
	}
	<-e.alarm.fired
	_ = e.alarm.set(time.Time{})
}

// look is what must precede an operation on a descriptor that blocks.
func (e *end) look(num int) error {
	if !e.blocks {
		return nil
	}
	in, out := num, -1
	if e.mode == fd.Write {
		in, out = -1, num
	}
	if r, w, ro, wo := sys.Ready(in, out); r || w || ro || wo {
		return nil
	}
	return fd.Again
}

// A pair is the two ends of a move.
type pair struct {
	src, dst *end
	onDst    bool // which end is waited for first

	// Of the run under way, and made once, as those of an end.
	op        func(dst, src int) error
	on, other *end
	mine      int
	theirs    func(num int) error
	step      func(num int) error
	ready     [2]bool // of on and of other, after an Again
	result    error
	turn      bool
	tries     int

	progress func(n int) // told of what each system call of a move has moved; may be nil
}

// newPair makes a pair of which it isn't known what they are: that is asked when one of them isn't ready.
func newPair(dst, src syscall.Conn) (*pair, error) {
	s, err := newEnd(src, fd.Read)
	if err != nil {
		return nil, err
	}
	d, err := newEnd(dst, fd.Write)
	if err != nil {
		return nil, err
	}
	p := &pair{src: s, dst: d, onDst: s.onDisk()}
	p.theirs = func(num int) error {
		if p.onDst {
			p.ready[1], p.ready[0], p.result = p.try(p.mine, num, p.op) // it says of the source first
		} else {
			p.ready[0], p.ready[1], p.result = p.try(num, p.mine, p.op)
		}
		return nil
	}
	p.step = func(num int) error {
		p.mine = num
		for {
			if err := p.other.lend(p.theirs); err != nil {
				return err
			}
			if p.result != fd.Again || !p.ready[0] {
				return p.result
			}
			if p.tries++; !p.ready[1] || p.tries == fruitless {
				p.turn = true
				return nil
			}
		}
	}
	return p, nil
}

// know looks at what the ends are.
func (p *pair) know() error {
	if err := p.src.lend(p.src.know); err != nil {
		return err
	}
	p.onDst = p.src.onDisk()
	return p.dst.lend(p.dst.know)
}

func (p *pair) close() {
	p.src.close()
	p.dst.close()
}

const (
	fruitless  = 3 // tries while both ends are ready
	firstPause = time.Millisecond
	lastPause  = 50 * time.Millisecond
)

// run runs op, one system call that moves bytes, until it returns anything but Again. Such a call doesn't say which end would have
// waited: both are looked at, after the poller's reset, and the goroutine parks on one that isn't ready.
//
// Two ends that may have to wait take turns, so that the deadline of each is obeyed in a move that never has to.
func (p *pair) run(ctx context.Context, op func(dst, src int) error) error {
	for pause := firstPause; ; {
		p.op, p.on, p.other, p.turn, p.tries = op, p.src, p.dst, false, 0
		if p.onDst {
			p.on, p.other = p.other, p.on
		}
		err := p.on.run(ctx, p.step)
		if p.turn || !p.src.onDisk() && !p.dst.onDisk() {
			p.onDst = !p.onDst
		}
		if err != nil || !p.turn {
			return err
		}
		if p.tries == fruitless { // both say that they are ready, and aren't
			if err := fd.Sleep(ctx, pause); err != nil {
				return err
			}
			pause = min(2*pause, lastPause)
		}
	}
}

// try runs op once, and says after Again which end is ready.
func (p *pair) try(d, s int, op func(dst, src int) error) (readable, writable bool, err error) {
	if p.src.blocks || p.dst.blocks {
		var inOver, outOver bool
		readable, writable, inOver, outOver = sys.Ready(s, d)
		readable, writable = readable || inOver, writable || outOver
		if !readable || !writable {
			return readable, writable, fd.Again
		}
	}
	if err = op(d, s); err != fd.Again {
		return false, false, err
	}
	if err := p.src.know(s); err != nil {
		return false, false, err
	}
	if err := p.dst.know(d); err != nil {
		return false, false, err
	}
	if p.src.onDisk() != p.dst.onDisk() { // it can only be the other one
		return p.src.onDisk(), p.dst.onDisk(), err
	}
	readable, writable, _, _ = sys.Ready(s, d)
	return readable, writable, err
}

// move repeats one, which moves up to n bytes by one system call, until all n are moved. It returns io.EOF where one moves nothing.
func (p *pair) move(ctx context.Context, n int64, one func(dst, src, n int) (int, error)) (done int64, err error) {
	var k int
	op := func(d, s int) (err error) {
		k, err = one(d, s, int(min(n-done, most)))
		return err
	}
	for done < n {
		err := p.run(ctx, op)
		switch {
		case err != nil:
			return done, err
		case k == 0:
			return done, io.EOF
		}
		done += int64(k)
		if p.progress != nil {
			p.progress(k)
		}
	}
	return done, nil
}

// most is how much one system call is asked to move: the kernel's own bound is a little under 2 GiB.
const most = 1 << 30
