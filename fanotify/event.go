//go:build linux

package fanotify

import (
	"errors"
	"io"
	"os"
	"runtime"
	"slices"
	"sync"
	"syscall"

	"github.com/fildes/fildes"
	"github.com/fildes/fildes/internal/sys"
)

// An Event is one event. It may be copied: all copies are of the same event, which has its descriptors and its answer once.
//
// An event that [Batch.Next] returned lasts until the batch is read into again or closed, one of [Group.Events] until the loop goes on; [Event.Keep] makes one that lasts. One that [Group.Read] or Keep returned
// lasts until Close, or until it is forgotten. An event that ends without having been answered gets the group's default.
type Event struct {
	// Mask is what happened; several things, where they happened to one object one after another. It is 0 where a kernel before 6.13 has only told that the event's file couldn't be opened:
	// see [Event.Err].
	Mask Mask
	// PID is the process that did it, or with ReportTID the thread, in this PID namespace; 0 if it isn't in it, and of other processes in groups without CAP_SYS_ADMIN.
	PID int
	// Info is what else is told, in memory of the batch, unless the event is kept.
	Info

	group  *Group
	ref    ref
	object int32  // the header's descriptor
	guard  *guard // what keeps it from being ended as forgotten
	kept   bool   // the guard is its own
}

// A guard has the collector end events when nobody refers to them any more: neither their Batch nor one of them.
type guard struct{ held *held }

// held are the events of a guard.
type held struct {
	mu     sync.Mutex
	events []owned
}

type owned struct {
	group *Group
	ref   ref
}

func newGuard() *guard {
	g := &guard{new(held)}
	runtime.AddCleanup(g, func(h *held) { h.drop(0) }, g.held)
	return g
}

func (h *held) add(g *Group, r ref) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.events = append(h.events, owned{g, r})
}

// drop ends all but the last ones.
func (h *held) drop(keep int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := len(h.events) - keep
	for _, e := range h.events[:n] {
		e.group.drop(e.ref)
	}
	h.events = slices.Delete(h.events, 0, n)
}

// Own says whether this process did it.
func (e Event) Own() bool {
	if e.group == nil || e.PID <= 0 {
		return false
	}
	return e.group.own(e.PID)
}

// Err is why the event has no descriptor although its file should have been opened, or nil: EMFILE (RLIMIT_NOFILE), ENFILE, EACCES, ETXTBSY, and others. Access was denied by the kernel, if it was
// asked for.
func (e Event) Err() error {
	if e.group == nil || e.object >= 0 || e.Mask != 0 && e.object == e.group.absent() {
		return nil
	}
	return fail("open", "", sys.Error("read", syscall.Errno(-e.object)))
}

// absent is what stands in a header of an event that is of no file.
func (g *Group) absent() int32 {
	if g.report.Has(ReportFDError) {
		return -int32(syscall.EBADF)
	}
	return noFD
}

var errTaken = errors.New("the event has no such descriptor, or it was taken")

// Take gives the descriptor of the file away, opened as [Options.Open] says: reading from it makes no events. It is the caller's from then on, who must close it; it has no part in the poller. The
// file's name is only for messages.
func (e Event) Take() (*os.File, error) { return e.take("take", "fanotify event", false) }

// TakePIDFD gives the pidfd of the process away, with ReportPIDFD. It fails with ESRCH where the process had ended before the event was read.
func (e Event) TakePIDFD() (*os.File, error) {
	n, ok := int32(noFD), false
	if e.group != nil {
		n, ok = pidfdOf(e.Info)
	}
	switch exact := e.group != nil && e.group.report.Has(ReportFDError); {
	case !ok || n >= 0:
	case exact:
		return nil, fail("take-pidfd", "", sys.Error("read", syscall.Errno(-n)))
	case n == noFD:
		return nil, fail("take-pidfd", "", sys.Error("read", syscall.ESRCH))
	default: // FAN_EPIDFD
		return nil, fail("take-pidfd", "", errNoPIDFD)
	}
	return e.take("take-pidfd", "pidfd", true)
}

func (e Event) take(op, name string, pid bool) (*os.File, error) {
	if e.group == nil {
		return nil, fail(op, "", os.ErrInvalid)
	}
	if e.ref == (ref{}) {
		if err := e.Err(); err != nil {
			return nil, err
		}
		return nil, fail(op, "", errTaken)
	}
	n, err := e.group.pending.take(e.ref, pid)
	runtime.KeepAlive(e.guard)
	if err != nil {
		return nil, fail(op, "", err)
	}
	return os.NewFile(uintptr(n), name), nil
}

// SyscallConn lends the file's descriptor out for one call each: the event is a [syscall.Conn], so that it can be marked or copied from. The event doesn't end during a call.
func (e Event) SyscallConn() (syscall.RawConn, error) {
	if e.group == nil {
		return nil, fail("syscall-conn", "", os.ErrInvalid)
	}
	return lent{e}, nil
}

type lent struct{ e Event }

// Control implements syscall.RawConn.
func (l lent) Control(op func(fd uintptr)) error {
	if op == nil {
		return fail("raw-control", "", os.ErrInvalid)
	}
	return fail("raw-control", "", l.e.with(func(num int) error {
		op(uintptr(num))
		return nil
	}))
}

// Read implements syscall.RawConn: files are always ready.
func (l lent) Read(op func(fd uintptr) bool) error { return l.until("raw-read", op) }

// Write implements syscall.RawConn: files are always ready.
func (l lent) Write(op func(fd uintptr) bool) error { return l.until("raw-write", op) }

func (l lent) until(name string, op func(fd uintptr) bool) error {
	if op == nil {
		return fail(name, "", os.ErrInvalid)
	}
	return fail(name, "", l.e.with(func(num int) error {
		if !op(uintptr(num)) {
			return errNotReady
		}
		return nil
	}))
}

var errNotReady = fildes.NewOpError("fanotify", "wait", "", errors.ErrUnsupported)

// with runs op with the file's descriptor.
func (e Event) with(op func(num int) error) error {
	if e.ref == (ref{}) {
		if err := e.Err(); err != nil {
			return err
		}
		return errTaken
	}
	p := e.group.pending
	num, err := p.lend(e.ref)
	if err != nil {
		return err
	}
	defer func() {
		p.mu.Lock()
		p.give(e.ref.index)
		runtime.KeepAlive(e.guard)
	}()
	return op(int(num))
}

// ReadAt reads from the file: pread(2), which makes no event.
func (e Event) ReadAt(b []byte, offset int64) (n int, err error) {
	if e.group == nil {
		return 0, fail("read-at", "", os.ErrInvalid)
	}
	err = e.with(func(num int) (err error) {
		for n < len(b) && err == nil {
			k := 0
			if k, err = sys.ReadAt(num, b[n:], offset+int64(n)); k == 0 && err == nil {
				err = io.EOF
			}
			n += k
		}
		return err
	})
	return n, failRead(err)
}

// Keep returns an event that lasts beyond its batch or its round of the loop, with memory of its own. It must be closed, and is closed when it is forgotten. The original, and copies
// of it, no longer have descriptors or an answer. It fails while another goroutine uses the descriptor, or answers.
func (e Event) Keep() (Event, error) {
	if e.group == nil {
		return Event{}, fail("keep", "", os.ErrInvalid)
	}
	if e.kept {
		return e, nil
	}
	defer runtime.KeepAlive(e.guard)
	if e.ref != (ref{}) {
		moved, err := e.group.pending.move(e.ref)
		if err != nil {
			return Event{}, fail("keep", "", err)
		}
		e.ref = moved
	}
	e.Info = slices.Clone(e.Info)
	return e.guarded(), nil
}

// guarded is the event with what makes it end when it is forgotten.
func (e Event) guarded() Event {
	if e.kept = true; e.ref != (ref{}) {
		e.guard = newGuard()
		e.guard.held.add(e.group, e.ref)
	}
	return e
}

// Close ends the event: if it waits for an answer it gets the group's default, and what wasn't taken of its descriptors is closed. A second Close returns [os.ErrClosed].
func (e Event) Close() error {
	if e.group == nil {
		return fail("close-event", "", os.ErrInvalid)
	}
	if e.ref == (ref{}) {
		return nil
	}
	if !e.group.drop(e.ref) {
		return fail("close-event", "", os.ErrClosed)
	}
	runtime.KeepAlive(e.guard)
	return nil
}

// drop ends an event, after it was answered.
func (g *Group) drop(r ref) bool {
	num, claimed, ok := g.pending.drop(r)
	if claimed {
		err := g.fd.Control(func(group int) error { return g.write(group, num, g.fallback, nil) })
		if g.pending.end(r, true); err == nil {
			g.counts.dropped.Add(1)
		}
	}
	return ok
}

var ownPID = os.Getpid()

// own says whether a number in an event is this process, or one of its threads.
func (g *Group) own(pid int) bool {
	if pid == ownPID {
		return true
	}
	return g.report.Has(ReportTID) && sys.IsThread(pid)
}

// Path is where the file is now. It is found by the event's descriptor, or by its handles with [Group.Path]: first by the entry's, else by the object's.
//
// A file that is gone gives an error that matches [ErrStale], one that no path is known of [ErrNoPath]. By the time that the path is used, it may be another's.
func (e Event) Path() (string, error) {
	if e.group == nil {
		return "", fail("path", "", os.ErrInvalid)
	}
	if en, ok := e.Entry(); ok {
		return e.group.entryPath(en)
	}
	if h, ok := e.Object(); ok {
		return e.group.Path(h)
	}
	path := ""
	err := e.with(func(num int) (err error) {
		path, err = pathOf(num)
		return err
	})
	return path, fail("path", "", err)
}

// OldPath is where a Rename moved the file from: the directory's path now, and the old name.
func (e Event) OldPath() (string, error) {
	if e.group == nil {
		return "", fail("path", "", os.ErrInvalid)
	}
	en, ok := e.OldEntry()
	if !ok {
		return "", fail("path", "", errNoHandle)
	}
	return e.group.entryPath(en)
}

// pathOf is the path of what a descriptor refers to, if there is one that leads there: what /proc shows may be of a file that is gone, of another mount namespace, or none.
func pathOf(num int) (string, error) {
	path, err := os.Readlink(sys.ProcPath(num))
	if err != nil {
		return "", err
	}
	switch same, links, err := sys.LeadsTo(path, num); {
	case err != nil:
		return "", err
	case same:
		return path, nil
	case links == 0:
		return "", ErrStale
	}
	return "", ErrNoPath
}

var (
	_ syscall.Conn    = Event{}
	_ syscall.RawConn = lent{}
	_ io.ReaderAt     = Event{}
)
