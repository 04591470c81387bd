//go:build linux

package splice

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes"
	"github.com/fildes/fildes/internal/fdtest"
)

// The ends that the tests move bytes between.

func osPipe(t testing.TB) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	check(t, err)
	t.Cleanup(func() { r.Close(); w.Close() })
	return r, w
}

// ourPipe is a pipe whose ends are handles of this module.
func ourPipe(t testing.TB) (r, w *fildes.FD) {
	t.Helper()
	var p [2]int
	check(t, unix.Pipe2(p[:], unix.O_CLOEXEC|unix.O_NONBLOCK))
	r, err := fildes.Adopt(p[0], "pipe")
	check(t, err)
	w, err = fildes.Adopt(p[1], "pipe")
	check(t, err)
	t.Cleanup(func() { r.Close(); w.Close() })
	return r, w
}

// blockingPipe is a pipe that a program is started with: Go's poller doesn't have it.
func blockingPipe(t testing.TB) (r, w *os.File) {
	t.Helper()
	var p [2]int
	check(t, unix.Pipe2(p[:], unix.O_CLOEXEC))
	r, w = os.NewFile(uintptr(p[0]), "r"), os.NewFile(uintptr(p[1]), "w")
	t.Cleanup(func() { r.Close(); w.Close() })
	return r, w
}

func tcpPair(t testing.TB) (a, b *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	defer l.Close()
	c, err := net.Dial("tcp", l.Addr().String())
	check(t, err)
	s, err := l.Accept()
	check(t, err)
	t.Cleanup(func() { c.Close(); s.Close() })
	return c.(*net.TCPConn), s.(*net.TCPConn)
}

func unixPair(t testing.TB) (a, b *net.UnixConn) {
	t.Helper()
	p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	check(t, err)
	conn := func(n int) *net.UnixConn {
		f := os.NewFile(uintptr(n), "socket")
		defer f.Close()
		c, err := net.FileConn(f)
		check(t, err)
		t.Cleanup(func() { c.Close() })
		return c.(*net.UnixConn)
	}
	return conn(p[0]), conn(p[1])
}

// regular is a file with the bytes, at offset zero.
func regular(t testing.TB, content []byte) *os.File {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "file"))
	check(t, err)
	t.Cleanup(func() { f.Close() })
	_, err = f.WriteAt(content, 0)
	check(t, err)
	return f
}

// fill writes until nothing more fits, and returns how much did.
func fill(t testing.TB, w writeEnd) (full int) {
	t.Helper()
	p := make([]byte, 1<<20)
	for idle := 0; idle < 3; { // a buffer may grow, and a deadline pass before anything was tried
		check(t, w.SetWriteDeadline(time.Now().Add(20*time.Millisecond)))
		n, err := w.Write(p)
		if full += n; err == nil {
			continue
		}
		wantErr(t, "filling", err, os.ErrDeadlineExceeded)
		if idle++; n > 0 {
			idle = 0
		}
	}
	check(t, w.SetWriteDeadline(time.Time{}))
	return full
}

func wantErr(t testing.TB, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("%s: the error is %v, not %v", what, err, want)
	}
}

func want[V comparable](t testing.TB, what string, got, expected V) {
	t.Helper()
	if got != expected {
		t.Fatalf("%s is %v, not %v", what, got, expected)
	}
}

// pattern is n bytes that differ from place to place.
func pattern(n int) []byte {
	p := make([]byte, n)
	x := uint32(1)
	for i := range p {
		x = x*1664525 + 1013904223
		p[i] = byte(x >> 24)
	}
	return p
}

func readN(t testing.TB, r io.Reader, n int) []byte {
	t.Helper()
	p := make([]byte, n)
	k, err := io.ReadFull(r, p)
	if err != nil {
		t.Fatalf("after %d of %d bytes: %v", k, n, err)
	}
	return p
}

func sameBytes(t testing.TB, what string, got, expected []byte) {
	t.Helper()
	if !bytes.Equal(got, expected) {
		t.Fatalf("%s: the %d bytes aren't the expected %d", what, len(got), len(expected))
	}
}

// waiting starts a call, sees that it waits, and returns a function that returns its error.
func waiting(t testing.TB, call func() error) (result func() error) {
	t.Helper()
	c := fdtest.Go(t, call).Parked()
	time.Sleep(30 * time.Millisecond) // it may have waited for something else first
	if c.Done() {
		t.Fatalf("a call that should wait returned %v", c.Err())
	}
	return c.Err
}

// restTime is how long that is.
func restTime() time.Duration {
	if testing.Short() {
		return 500 * time.Millisecond
	}
	return 2 * time.Second
}

func background() context.Context { return context.Background() }
