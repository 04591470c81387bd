//go:build linux

package fildes_test

import (
	"context"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes"
	"github.com/fildes/fildes/internal/fdtest"
)

// end is one end of a pipe as an FD, with the bare number of the other end.
type end struct {
	*fildes.FD
	other int
}

// pipeEnds makes a pipe that holds one page, and adopts one of its ends.
func pipeEnds(t testing.TB, write bool) (*end, error) {
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		return nil, err
	}
	if _, err := unix.FcntlInt(uintptr(p[0]), unix.F_SETPIPE_SZ, page); err != nil {
		t.Fatal(err)
	}
	mine, other := p[0], p[1]
	if write {
		mine, other = p[1], p[0]
		if n, err := unix.Write(mine, make([]byte, page)); n != page {
			t.Fatal(n, err)
		}
	}
	t.Cleanup(func() { _ = unix.Close(other) })
	f, err := fildes.Adopt(mine, "pipe")
	if err != nil {
		return nil, err
	}
	return &end{f, other}, nil
}

var page = unix.Getpagesize()

func deadline(set func(f *fildes.FD, t time.Time) error) func(fdtest.Handle, time.Time) error {
	return func(h fdtest.Handle, t time.Time) error { return set(fdOf(h), t) }
}

func fdOf(h fdtest.Handle) *fildes.FD {
	if e, ok := h.(*end); ok {
		return e.FD
	}
	return h.(*fildes.FD)
}

func TestConformReading(t *testing.T) {
	fill := func(h fdtest.Handle) error {
		_, err := unix.Write(h.(*end).other, []byte{1})
		if err == unix.EAGAIN || err == unix.EPIPE { // there is enough to read, or nobody who would
			err = nil
		}
		return err
	}
	read := func(name string, call func(ctx context.Context, f *fildes.FD, b []byte) (int, error)) fdtest.Wait {
		return fdtest.Wait{
			Name: name,
			Call: func(ctx context.Context, h fdtest.Handle) error {
				var b [1]byte
				_, err := call(ctx, fdOf(h), b[:])
				return err
			},
			Wake:        fill,
			SetDeadline: deadline((*fildes.FD).SetReadDeadline),
		}
	}
	fdtest.Conform(t, fdtest.Subject{
		New:  func(t testing.TB) (fdtest.Handle, error) { return handle(pipeEnds(t, false)) },
		Zero: new(fildes.FD), Nil: (*fildes.FD)(nil),
		Waits: []fdtest.Wait{
			read("ReadContext", func(ctx context.Context, f *fildes.FD, b []byte) (int, error) { return f.ReadContext(ctx, b) }),
			read("ReadVectored", func(ctx context.Context, f *fildes.FD, b []byte) (int, error) {
				return f.ReadVectored(ctx, [][]byte{nil, b})
			}),
			read("WaitRead", func(ctx context.Context, f *fildes.FD, b []byte) (n int, err error) {
				err = f.WaitRead(ctx, func(fd int) (err error) { n, err = unix.Read(fd, b); return err })
				return n, err
			}),
		},
	})
}

func TestConformWriting(t *testing.T) {
	drain := func(h fdtest.Handle) error {
		_, err := unix.Read(h.(*end).other, make([]byte, page))
		if err == unix.EAGAIN {
			err = nil
		}
		return err
	}
	write := func(name string, call func(ctx context.Context, f *fildes.FD, b []byte) (int, error)) fdtest.Wait {
		return fdtest.Wait{
			Name: name,
			Call: func(ctx context.Context, h fdtest.Handle) error {
				_, err := call(ctx, fdOf(h), make([]byte, page))
				return err
			},
			Wake:        drain,
			SetDeadline: deadline((*fildes.FD).SetWriteDeadline),
		}
	}
	fdtest.Conform(t, fdtest.Subject{
		New:  func(t testing.TB) (fdtest.Handle, error) { return handle(pipeEnds(t, true)) },
		Zero: new(fildes.FD), Nil: (*fildes.FD)(nil),
		Waits: []fdtest.Wait{
			write("WriteContext", func(ctx context.Context, f *fildes.FD, b []byte) (int, error) { return f.WriteContext(ctx, b) }),
			write("WriteVectored", func(ctx context.Context, f *fildes.FD, b []byte) (int, error) {
				return f.WriteVectored(ctx, [][]byte{b[:1], nil, b[1:]})
			}),
			write("WaitWrite", func(ctx context.Context, f *fildes.FD, b []byte) (n int, err error) {
				err = f.WaitWrite(ctx, func(fd int) (err error) { n, err = unix.Write(fd, b); return err })
				return n, err
			}),
		},
	})
}

func handle(e *end, err error) (fdtest.Handle, error) {
	if err != nil {
		return nil, err
	}
	return e, nil
}
