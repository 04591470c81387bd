//go:build linux

package sys

import (
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// Close is close(2). It is never retried: Linux frees the number whatever it answers.
func Close(fd int) error {
	return Named("close", syscall.Close(fd))
}

// Dup duplicates fd to the lowest free number, with close-on-exec: fcntl(F_DUPFD_CLOEXEC).
func Dup(fd int) (int, error) { return DupFrom(fd, 0) }

// DupFrom is Dup to the lowest free number from least on.
func DupFrom(fd, least int) (int, error) {
	n, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, least)
	if err != nil {
		return -1, Named("fcntl", err)
	}
	return n, nil
}

// Replace puts what from refers to under the number to, with close-on-exec, and closes from: dup3(2).
func Replace(from, to int) error {
	err := retry(func() error { return unix.Dup3(from, to, unix.O_CLOEXEC) })
	_ = syscall.Close(from)
	return Named("dup3", err)
}

// StatusFlags is fcntl(F_GETFL).
func StatusFlags(fd int) (int, error) {
	n, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	return n, Named("fcntl", err)
}

// SetCloseOnExec is fcntl(F_SETFD, FD_CLOEXEC).
func SetCloseOnExec(fd int) error {
	_, err := unix.FcntlInt(uintptr(fd), unix.F_SETFD, unix.FD_CLOEXEC)
	return Named("fcntl", err)
}

// SetNonblocking switches O_NONBLOCK of the description, which every duplicate shares.
func SetNonblocking(fd int, on bool) error {
	flags, err := StatusFlags(fd)
	if err != nil {
		return err
	}
	want := flags &^ unix.O_NONBLOCK
	if on {
		want = flags | unix.O_NONBLOCK
	}
	if want == flags {
		return nil
	}
	_, err = unix.FcntlInt(uintptr(fd), unix.F_SETFL, want)
	return Named("fcntl", err)
}

// ProcPath is the path under which /proc shows a descriptor of this process.
func ProcPath(fd int) string { return "/proc/self/fd/" + strconv.Itoa(fd) }

// ProcInfo returns fdinfo's text of a descriptor of this process.
func ProcInfo(fd int) ([]byte, error) {
	return os.ReadFile("/proc/self/fdinfo/" + strconv.Itoa(fd))
}

// Reopen makes a new description of the object that fd refers to, with flags (an access mode and status flags), never as a
// controlling terminal: open(2) of the path in /proc.
func Reopen(fd, flags int) (int, error) {
	n := -1
	err := retry(func() (err error) {
		n, err = syscall.Open(ProcPath(fd), flags|unix.O_CLOEXEC|unix.O_NOCTTY, 0)
		return err
	})
	if err != nil {
		return -1, Named("open", err)
	}
	return n, nil
}

// FileType is the S_IFMT part of the mode: fstat(2). An anonymous inode has none.
func FileType(fd int) (uint32, error) {
	var st unix.Stat_t
	if err := retry(func() error { return unix.Fstat(fd, &st) }); err != nil {
		return 0, Named("fstat", err)
	}
	return st.Mode & unix.S_IFMT, nil
}

// IsTerminal says whether fd is the user's side of a terminal line: TCGETS answers, TIOCGPTN, which only the master of a
// pseudo-terminal has, doesn't. (Reopening a master would make another terminal.)
func IsTerminal(fd int) bool {
	if _, err := unix.IoctlGetTermios(fd, unix.TCGETS); err != nil {
		return false
	}
	_, err := unix.IoctlGetUint32(fd, unix.TIOCGPTN)
	return err != nil
}

// SameTerminal says whether two descriptors are of one terminal line: ioctl(TIOCGDEV).
func SameTerminal(a, b int) bool {
	x, err := unix.IoctlGetUint32(a, unix.TIOCGDEV)
	if err != nil {
		return false
	}
	y, err := unix.IoctlGetUint32(b, unix.TIOCGDEV)
	return err == nil && x == y
}
