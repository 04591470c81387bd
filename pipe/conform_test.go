//go:build linux

package pipe_test

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes/internal/fdtest"
	"github.com/fildes/fildes/pipe"
)

// page is the kernel's, which an emulator doesn't tell: the least that a pipe holds.
var page = func() int {
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
		return os.Getpagesize()
	}
	defer unix.Close(p[0])
	defer unix.Close(p[1])
	n, err := unix.FcntlInt(uintptr(p[0]), unix.F_SETPIPE_SZ, 1)
	if err != nil {
		return os.Getpagesize()
	}
	return n
}()

// args are arguments for methods that are called on closed and zero handles.
var args = map[reflect.Type]any{
	reflect.TypeFor[io.Writer](): io.Discard,
	reflect.TypeFor[io.Reader](): bytes.NewReader(nil),
}

// A reader is a Reader with the bare number of its other end; a writer likewise.
type reader struct {
	*pipe.Reader
	other int
}

type writer struct {
	*pipe.Writer
	other int
}

func readerOf(h fdtest.Handle) *pipe.Reader {
	if r, ok := h.(*reader); ok {
		return r.Reader
	}
	return h.(*pipe.Reader)
}

func writerOf(h fdtest.Handle) *pipe.Writer {
	if w, ok := h.(*writer); ok {
		return w.Writer
	}
	return h.(*pipe.Writer)
}

// rawPipe makes a pipe of one page.
func rawPipe(t testing.TB) (r, w int, err error) {
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		return -1, -1, err
	}
	if _, err := unix.FcntlInt(uintptr(p[0]), unix.F_SETPIPE_SZ, page); err != nil {
		t.Fatal(err)
	}
	return p[0], p[1], nil
}

// paths returns names that don't exist.
func paths(t testing.TB) func() string {
	dir := t.TempDir()
	var n atomic.Int64
	return func() string { return filepath.Join(dir, strconv.FormatInt(n.Add(1), 10)) }
}

func fifo(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "fifo")
	check(t, pipe.MakeFIFO(path, 0o600))
	return path
}

// dup duplicates the descriptor of a handle, for the test to use.
func dup(h fdtest.Handle) (int, error) {
	n := -1
	c, err := h.SyscallConn()
	if err != nil {
		return n, err
	}
	cerr := c.Control(func(fd uintptr) { n, err = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0) })
	if cerr != nil {
		return n, cerr
	}
	return n, err
}

// plug takes the free numbers below the handle's, so that its own is the next when it is closed.
func plug(t testing.TB, h fdtest.Handle) {
	for {
		n, err := dup(h)
		check(t, err)
		above := false
		c, err := h.SyscallConn()
		check(t, err)
		check(t, c.Control(func(fd uintptr) { above = n > int(fd) }))
		check(t, unix.Close(n))
		if above {
			return
		}
		m, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
		check(t, err)
		t.Cleanup(func() { _ = unix.Close(m) })
	}
}

// halves makes a pipe, keeps one end as it is, and the other as a number.
func halves(opts *pipe.Options, write bool) (*pipe.Reader, *pipe.Writer, int, error) {
	r, w, err := pipe.New(opts)
	if err != nil {
		return nil, nil, -1, err
	}
	var other fdtest.Handle = w
	mine := io.Closer(r)
	if write {
		other, mine = r, w
	}
	n, err := dup(other)
	_ = other.Close()
	if err != nil {
		_ = mine.Close()
		return nil, nil, -1, err
	}
	return r, w, n, nil
}

func onePage(packet bool) *pipe.Options { return &pipe.Options{Size: page, Packet: packet} }

// How a Reader comes about, and the number of the end that writes.
var readers = map[string]func(t testing.TB, path string) (*pipe.Reader, int, error){
	"New": func(testing.TB, string) (*pipe.Reader, int, error) {
		r, _, n, err := halves(onePage(false), false)
		return r, n, err
	},
	"Packet": func(testing.TB, string) (*pipe.Reader, int, error) {
		r, _, n, err := halves(onePage(true), false)
		return r, n, err
	},
	"FromFile": func(t testing.TB, _ string) (*pipe.Reader, int, error) {
		in, out, err := rawPipe(t)
		if err != nil {
			return nil, -1, err
		}
		f := os.NewFile(uintptr(in), "pipe")
		defer f.Close()
		r, err := pipe.ReaderFromFile(f)
		if err != nil {
			_ = unix.Close(out)
		}
		return r, out, err
	},
	"FIFO": func(t testing.TB, path string) (*pipe.Reader, int, error) {
		r, err := pipe.OpenReader(t.Context(), path, &pipe.OpenOptions{NoWait: true, Create: true})
		return openOther(t, r, path, unix.O_WRONLY, err)
	},
	"Survive": func(t testing.TB, path string) (*pipe.Reader, int, error) {
		r, err := pipe.OpenReader(t.Context(), path, &pipe.OpenOptions{Survive: true, Create: true})
		return openOther(t, r, path, unix.O_WRONLY, err)
	},
}

// And how a Writer comes about.
var writers = map[string]func(t testing.TB, path string) (*pipe.Writer, int, error){
	"New": func(testing.TB, string) (*pipe.Writer, int, error) {
		_, w, n, err := halves(onePage(false), true)
		return w, n, err
	},
	"Packet": func(testing.TB, string) (*pipe.Writer, int, error) {
		_, w, n, err := halves(onePage(true), true)
		return w, n, err
	},
	"FromFile": func(t testing.TB, _ string) (*pipe.Writer, int, error) {
		in, out, err := rawPipe(t)
		if err != nil {
			return nil, -1, err
		}
		f := os.NewFile(uintptr(out), "pipe")
		defer f.Close()
		w, err := pipe.WriterFromFile(f)
		if err != nil {
			_ = unix.Close(in)
		}
		return w, in, err
	},
	"Survive": func(t testing.TB, path string) (*pipe.Writer, int, error) {
		w, err := pipe.OpenWriter(t.Context(), path, &pipe.OpenOptions{Survive: true, Create: true})
		if err == nil {
			_, err = w.SetSize(page)
		}
		return openOther(t, w, path, unix.O_RDONLY, err)
	},
}

func openOther[H fdtest.Handle](t testing.TB, h H, path string, mode int, err error) (H, int, error) {
	if err != nil {
		return h, -1, err
	}
	n, err := unix.Open(path, mode|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	return h, n, nil
}

func read(name string, call func(ctx context.Context, r *pipe.Reader, b []byte) (int, error)) fdtest.Wait {
	return fdtest.Wait{
		Name: name,
		Call: func(ctx context.Context, h fdtest.Handle) error {
			var b [1]byte
			_, err := call(ctx, readerOf(h), b[:])
			return err
		},
		Wake: func(h fdtest.Handle) error {
			_, err := unix.Write(h.(*reader).other, []byte{1})
			if err == unix.EAGAIN || err == unix.EPIPE { // there is enough to read, or nobody who would
				err = nil
			}
			return err
		},
		SetDeadline: func(h fdtest.Handle, t time.Time) error { return readerOf(h).SetReadDeadline(t) },
	}
}

// waits are all, and with -short only the first of an end that differs from New's but in how it came about.
func waits(name string, all ...fdtest.Wait) []fdtest.Wait {
	if testing.Short() && name != "New" {
		return all[:1]
	}
	return all
}

func TestConformReader(t *testing.T) {
	for name, open := range readers {
		t.Run(name, func(t *testing.T) {
			path := paths(t)
			fdtest.Conform(t, fdtest.Subject{
				New: func(t testing.TB) (fdtest.Handle, error) {
					r, other, err := open(t, path())
					if err != nil {
						return nil, err
					}
					t.Cleanup(func() { _ = unix.Close(other) })
					plug(t, r)
					return &reader{r, other}, nil
				},
				Zero: new(pipe.Reader), Nil: (*pipe.Reader)(nil), Args: args,
				Waits: waits(name,
					read("ReadContext", func(ctx context.Context, r *pipe.Reader, b []byte) (int, error) { return r.ReadContext(ctx, b) }),
					read("ReadVectored", func(ctx context.Context, r *pipe.Reader, b []byte) (int, error) {
						return r.ReadVectored(ctx, [][]byte{nil, b})
					}),
				),
			})
		})
	}
}

func TestConformWriter(t *testing.T) {
	write := func(name string, call func(ctx context.Context, w *pipe.Writer, b []byte) (int, error)) fdtest.Wait {
		return fdtest.Wait{
			Name: name,
			Call: func(ctx context.Context, h fdtest.Handle) error {
				_, err := call(ctx, writerOf(h), make([]byte, page))
				return err
			},
			Wake: func(h fdtest.Handle) error {
				for buf := make([]byte, page); len(buf) > 0; { // behind an emulator that has larger pages than the kernel, a page is several packets
					n, err := unix.Read(h.(*writer).other, buf)
					switch {
					case err == unix.EAGAIN || err == nil && n == 0:
						return nil
					case err != nil:
						return err
					}
					buf = buf[n:]
				}
				return nil
			},
			SetDeadline: func(h fdtest.Handle, t time.Time) error { return writerOf(h).SetWriteDeadline(t) },
		}
	}
	for name, open := range writers {
		t.Run(name, func(t *testing.T) {
			path := paths(t)
			fdtest.Conform(t, fdtest.Subject{
				New: func(t testing.TB) (fdtest.Handle, error) {
					w, other, err := open(t, path())
					if err != nil {
						return nil, err
					}
					t.Cleanup(func() { _ = unix.Close(other) })
					_, err = w.WriteContext(t.Context(), make([]byte, page))
					check(t, err)
					plug(t, w)
					return &writer{w, other}, nil
				},
				Zero: new(pipe.Writer), Nil: (*pipe.Writer)(nil), Args: args,
				Waits: waits(name,
					write("WriteContext", func(ctx context.Context, w *pipe.Writer, b []byte) (int, error) { return w.WriteContext(ctx, b) }),
					write("WriteVectored", func(ctx context.Context, w *pipe.Writer, b []byte) (int, error) {
						return w.WriteVectored(ctx, [][]byte{b[:1], nil, b[1:]})
					}),
				),
			})
		})
	}
}
