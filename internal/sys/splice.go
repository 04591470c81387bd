//go:build linux

package sys

import (
	"golang.org/x/sys/unix"
)

// FileClone makes dst share all of src's blocks: ioctl(FICLONE).
func FileClone(dst, src int) error {
	return Named("ioctl(FICLONE)", retry(func() error { return unix.IoctlFileClone(dst, src) }))
}

// FileCloneRange is FileClone for a part: ioctl(FICLONERANGE). An n of 0 is up to the end.
func FileCloneRange(dst int, dstOffset int64, src int, srcOffset, n int64) error {
	r := unix.FileCloneRange{Src_fd: int64(src), Src_offset: uint64(srcOffset), Src_length: uint64(n), Dest_offset: uint64(dstOffset)}
	return Named("ioctl(FICLONERANGE)", retry(func() error { return unix.IoctlFileCloneRange(dst, &r) }))
}

// FileDedupe makes dst share src's blocks where both have the same bytes: ioctl(FIDEDUPERANGE). It returns how many bytes were shared, and
// whether the two differ.
func FileDedupe(dst int, dstOffset int64, src int, srcOffset, n int64) (shared int64, differ bool, err error) {
	r := unix.FileDedupeRange{Src_offset: uint64(srcOffset), Src_length: uint64(n), Info: []unix.FileDedupeRangeInfo{
		{Dest_fd: int64(dst), Dest_offset: uint64(dstOffset)},
	}}
	err = retry(func() error { return unix.IoctlFileDedupeRange(src, &r) })
	if status := r.Info[0].Status; err == nil && status < 0 {
		err = Errno(-status)
	}
	if err != nil {
		return 0, false, Named("ioctl(FIDEDUPERANGE)", err)
	}
	return int64(r.Info[0].Bytes_deduped), r.Info[0].Status == unix.FILE_DEDUPE_RANGE_DIFFERS, nil
}

// SparePipe makes a pipe of our own, for the time between two splices, and returns what it can hold: pipe2(2). If size isn't 0 it is
// asked for that (F_SETPIPE_SZ), and may be refused.
func SparePipe(size int) (r, w, room int, err error) {
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		return -1, -1, 0, Named("pipe2", err)
	}
	if size > 0 {
		_, _ = unix.FcntlInt(uintptr(p[1]), unix.F_SETPIPE_SZ, size)
	}
	if room, err = unix.FcntlInt(uintptr(p[1]), unix.F_GETPIPE_SZ, 0); err != nil {
		_, _ = Close(p[0]), Close(p[1])
		return -1, -1, 0, Named("fcntl", err)
	}
	return p[0], p[1], room, nil
}

// Ready says whether in has bytes or has come to its end, whether out takes bytes, and whether one of them has an error or has hung up: poll(2), which
// doesn't wait. A number of -1 is never ready.
func Ready(in, out int) (readable, writable, inOver, outOver bool) {
	p := [2]unix.PollFd{{Fd: int32(in), Events: unix.POLLIN}, {Fd: int32(out), Events: unix.POLLOUT}}
	_ = retry(func() error {
		_, err := unix.Poll(p[:], 0)
		return err
	})
	const over = unix.POLLHUP | unix.POLLERR | unix.POLLNVAL
	return p[0].Revents&(unix.POLLIN|unix.POLLHUP) != 0, p[1].Revents&unix.POLLOUT != 0, p[0].Revents&over != 0, p[1].Revents&over != 0
}

// ReceiveNow reads from a socket without waiting, also where it blocks: recvmsg(2) with MSG_DONTWAIT.
func ReceiveNow(fd int, p []byte) (n int, err error) {
	err = retry(func() (err error) {
		n, _, _, _, err = unix.Recvmsg(fd, p, nil, unix.MSG_DONTWAIT)
		return err
	})
	return max(n, 0), err
}

// SendNow writes to a socket without waiting, also where it blocks: sendmsg(2) with MSG_DONTWAIT.
func SendNow(fd int, p []byte) (n int, err error) {
	err = retry(func() (err error) {
		n, err = unix.SendmsgN(fd, p, nil, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
		return err
	})
	return max(n, 0), err
}

// ShutdownWrite is shutdown(SHUT_WR).
func ShutdownWrite(fd int) error { return Named("shutdown", unix.Shutdown(fd, unix.SHUT_WR)) }

// MapMemory returns anonymous memory of its own, zero and page-aligned: mmap(2).
func MapMemory(n int) ([]byte, error) {
	p, err := unix.Mmap(-1, 0, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	return p, Named("mmap", err)
}

// UnmapMemory gives back what MapMemory returned: munmap(2).
func UnmapMemory(p []byte) error { return Named("munmap", unix.Munmap(p)) }

// ForgetMemory puts fresh zero pages in the place of those of p: madvise(MADV_DONTNEED).
func ForgetMemory(p []byte) error {
	err := retry(func() error { return unix.Madvise(p, unix.MADV_DONTNEED) })
	if err != unix.EINVAL {
		return Named("madvise", err)
	}
	return remapMemory(p) // it is locked: mlockall(2)
}
