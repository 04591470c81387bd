//go:build linux

package fd

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes/internal/sys"
)

// Adopt makes f the owner of a descriptor that somebody else made, and sets close-on-exec. It closes num when it fails.
//
// O_NONBLOCK belongs to the description, which other processes may have too. So a pipe, a FIFO, a message queue or a terminal is opened anew
// where /proc allows it, under the same number; of others the flag is set as it is. Regular files, directories and block
// devices don't know the flag, and keep their offset.
func (f *FD) Adopt(num int) error {
	if num < 0 {
		return sys.Error("fcntl", unix.EBADF)
	}
	if err := sys.SetCloseOnExec(num); err != nil {
		return err // EBADF: there is nothing to close
	}
	if err := prepare(num); err != nil {
		_ = sys.Close(num)
		return err
	}
	f.Init(num, true)
	return nil
}

func prepare(num int) error {
	typ, err := sys.FileType(num)
	if err != nil {
		return err
	}
	flags, err := sys.StatusFlags(num)
	if err != nil {
		return err
	}
	if neverBlocks(num, typ) || flags&unix.O_PATH != 0 {
		return nil
	}
	if own, err := reopen(num, typ, flags); err == nil {
		if sys.Replace(own, num) == nil {
			return nil
		}
	}
	return sys.SetNonblocking(num, true)
}

// neverBlocks says whether O_NONBLOCK means nothing to a file of the type.
func neverBlocks(num int, typ uint32) bool {
	return typ == unix.S_IFREG && !sys.IsQueue(num) || typ == unix.S_IFDIR || typ == unix.S_IFBLK
}

// reopen makes another description of the same object with the same state, non-blocking: of a pipe, a FIFO, a message queue or a terminal.
func reopen(num int, typ uint32, flags int) (int, error) {
	terminal := typ == unix.S_IFCHR && sys.IsTerminal(num)
	open := sys.Reopen
	switch {
	case typ == unix.S_IFIFO:
		open = sys.ReopenPipe
	case typ != unix.S_IFREG && !terminal: // of regular files, only queues block
		return -1, errNotReopened
	}
	own, err := open(num, reopenFlags(flags)|unix.O_NONBLOCK)
	if err != nil {
		return -1, err
	}
	if terminal && !sys.SameTerminal(num, own) { // /dev/tty is another one by now, or for this process
		_ = sys.Close(own)
		return -1, errNotReopened
	}
	return own, nil
}

// reopenFlags is what a new description takes over from an old one.
func reopenFlags(flags int) int {
	return flags & (unix.O_ACCMODE | unix.O_APPEND | unix.O_DIRECT | unix.O_SYNC | unix.O_DSYNC)
}

// errNotReopened is why Inherit can't make a blocking description.
var errNotReopened = fmt.Errorf("%w: such an object can't be opened anew, and a duplicate would share O_NONBLOCK and make the child's "+
	"reads and writes fail with EAGAIN", errors.ErrUnsupported)

// Inherit returns a blocking description of the same object, for a child process.
func (f *FD) Inherit(name string) (file *os.File, err error) {
	err = f.Control(func(num int) error {
		typ, err := sys.FileType(num)
		if err != nil {
			return err
		}
		flags, err := sys.StatusFlags(num)
		if err != nil {
			return err
		}
		var n int
		if neverBlocks(num, typ) || flags&unix.O_NONBLOCK == 0 {
			// A child goes on at the offset.
			f.SetShared()
			n, err = sys.Dup(num)
		} else if n, err = reopen(num, typ, flags); err == nil {
			// Only now: a blocking open of a FIFO waits for the other end.
			if err = sys.SetNonblocking(n, false); err != nil {
				_ = sys.Close(n)
			}
		}
		if err != nil {
			return err
		}
		file = os.NewFile(uintptr(n), name)
		return nil
	})
	return file, err
}

// FromFile duplicates the descriptor of f.
func FromFile(f *os.File) (int, error) {
	if f == nil {
		return -1, os.ErrInvalid
	}
	return FromConn(f)
}

// FromConn duplicates the descriptor of c, which stays the caller's.
func FromConn(c syscall.Conn) (num int, err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return -1, Normalise(err)
	}
	num = -1
	if cerr := raw.Control(func(fd uintptr) { num, err = sys.Dup(int(fd)) }); cerr != nil {
		return -1, Normalise(cerr)
	}
	return num, err
}

// Normalise makes an error of os, net or the poller that means "closed" match os.ErrClosed. The poller's own two aren't
// exported, and match nothing; their texts are as old as os and net.
func Normalise(err error) error {
	if err == nil || errors.Is(err, os.ErrClosed) {
		return err
	}
	for e := err; e != nil; e = errors.Unwrap(e) {
		switch e.Error() {
		case "use of closed file", "use of closed network connection":
			return os.ErrClosed
		}
	}
	return err
}

// CheckAnonymous says with os.ErrInvalid that num isn't an anonymous inode of the given name, such as "[eventfd]".
func CheckAnonymous(num int, name string) error {
	got, err := os.Readlink(sys.ProcPath(num))
	if err != nil {
		return fmt.Errorf("to tell what the descriptor is, /proc must be mounted: %w", err)
	}
	if got != "anon_inode:"+name {
		return fmt.Errorf("the descriptor is %s, not %s: %w", got, "anon_inode:"+name, os.ErrInvalid)
	}
	return nil
}
