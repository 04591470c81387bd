//go:build linux

package fd

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes/internal/fdtest"
)

// zeroCopyPair returns two ends of a TCP connection on loopback; the first sends without copying.
func zeroCopyPair(t *testing.T) (a, b int) {
	t.Helper()
	ok := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	l, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	ok(err)
	defer unix.Close(l)
	ok(unix.Bind(l, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	ok(unix.Listen(l, 1))
	at, err := unix.Getsockname(l)
	ok(err)
	a, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	ok(err)
	ok(unix.Connect(a, at))
	b, _, err = unix.Accept4(l, unix.SOCK_CLOEXEC)
	ok(err)
	t.Cleanup(func() { _ = unix.Close(b) })
	if err := unix.SetsockoptInt(a, unix.SOL_SOCKET, unix.SO_ZEROCOPY, 1); err != nil {
		_ = unix.Close(a)
		fdtest.Need(t, "zerocopy", "SO_ZEROCOPY: "+err.Error())
	}
	ok(unix.SetNonblock(a, true))
	return a, b
}

// fillZeroCopy writes until the socket is full.
func fillZeroCopy(num int) error {
	buf := make([]byte, 1<<14) // a part of a page, on some machines: more is complete only when all of it is sent
	flags := unix.MSG_ZEROCOPY
	for {
		_, err := unix.SendmsgN(num, buf, nil, nil, flags|unix.MSG_DONTWAIT)
		switch err {
		case nil:
		case unix.ENOBUFS: // no room for another completion
			flags = 0
		case unix.EAGAIN:
			return nil
		default:
			return err
		}
	}
}

// waitForErrorOnly waits until the socket has something in its error queue, and isn't writable.
func waitForErrorOnly(t *testing.T, f *FD) {
	t.Helper()
	var p [1]unix.PollFd
	for end := time.Now().Add(fdtest.Bound); time.Now().Before(end); {
		err := f.Control(func(num int) error {
			p[0] = unix.PollFd{Fd: int32(num), Events: unix.POLLIN | unix.POLLOUT}
			_, err := unix.Poll(p[:], 10)
			return err
		})
		if err != nil && err != unix.EINTR {
			t.Fatal(err)
		}
		if p[0].Revents == unix.POLLERR {
			return
		}
	}
	t.Fatalf("poll reports %#x instead of POLLERR", p[0].Revents)
}
