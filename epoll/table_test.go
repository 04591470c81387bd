//go:build linux

package epoll_test

import (
	"context"
	"errors"
	"os"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes/epoll"
	"github.com/fildes/fildes/internal/fdtest"
)

// The table in the package's documentation.
func TestWhatAPeerLeaves(t *testing.T) {
	const asked = epoll.Readable | epoll.ReadHangup
	tcpEnds := func(t *testing.T) (a, b *os.File) {
		x, y := tcp(t)
		return connFile(t, x), connFile(t, y)
	}
	pair := func(t *testing.T, kind int) (a, b *os.File) {
		p, err := unix.Socketpair(unix.AF_UNIX, kind|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		check(t, err)
		return file(t, p[0]), file(t, p[1])
	}
	unixEnds := func(t *testing.T) (a, b *os.File) { return pair(t, unix.SOCK_STREAM) }
	packetEnds := func(t *testing.T) (a, b *os.File) { return pair(t, unix.SOCK_SEQPACKET) }
	alone := func(t *testing.T) (a, b *os.File) {
		n, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		check(t, err)
		return file(t, n), nil
	}
	pipeEnds := func(t *testing.T) (r, w *os.File) {
		r, w, err := os.Pipe()
		check(t, err)
		t.Cleanup(func() { _ = r.Close(); _ = w.Close() })
		return r, w
	}
	writeEnd := func(t *testing.T) (w, r *os.File) { r, w = pipeEnds(t); return w, r }
	masterEnd := func(t *testing.T) (m, s *os.File) { return pty(t) }
	terminalEnd := func(t *testing.T) (s, m *os.File) { m, s = pty(t); return s, m }
	closeIt := func(t *testing.T, _, b *os.File) { check(t, b.Close()) }
	shutdown := func(t *testing.T, f *os.File, how int) {
		raw, err := f.SyscallConn()
		check(t, err)
		check(t, raw.Control(func(fd uintptr) { err = unix.Shutdown(int(fd), how) }))
		check(t, err)
	}
	for _, row := range []struct {
		name string
		ends func(t *testing.T) (a, b *os.File)
		do   func(t *testing.T, a, b *os.File)
		want epoll.Events
	}{
		{"TCP, peer closed", tcpEnds, closeIt, epoll.Readable | epoll.ReadHangup},
		{"TCP, peer CloseWrite", tcpEnds, func(t *testing.T, a, b *os.File) { shutdown(t, b, unix.SHUT_WR) }, epoll.Readable | epoll.ReadHangup},
		{"TCP, both sides shut down", tcpEnds, func(t *testing.T, a, b *os.File) {
			shutdown(t, a, unix.SHUT_WR)
			shutdown(t, b, unix.SHUT_WR)
		}, epoll.Readable | epoll.ReadHangup | epoll.Hangup},
		{"TCP, reset by peer", tcpEnds, func(t *testing.T, a, b *os.File) {
			raw, err := b.SyscallConn()
			check(t, err)
			check(t, raw.Control(func(fd uintptr) {
				err = unix.SetsockoptLinger(int(fd), unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
			}))
			check(t, err)
			check(t, b.Close())
		}, epoll.Readable | epoll.ReadHangup | epoll.Hangup | epoll.Error},
		{"Unix stream, peer CloseWrite", unixEnds, func(t *testing.T, a, b *os.File) { shutdown(t, b, unix.SHUT_WR) }, epoll.Readable | epoll.ReadHangup},
		{"Unix stream, peer closed", unixEnds, closeIt, epoll.Readable | epoll.ReadHangup | epoll.Hangup},
		{"Unix seqpacket, peer closed", packetEnds, closeIt, epoll.Readable | epoll.ReadHangup | epoll.Hangup},
		{"TCP, not connected yet", alone, func(*testing.T, *os.File, *os.File) {}, epoll.Hangup},
		{"pipe, last writer closed", pipeEnds, closeIt, epoll.Hangup},
		{"pipe, last reader closed", writeEnd, closeIt, epoll.Error},
		{"pseudo-terminal, terminal closed", masterEnd, closeIt, epoll.Hangup},
		{"pseudo-terminal, master closed", terminalEnd, closeIt, epoll.Readable | epoll.Hangup | epoll.Error},
	} {
		t.Run(row.name, func(t *testing.T) {
			p := newPoller(t)
			a, b := row.ends(t)
			_, err := p.Add(a, asked, "")
			check(t, err)
			row.do(t, a, b)
			var got epoll.Events
			for end := time.Now().Add(5 * time.Second); got != row.want && time.Now().Before(end); {
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				var dst [1]epoll.Event[string]
				n, err := p.Wait(ctx, dst[:])
				cancel()
				if err != nil && !errors.Is(err, context.DeadlineExceeded) {
					t.Fatal(err)
				}
				if n > 0 {
					got = dst[0].Events
				}
			}
			if got != row.want {
				t.Errorf("%v, want %v", got, row.want)
			}
		})
	}
}

func file(t *testing.T, n int) *os.File {
	t.Helper()
	f := os.NewFile(uintptr(n), "descriptor "+strconv.Itoa(n))
	t.Cleanup(func() { _ = f.Close() })
	return f
}

// connFile makes a file the only one that has the connection.
func connFile(t *testing.T, c interface {
	File() (*os.File, error)
	Close() error
}) *os.File {
	t.Helper()
	f, err := c.File()
	check(t, err)
	check(t, c.Close())
	t.Cleanup(func() { _ = f.Close() })
	return f
}

func pty(t *testing.T) (master, terminal *os.File) {
	t.Helper()
	m, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		fdtest.Need(t, "pty", "opening /dev/ptmx: "+err.Error())
	}
	check(t, unix.IoctlSetPointerInt(m, unix.TIOCSPTLCK, 0))
	n, err := unix.IoctlGetUint32(m, unix.TIOCGPTN)
	check(t, err)
	s, err := unix.Open("/dev/pts/"+strconv.Itoa(int(n)), unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		_ = unix.Close(m)
		fdtest.Need(t, "pty", "opening the terminal: "+err.Error())
	}
	return file(t, m), file(t, s)
}
