//go:build linux

package sys

import (
	"golang.org/x/sys/unix"
)

// FileHandle is the handle of what a descriptor refers to: name_to_handle_at(2). Where the file system can't open handles, it is one only to compare.
func FileHandle(num int) (typ int32, handle []byte, err error) {
	const fid = 0x200 // AT_HANDLE_FID
	h, _, err := unix.NameToHandleAt(num, "", unix.AT_EMPTY_PATH)
	if err == unix.EOPNOTSUPP {
		if h, _, err = unix.NameToHandleAt(num, "", unix.AT_EMPTY_PATH|fid); err == unix.EINVAL {
			err = unix.EOPNOTSUPP
		}
	}
	if err != nil {
		return 0, nil, Named("name_to_handle_at", err)
	}
	return h.Type(), h.Bytes(), nil
}

// OpenHandle is open_by_handle_at(2); mount is any descriptor of the file system but one of O_PATH.
func OpenHandle(mount int, typ int32, handle []byte, flags int) (num int, err error) {
	h := unix.NewFileHandle(typ, handle)
	err = retry(func() (err error) {
		num, err = unix.OpenByHandleAt(mount, h, flags|unix.O_CLOEXEC)
		return err
	})
	if err != nil {
		return -1, Named("open_by_handle_at", err)
	}
	return num, nil
}

// FilesystemID is the file system that a descriptor is in: fstatfs(2).
func FilesystemID(num int) (id [2]int32, err error) {
	var st unix.Statfs_t
	err = retry(func() error { return unix.Fstatfs(num, &st) })
	return st.Fsid.Val, Named("fstatfs", err)
}

// OpenHere opens the directory that a descriptor refers to, or the one that is mounted there, to read it.
func OpenHere(dir int) (num int, err error) {
	err = retry(func() (err error) {
		num, err = unix.Openat(dir, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		return err
	})
	if err != nil {
		return -1, Named("openat", err)
	}
	return num, nil
}

// ReadAt is pread(2).
func ReadAt(num int, p []byte, offset int64) (n int, err error) {
	err = retry(func() (err error) {
		n, err = unix.Pread(num, p, offset)
		return err
	})
	return max(n, 0), Named("pread64", err)
}

// LeadsTo says whether a path is of the file that a descriptor refers to, and how many names that has: lstat(2), fstat(2).
func LeadsTo(path string, num int) (same bool, links uint64, err error) {
	var at, of unix.Stat_t
	if err := retry(func() error { return unix.Fstat(num, &of) }); err != nil {
		return false, 0, Named("fstat", err)
	}
	err = retry(func() error {
		return unix.Fstatat(unix.AT_FDCWD, path, &at, unix.AT_SYMLINK_NOFOLLOW|unix.AT_NO_AUTOMOUNT)
	})
	return err == nil && at.Dev == of.Dev && at.Ino == of.Ino, uint64(of.Nlink), nil //nolint:unconvert // it has 32 bits on some
}
