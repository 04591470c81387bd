//go:build linux

package fanotify

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes/internal/fd"
	"github.com/fildes/fildes/internal/sys"
)

// ErrStale says that what a handle or an event named is gone: deleted, or its file system unmounted. It is an answer, and matches [syscall.ESTALE].
var ErrStale error = staleError{}

type staleError struct{}

func (staleError) Error() string { return "the file is gone" }
func (staleError) Unwrap() error { return syscall.ESTALE }

// ErrNoPath says that a file is there, but no path is known that leads to it: the name by which it was opened is gone and others are left, or it is in another mount namespace, or the kernel has found it
// by its handle, and knows the paths of directories only: so report DirFID and Name.
var ErrNoPath = errors.New("no path is known here that leads to the file")

// HandleOf is the handle of what is at a path, as events report it: name_to_handle_at(2), statfs(2). It needs no rights, so that a group that may not open handles can know the ones that it
// watches. Symbolic links are followed.
func HandleOf(path string) (Handle, error) {
	num, err := sys.OpenPath(sys.AtWorkingDirectory, path, true)
	if err != nil {
		return Handle{}, fail("handle-of", path, err)
	}
	defer func() { _ = sys.Close(num) }()
	h, err := handleOf(num)
	return h, fail("handle-of", path, err)
}

// HandleOfFile is [HandleOf] for what a descriptor refers to.
func HandleOfFile(f syscall.Conn) (h Handle, err error) {
	if f == nil {
		return h, fail("handle-of", "", errNoFile)
	}
	c, err := f.SyscallConn()
	if err != nil {
		return h, fail("handle-of", "", fd.Normalise(err))
	}
	if cerr := c.Control(func(num uintptr) { h, err = handleOf(int(num)) }); cerr != nil {
		err = fd.Normalise(cerr)
	}
	return h, fail("handle-of", "", err)
}

func handleOf(num int) (h Handle, err error) {
	if h.Type, h.Data, err = sys.FileHandle(num); err != nil {
		return Handle{}, err
	}
	h.FS, err = sys.FilesystemID(num)
	return h, err
}

// A mount is a descriptor of a file system's directory, by which handles are opened. It keeps the file system from being unmounted, and so is closed soon.
type mount struct {
	root int
	used time.Time
	busy int
}

const mountTime = time.Second

// mounts are those that were used lately.
type mounts struct {
	mu    sync.Mutex
	byFS  map[FSID]*mount
	timer *time.Timer
}

// borrow returns a descriptor of the file system, for until giveBack.
func (m *mounts) borrow(fs FSID) (*mount, error) {
	if e := m.lend(fs, -1); e != nil {
		return e, nil
	}
	num, err := openMount(fs) // not under the lock: a mount may hang, and Close must not
	if err != nil {
		return nil, err
	}
	return m.lend(fs, num), nil
}

// lend returns what is there for the file system, or else keeps num for it, if there is one. A num that isn't needed is closed.
func (m *mounts) lend(fs FSID, num int) *mount {
	m.mu.Lock()
	defer m.mu.Unlock()
	if e := m.byFS[fs]; e != nil {
		if num >= 0 {
			_ = sys.Close(num)
		}
		e.busy++
		return e
	}
	if num < 0 {
		return nil
	}
	if m.byFS == nil {
		m.byFS = make(map[FSID]*mount)
	}
	e := &mount{root: num, busy: 1}
	m.byFS[fs] = e
	if m.timer == nil {
		m.timer = time.AfterFunc(mountTime, m.expire)
	} else {
		m.timer.Reset(mountTime)
	}
	return e
}

func (m *mounts) giveBack(e *mount) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e.busy--
	e.used = time.Now()
}

func (m *mounts) expire() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for fs, e := range m.byFS {
		if e.busy == 0 && time.Since(e.used) >= mountTime {
			_ = sys.Close(e.root)
			delete(m.byFS, fs)
		}
	}
	if len(m.byFS) > 0 {
		m.timer.Reset(mountTime)
	}
}

// closeAll closes those that nobody uses; the others are closed when they expire.
func (m *mounts) closeAll() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for fs, e := range m.byFS {
		if e.busy == 0 {
			_ = sys.Close(e.root)
			delete(m.byFS, fs)
		}
	}
}

// openMount opens a directory of the file system: of a mount that shows all of it, if there is one.
func openMount(fs FSID) (int, error) {
	b, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return -1, err
	}
	for _, whole := range []bool{true, false} {
		for line := range strings.Lines(string(b)) {
			path, root, typ, ok := mountLine(line)
			if !ok || (root == "/") != whole || mayHang(typ) {
				continue
			}
			num, err := sys.OpenPath(sys.AtWorkingDirectory, path, true)
			if err != nil {
				continue
			}
			id, err := sys.FilesystemID(num)
			if err == nil && id == fs {
				var opened int
				if opened, err = sys.OpenHere(num); err == nil {
					_ = sys.Close(num)
					return opened, nil
				}
			}
			_ = sys.Close(num)
		}
	}
	return -1, errNoMount
}

// mountLine is what a line of /proc/self/mountinfo says.
func mountLine(line string) (path, root, typ string, ok bool) {
	f := strings.Fields(line)
	if len(f) < 7 {
		return "", "", "", false
	}
	for i := 6; i+1 < len(f); i++ {
		if f[i] == "-" {
			return unescape(f[4]), unescape(f[3]), f[i+1], true
		}
	}
	return "", "", "", false
}

// unescape decodes the octal escapes of /proc.
func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if v, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(v))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// mayHang says whether to look at a file system may wait for another machine or for a process.
func mayHang(typ string) bool {
	for _, prefix := range []string{"nfs", "cifs", "smb", "fuse", "virtiofs", "ceph", "9p", "afs", "autofs", "lustre", "gluster", "ocfs2", "gfs2", "orangefs"} {
		if strings.HasPrefix(typ, prefix) {
			return true
		}
	}
	return false
}

// Path is where the object of a handle is now: open_by_handle_at(2). It needs CAP_DAC_READ_SEARCH. What is gone gives an error that matches [ErrStale], what no path is known of [ErrNoPath]; [Group.OpenHandle] says which other errors
// there are.
func (g *Group) Path(h Handle) (path string, err error) {
	if err := g.engine().Check(); err != nil {
		return "", fail("path", "", err)
	}
	num, err := g.openHandle(h, unix.O_PATH)
	if err == nil {
		path, err = pathOf(num)
		_ = sys.Close(num)
	}
	return path, fail("path", "", err)
}

// OpenHandle opens the object of a handle: open_by_handle_at(2), with the flags of os.OpenFile that don't create. It needs CAP_DAC_READ_SEARCH, and a mount of the file system
// in this mount namespace: a directory of it is kept open for a second, so that events of that directory being opened and closed by this process may be seen, and the file system be busy.
func (g *Group) OpenHandle(h Handle, flag int) (f *os.File, err error) {
	if err := g.engine().Check(); err != nil {
		return nil, fail("open-handle", "", err)
	}
	num, err := g.openHandle(h, flag&^(os.O_CREATE|os.O_EXCL))
	if err != nil {
		return nil, fail("open-handle", "", err)
	}
	return os.NewFile(uintptr(num), "fanotify handle"), nil
}

func (g *Group) openHandle(h Handle, flags int) (int, error) {
	if !h.Valid() {
		return -1, errNoHandle
	}
	m, err := g.mounts.borrow(h.FS)
	if err != nil {
		return -1, err
	}
	defer g.mounts.giveBack(m)
	num, err := sys.OpenHandle(m.root, h.Type, h.Data, flags)
	if errors.Is(err, syscall.ESTALE) {
		err = ErrStale
	}
	return num, err
}

func (g *Group) entryPath(en Entry) (string, error) {
	dir, err := g.Path(en.Dir)
	if err != nil || len(en.Name) == 0 || string(en.Name) == "." {
		return dir, err
	}
	return filepath.Join(dir, string(en.Name)), nil
}
