//go:build linux

package pipe_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes/internal/fdtest"
	"github.com/fildes/fildes/pipe"
)

func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i * 7 >> 3)
	}
	return b
}

func tcp(t testing.TB) (a, b net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	defer l.Close()
	a, err = net.Dial("tcp", l.Addr().String())
	check(t, err)
	b, err = l.Accept()
	check(t, err)
	t.Cleanup(func() { _, _ = a.Close(), b.Close() })
	return a, b
}

func unixPair(t testing.TB) (a, b net.Conn) {
	t.Helper()
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	check(t, err)
	defer l.Close()
	a, err = net.Dial("unix", l.Addr().String())
	check(t, err)
	b, err = l.Accept()
	check(t, err)
	t.Cleanup(func() { _, _ = a.Close(), b.Close() })
	return a, b
}

// io.Copy from a Reader to anything, in more bytes than fit anywhere.
func TestWriteTo(t *testing.T) {
	want := pattern(40*page + 123)
	for name, open := range map[string]func(t *testing.T) (dst io.WriteCloser, src io.Reader){
		"Writer": func(t *testing.T) (io.WriteCloser, io.Reader) { r, w := newPipe(t, onePage(false)); return w, r },
		"os":     func(t *testing.T) (io.WriteCloser, io.Reader) { r, w, err := os.Pipe(); check(t, err); return w, r },
		"TCP":    func(t *testing.T) (io.WriteCloser, io.Reader) { a, b := tcp(t); return a, b },
		"Unix":   func(t *testing.T) (io.WriteCloser, io.Reader) { a, b := unixPair(t); return a, b },
		"blocking": func(t *testing.T) (io.WriteCloser, io.Reader) {
			var p [2]int
			check(t, unix.Pipe2(p[:], unix.O_CLOEXEC))
			return os.NewFile(uintptr(p[1]), "w"), os.NewFile(uintptr(p[0]), "r")
		},
		"io.Pipe": func(*testing.T) (io.WriteCloser, io.Reader) { r, w := io.Pipe(); return w, r },
	} {
		t.Run(name, func(t *testing.T) {
			r, w := newPipe(t, nil)
			dst, src := open(t)
			write := fdtest.Go(t, func() error {
				for b := want; len(b) > 0; { // in pieces, so that there is waiting on both sides
					n := min(len(b), 3*page+1)
					if _, err := w.Write(b[:n]); err != nil {
						return err
					}
					b = b[n:]
				}
				return w.Close()
			})
			var n int64
			copied := fdtest.Go(t, func() (err error) {
				n, err = io.Copy(dst, r)
				_ = dst.Close()
				return err
			})
			got, err := io.ReadAll(src)
			check(t, err)
			check(t, write.Err())
			check(t, copied.Err())
			if n != int64(len(want)) || !bytes.Equal(got, want) {
				t.Errorf("%d, %d of %d bytes", n, len(got), len(want))
			}
			if c, ok := src.(io.Closer); ok {
				_ = c.Close()
			}
		})
	}
}

// And into a file, at its offset, and where splice can't: appending.
func TestWriteToFile(t *testing.T) {
	for _, flags := range []int{0, os.O_APPEND} {
		f, err := os.OpenFile(filepath.Join(t.TempDir(), "f"), os.O_RDWR|os.O_CREATE|flags, 0o600)
		check(t, err)
		defer f.Close()
		_, err = f.WriteString("before")
		check(t, err)
		r, w := newPipe(t, nil)
		_, err = w.Write(pattern(1000))
		check(t, err)
		check(t, w.Close())
		n, err := r.WriteTo(f)
		check(t, err)
		got := make([]byte, 2000)
		k, _ := f.ReadAt(got, 0)
		if n != 1000 || !bytes.Equal(got[:k], append([]byte("before"), pattern(1000)...)) {
			t.Error(n, k)
		}
	}
}

func TestReadFrom(t *testing.T) {
	want := pattern(40*page + 123)
	file := filepath.Join(t.TempDir(), "f")
	check(t, os.WriteFile(file, want, 0o600))
	for name, open := range map[string]func(t *testing.T) (io.WriteCloser, io.Reader){
		"os":   func(t *testing.T) (io.WriteCloser, io.Reader) { r, w, err := os.Pipe(); check(t, err); return w, r },
		"TCP":  func(t *testing.T) (io.WriteCloser, io.Reader) { a, b := tcp(t); return a, b },
		"Unix": func(t *testing.T) (io.WriteCloser, io.Reader) { a, b := unixPair(t); return a, b },
		"file": func(t *testing.T) (io.WriteCloser, io.Reader) { f, err := os.Open(file); check(t, err); return nil, f },
		"any":  func(*testing.T) (io.WriteCloser, io.Reader) { return nil, bytes.NewReader(want) },
	} {
		for _, limited := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				dst, src := open(t)
				r, w := newPipe(t, onePage(false))
				if dst != nil {
					go func() { _, _ = dst.Write(want); _ = dst.Close() }()
				}
				all := int64(len(want))
				if limited {
					all = int64(10*page + 1)
				}
				var n int64
				copied := fdtest.Go(t, func() (err error) {
					if limited {
						l := &io.LimitedReader{R: src, N: all}
						if n, err = w.ReadFrom(l); l.N != 0 {
							t.Errorf("%d are left of the limit", l.N)
						}
					} else {
						n, err = io.Copy(w, src)
					}
					_ = w.Close()
					return err
				})
				got, err := io.ReadAll(r)
				check(t, err)
				check(t, copied.Err())
				if n != all || !bytes.Equal(got, want[:all]) {
					t.Errorf("%d, %d of %d bytes", n, len(got), all)
				}
				if c, ok := src.(io.Closer); ok {
					_ = c.Close()
				}
			})
		}
	}
}

// What ends a copy is the error of the side that it happened to, and loses nothing of the source.
func TestCopyEnds(t *testing.T) {
	r, w := newPipe(t, nil)
	r2, w2 := newPipe(t, onePage(false))
	_, err := w.Write(make([]byte, 3*page))
	check(t, err)
	c := fdtest.Go(t, func() error { return second(io.Copy(w2, r)) }).Parked() // until there is room
	check(t, w2.SetWriteDeadline(time.Now()))
	wantIs(t, c.Err(), os.ErrDeadlineExceeded)
	a, err := r.Buffered()
	check(t, err)
	b, err := r2.Buffered()
	check(t, err)
	if a+b != 3*page {
		t.Errorf("%d and %d bytes", a, b)
	}
	check(t, w2.SetWriteDeadline(time.Time{}))
	c = fdtest.Go(t, func() error { return second(io.Copy(w2, r)) }).Parked()
	check(t, w2.Close())
	wantIs(t, c.Err(), os.ErrClosed)

	r, _ = newPipe(t, nil)
	r2, w2 = newPipe(t, nil)
	c = fdtest.Go(t, func() error { return second(io.Copy(w2, r)) }).Parked() // until there is something
	check(t, r.Close())
	wantIs(t, c.Err(), os.ErrClosed)

	r, w = newPipe(t, nil)
	_, err = w.Write([]byte("x"))
	check(t, err)
	check(t, r2.Close())
	_, err = io.Copy(w2, r)
	wantIs(t, err, unix.EPIPE)
	wantIs(t, second(new(pipe.Reader).WriteTo(io.Discard)), os.ErrInvalid)
}

// A type that has a connection inside, and its own idea of writing, isn't gone round.
func TestCopyRespectsWrappers(t *testing.T) {
	r, w := newPipe(t, nil)
	_, dst, err := os.Pipe()
	check(t, err)
	defer dst.Close()
	_, err = w.Write([]byte("counted"))
	check(t, err)
	check(t, w.Close())
	c := &counter{File: dst}
	_, err = r.WriteTo(c)
	check(t, err)
	if c.n != 7 {
		t.Error(c.n)
	}
}

type counter struct {
	*os.File
	n int
}

func (c *counter) Write(p []byte) (int, error) {
	c.n += len(p)
	return len(p), nil
}

// Bytes that can't be delivered stay in the source.
func TestCopyIntoBroken(t *testing.T) {
	for _, way := range []func(w *pipe.Writer, r *pipe.Reader) (int64, error){
		func(w *pipe.Writer, r *pipe.Reader) (int64, error) { return w.ReadFrom(r) },
		func(w *pipe.Writer, r *pipe.Reader) (int64, error) { return r.WriteTo(w) },
	} {
		in, feed := newPipe(t, nil)
		out, dst := newPipe(t, nil)
		check(t, out.Close())
		_, err := feed.Write([]byte("undelivered"))
		check(t, err)
		if n, err := way(dst, in); n != 0 || !errors.Is(err, unix.EPIPE) {
			t.Error(n, err)
		}
		if n, err := in.Buffered(); n != len("undelivered") || err != nil {
			t.Errorf("%d bytes are left, %v", n, err)
		}
	}
}

// A deadline that has passed counts also when there is something to move.
func TestCopyObeysTheSourcesDeadline(t *testing.T) {
	in, feed := newPipe(t, nil)
	_, dst := newPipe(t, nil)
	_, err := feed.Write([]byte("late"))
	check(t, err)
	check(t, in.SetReadDeadline(time.Now().Add(-time.Second)))
	if n, err := in.WriteTo(dst); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error(n, err)
	}
}
