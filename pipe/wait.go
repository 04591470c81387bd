//go:build linux

package pipe

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes/internal/fd"
	"github.com/fildes/fildes/internal/sys"
)

// await opens e with begin, and returns when somebody is there. It looks each time that somebody opens the FIFO at place, from before begin on, so
// that whoever comes is seen. It closes place before it waits, and when it fails but with errUnreadable.
func (e *end) await(ctx context.Context, place int, begin func(*turn) error, there func(context.Context, *guest) (bool, error)) error {
	g := &guest{wake: make(chan struct{}, 1)}
	watched := false
	err := inTurn(ctx, func(t *turn) (err error) {
		var mayWatch bool
		g.lobby, mayWatch = enter()
		watched = mayWatch && g.lobby.watch(place, g)
		if g.file, err = sys.Stat(place); err != nil {
			return err
		}
		return begin(t)
	})
	if err != errUnreadable { //nolint:errorlint // a context's cause isn't meant
		_ = sys.Close(place)
	}
	if g.lobby != nil { // it was its turn
		defer g.lobby.leave()
	}
	if watched {
		defer g.lobby.unwatch(g)
	}
	if err != nil {
		return err
	}
	if !watched {
		return retry(ctx, func() (bool, error) { return there(ctx, g) })
	}
	for {
		if ok, err := there(ctx, g); ok || err != nil {
			return err
		}
		switch err := g.lobby.wait(ctx, g); {
		case ctx.Err() != nil:
			return fd.ContextError(ctx)
		case err != nil: // at the limit on descriptors Go's poller may not start
			return retry(ctx, func() (bool, error) { return there(ctx, g) })
		}
	}
}

// isRead says whether somebody has the FIFO open for reading, or has had.
func (e *end) isRead(ctx context.Context, g *guest) (bool, error) {
	if g.left.Load() {
		return true, nil
	}
	return isReader(ctx, &g.file, func() (there bool, err error) {
		err = e.fd.Control(func(num int) (err error) {
			there, err = isReadOn(num)
			return err
		})
		return there, err
	})
}

// isWritten says whether the FIFO is written to, or has been since e was opened. Nothing but tee(2) tells a writer who hasn't written
// from none: it would wait for the one, and finds the end of the stream with the other. And only poll(2) knows one who has come and gone.
func (e *end) isWritten(_ context.Context, g *guest) (there bool, err error) {
	l := g.lobby
	l.peeking.Lock()
	defer l.peeking.Unlock()
	spare := l.spare()
	err = e.fd.Control(func(num int) error {
		n := 0
		if !spare { // who hasn't written isn't seen then
			got, err := sys.Poll(num, unix.POLLIN)
			there = got != 0
			return err
		}
		err := l.out.Control(func(spare int) (err error) {
			n, err = sys.Tee(num, spare, 1, unix.SPLICE_F_NONBLOCK)
			return err
		})
		switch {
		case errors.Is(err, syscall.EAGAIN):
			there = true
			return nil
		case err != nil:
			return sys.Named("tee", err)
		case n > 0:
			there = true
			return l.in.Control(func(spare int) error {
				_, err := sys.Read(spare, make([]byte, 1))
				return sys.Named("read", err)
			})
		}
		got, err := sys.Poll(num, unix.POLLIN)
		there = got&unix.POLLHUP != 0
		return err
	})
	return there, err
}

// retry asks again and again, where the kernel doesn't tell.
func retry(ctx context.Context, there func() (bool, error)) error {
	for pause := time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
		if ok, err := there(); ok || err != nil {
			return err
		}
		if err := fd.Sleep(ctx, pause); err != nil {
			return err
		}
	}
}

// A lobby is what all opens that wait have in common, while there are any: a user may have only 128 inotify instances. Epoll doesn't tell
// of opens.
type lobby struct {
	guests int // owned by doors

	// A byte is duplicated into the spare pipe to ask whether there is one. It is made when somebody asks.
	peeking sync.Mutex
	piped   bool
	in, out fd.FD

	// An instance that tells of opens. Whoever has put a value into lead reads it, for all.
	notices fd.FD
	watched bool
	probed  bool
	paths   bool // closing what was opened as a mere path tells the same as a reader does
	lead    chan struct{}
	buf     []byte // the leader's

	mu      sync.Mutex
	watches map[int]map[*guest]struct{} // by the kernel's name for a watch, which is the same for the same file
}

// A guest is one open that waits.
type guest struct {
	lobby *lobby
	file  unix.Stat_t
	wake  chan struct{}
	watch int
	left  atomic.Bool // somebody who could only read has closed the FIFO; never set where closing a path says the same
}

// doors guards the coming and going.
var doors struct {
	sync.Mutex
	open    *lobby
	closing bool
}

// enter returns the lobby, and whether it is told of opens.
func enter() (l *lobby, watched bool) {
	doors.Lock()
	defer doors.Unlock()
	if doors.open == nil {
		doors.open = &lobby{lead: make(chan struct{}, 1), watches: make(map[int]map[*guest]struct{})}
	}
	l = doors.open
	if !l.watched { // it may have been refused before
		if n, err := sys.NotifyInit(); err == nil {
			l.notices.Init(n, false)
			l.buf = make([]byte, 4096)
			l.watched = true
		}
	}
	l.guests++
	return l, l.watched
}

// probe finds out whether the kernel notifies of the closing of an O_PATH descriptor, as it did before Linux 6.10 and its stable siblings: by trying. A reader who
// leaves in this instant is taken for that. Nobody else reads the instance yet.
func (l *lobby) probe(instance, place int) error {
	wd, err := sys.NotifyAdd(instance, sys.ProcPath(place), opens)
	if err != nil {
		return err
	}
	l.probed, l.paths = true, true
	if num, err := sys.OpenPath(sys.AtWorkingDirectory, sys.ProcPath(place), true); err == nil {
		_ = sys.Close(num)
		n, err := sys.Read(instance, l.buf)
		l.paths = err == nil && closesOf(l.buf[:n])
	}
	return sys.NotifyForget(instance, wd) // what that tells concerns nobody
}

func closesOf(events []byte) bool {
	for {
		ev, rest, ok := sys.NextNotice(events)
		if !ok {
			return false
		}
		if ev.Mask&unix.IN_CLOSE_NOWRITE != 0 {
			return true
		}
		events = rest
	}
}

// spare says whether there is a spare pipe. At the limit on descriptors there may be none. The caller holds peeking.
func (l *lobby) spare() bool {
	if !l.piped {
		in, out, err := sys.Pipe(false)
		if err != nil {
			return false
		}
		l.in.Init(in, false)
		l.out.Init(out, false)
		l.piped = true
	}
	return true
}

// leave sees to it that the lobby is closed behind the last guest.
func (l *lobby) leave() {
	doors.Lock()
	defer doors.Unlock()
	if l.guests--; l.guests == 0 && !doors.closing {
		doors.closing = true
		go closeEmpty()
	}
}

// closeEmpty closes the lobby if nobody has come meanwhile. The kernel takes some milliseconds to close an inotify instance: nobody's open waits for
// that, and there is one such goroutine at most.
func closeEmpty() {
	for {
		doors.Lock()
		l := doors.open
		if l == nil || l.guests > 0 {
			doors.closing = false
			doors.Unlock()
			return
		}
		doors.open = nil
		doors.Unlock()
		if l.piped {
			_, _ = l.in.Close(), l.out.Close()
		}
		if l.watched {
			_ = l.notices.Close()
		}
	}
}

// opens is what a lobby is told: that a FIFO is opened, or is closed by who could only read.
const opens = unix.IN_OPEN | unix.IN_CLOSE_NOWRITE

// watch makes g be woken when the file at place is opened. It returns false where the kernel refuses: fs.inotify.max_user_instances or max_user_watches.
func (l *lobby) watch(place int, g *guest) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	err := l.notices.Control(func(instance int) (err error) {
		if !l.probed {
			if err := l.probe(instance, place); err != nil {
				return err
			}
		}
		g.watch, err = sys.NotifyAdd(instance, sys.ProcPath(place), opens)
		return err
	})
	if err != nil {
		return false
	}
	if l.watches[g.watch] == nil {
		l.watches[g.watch] = make(map[*guest]struct{})
	}
	l.watches[g.watch][g] = struct{}{}
	return true
}

func (l *lobby) unwatch(g *guest) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.watches[g.watch], g)
	if len(l.watches[g.watch]) > 0 {
		return
	}
	delete(l.watches, g.watch)
	_ = l.notices.Control(func(instance int) error { return sys.NotifyForget(instance, g.watch) })
}

// wait returns when the guest's file may have been opened.
func (l *lobby) wait(ctx context.Context, g *guest) error {
	select {
	case <-g.wake:
		return nil
	case <-ctx.Done():
		return fd.ContextError(ctx)
	case l.lead <- struct{}{}:
	}
	defer func() { <-l.lead }()
	for {
		select {
		case <-g.wake:
			return nil
		default:
		}
		n := 0
		err := l.notices.Await(ctx, fd.Read, func(num int) (err error) {
			n, err = sys.Read(num, l.buf)
			return err
		})
		if err != nil {
			return err
		}
		l.tell(l.buf[:n])
	}
}

// tell wakes those whom events concern; all, if some were lost.
func (l *lobby) tell(events []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		ev, rest, ok := sys.NextNotice(events)
		if !ok {
			return
		}
		events = rest
		if ev.Mask&unix.IN_Q_OVERFLOW != 0 {
			for _, guests := range l.watches {
				wake(guests, false)
			}
		} else {
			wake(l.watches[int(ev.Wd)], !l.paths && ev.Mask&unix.IN_CLOSE_NOWRITE != 0)
		}
	}
}

func wake(guests map[*guest]struct{}, left bool) {
	for g := range guests {
		if left {
			g.left.Store(true)
		}
		select {
		case g.wake <- struct{}{}:
		default: // it is awake
		}
	}
}
