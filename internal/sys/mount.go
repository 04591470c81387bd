//go:build linux

package sys

import "golang.org/x/sys/unix"

// MountApart mounts a file system where nobody sees it, and returns its root: fsopen(2), fsconfig(2), fsmount(2). It is gone when the descriptor is closed.
func MountApart(kind string) (num int, err error) {
	fs, err := unix.Fsopen(kind, unix.FSOPEN_CLOEXEC)
	if err != nil {
		return -1, Named("fsopen", err)
	}
	defer func() { _ = Close(fs) }()
	if err := retry(func() error { return unix.FsconfigCreate(fs) }); err != nil {
		return -1, Named("fsconfig", err)
	}
	num, err = unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV|unix.MOUNT_ATTR_NOEXEC)
	if err != nil {
		return -1, Named("fsmount", err)
	}
	return num, nil
}

// FilesystemType is the magic number of the file system that a descriptor is in: fstatfs(2).
func FilesystemType(num int) (magic uint32, err error) {
	var st unix.Statfs_t
	err = retry(func() error { return unix.Fstatfs(num, &st) })
	return uint32(st.Type), Named("fstatfs", err)
}
