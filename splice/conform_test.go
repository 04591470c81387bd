//go:build linux

package splice

import (
	"context"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes"
	"github.com/fildes/fildes/internal/fdtest"
)

// The package has no handles of its own: what conforms is a pipe's end while bytes are moved from or to it.

// conformEnd is one end of a pipe of one page, with the bare number of the other end.
type conformEnd struct {
	*fildes.FD
	other int
}

func newConformEnd(t testing.TB, write bool) (fdtest.Handle, error) {
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		return nil, err
	}
	page := os.Getpagesize()
	if _, err := unix.FcntlInt(uintptr(p[0]), unix.F_SETPIPE_SZ, page); err != nil {
		t.Fatal(err)
	}
	mine, other := p[0], p[1]
	if write {
		mine, other = other, mine
		if n, err := unix.Write(mine, make([]byte, page)); n != page {
			t.Fatal(n, err)
		}
	}
	t.Cleanup(func() { _ = unix.Close(other) })
	f, err := fildes.Adopt(mine, "pipe")
	if err != nil {
		return nil, err
	}
	return &conformEnd{f, other}, nil
}

func asFD(h fdtest.Handle) *fildes.FD {
	if e, ok := h.(*conformEnd); ok {
		return e.FD
	}
	return h.(*fildes.FD)
}

func TestConformSource(t *testing.T) {
	null, err := os.OpenFile("/dev/null", os.O_WRONLY, 0)
	check(t, err)
	defer null.Close()
	wait := func(name string, call func(ctx context.Context, f *fildes.FD) error) fdtest.Wait {
		return fdtest.Wait{
			Name: name,
			Call: func(ctx context.Context, h fdtest.Handle) error { return call(ctx, asFD(h)) },
			Wake: func(h fdtest.Handle) error {
				_, err := unix.Write(h.(*conformEnd).other, []byte{1})
				if err == unix.EAGAIN || err == unix.EPIPE {
					err = nil
				}
				return err
			},
			SetDeadline: func(h fdtest.Handle, d time.Time) error { return asFD(h).SetReadDeadline(d) },
		}
	}
	fdtest.Conform(t, fdtest.Subject{
		New:  func(t testing.TB) (fdtest.Handle, error) { return newConformEnd(t, false) },
		Zero: new(fildes.FD), Nil: (*fildes.FD)(nil),
		Waits: []fdtest.Wait{
			wait("Splice", func(ctx context.Context, f *fildes.FD) error {
				_, err := Splice(ctx, null, f, 1, nil)
				return err
			}),
			wait("VMSpliceRead", func(ctx context.Context, f *fildes.FD) error {
				var b [1]byte
				_, err := vmspliceRead(ctx, [][]byte{b[:]}, f)
				return fail("vmsplice-read", "vmsplice", err)
			}),
		},
	})
}

func TestConformDestination(t *testing.T) {
	page := os.Getpagesize()
	src := regular(t, make([]byte, page))
	wait := func(name string, call func(ctx context.Context, f *fildes.FD) error) fdtest.Wait {
		return fdtest.Wait{
			Name: name,
			Call: func(ctx context.Context, h fdtest.Handle) error { return call(ctx, asFD(h)) },
			Wake: func(h fdtest.Handle) error {
				_, err := unix.Read(h.(*conformEnd).other, make([]byte, page))
				if err == unix.EAGAIN {
					err = nil
				}
				return err
			},
			SetDeadline: func(h fdtest.Handle, d time.Time) error { return asFD(h).SetWriteDeadline(d) },
		}
	}
	fdtest.Conform(t, fdtest.Subject{
		New:  func(t testing.TB) (fdtest.Handle, error) { return newConformEnd(t, true) },
		Zero: new(fildes.FD), Nil: (*fildes.FD)(nil),
		Waits: []fdtest.Wait{
			wait("Splice", func(ctx context.Context, f *fildes.FD) error {
				at := int64(0)
				_, err := Splice(ctx, f, src, int64(page), &Options{SrcOffset: &at})
				return err
			}),
			wait("SendFile", func(ctx context.Context, f *fildes.FD) error {
				_, err := SendFile(ctx, f, src, 0, int64(page))
				return err
			}),
		},
	})
}
