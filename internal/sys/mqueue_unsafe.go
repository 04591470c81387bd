//go:build linux

package sys

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// QueueMagic (MQUEUE_MAGIC) is the type of the file system of message queues, which are regular files there.
const QueueMagic = 0x19800202

// QueueAttr is struct mq_attr.
type QueueAttr struct {
	Flags, MaxMessages, MessageSize, Messages int
	_                                         [4]int
}

// queueSignal is struct sigevent, with a value.
type queueSignal struct {
	value         uintptr
	signo, notify int32
	_             [64 - unsafe.Sizeof(uintptr(0)) - 8]byte
}

// queueSocket is struct sigevent, with a pointer.
type queueSocket struct {
	value         unsafe.Pointer
	signo, notify int32
	_             [64 - unsafe.Sizeof(uintptr(0)) - 8]byte
}

// The ways of mq_notify(2).
const (
	eventSignal = 0 // SIGEV_SIGNAL
	eventThread = 2 // SIGEV_THREAD
)

// QueueCookie is what a socket is told: NOTIFY_COOKIE_LEN bytes, the last of which says why.
type QueueCookie [32]byte

// Why a registration has ended.
const (
	QueueWoken   = 1 // NOTIFY_WOKENUP
	QueueRemoved = 2 // NOTIFY_REMOVED
)

// NetlinkSocket is socket(2), of the kind that mq_notify(2) can send to: close-on-exec and non-blocking.
func NetlinkSocket() (int, error) {
	n, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE)
	if err != nil {
		return -1, Named("socket", err)
	}
	return n, nil
}

// OpenQueue is mq_open(2), with a name as the kernel wants it, without the slash: close-on-exec and non-blocking. A nil attr leaves the attributes to the kernel.
func OpenQueue(name string, flags int, mode uint32, attr *QueueAttr) (int, error) {
	p, err := queueName(name)
	if err != nil {
		return -1, err
	}
	for {
		n, _, e := syscall.Syscall6(unix.SYS_MQ_OPEN, uintptr(unsafe.Pointer(p)), uintptr(flags|unix.O_CLOEXEC|unix.O_NONBLOCK), uintptr(mode), uintptr(unsafe.Pointer(attr)), 0, 0)
		if e == 0 {
			return int(n), nil
		}
		if e != syscall.EINTR {
			return -1, Error("mq_open", e)
		}
	}
}

// queueName is a name for the kernel. There is a slash before it in memory, as where a C library calls: qemu's user emulation looks for it there.
func queueName(name string) (*byte, error) {
	b, err := syscall.ByteSliceFromString("/" + name)
	if err != nil {
		return nil, err
	}
	return &b[1], nil
}

// UnlinkQueue is mq_unlink(2).
func UnlinkQueue(name string) error {
	p, err := queueName(name)
	if err != nil {
		return err
	}
	_, _, e := syscall.Syscall(unix.SYS_MQ_UNLINK, uintptr(unsafe.Pointer(p)), 0, 0)
	return Error("mq_unlink", e)
}

// QueueAttributes is mq_getsetattr(2), which only reads here.
func QueueAttributes(fd int) (attr QueueAttr, err error) {
	_, _, e := syscall.Syscall(unix.SYS_MQ_GETSETATTR, uintptr(fd), 0, uintptr(unsafe.Pointer(&attr)))
	return attr, Error("mq_getsetattr", e)
}

// IsQueue says whether fd is of a message queue.
func IsQueue(fd int) bool {
	_, err := QueueAttributes(fd)
	return err == nil
}

// past is a time that has come, so that a call doesn't wait though somebody has made the description blocking.
var past Timespec

// QueueSend is mq_timedsend(2), which gives EAGAIN rather than wait.
func QueueSend(fd int, p []byte, priority int) Errno {
	if raceEnabled {
		raceReadRange(unsafe.Pointer(unsafe.SliceData(p)), len(p))
		raceRelease()
	}
	call := uintptr(sysQueueSend)
	for {
		_, _, e := syscall.Syscall6(call, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), uintptr(priority), uintptr(unsafe.Pointer(&past)), 0)
		switch {
		case e == 0 || e == unix.EAGAIN:
			return e
		case e == unix.ENOSYS && call != unix.SYS_MQ_TIMEDSEND:
			call = unix.SYS_MQ_TIMEDSEND
		case e != unix.EINTR:
			return queueErrno(e)
		}
	}
}

// QueueReceive is mq_timedreceive(2), which gives EAGAIN rather than wait.
func QueueReceive(fd int, p []byte) (n int, priority uint32, e Errno) {
	call := uintptr(sysQueueReceive)
	for {
		n, _, e := syscall.Syscall6(call, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), uintptr(unsafe.Pointer(&priority)), uintptr(unsafe.Pointer(&past)), 0)
		switch {
		case e == 0:
			if raceEnabled {
				raceAcquire()
				raceWriteRange(unsafe.Pointer(unsafe.SliceData(p)), int(n))
			}
			return int(n), priority, 0
		case e == unix.ENOSYS && call != unix.SYS_MQ_TIMEDRECEIVE:
			call = unix.SYS_MQ_TIMEDRECEIVE
		case e != unix.EINTR:
			return 0, 0, queueErrno(e)
		}
	}
}

// QueueSendOnce is mq_timedsend(2) without a timeout, once: the description must not block. It's small enough to be inlined.
func QueueSendOnce(fd int, p []byte, priority int) Errno {
	if raceEnabled {
		raceReadRange(unsafe.Pointer(unsafe.SliceData(p)), len(p))
		raceRelease()
	}
	_, _, e := syscall.Syscall6(sysQueueSend, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), uintptr(priority), 0, 0)
	return e
}

// QueueReceiveOnce is mq_timedreceive(2) without a timeout, once: the description must not block. It's small enough to be inlined.
func QueueReceiveOnce(fd int, p []byte, priority *uint32) (n uintptr, e Errno) {
	n, _, e = syscall.Syscall6(sysQueueReceive, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), uintptr(unsafe.Pointer(priority)), 0, 0)
	if raceEnabled && e == 0 {
		raceAcquire()
		raceWriteRange(unsafe.Pointer(unsafe.SliceData(p)), int(n))
	}
	return n, e
}

func queueErrno(e Errno) Errno {
	if e == unix.ETIMEDOUT {
		return unix.EAGAIN
	}
	return e
}

// NotifyQueueSignal is mq_notify(2) with SIGEV_SIGNAL.
func NotifyQueueSignal(fd, signo int, value uintptr) error {
	return notifyQueue(fd, unsafe.Pointer(&queueSignal{value: value, signo: int32(signo), notify: eventSignal}))
}

// NotifyQueueSocket is mq_notify(2) with SIGEV_THREAD: a netlink socket is sent the cookie.
func NotifyQueueSocket(fd, socket int, cookie *QueueCookie) error {
	return notifyQueue(fd, unsafe.Pointer(&queueSocket{value: unsafe.Pointer(cookie), signo: int32(socket), notify: eventThread}))
}

// NotifyQueueNone is mq_notify(2) without anything: it takes the registration of this process away.
func NotifyQueueNone(fd int) error { return notifyQueue(fd, nil) }

func notifyQueue(fd int, ev unsafe.Pointer) error {
	for {
		_, _, e := syscall.Syscall(unix.SYS_MQ_NOTIFY, uintptr(fd), uintptr(ev), 0)
		if e != unix.EINTR {
			return Error("mq_notify", e)
		}
	}
}
