//go:build linux

package sys

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The counts that these calls return are a register wide, also where x/sys makes 64 bits of two registers. Offsets are
// 64-bit everywhere: the kernel reads and writes them through a pointer. Nil is the file's own offset.

// Splice is splice(2), once.
func Splice(in int, inOffset *int64, out int, outOffset *int64, n, flags int) (int, error) {
	for {
		k, _, e := syscall.Syscall6(unix.SYS_SPLICE, uintptr(in), uintptr(unsafe.Pointer(inOffset)), uintptr(out), uintptr(unsafe.Pointer(outOffset)),
			uintptr(n), uintptr(flags))
		if e != syscall.EINTR {
			return count(k, e)
		}
	}
}

// Tee is tee(2), once.
func Tee(in, out, n, flags int) (int, error) {
	for {
		k, _, e := syscall.Syscall6(unix.SYS_TEE, uintptr(in), uintptr(out), uintptr(n), uintptr(flags), 0, 0)
		if e != syscall.EINTR {
			return count(k, e)
		}
	}
}

// Sendfile is sendfile(2), once.
func Sendfile(out, in int, offset *int64, n int) (int, error) {
	for {
		k, _, e := syscall.Syscall6(SendfileCall, uintptr(out), uintptr(in), uintptr(unsafe.Pointer(offset)), uintptr(n), 0, 0)
		if e != syscall.EINTR {
			return count(k, e)
		}
	}
}

// CopyFileRange is copy_file_range(2), once.
func CopyFileRange(in int, inOffset *int64, out int, outOffset *int64, n int) (int, error) {
	for {
		k, _, e := syscall.Syscall6(unix.SYS_COPY_FILE_RANGE, uintptr(in), uintptr(unsafe.Pointer(inOffset)), uintptr(out),
			uintptr(unsafe.Pointer(outOffset)), uintptr(n), 0)
		if e != syscall.EINTR {
			return count(k, e)
		}
	}
}

// VmspliceTo is vmsplice(2) into a pipe, once: the pipe refers to the pages.
func VmspliceTo(pipe int, iov []Iovec, flags int) (int, error) {
	if raceEnabled {
		for i := range iov {
			raceReadRange(unsafe.Pointer(iov[i].Base), int(iov[i].Len))
		}
		raceRelease()
	}
	for {
		k, e := vmsplice(pipe, iov, flags)
		if e != syscall.EINTR {
			return count(k, e)
		}
	}
}

// VmspliceFrom is vmsplice(2) from a pipe, once: the bytes are copied.
func VmspliceFrom(pipe int, iov []Iovec, flags int) (int, error) {
	for {
		k, e := vmsplice(pipe, iov, flags)
		if e == syscall.EINTR {
			continue
		}
		n, err := count(k, e)
		if raceEnabled && err == nil {
			left := n
			for i := range iov {
				raceWriteRange(unsafe.Pointer(iov[i].Base), min(left, int(iov[i].Len)))
				left = max(0, left-int(iov[i].Len))
			}
			raceAcquire()
		}
		return n, err
	}
}

func vmsplice(pipe int, iov []Iovec, flags int) (uintptr, Errno) {
	k, _, e := syscall.Syscall6(unix.SYS_VMSPLICE, uintptr(pipe), uintptr(unsafe.Pointer(unsafe.SliceData(iov))), uintptr(len(iov)), uintptr(flags), 0, 0)
	return k, e
}

func count(k uintptr, e Errno) (int, error) {
	if e != 0 {
		return 0, e
	}
	return int(k), nil
}

// remapMemory maps fresh zero pages over those of p: mmap(MAP_FIXED).
func remapMemory(p []byte) error {
	const prot, flags = unix.PROT_READ | unix.PROT_WRITE, unix.MAP_PRIVATE | unix.MAP_ANONYMOUS | unix.MAP_FIXED
	_, err := unix.MmapPtr(-1, 0, unsafe.Pointer(unsafe.SliceData(p)), uintptr(len(p)), prot, flags)
	return Named("mmap", err)
}
