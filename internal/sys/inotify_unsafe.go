//go:build linux

package sys

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// InotifyEvent is the kernel's struct inotify_event, without the name that follows.
type InotifyEvent = unix.InotifyEvent

// NoticeSize is an event's size, of which that of a name is a multiple.
const NoticeSize = int(unsafe.Sizeof(InotifyEvent{}))

// NotifyInit makes an inotify instance that is close-on-exec and non-blocking: inotify_init1(2).
func NotifyInit() (int, error) {
	n, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return -1, Named("inotify_init1", err)
	}
	return n, nil
}

// NotifyAdd is inotify_add_watch(2).
func NotifyAdd(instance int, path string, mask uint32) (wd int, err error) {
	err = retry(func() (err error) {
		wd, err = unix.InotifyAddWatch(instance, path, mask)
		return err
	})
	return wd, Named("inotify_add_watch", err)
}

// NotifyForget is inotify_rm_watch(2).
func NotifyForget(instance, wd int) error {
	_, err := unix.InotifyRmWatch(instance, uint32(wd))
	return Named("inotify_rm_watch", err)
}

// NextNotice takes the first event off what an inotify instance gave.
func NextNotice(b []byte) (ev InotifyEvent, rest []byte, ok bool) {
	const size = int(unsafe.Sizeof(ev))
	if len(b) < size {
		return ev, nil, false
	}
	copy(unsafe.Slice((*byte)(unsafe.Pointer(&ev)), size), b)
	if uint64(ev.Len) > uint64(len(b)-size) {
		return ev, nil, false
	}
	return ev, b[size+int(ev.Len):], true
}
