//go:build linux

package sys

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Pipe makes a pipe that is close-on-exec and non-blocking: pipe2(2). packet is O_DIRECT.
func Pipe(packet bool) (r, w int, err error) {
	flags := unix.O_CLOEXEC | unix.O_NONBLOCK
	if packet {
		flags |= unix.O_DIRECT
	}
	var p [2]int
	if err := syscall.Pipe2(p[:], flags); err != nil {
		return -1, -1, Named("pipe2", err)
	}
	return p[0], p[1], nil
}

// ReopenPipe is Reopen for a pipe or a FIFO, of which open(2) doesn't take O_DIRECT and fcntl(F_SETFL) does.
func ReopenPipe(fd, flags int) (int, error) {
	n, err := Reopen(fd, flags&^unix.O_DIRECT)
	if err == nil && flags&unix.O_DIRECT != 0 {
		if err = SetPacket(n); err != nil {
			_ = syscall.Close(n)
			return -1, err
		}
	}
	return n, err
}

// SetPacket sets O_DIRECT of a description that is ours alone.
func SetPacket(fd int) error {
	flags, err := StatusFlags(fd)
	if err != nil {
		return err
	}
	_, err = unix.FcntlInt(uintptr(fd), unix.F_SETFL, flags|unix.O_DIRECT)
	return Named("fcntl", err)
}

// PipeSize is fcntl(F_GETPIPE_SZ).
func PipeSize(fd int) (int, error) {
	n, err := unix.FcntlInt(uintptr(fd), unix.F_GETPIPE_SZ, 0)
	return n, Named("fcntl", err)
}

// SetPipeSize is fcntl(F_SETPIPE_SZ); it returns the new size.
func SetPipeSize(fd, size int) (int, error) {
	n, err := unix.FcntlInt(uintptr(fd), unix.F_SETPIPE_SZ, size)
	return n, Named("fcntl", err)
}

// PipeLimits says what limits the sizes of pipes.
func PipeLimits() string {
	var b strings.Builder
	for _, l := range []struct{ name, unit string }{
		{"fs.pipe-max-size", "bytes for one pipe"},
		{"fs.pipe-user-pages-soft", "pages for all pipes of a user"},
		{"fs.pipe-user-pages-hard", "pages for all pipes of a user, also of those that are over the soft limit; 0 is no limit"},
	} {
		v, err := os.ReadFile("/proc/sys/" + strings.ReplaceAll(l.name, ".", "/"))
		if err != nil {
			continue
		}
		if b.Len() > 0 {
			b.WriteString("; ")
		}
		fmt.Fprintf(&b, "the sysctl %s is %s (%s)", l.name, strings.TrimSpace(string(v)), l.unit)
	}
	return b.String()
}

// Unread is how many bytes are waiting to be read: ioctl(FIONREAD).
func Unread(fd int) (int, error) {
	n, err := unix.IoctlGetUint32(fd, unix.TIOCINQ)
	return int(n), Named("ioctl", err)
}

// Poll asks for events of one descriptor, without waiting: poll(2).
func Poll(fd int, events int16) (int16, error) {
	p := [1]unix.PollFd{{Fd: int32(fd), Events: events}}
	err := retry(func() error {
		_, err := unix.Poll(p[:], 0)
		return err
	})
	return p[0].Revents, Named("poll", err)
}

// IsStream says whether fd is a socket for a stream of bytes: getsockopt(SO_TYPE).
func IsStream(fd int) bool {
	typ, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
	return err == nil && typ == unix.SOCK_STREAM
}

// Stat is fstat(2).
func Stat(fd int) (st unix.Stat_t, err error) {
	err = retry(func() error { return unix.Fstat(fd, &st) })
	return st, Named("fstat", err)
}

// SameFile says whether both are one file, if somebody has kept it open since the first was asked for.
func SameFile(a, b *unix.Stat_t) bool { return a.Dev == b.Dev && a.Ino == b.Ino }

// AtWorkingDirectory (AT_FDCWD) as a directory makes names relative to the working directory.
const AtWorkingDirectory = unix.AT_FDCWD

// MakeFIFO makes a FIFO: mknodat(2). The umask and the directory's default ACL take bits of perm away.
func MakeFIFO(dir int, name string, perm uint32) error {
	return Named("mknodat", retry(func() error { return unix.Mknodat(dir, name, unix.S_IFIFO|perm, 0) }))
}

// OpenPath opens a file without doing anything to it: openat(O_PATH).
func OpenPath(dir int, name string, follow bool) (int, error) {
	flags := unix.O_PATH | unix.O_CLOEXEC
	if !follow {
		flags |= unix.O_NOFOLLOW
	}
	n := -1
	err := retry(func() (err error) {
		n, err = unix.Openat(dir, name, flags, 0)
		return err
	})
	if err != nil {
		return -1, Named("openat", err)
	}
	return n, nil
}

// SetMode changes the permissions of the file behind a descriptor of OpenPath, which fchmod(2) doesn't take: chmod(2) of its path in /proc.
func SetMode(fd int, perm uint32) error {
	return Named("chmod", retry(func() error { return unix.Chmod(ProcPath(fd), perm) }))
}

// SetFileMode is fchmod(2).
func SetFileMode(fd int, perm uint32) error {
	return Named("fchmod", retry(func() error { return unix.Fchmod(fd, perm) }))
}

// RemoveFIFO removes what was made, if it can't be looked at: the name, if it is a FIFO's.
func RemoveFIFO(dir int, name string) {
	var st unix.Stat_t
	if err := retry(func() error { return unix.Fstatat(dir, name, &st, unix.AT_SYMLINK_NOFOLLOW) }); err == nil && st.Mode&unix.S_IFMT == unix.S_IFIFO {
		_ = unix.Unlinkat(dir, name, 0)
	}
}

// Remove removes a file if it is the given one: unlinkat(2).
func Remove(dir int, name string, file *unix.Stat_t) error {
	var st unix.Stat_t
	err := retry(func() error { return unix.Fstatat(dir, name, &st, unix.AT_SYMLINK_NOFOLLOW) })
	if err == nil && !SameFile(&st, file) {
		return nil
	}
	if err == nil {
		err = unix.Unlinkat(dir, name, 0)
	}
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	return Named("unlinkat", err)
}
