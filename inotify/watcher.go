//go:build linux

package inotify

import (
	"context"
	"errors"
	"io"
	"iter"
	"os"
	"strings"
	"sync"
	"syscall"

	"github.com/fildes/fildes"
	"github.com/fildes/fildes/internal/fd"
	"github.com/fildes/fildes/internal/sys"
)

// A Watcher is a set of watches and the queue of their events.
//
// All methods may be called by several goroutines at once; of several that read, one gets each event. The zero Watcher and a nil *Watcher refuse every
// operation with [os.ErrInvalid], a closed one with [os.ErrClosed]. A Watcher must not be copied. One that is forgotten without Close is closed by the
// garbage collector, some time later.
type Watcher struct {
	fd fd.FD

	mu    sync.Mutex // held for each read of the queue, so that events are handed out in their order
	ahead Batch      // what Read and Events have read ahead
}

// Options are the options of [New]; nil means the zero value. There are none yet.
type Options struct{}

// New makes a Watcher: inotify_init1(2), close-on-exec.
//
// It fails with EMFILE where the user has as many as fs.inotify.max_user_instances allows, and at the limit on descriptors; the error says which.
func New(_ *Options) (*Watcher, error) {
	n, err := sys.NotifyInit()
	if err != nil {
		return nil, fail("new", "", err)
	}
	w := new(Watcher)
	w.fd.Init(n, false)
	return w, nil
}

// FromFile makes a Watcher of a duplicate of f's descriptor: of an inotify instance that was inherited or received. f stays the caller's. The watches, the queue and
// O_NONBLOCK are shared; O_NONBLOCK is set, and a read during which another process clears it blocks a thread.
//
// Anything but an inotify instance is refused with [os.ErrInvalid]. To tell, /proc must be mounted.
func FromFile(f *os.File) (*Watcher, error) {
	n, err := fd.FromFile(f)
	if err != nil {
		return nil, fail("from-file", "", err)
	}
	w := new(Watcher)
	if err := fd.CheckAnonymous(n, "inotify"); err != nil {
		_ = sys.Close(n)
		return nil, fail("from-file", "", err)
	}
	if err := w.fd.Adopt(n); err != nil {
		return nil, fail("from-file", "", err)
	}
	return w, nil
}

// Add watches the file or directory at path: inotify_add_watch(2). What happens to it from now on, and mask asks for, is reported with the Watch that is returned.
//
// A file is watched once, whatever path leads to it (hard links, bind mounts): the Watch is the same, and mask replaces the earlier one, unless flags say otherwise. It is the file that is
// watched, and not its path: it may be renamed.
//
// mask must be of events (those of [AllEvents]), else it is refused with [os.ErrInvalid]. It needs permission to read the file (EACCES), and fails with ENOSPC at the limit
// fs.inotify.max_user_watches, which the error names with its value. What happens on another machine that has the file system mounted, by a memory mapping, or in /proc and
// /sys isn't reported.
func (w *Watcher) Add(path string, mask Mask, flags AddFlags) (Watch, error) {
	wd, err := w.add(path, mask, flags)
	return wd, fail("add", path, err)
}

func (w *Watcher) add(path string, mask Mask, flags AddFlags) (Watch, error) {
	if err := w.engine().Check(); err != nil {
		return None, err
	}
	switch {
	case mask == 0 || mask&^AllEvents != 0:
		return None, errMask
	case flags&^allFlags != 0:
		return None, errFlags
	case flags.Has(MaskAdd | MaskCreate):
		return None, errBoth
	}
	wd := int(None)
	err := w.engine().Control(func(num int) (err error) {
		wd, err = sys.NotifyAdd(num, path, uint32(mask)|uint32(flags))
		return err
	})
	return Watch(wd), err
}

// AddFile is [Watcher.Add] for what an open descriptor refers to, whatever has become of its path; one of O_PATH will do. DontFollow is refused
// with [os.ErrInvalid]: nothing is followed. /proc must be mounted.
func (w *Watcher) AddFile(f syscall.Conn, mask Mask, flags AddFlags) (Watch, error) {
	wd, err := w.addFile(f, mask, flags)
	return wd, fail("add-file", "", err)
}

func (w *Watcher) addFile(f syscall.Conn, mask Mask, flags AddFlags) (wd Watch, err error) {
	if err := w.engine().Check(); err != nil {
		return None, err
	}
	if f == nil {
		return None, errNoFile
	}
	if flags.Has(DontFollow) {
		return None, errDontFollow
	}
	c, err := f.SyscallConn()
	if err != nil {
		return None, fd.Normalise(err)
	}
	if cerr := c.Control(func(num uintptr) { wd, err = w.add(sys.ProcPath(int(num)), mask, flags) }); cerr != nil {
		return None, fd.Normalise(cerr)
	}
	return wd, err
}

// ErrNoWatch is why [Watcher.Remove] fails where the kernel doesn't have the watch any more, or never had: its file was deleted or unmounted, or it was a OneShot. There is nothing
// left to do. It matches [syscall.EINVAL].
var ErrNoWatch error = noWatchError{}

type noWatchError struct{}

func (noWatchError) Error() string {
	return "the watch is gone already, with its file or after its one event"
}
func (noWatchError) Unwrap() error { return syscall.EINVAL }

// Remove ends a watch: inotify_rm_watch(2). Events that are waiting are still reported, and then Ignored. Where the kernel has dropped the watch by itself, the error is
// [ErrNoWatch].
func (w *Watcher) Remove(watch Watch) error {
	err := w.engine().Control(func(num int) error { return sys.NotifyForget(num, int(watch)) })
	if errors.Is(err, syscall.EINVAL) {
		err = ErrNoWatch
	}
	return fail("remove", "", err)
}

// Read waits for an event and returns it: read(2). Events come in the order in which they happened; one that equals the last one that is waiting is left out by the kernel.
//
// Where the queue was full an event with Overflow and [None] stands for those that were lost. A done ctx fails the call before anything is taken, with an error
// that matches ctx.Err() and context.Cause(ctx).
//
// Events are read ahead, so that an epoll set may say that there are none while Read has some: use [Watcher.ReadBatch] there.
func (w *Watcher) Read(ctx context.Context) (Event, error) {
	ev, err := w.read(ctx)
	return ev, fail("read", "", err)
}

func (w *Watcher) read(ctx context.Context) (ev Event, err error) {
	if w != nil && ctx != nil && ctx.Err() == nil && w.fd.Enter(fd.Read) {
		w.mu.Lock()
		r, ok := w.ahead.Next()
		if ok {
			ev = r.Event()
		}
		w.mu.Unlock()
		if w.fd.Leave(fd.Read); ok {
			return ev, nil
		}
	}
	err = w.engine().Stream(ctx, fd.Read, func(num int) (err error) {
		ev, _, err = w.one(num)
		return err
	})
	return ev, err
}

// tryRead is read where it need not wait.
func (w *Watcher) tryRead() (ev Event, ok bool, err error) {
	more := false
	err = w.engine().Control(func(num int) (err error) {
		ev, more, err = w.one(num)
		return err
	})
	if err == fd.Again {
		return ev, false, nil
	}
	if more {
		w.fd.Kick(fd.Read) // the kernel has nothing left that would wake whoever waits
	}
	return ev, err == nil, err
}

// queued is how many bytes of events are waiting.
func (w *Watcher) queued() (n int) {
	_ = w.engine().Control(func(num int) (err error) {
		n, err = sys.Unread(num)
		return err
	})
	w.mu.Lock()
	defer w.mu.Unlock()
	return n + len(w.ahead.rest)
}

// one takes an event, and says whether it has read more.
func (w *Watcher) one(num int) (ev Event, more bool, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.ahead.rest) == 0 {
		if _, err := w.ahead.fill(num); err != nil {
			return ev, false, err
		}
	}
	r, _ := w.ahead.Next()
	return r.Event(), len(w.ahead.rest) > 0, nil
}

// ReadBatch waits until there are events and takes as many as fit into b, without allocating: read(2). It returns how many there are for [Batch.Next]. What b still holds comes first: then
// nothing is read.
//
// It is otherwise as [Watcher.Read].
func (w *Watcher) ReadBatch(ctx context.Context, b *Batch) (int, error) {
	if w != nil && ctx != nil && ctx.Err() == nil && b != nil && len(b.rest) == 0 && len(b.buf) > 0 && w.fd.Enter(fd.Read) {
		w.mu.Lock()
		got, e := uintptr(0), syscall.EAGAIN
		if len(w.ahead.rest) == 0 {
			got, e = sys.ReadOnce(w.fd.Num(), b.buf) // in this frame: to return from others costs as much as all else here
		}
		w.mu.Unlock()
		if w.fd.Leave(fd.Read); e == 0 {
			if n, ok := b.keep(int(got)); ok {
				return n, nil
			}
		}
	}
	n, err := w.readBatch(ctx, b)
	if err != nil {
		err = fail("read", "", err)
	}
	return n, err
}

func (w *Watcher) readBatch(ctx context.Context, b *Batch) (n int, err error) {
	if b == nil {
		return 0, errNoBatch
	}
	err = w.engine().Stream(ctx, fd.Read, func(num int) (err error) {
		n, err = w.take(num, b)
		return err
	})
	return n, err
}

// TryReadBatch is [Watcher.ReadBatch] where it need not wait. It returns 0 if there are no events.
func (w *Watcher) TryReadBatch(b *Batch) (n int, err error) {
	if b == nil {
		return 0, fail("try-read", "", errNoBatch)
	}
	err = w.engine().Control(func(num int) (err error) {
		n, err = w.take(num, b)
		return err
	})
	if err == fd.Again {
		return 0, nil
	}
	return n, fail("try-read", "", err)
}

// take fills b, with what was read ahead before all else.
func (w *Watcher) take(num int, b *Batch) (int, error) {
	if len(b.rest) > 0 {
		n, _ := count(b.rest)
		return n, nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if rest := w.ahead.rest; len(rest) > 0 {
		if len(b.buf) < len(rest) {
			b.buf = make([]byte, len(w.ahead.buf))
		}
		b.rest = b.buf[:copy(b.buf, rest)]
		w.ahead.rest = nil
		n, _ := count(b.rest)
		return n, nil
	}
	return b.fill(num)
}

// fill reads, and returns how many events there are.
func (b *Batch) fill(num int) (int, error) {
	if len(b.buf) == 0 {
		b.buf = make([]byte, batchSize)
	}
	for {
		got, e := sys.ReadOnce(num, b.buf)
		switch {
		case e == syscall.EINTR:
			continue
		case e == syscall.EINVAL && len(b.buf) < maxBatch: // the next event doesn't fit
			b.buf = make([]byte, min(max(4*len(b.buf), 512), maxBatch))
			continue
		case e != 0:
			return 0, e
		}
		n, ok := b.keep(int(got))
		if !ok {
			return 0, io.ErrUnexpectedEOF
		}
		return n, nil
	}
}

// keep takes over the events that were read, unless they aren't whole.
func (b *Batch) keep(size int) (n int, ok bool) {
	n, whole := count(b.buf[:size])
	if !whole || n == 0 {
		return 0, false
	}
	b.rest = b.buf[:size]
	return n, true
}

// Events waits as Read does and yields one event after another, until the loop is left or something fails; the error is yielded once, last. No lock is held meanwhile. What was read ahead
// when the loop is left is for whoever reads next.
func (w *Watcher) Events(ctx context.Context) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		for {
			ev, err := w.Read(ctx)
			if !yield(ev, err) || err != nil {
				return
			}
		}
	}
}

func (w *Watcher) engine() *fd.FD {
	if w == nil {
		return nil
	}
	return &w.fd
}

type invalid string

func (e invalid) Error() string { return string(e) }
func (invalid) Unwrap() error   { return os.ErrInvalid }

var (
	errMask       error = invalid("only events can be asked for, and at least one: those of AllEvents")
	errFlags      error = invalid("there are no such flags")
	errBoth       error = invalid("MaskAdd and MaskCreate exclude each other")
	errDontFollow error = invalid("DontFollow means nothing to a descriptor")
	errNoFile     error = invalid("there is no file")
	errNoBatch    error = invalid("there is no batch")
	errNoPairer   error = invalid("a Pairer is made with NewPairer, for a Watcher, and reads with a context")
)

// fail makes the error of a method; it returns nil for nil.
//
//go:noinline
func fail(op, path string, err error) error {
	if err == nil {
		return nil
	}
	if e, ok := err.(syscall.Errno); ok {
		err = sys.Error("read", e)
	}
	err = fildes.NewOpError("inotify", op, path, err)
	if oe := err.(*fildes.OpError); oe.Hint == "" && strings.HasPrefix(op, "add") {
		switch {
		case errors.Is(oe.Err, syscall.EEXIST):
			oe.Hint = "it is watched already, perhaps under another path"
		case errors.Is(oe.Err, syscall.EACCES):
			oe.Hint = "watching needs permission to read the file, and to search the directories that lead to it"
		case errors.Is(oe.Err, syscall.ENOENT) && op == "add-file":
			oe.Hint = "/proc must be mounted"
		}
	}
	return err
}

// Close ends the Watcher and its watches: close(2). It wakes whoever waits, who then fails with [os.ErrClosed], and returns when the number is free, which may take the kernel some
// milliseconds. A second Close returns [os.ErrClosed]. Events that nobody has read are lost.
func (w *Watcher) Close() error { return fail("close", "", w.engine().Close()) }

// SyscallConn lends the descriptor out: see [fildes.FD.SyscallConn].
func (w *Watcher) SyscallConn() (syscall.RawConn, error) {
	failed := func(op string, err error) error { return fail(op, "", err) }
	r, err := w.engine().SyscallConn(failed)
	return r, failed("syscall-conn", err)
}

// File returns a duplicate of the descriptor, for a child process, say; it shares the description, with the watches, the queue and O_NONBLOCK: see [fildes.FD.File].
func (w *Watcher) File() (*os.File, error) {
	f, err := w.engine().File("inotify")
	return f, fail("file", "", err)
}

// Inherit fails with an error that matches [errors.ErrUnsupported]: an inotify instance can't be opened anew, so that a child would get a non-blocking
// descriptor. A child that knows what it gets takes [Watcher.File]'s.
func (w *Watcher) Inherit() (*os.File, error) {
	f, err := w.engine().Inherit("inotify")
	return f, fail("inherit", "", err)
}

// Release ends the Watcher without closing the descriptor, and returns its number: see [fildes.FD.Release].
func (w *Watcher) Release() (int, error) {
	n, err := w.engine().Release()
	return n, fail("release", "", err)
}
