//go:build linux

package sys

import (
	"bytes"
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// OpenDirectory opens a directory, at a path that is relative to another one, to read its entries: openat(O_DIRECTORY). follow is for a symbolic link at the path's end.
func OpenDirectory(dir int, path string, follow bool) (num int, err error) {
	flags := unix.O_RDONLY | unix.O_DIRECTORY | unix.O_CLOEXEC | unix.O_NONBLOCK
	if !follow {
		flags |= unix.O_NOFOLLOW
	}
	err = retry(func() (err error) {
		num, err = unix.Openat(dir, path, flags, 0)
		return err
	})
	if err != nil {
		return -1, Named("openat", err)
	}
	return num, nil
}

// OpenDirectoryPath opens a directory only to tell which it is (O_PATH): nobody is notified.
func OpenDirectoryPath(path string, follow bool) (num int, err error) {
	flags := unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC
	if !follow {
		flags |= unix.O_NOFOLLOW
	}
	err = retry(func() (err error) {
		num, err = unix.Open(path, flags, 0)
		return err
	})
	if err != nil {
		return -1, Named("open", err)
	}
	return num, nil
}

// OpenToRead opens a file of a directory, without following a link and without waiting: openat(2).
func OpenToRead(dir int, name string) (num int, err error) {
	err = retry(func() (err error) {
		num, err = unix.Openat(dir, name, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
		return err
	})
	if err != nil {
		return -1, Named("openat", err)
	}
	return num, nil
}

// ReadEntries fills buf with entries, for NextEntry: getdents64(2). It returns 0 at the end.
func ReadEntries(num int, buf []byte) (n int, err error) {
	err = retry(func() (err error) {
		n, err = unix.Getdents(num, buf)
		return err
	})
	return max(n, 0), Named("getdents64", err)
}

// NextEntry takes the first entry, which isn't "." or "..", off what ReadEntries gave. typ is a DT_ constant, which some file systems leave DT_UNKNOWN.
func NextEntry(b []byte) (name []byte, typ byte, rest []byte, ok bool) {
	const header = 19 // d_ino, d_off, d_reclen, d_type
	for len(b) > header {
		size := int(binary.NativeEndian.Uint16(b[16:]))
		if size <= header || size > len(b) {
			return nil, 0, nil, false
		}
		name, typ = b[header:size], b[18]
		if i := bytes.IndexByte(name, 0); i >= 0 {
			name = name[:i]
		}
		if b = b[size:]; string(name) != "." && string(name) != ".." {
			return name, typ, b, true
		}
	}
	return nil, 0, nil, false
}

// Lookup is what is at a path that is relative to a directory: its type (S_IFMT), without following a link at its end unless asked to.
func Lookup(dir int, path string, follow bool) (typ uint32, err error) {
	var st unix.Stat_t
	flags := unix.AT_SYMLINK_NOFOLLOW
	if follow {
		flags = 0
	}
	err = retry(func() error { return unix.Fstatat(dir, path, &st, flags) })
	return st.Mode & unix.S_IFMT, Named("newfstatat", err)
}

// Identity tells a file from others, while it exists.
type Identity struct{ Device, Inode uint64 }

// IdentityOf is which file an open one is: fstat(2).
func IdentityOf(num int) (Identity, error) {
	var st unix.Stat_t
	err := retry(func() error { return unix.Fstat(num, &st) })
	return Identity{uint64(st.Dev), st.Ino}, Named("fstat", err) //nolint:unconvert // it has 32 bits on some
}

// IdentityOfFile is IdentityOf what fstat(2) has been asked of already.
func IdentityOfFile(st *unix.Stat_t) Identity {
	return Identity{uint64(st.Dev), st.Ino} //nolint:unconvert // it has 32 bits on some
}

// IdentityOfParent is which directory an open one is in: fstatat("..").
func IdentityOfParent(num int) (Identity, error) {
	var st unix.Stat_t
	err := retry(func() error { return unix.Fstatat(num, "..", &st, 0) })
	return Identity{uint64(st.Dev), st.Ino}, Named("newfstatat", err) //nolint:unconvert // it has 32 bits on some
}
