//go:build linux

package fanotify

import (
	"errors"
	"io"
	"os"
	"strings"
	"syscall"

	"github.com/fildes/fildes"
	"github.com/fildes/fildes/internal/sys"
)

type invalid string

func (e invalid) Error() string { return string(e) }
func (invalid) Unwrap() error   { return os.ErrInvalid }

var (
	errMask       error = invalid("only events can be asked for, and at least one")
	errFlags      error = invalid("there are no such flags")
	errScope      error = invalid("there is no such scope")
	errPath       error = invalid("there is no path: what a descriptor refers to is marked with MarkFile, the working directory as \".\"")
	errNoFile     error = invalid("there is no file")
	errNoBatch    error = invalid("there is no batch")
	errNoQuestion error = invalid("the event doesn't wait for an answer")
	errOtherGroup error = invalid("the event is of another group")
	errNoHandle   error = invalid("there is no handle: what events report was said to New")
	errErrno      error = invalid("a denied access can fail with EPERM, EIO, EBUSY, ETXTBSY, EAGAIN, ENOSPC and EDQUOT only")
	errErrnoClass error = invalid("only a group of the class PreContent can choose the error of a denied access")
	errAudit      error = invalid("the group was made without the option Audit")

	errInUse   = errors.New("the event's descriptor is being used")
	errNoPIDFD = errors.New("the kernel couldn't make a pidfd: probably because of a limit on descriptors")
	errNoMount = errors.New("no mount in this namespace shows the file system; those of networks and of FUSE aren't looked at, because they may hang")
	errVersion = errors.New("the kernel's events have a form that isn't known")
)

// fail makes the error of a method; it returns nil for nil.
//
//go:noinline
func fail(op, path string, err error) error {
	if err == nil {
		return nil
	}
	if e, ok := err.(*fildes.OpError); ok {
		return e
	}
	if e, ok := err.(syscall.Errno); ok {
		err = sys.Error("read", e)
	}
	err = fildes.NewOpError("fanotify", op, path, err)
	if oe := err.(*fildes.OpError); oe.Hint == "" {
		oe.Hint = hint(op, oe.Err)
	}
	return err
}

// failRead is fail for ReadAt, where io.EOF is itself.
func failRead(err error) error {
	if errors.Is(err, io.EOF) {
		return io.EOF
	}
	return fail("read-at", "", err)
}

func hint(op string, err error) string {
	var call string
	if se, ok := errors.AsType[*os.SyscallError](err); ok {
		call = se.Syscall
	}
	switch {
	case call == "fanotify_init" && errors.Is(err, syscall.EPERM):
		return "without CAP_SYS_ADMIN only groups of the class Notify that report FID, or DirFID and Name, without other options, and since Linux 5.13; Audit needs CAP_AUDIT_WRITE"
	case call == "fanotify_mark" && errors.Is(err, syscall.EPERM):
		return "without CAP_SYS_ADMIN only Inode can be marked"
	case call == "fanotify_mark" && errors.Is(err, syscall.ENODEV):
		return "the file system has no id that events could report; a group without file handles, or inotify, may do"
	case call == "fanotify_mark" && errors.Is(err, syscall.EXDEV):
		return "the path is in a part of the file system, such as a subvolume, that has an id of its own: mark Inode, in a group of its own"
	case call == "fanotify_mark" && errors.Is(err, syscall.EOPNOTSUPP):
		return "the file system has no file handles, or doesn't know the event; a group without file handles, or inotify, may do"
	case call == "fanotify_mark" && errors.Is(err, syscall.EEXIST):
		return "the object has a mark already that this one contradicts: Unmark it first"
	case call == "fanotify_mark" && errors.Is(err, syscall.ENOENT) && strings.HasPrefix(op, "unmark"):
		return "it isn't marked"
	case call == "fanotify_mark" && errors.Is(err, syscall.EACCES):
		return "marking needs permission to read the file, and to search the directories that lead to it"
	case call == "fanotify_mark" && errors.Is(err, syscall.EISDIR):
		return "to ignore events of a directory, SurviveModify must be asked for too"
	case call == "fanotify_mark" && errors.Is(err, syscall.EINVAL):
		return "the group and this kernel know the events, but not for this object or with each other"
	case call == "open_by_handle_at" && errors.Is(err, syscall.EPERM):
		return "to open a file handle needs CAP_DAC_READ_SEARCH; handles can be compared without: see HandleOf"
	}
	return ""
}
