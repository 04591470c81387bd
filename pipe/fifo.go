//go:build linux

package pipe

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes/internal/fd"
	"github.com/fildes/fildes/internal/sys"
)

// ErrNoReader is why a Writer isn't opened with [OpenOptions].NoWait while nobody reads the FIFO. It matches [syscall.ENXIO].
var ErrNoReader error = noReaderError{}

type noReaderError struct{}

func (noReaderError) Error() string { return "nobody has the FIFO open for reading" }
func (noReaderError) Unwrap() error { return syscall.ENXIO }

// MakeFIFO makes a FIFO whose permissions are perm, whatever the umask and the directory's default ACL are: mknodat(2), and chmod(2) of the descriptor where they aren't. perm
// has permission bits only. A name that exists, whatever it is, gives an error that matches [fs.ErrExist].
func MakeFIFO(path string, perm fs.FileMode) error {
	_, err := makeFIFO(sys.AtWorkingDirectory, path, perm)
	return fail("make-fifo", path, err)
}

// MakeFIFOAt is [MakeFIFO] with a name that is relative to a directory, which stays the caller's.
func MakeFIFOAt(dir *os.File, name string, perm fs.FileMode) error {
	c, err := dir.SyscallConn()
	if err == nil {
		cerr := c.Control(func(num uintptr) { _, err = makeFIFO(int(num), name, perm) })
		if cerr != nil {
			err = fd.Normalise(cerr)
		}
	}
	return fail("make-fifo", name, err)
}

func makeFIFO(dir int, name string, perm fs.FileMode) (st unix.Stat_t, err error) {
	if perm&^fs.ModePerm != 0 {
		return st, errPerm
	}
	if err := sys.MakeFIFO(dir, name, uint32(perm)); err != nil {
		return st, err
	}
	num, err := sys.OpenPath(dir, name, false)
	if err != nil {
		sys.RemoveFIFO(dir, name)
		return st, err
	}
	defer func() { _ = sys.Close(num) }()
	st, err = sys.Stat(num)
	if err != nil || st.Mode == unix.S_IFIFO|uint32(perm) {
		return st, err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFIFO || int(st.Uid) != os.Geteuid() {
		return st, errReplaced
	}
	if err = sys.SetMode(num, uint32(perm)); err != nil {
		_ = sys.Remove(dir, name, &st)
	}
	return st, err
}

// OpenReader opens a FIFO for reading, and waits until somebody writes, or has written and gone: open(2). Meanwhile who opens it for writing needn't
// wait any more. It waits without a thread, and until ctx is done.
//
// What isn't a FIFO is refused with [os.ErrInvalid], and nothing has happened to it. /proc must be mounted.
func OpenReader(ctx context.Context, path string, opts *OpenOptions) (*Reader, error) {
	r := new(Reader)
	if err := r.e.open(ctx, path, opts, (*end).openReader); err != nil {
		return nil, fail("open", path, err)
	}
	return r, nil
}

// OpenWriter opens a FIFO for writing, and waits until somebody reads: open(2). It waits without a thread, and until ctx is
// done.
//
// While it waits it holds the FIFO's other end already, if the permissions allow reading too, so that everybody sees a writer: a process whose open for reading
// waits for one goes on, and then waits in its read. Without the permission to read it tries again and again, each 50 milliseconds at
// last.
//
// Where nothing tells of a reader (no permission to read, inotify's limits), one who comes and goes between two looks isn't seen; one who opens the FIFO for both never is,
// unless he stays. Who waits with OpenWriter is a reader himself, for an instant. So that others don't take him for one, each who waits claims the FIFO while
// he looks: an abstract Unix socket's name, for which he waits up to a second. Where it can't be had (in another network namespace, without Unix sockets, while somebody keeps it), a
// reader counts when he is there for a millisecond, so that of two writers one may be opened though nobody reads; it gets EPIPE.
//
// Of opens that hang in the kernel, because their file system does, eight at once hold up all others of this process.
//
// What isn't a FIFO is refused with [os.ErrInvalid], and nothing has happened to it. /proc must be mounted.
func OpenWriter(ctx context.Context, path string, opts *OpenOptions) (*Writer, error) {
	w := new(Writer)
	if err := w.e.open(ctx, path, opts, (*end).openWriter); err != nil {
		return nil, fail("open", path, err)
	}
	return w, nil
}

// open opens the FIFO as a mere place in the file system, which does nothing to whatever is there, and then, if it is a FIFO, in earnest.
func (e *end) open(ctx context.Context, path string, opts *OpenOptions, in func(*end, context.Context, *turn, int, *OpenOptions) (wait func(context.Context) error, err error)) error {
	var o OpenOptions
	if opts != nil {
		o = *opts
	}
	switch {
	case ctx == nil:
		return os.ErrInvalid
	case ctx.Err() != nil:
		return fd.ContextError(ctx)
	case o.RemoveOnClose && !o.Create:
		return errRemove
	}
	if o.Perm == 0 {
		o.Perm = 0o600
	}
	e.name = path
	var wait func(context.Context) error
	err := inTurn(ctx, func(t *turn) error {
		place, err := e.place(path, &o)
		if err == nil {
			wait, err = in(e, ctx, t, place, &o)
		}
		return err
	})
	if err == nil && wait != nil {
		err = wait(ctx)
	}
	if err != nil {
		_ = e.remove() // while the inode is held, if it is
		_ = e.fd.Close()
	}
	return err
}

// place returns a descriptor of the FIFO that can neither read nor write, and remembers it if it is to be removed.
func (e *end) place(path string, o *OpenOptions) (int, error) {
	var file unix.Stat_t
	var err error
	var place int
	for range 10 { // others may create and remove it meanwhile
		created := false
		if o.Create {
			file, err = makeFIFO(sys.AtWorkingDirectory, path, o.Perm)
			if created = err == nil; !created && !errors.Is(err, fs.ErrExist) {
				return -1, err
			}
		}
		place, err = sys.OpenPath(sys.AtWorkingDirectory, path, true)
		if o.Create && errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return -1, err
		}
		is, err := sys.Stat(place)
		if err == nil && is.Mode&unix.S_IFMT != unix.S_IFIFO {
			err = errNotFIFO
		}
		if err == nil && created && o.RemoveOnClose && sys.SameFile(&is, &file) {
			var abs string
			abs, err = filepath.Abs(path)
			e.made.Store(&made{abs, file})
		}
		if err != nil {
			_ = sys.Close(place)
			return -1, err
		}
		return place, nil
	}
	return -1, err
}

// openReader makes e a reader of the FIFO at place, which it closes; or returns what does that and waits.
func (e *end) openReader(_ context.Context, _ *turn, place int, o *OpenOptions) (wait func(context.Context) error, err error) {
	if !o.Survive && !o.NoWait {
		return func(ctx context.Context) error {
			return e.await(ctx, place, func(*turn) error { return e.openAs(place, unix.O_RDONLY, o) }, e.isWritten)
		}, nil
	}
	mode := unix.O_RDONLY
	if o.Survive {
		mode = unix.O_RDWR
	}
	err = e.openAs(place, mode, o)
	_ = sys.Close(place)
	return nil, err
}

// openWriter makes e a writer, likewise.
func (e *end) openWriter(ctx context.Context, t *turn, place int, o *OpenOptions) (wait func(context.Context) error, err error) {
	if o.Survive {
		err = e.openAs(place, unix.O_RDWR, o)
	} else {
		err = e.openForReader(ctx, t, place, o)
	}
	if err == errNobody { //nolint:errorlint // a context's cause isn't meant
		if !o.NoWait {
			return func(ctx context.Context) error { return e.awaitReader(ctx, place, o) }, nil
		}
		err = ErrNoReader
	}
	_ = sys.Close(place)
	return nil, err
}

// openForReader opens the FIFO for writing if somebody reads it, and gives errNobody if nobody does.
func (e *end) openForReader(ctx context.Context, t *turn, place int, o *OpenOptions) error {
	num, err := openWritten(ctx, t, place, func() (int, error) { return openNumber(place, unix.O_WRONLY, o) })
	if err != nil {
		return err
	}
	return e.adopt(num, false)
}

func (e *end) awaitReader(ctx context.Context, place int, o *OpenOptions) error {
	err := e.await(ctx, place, func(t *turn) error {
		return pretend(ctx, t, place, func() error { return e.openAs(place, unix.O_WRONLY, o) })
	}, e.isRead)
	if err != errUnreadable { //nolint:errorlint // a context's cause isn't meant
		return err
	}
	defer func() { _ = sys.Close(place) }()
	return retry(ctx, func() (bool, error) {
		err := inTurn(ctx, func(t *turn) error { return e.openForReader(ctx, t, place, o) })
		if err == errNobody { //nolint:errorlint // likewise
			return false, nil
		}
		return true, err
	})
}

func (e *end) openAs(place, mode int, o *OpenOptions) error {
	num, err := openNumber(place, mode, o)
	if err != nil {
		return err
	}
	return e.adopt(num, false)
}

func openNumber(place, mode int, o *OpenOptions) (int, error) {
	mode |= unix.O_NONBLOCK
	if o.Packet {
		mode |= unix.O_DIRECT
	}
	num, err := sys.ReopenPipe(place, mode)
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("to open what is a FIFO, and nothing else, /proc must be mounted: %w", err)
	}
	return num, err
}

var (
	errNotFIFO  error = invalid("it isn't a FIFO")
	errPerm     error = invalid("a FIFO has permission bits only")
	errRemove   error = invalid("RemoveOnClose needs Create: only what was made is removed")
	errReplaced       = errors.New("somebody has put something else in the new FIFO's place")
)
