//go:build linux

package splice

import (
	"errors"
	"io"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes"
	"github.com/fildes/fildes/internal/sys"
)

type invalid string

func (e invalid) Error() string { return string(e) }
func (invalid) Unwrap() error   { return os.ErrInvalid }

var (
	errNoConn   error = invalid("there is no connection or file")
	errNoCtx    error = invalid("there is no context")
	errNegative error = invalid("the number of bytes is negative")
	errRecords  error = invalid("the source is a socket of datagrams or records, which would be cut")
	errOffset   error = invalid("the offset is negative")

	// ErrDiffers says that the bytes of two ranges aren't the same.
	ErrDiffers = errors.New("the bytes differ")
)

// fail makes the error of a function, in which call was refused if err is an errno. It returns nil for nil, and io.EOF bare.
func fail(op, call string, err error) error {
	if err == nil || err == io.EOF { //nolint:errorlint // it is returned bare
		return err
	}
	if oe, ok := err.(*fildes.OpError); ok {
		err = oe.Err // of a handle that was an end
	}
	e, ok := err.(syscall.Errno)
	if se, is := err.(*os.SyscallError); is && se.Syscall == call {
		e, ok = se.Err.(syscall.Errno)
	}
	hint := ""
	if ok {
		hint = hints[call][e]
		if err = sys.Error(call, e); e == unix.ENOSYS {
			err = &fildes.UnsupportedError{Feature: call, Since: since[call], Err: err}
		}
	}
	err = fildes.NewOpError("splice", op, "", err)
	if oe := err.(*fildes.OpError); oe.Hint == "" {
		oe.Hint = hint
	}
	return err
}

var since = map[string]string{"copy_file_range": "4.5", "splice": "2.6.17", "tee": "2.6.17", "vmsplice": "2.6.17"}

var sharing = map[syscall.Errno]string{
	unix.EINVAL:     "both must be regular files, offsets and lengths those of whole blocks, and ranges of one file must not overlap",
	unix.EOPNOTSUPP: "this file system doesn't share blocks; btrfs, XFS and bcachefs do",
	unix.ENOTTY:     "this file system doesn't share blocks; btrfs, XFS and bcachefs do",
	unix.EXDEV:      "both must be on one mounted file system",
	unix.EBADF:      "the source must be open for reading, the destination for writing and not for appending",
}

var hints = map[string]map[syscall.Errno]string{
	"ioctl(FICLONE)":       sharing,
	"ioctl(FICLONERANGE)":  sharing,
	"ioctl(FIDEDUPERANGE)": sharing,
	"splice": {
		unix.EINVAL: "one end must be a pipe, the other must know splice, and a file must not be open for appending",
		unix.ESPIPE: "a pipe has no offset, and a file must be seekable to be given one",
		unix.EBADF:  "the source must be open for reading, the destination for writing",
	},
	"tee":      {unix.EINVAL: "both ends must be pipes, and not the same one"},
	"sendfile": {unix.EINVAL: "the source must be a file, and the destination must not be open for appending"},
	"copy_file_range": {
		unix.EINVAL: "both must be regular files, and ranges of one file must not overlap",
		unix.EBADF:  "the destination must not be open for appending",
		unix.EXDEV:  "the files are on different file systems",
	},
}
