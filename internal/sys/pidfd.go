//go:build linux

package sys

import "golang.org/x/sys/unix"

// pidfsMagic is the type of the file system that pidfds are files of since Linux 6.9: statfs(2).
const pidfsMagic = 0x50494446 // PID_FS_MAGIC

// PidfdOpen makes a pidfd that is close-on-exec and, if that is wished, non-blocking, which matters to waitid(2) alone: pidfd_open(2).
func PidfdOpen(pid int, thread, nonblock bool) (int, error) {
	flags := 0
	if thread {
		flags |= unix.PIDFD_THREAD
	}
	if nonblock {
		flags |= unix.PIDFD_NONBLOCK
	}
	n, err := unix.PidfdOpen(pid, flags)
	if err != nil {
		return -1, Named("pidfd_open", err)
	}
	return n, nil
}

// PidfdThread says whether a pidfd is of a thread: pidfd_open(2) keeps the flag.
func PidfdThread(num int) bool {
	flags, err := StatusFlags(num)
	return err == nil && flags&unix.PIDFD_THREAD != 0
}

// PidfdGetfd duplicates a descriptor of another process, with close-on-exec: pidfd_getfd(2).
func PidfdGetfd(num, target int) (int, error) {
	n, err := unix.PidfdGetfd(num, target, 0)
	if err != nil {
		return -1, Named("pidfd_getfd", err)
	}
	return n, nil
}

// PidfdInfo fills in what is asked for with info.Mask: ioctl(PIDFD_GET_INFO).
func PidfdInfo(num int, info *unix.PidfdInfo) error {
	mask := info.Mask
	err := retry(func() error {
		info.Mask = mask
		return unix.IoctlPidfdInfo(num, info)
	})
	return Named("ioctl", err)
}

// PidfdNamespace opens a namespace of the process: ioctl(2).
func PidfdNamespace(num int, request uint) (int, error) {
	n, err := unix.IoctlRetInt(num, request)
	if err != nil {
		return -1, Named("ioctl", err)
	}
	return n, nil
}

// PidfdEnded says whether the process has ended, and whether the kernel says that it has been reaped, too, which it does since Linux 6.9: poll(2).
func PidfdEnded(num int) (ended, reaped bool, err error) {
	p := [1]unix.PollFd{{Fd: int32(num), Events: unix.POLLIN}}
	err = retry(func() error {
		_, err := unix.Poll(p[:], 0)
		return err
	})
	return p[0].Revents&unix.POLLIN != 0, p[0].Revents&unix.POLLHUP != 0, Named("poll", err)
}

// PidfdID is the number that the process has as a file, and whether there is such a number: fstat(2).
func PidfdID(num int) (id uint64, ok bool, err error) {
	var fs unix.Statfs_t
	if err := retry(func() error { return unix.Fstatfs(num, &fs) }); err != nil {
		return 0, false, Named("fstatfs", err)
	}
	if int64(fs.Type) != pidfsMagic { //nolint:unconvert // its type differs
		return 0, false, nil
	}
	var st unix.Stat_t
	err = retry(func() error { return unix.Fstat(num, &st) })
	return st.Ino, err == nil, Named("fstat", err)
}

// SetNamespaces moves the calling thread into namespaces of a process: setns(2).
func SetNamespaces(num, kinds int) error { return Named("setns", unix.Setns(num, kinds)) }

// UnshareFS gives the calling thread a working directory, root and umask of its own: unshare(2).
func UnshareFS() error { return Named("unshare", unix.Unshare(unix.CLONE_FS)) }
