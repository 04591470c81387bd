//go:build linux

package sys

import (
	"bytes"
	"strconv"

	"golang.org/x/sys/unix"
)

// FanotifyInit makes a fanotify group that is close-on-exec and non-blocking, and opens large files: fanotify_init(2).
func FanotifyInit(flags, eventFlags uint) (int, error) {
	n, err := unix.FanotifyInit(flags|unix.FAN_CLOEXEC|unix.FAN_NONBLOCK, eventFlags|unix.O_CLOEXEC|largeFile())
	if err != nil {
		return -1, Named("fanotify_init", err)
	}
	return n, nil
}

// FanotifyMark is fanotify_mark(2). An empty path is the descriptor dir itself.
func FanotifyMark(group int, flags uint, mask uint64, dir int, path string) error {
	return Named("fanotify_mark", retry(func() error { return unix.FanotifyMark(group, flags, mask, dir, path) }))
}

// FanotifyKnows says whether fanotify_mark(2) knows flags and a mask: it looks at them before it finds that there is no group.
func FanotifyKnows(flags uint, mask uint64) bool {
	return unix.FanotifyMark(-1, flags|unix.FAN_MARK_ADD, mask, unix.AT_FDCWD, "/") == unix.EBADF
}

// FanotifyFlags are those that a group was made with, from /proc/self/fdinfo.
func FanotifyFlags(group int) (flags, eventFlags uint, err error) {
	b, err := ProcInfo(group)
	if err != nil {
		return 0, 0, err
	}
	for line := range bytes.Lines(b) {
		rest, ok := bytes.CutPrefix(line, []byte("fanotify flags:"))
		if !ok {
			continue
		}
		first, second, _ := bytes.Cut(rest, []byte(" event-flags:"))
		f, err1 := strconv.ParseUint(string(bytes.TrimSpace(first)), 16, 32)
		e, err2 := strconv.ParseUint(string(bytes.TrimSpace(second)), 16, 32)
		if err1 == nil && err2 == nil {
			return uint(f), uint(e), nil
		}
	}
	return 0, 0, Error("fanotify_init", unix.EINVAL)
}

// IsThread says whether a number is one of this process's threads: tgkill(2) without a signal.
func IsThread(tid int) bool { return unix.Tgkill(unix.Getpid(), tid, 0) == nil }
