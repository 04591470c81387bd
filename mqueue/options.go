//go:build linux

package mqueue

import (
	"errors"
	"io/fs"
	"math"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes/internal/sys"
)

// MaxPriority is the highest priority of a message (MQ_PRIO_MAX - 1).
const MaxPriority = 32767

// Options are the options of [Open], [OpenSender] and [OpenReceiver]; nil means the zero value, which opens a queue that exists.
type Options struct {
	// Create makes the queue if the name doesn't exist (O_CREAT). One that exists is opened as it is: [Attr] says whether it's what was asked for.
	Create bool
	// Exclusive refuses a queue that exists, with [fs.ErrExist] (O_EXCL). It needs Create.
	Exclusive bool
	// Perm is what Create makes the queue with, whatever the umask is: permission bits only. Zero is 0600. To send takes the permission to write, to receive that to read; to execute means nothing.
	// For an instant the umask's bits are missing.
	Perm fs.FileMode
	// MaxMessages is how many messages the queue that Create makes has room for, and MessageSize how many bytes a message may have. They never change. Zero is what the kernel gives, by the sysctls fs.mqueue.msg_default and
	// fs.mqueue.msgsize_default. They are limited: see [ReadLimits].
	MaxMessages, MessageSize int
}

var (
	errExclusive error = invalid("Exclusive needs Create")
	errPerm      error = invalid("Perm has permission bits only")
	errNumbers   error = invalid("MaxMessages and MessageSize are from 0 to 2147483647")
)

func (o *Options) check() error {
	switch {
	case o.Exclusive && !o.Create:
		return errExclusive
	case o.Perm&^fs.ModePerm != 0:
		return errPerm
	case min(o.MaxMessages, o.MessageSize) < 0 || max(o.MaxMessages, o.MessageSize) > math.MaxInt32:
		return errNumbers
	}
	if o.Perm == 0 {
		o.Perm = 0o600
	}
	return nil
}

// open opens or makes the queue.
func (o *Options) open(name string, mode int) (int, error) {
	if !o.Create {
		return sys.OpenQueue(name, mode, 0, nil)
	}
	attr, err := o.attr()
	if err != nil {
		return -1, err
	}
	for {
		num, err := o.make(name, mode, attr)
		if o.Exclusive || !errors.Is(err, unix.EEXIST) {
			return num, err
		}
		num, err = sys.OpenQueue(name, mode, 0, nil)
		if !errors.Is(err, unix.ENOENT) { // else it was unlinked meanwhile
			return num, err
		}
	}
}

// attr is what the kernel is asked for; nil leaves all to it.
func (o *Options) attr() (*sys.QueueAttr, error) {
	if o.MaxMessages == 0 && o.MessageSize == 0 {
		return nil, nil
	}
	attr := &sys.QueueAttr{MaxMessages: o.MaxMessages, MessageSize: o.MessageSize}
	if o.MaxMessages == 0 || o.MessageSize == 0 {
		l, err := readLimits()
		if err != nil {
			return nil, err
		}
		if attr.MaxMessages == 0 {
			attr.MaxMessages = min(l.DefaultMessages, l.MaxMessages)
		}
		if attr.MessageSize == 0 {
			attr.MessageSize = min(l.DefaultSize, l.MessageSize)
		}
	}
	return attr, nil
}

// make makes the queue, with the permissions.
func (o *Options) make(name string, mode int, attr *sys.QueueAttr) (int, error) {
	num, err := sys.OpenQueue(name, mode|unix.O_CREAT|unix.O_EXCL, uint32(o.Perm), attr)
	if err != nil {
		return -1, err
	}
	st, err := sys.Stat(num)
	if err == nil && fs.FileMode(st.Mode)&fs.ModePerm != o.Perm {
		err = sys.SetFileMode(num, uint32(o.Perm))
	}
	if err != nil {
		_ = sys.UnlinkQueue(name)
		_ = sys.Close(num)
		return -1, err
	}
	return num, nil
}

// Unlink removes the name of a queue: mq_unlink(3). Who has the queue open goes on using it; it is gone, with the messages that it holds, when the last has closed it, and meanwhile counts against RLIMIT_MSGQUEUE. The name may be given to another queue at
// once.
//
// It fails with [fs.ErrNotExist] where there is none, and with [fs.ErrPermission] for who neither has made the queue nor has CAP_FOWNER.
func Unlink(name string) error {
	err := checkName(name)
	if err == nil {
		err = supported(sys.UnlinkQueue(name))
	}
	return fail("unlink", name, err)
}

// checkName refuses what isn't the name of a queue.
func checkName(name string) error {
	rest, slash := strings.CutPrefix(name, "/")
	switch {
	case !slash:
		return invalid("a queue's name begins with a slash")
	case rest == "" || rest == "." || rest == "..":
		return invalid("a queue's name is more than a slash, /. or /..")
	case strings.Contains(rest, "/"):
		return invalid("a queue's name has one slash, at its beginning")
	case strings.ContainsRune(rest, 0):
		return invalid("a queue's name has no NUL")
	case len(rest) > unix.NAME_MAX:
		return errLongName
	}
	return nil
}

var errLongName error = longNameError{}

type longNameError struct{}

func (longNameError) Error() string   { return "a queue's name has up to 255 bytes after the slash" }
func (longNameError) Unwrap() []error { return []error{fs.ErrInvalid, syscall.ENAMETOOLONG} }
