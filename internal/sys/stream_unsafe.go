//go:build linux

package sys

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// MaxIovecs (UIO_MAXIOV) is the most buffers that one readv or writev takes.
const MaxIovecs = 1024

// Read is read(2). A p that is empty gives 0, nil.
func Read(fd int, p []byte) (int, error) {
	for {
		n, err := syscall.Read(fd, p)
		if err != syscall.EINTR {
			return max(n, 0), err
		}
	}
}

// Write is write(2), once: the count may be short.
func Write(fd int, p []byte) (int, error) {
	for {
		n, err := syscall.Write(fd, p)
		if err != syscall.EINTR {
			return max(n, 0), err
		}
	}
}

// Iovec is the kernel's struct iovec.
type Iovec = unix.Iovec

// AppendIovecs appends a vector for each buffer that isn't empty, leaving out the first skip bytes, up to MaxIovecs in all.
// The vectors keep the buffers alive.
func AppendIovecs(dst []Iovec, bufs [][]byte, skip int) []Iovec {
	for _, b := range bufs {
		if skip >= len(b) {
			skip -= len(b)
			continue
		}
		b = b[skip:]
		skip = 0
		if len(dst) == MaxIovecs {
			break
		}
		v := Iovec{Base: unsafe.SliceData(b)}
		v.SetLen(len(b))
		dst = append(dst, v)
	}
	return dst
}

// Readv is readv(2).
func Readv(fd int, iov []Iovec) (int, error) {
	for {
		n, _, e := syscall.Syscall(unix.SYS_READV, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(iov))), uintptr(len(iov)))
		if e == 0 {
			if raceEnabled {
				left := int(n)
				for i := range iov {
					raceWriteRange(unsafe.Pointer(iov[i].Base), min(left, int(iov[i].Len)))
					left = max(0, left-int(iov[i].Len))
				}
				raceAcquire()
			}
			return int(n), nil
		}
		if e != syscall.EINTR {
			return 0, e
		}
	}
}

// Writev is writev(2), once: the count may be short.
func Writev(fd int, iov []Iovec) (int, error) {
	if raceEnabled {
		for i := range iov {
			raceReadRange(unsafe.Pointer(iov[i].Base), int(iov[i].Len))
		}
		raceRelease()
	}
	for {
		n, _, e := syscall.Syscall(unix.SYS_WRITEV, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(iov))), uintptr(len(iov)))
		if e == 0 {
			return int(n), nil
		}
		if e != syscall.EINTR {
			return 0, e
		}
	}
}

// ReadOnce is read(2), once and inlined: what the kernel returns to is mispredicted all the way up, on processors that protect themselves against
// speculation.
func ReadOnce(fd int, p []byte) (n uintptr, e Errno) {
	n, _, e = syscall.Syscall(syscall.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)))
	if raceEnabled && e == 0 {
		raceAcquire()
		raceWriteRange(unsafe.Pointer(unsafe.SliceData(p)), int(n))
	}
	return n, e
}

// WriteOnce is write(2), likewise.
func WriteOnce(fd int, p []byte) (n uintptr, e Errno) {
	if raceEnabled {
		raceReadRange(unsafe.Pointer(unsafe.SliceData(p)), len(p))
		raceRelease()
	}
	n, _, e = syscall.Syscall(syscall.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)))
	return n, e
}
