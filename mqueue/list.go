//go:build linux

package mqueue

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes/internal/sys"
)

// Directory is where the file system of the queues is mounted, if it is. Its files are the queues of the IPC namespace that it was mounted in.
const Directory = "/dev/mqueue"

// An Entry is a queue that [List] has found.
type Entry struct {
	// Name is the queue's name, with the slash.
	Name string
	// Status is what is known of it.
	Status Status
	// Err is why Attr, Bytes and Registration aren't known: they take the permission to read from the queue. It matches [fs.ErrPermission] then.
	Err error
}

// List returns the queues of this process' IPC namespace, sorted by name. Queues that come and go meanwhile may be missing.
//
// Only a file system knows the names. It is mounted for the call, where nobody else sees it, if that is allowed (fsmount(2): CAP_SYS_ADMIN); else it must be mounted at [Directory], which
// a process that has changed its namespace still has from the old one. Where there is neither, the error matches [fs.ErrNotExist] or what mounting was refused with.
//
// Each queue is opened to be read, which tells nobody. As the kernel has it, that would end a registration of this process with [Receiver.Notify]; List knows those that were made by this package, and leaves them.
func List() ([]Entry, error) {
	dir, err := openDirectory()
	if err != nil {
		return nil, fail("list", "", err)
	}
	defer func() { _ = sys.Close(dir) }()
	var entries []Entry
	buf := make([]byte, 32<<10)
	for {
		n, err := sys.ReadEntries(dir, buf)
		if err != nil {
			return nil, fail("list", "", err)
		}
		if n == 0 {
			break
		}
		for rest := buf[:n]; ; {
			var name []byte
			var ok bool
			if name, _, rest, ok = sys.NextEntry(rest); !ok {
				break
			}
			e := Entry{Name: "/" + string(name)}
			if e.Err = e.Status.look(dir, string(name)); !errors.Is(e.Err, fs.ErrNotExist) {
				e.Err = fail("status", e.Name, e.Err)
				entries = append(entries, e)
			}
		}
	}
	slices.SortFunc(entries, func(a, b Entry) int { return strings.Compare(a.Name, b.Name) })
	return entries, nil
}

// openDirectory opens the root of the queues' file system.
func openDirectory() (int, error) {
	root, refused := sys.MountApart("mqueue")
	if refused == nil {
		defer func() { _ = sys.Close(root) }()
		return sys.OpenHere(root)
	}
	dir, err := sys.OpenDirectory(sys.AtWorkingDirectory, Directory, true)
	if err == nil {
		var magic uint32
		if magic, err = sys.FilesystemType(dir); err == nil && magic == sys.QueueMagic {
			return dir, nil
		}
		_ = sys.Close(dir)
	}
	if errors.Is(refused, unix.ENODEV) {
		return -1, supported(unix.ENOSYS)
	}
	if err == nil {
		err = fs.ErrNotExist
	}
	return -1, fmt.Errorf("queues can be listed only where their file system is mounted (mount -t mqueue none %s), and it can't be mounted for the moment: %w, %w", Directory, refused, err)
}

// look finds out about a file of the directory.
func (s *Status) look(dir int, name string) error {
	path, err := sys.OpenPath(dir, name, false)
	if err != nil {
		return err
	}
	defer func() { _ = sys.Close(path) }()
	st, err := sys.Stat(path)
	if err != nil {
		return err
	}
	s.file(&st)
	registry.Lock() // until the queue is closed again: else a registration that is made meanwhile ends with that
	defer registry.Unlock()
	if ok, err := s.registered(sys.IdentityOfFile(&st)); ok {
		return err
	}
	num, err := sys.OpenToRead(dir, name)
	if err != nil {
		return err
	}
	defer func() { _ = sys.Close(num) }()
	return s.read(num)
}

// file takes what fstat(2) says.
func (s *Status) file(st *unix.Stat_t) {
	s.Mode = fs.FileMode(st.Mode) & fs.ModePerm
	s.UID, s.GID = st.Uid, st.Gid
	s.Used = time.Unix(st.Mtim.Unix())
}

// read takes what an open queue says.
func (s *Status) read(num int) (err error) {
	if s.Attr, err = attrOf(num); err != nil {
		return err
	}
	var text [128]byte
	n, err := sys.ReadAt(num, text[:], 0)
	if err != nil {
		return err
	}
	return parseStatus(text[:n], s)
}

func statusOf(num int) (s Status, err error) {
	st, err := sys.Stat(num)
	if err != nil {
		return s, err
	}
	s.file(&st)
	return s, s.read(num)
}
