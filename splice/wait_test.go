//go:build linux

package splice

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes/internal/fdtest"
)

// blockingSocket is a socket that a program may have inherited, which takes more than it has room for only after waiting.
func blockingSocket(t testing.TB) *os.File {
	t.Helper()
	p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	check(t, err)
	a, b := os.NewFile(uintptr(p[0]), "a"), os.NewFile(uintptr(p[1]), "b")
	t.Cleanup(func() { _, _ = a.Close(), b.Close() })
	return a
}

// blockingTerminal is a terminal whose output nobody takes.
func blockingTerminal(t testing.TB) *os.File {
	t.Helper()
	m, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	reason := ""
	if err != nil {
		reason = err.Error()
	}
	fdtest.Need(t, "pty", reason)
	t.Cleanup(func() { _ = unix.Close(m) })
	check(t, unix.IoctlSetPointerInt(m, unix.TIOCSPTLCK, 0))
	n, err := unix.IoctlGetUint32(m, unix.TIOCGPTN)
	check(t, err)
	s, err := unix.Open(fmt.Sprintf("/dev/pts/%d", n), unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	check(t, err)
	f := os.NewFile(uintptr(s), "terminal")
	t.Cleanup(func() { _ = f.Close() })
	if _, err := unix.IoctlGetUint32(s, unix.TIOCGDEV); err != nil {
		reason = "TIOCGDEV, without which a terminal isn't opened anew: " + err.Error()
	}
	fdtest.Need(t, "tiocgdev", reason)
	return f
}

// A context ends a Copy into what blocks and is full, whatever the source is.
func TestCopyIntoWhatBlocks(t *testing.T) {
	destinations := map[string]func(t testing.TB) *os.File{"socket": blockingSocket, "terminal": blockingTerminal}
	more := func(t *testing.T, w io.WriteCloser) { go func() { _, _ = w.Write(make([]byte, 8<<20)) }() }
	for name, full := range destinations {
		for from, source := range map[string]func(t *testing.T) syscall.Conn{
			"pipe": func(t *testing.T) syscall.Conn { r, w := osPipe(t); more(t, w); return r },
			"Unix": func(t *testing.T) syscall.Conn { a, b := unixPair(t); more(t, b); return a },
			"file": func(t *testing.T) syscall.Conn { return regular(t, make([]byte, 8<<20)) },
		} {
			t.Run(from+" to "+name, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				dst, src := full(t), source(t)
				result := waiting(t, func() error { _, err := Copy(ctx, dst, src); return err })
				cancel()
				wantErr(t, "cancelled", result(), context.Canceled)
			})
		}
	}
}

// Close of what Go's poller doesn't have isn't told by anybody, but noticed.
func TestCloseOfWhatBlocks(t *testing.T) {
	r, _ := blockingPipe(t)
	_, dst := osPipe(t)
	result := waiting(t, func() error { _, err := Splice(background(), dst, r, 1, nil); return err })
	check(t, r.Close())
	wantErr(t, "the source was closed", result(), os.ErrClosed)
}

func TestCopyRefusesRecords(t *testing.T) {
	p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	check(t, err)
	a, b := os.NewFile(uintptr(p[0]), "a"), os.NewFile(uintptr(p[1]), "b")
	defer func() { _, _ = a.Close(), b.Close() }()
	_, err = b.WriteString("record")
	check(t, err)
	_, w := osPipe(t)
	_, err = Copy(t.Context(), w, a)
	wantErr(t, "records", err, os.ErrInvalid)
	var buf [10]byte
	n, err := a.Read(buf[:])
	check(t, err)
	want(t, "what is still there", n, 6)
}

// A server may answer, and be gone, before it has read all of the request.
func TestRelayEarlyAnswer(t *testing.T) {
	client, a := unixPair(t)
	b, server := unixPair(t)
	answer := pattern(3 << 20)
	done := make(chan error, 1)
	go func() { done <- NewRelay(a, b).Run(background()) }()
	check(t, server.CloseRead())
	go func() {
		_, _ = server.Write(answer)
		_ = server.Close()
	}()
	_, err := client.Write([]byte("the request"))
	check(t, err)
	time.Sleep(10 * time.Millisecond) // for the relay to meet EPIPE
	got, err := io.ReadAll(client)
	check(t, err)
	sameBytes(t, "the answer", got, answer)
	wantErr(t, "the relay", <-done, unix.EPIPE)
}

// Nobody's deadline is touched by a relay that isn't cancelled.
func TestRelayLeavesDeadlines(t *testing.T) {
	client, a := tcpPair(t)
	b, server := tcpPair(t)
	spy := &deadlineSpy{TCPConn: a}
	result := waiting(t, func() error { return NewRelay(spy, b).Run(t.Context()) })
	check(t, client.CloseWrite())
	check(t, server.CloseWrite())
	check(t, result())
	want(t, "the deadlines that were set", spy.n, 0)
}

type deadlineSpy struct {
	*net.TCPConn
	n int
}

func (s *deadlineSpy) SetReadDeadline(t time.Time) error { s.n++; return s.TCPConn.SetReadDeadline(t) }
func (s *deadlineSpy) SetWriteDeadline(t time.Time) error {
	s.n++
	return s.TCPConn.SetWriteDeadline(t)
}

// Locked pages can't be replaced as others can.
func TestVMSpliceLocked(t *testing.T) {
	r, w := typedPipe(t)
	m := memory(t, 2*os.Getpagesize())
	reason := ""
	if err := unix.Mlock(m.Bytes()); err != nil {
		reason = "RLIMIT_MEMLOCK: " + err.Error()
	}
	fdtest.Need(t, "memlock", reason)
	data := pattern(len(m.Bytes()))
	copy(m.Bytes(), data)
	n, err := VMSplice(t.Context(), w, []Piece{{Memory: m, N: len(data)}}, nil)
	check(t, err)
	want(t, "handed over", n, int64(len(data)))
	clear(m.Bytes())
	got := make([]byte, len(data))
	_, err = io.ReadFull(r, got)
	check(t, err)
	sameBytes(t, "what arrived", got, data)
}
