//go:build linux

package pipe

import (
	"context"
	"errors"
	"io"
	"math"
	"os"
	"reflect"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes/internal/fd"
	"github.com/fildes/fildes/internal/sys"
)

// WriteTo implements [io.WriterTo], for io.Copy: it reads to the end of the stream and writes all to dst. Where dst is a pipe, a regular file or a stream
// socket (an *os.File, a *net.TCPConn or *net.UnixConn, a handle of this module), the bytes move within the kernel: splice(2). Else, and in packet mode, they are read
// and written.
//
// Other goroutines' reads may come in between. It obeys both sides' deadlines and Close. Of an error that isn't the end of the stream, and where splice could be used, no byte that
// was taken is lost.
func (r *Reader) WriteTo(dst io.Writer) (int64, error) {
	if err := r.end().engine().Check(); err != nil {
		return 0, r.end().fail("write-to", err)
	}
	n, err := int64(0), errPlain
	if to, from := lend(dst, true), lend(r, false); to != nil && from != nil {
		n, err = move(to, from, math.MaxInt64)
	}
	if !errors.Is(err, errPlain) {
		return n, r.e.fail("write-to", err)
	}
	k, err := copyPlain(dst, r)
	return n + k, err
}

// ReadFrom implements [io.ReaderFrom], for io.Copy: it reads src to its end and writes all. Where src is a pipe or a stream socket, as in
// [Reader.WriteTo], the bytes move within the kernel: splice(2). Else, and in packet mode, they are read and written: also from a regular file, whose pages a
// pipe would show as they are when they are read, and not as they were.
func (w *Writer) ReadFrom(src io.Reader) (int64, error) {
	if err := w.end().engine().Check(); err != nil {
		return 0, w.end().fail("read-from", err)
	}
	from, limit := src, int64(math.MaxInt64)
	limited, _ := src.(*io.LimitedReader)
	if limited != nil {
		from, limit = limited.R, max(limited.N, 0)
	}
	n, err := int64(0), errPlain
	if to, from := lend(w, true), lend(from, false); to != nil && from != nil {
		n, err = move(to, from, limit)
	}
	if limited != nil {
		limited.N -= n
	}
	if errors.Is(err, unix.EPIPE) && w.broken != nil && !w.lenient.Load() {
		err = errPlain // the write ends the program
	}
	if !errors.Is(err, errPlain) {
		return n, w.e.fail("read-from", err)
	}
	k, err := copyPlain(w, src)
	return n + k, err
}

// copyPlain copies with a buffer that takes the longest packet. The methods of the two, one of which has called, are hidden.
func copyPlain(dst io.Writer, src io.Reader) (int64, error) {
	return io.CopyBuffer(struct{ io.Writer }{dst}, struct{ io.Reader }{src}, make([]byte, max(32<<10, pageSize)))
}

// errPlain says that bytes have to be read and written.
var errPlain = errors.New("splice can't be used")

// lend returns how to use what is behind v with splice, or nil. Types that merely contain one of these may have methods of their own to
// read and write, which are not to be gone round.
func lend(v any, out bool) syscall.RawConn {
	switch v := v.(type) {
	case *Reader:
		return v.end().lend()
	case *Writer:
		return v.end().lend()
	case syscall.Conn:
		t := reflect.TypeOf(v)
		if t.Kind() == reflect.Pointer {
			t = t.Elem()
		}
		if p := t.PkgPath(); p != "os" && p != "net" && p != "github.com/fildes/fildes" {
			return nil
		}
		c, err := v.SyscallConn()
		if err != nil {
			return nil
		}
		ok := false
		err = c.Control(func(num uintptr) {
			switch typ, _ := sys.FileType(int(num)); typ {
			case unix.S_IFIFO:
				ok = true
			case unix.S_IFSOCK:
				ok = sys.IsStream(int(num))
			case unix.S_IFREG:
				ok = out
			}
		})
		if err == nil && ok {
			return c
		}
	}
	return nil
}

// lend is SyscallConn for ourselves, who leave O_NONBLOCK alone.
func (e *end) lend() syscall.RawConn {
	if e == nil || e.packet {
		return nil
	}
	return lender{&e.fd}
}

type lender struct{ f *fd.FD }

func (l lender) Control(op func(uintptr)) error {
	return l.f.Control(func(num int) error {
		op(uintptr(num))
		return nil
	})
}

func (l lender) Read(op func(uintptr) bool) error  { return l.wait(fd.Read, op) }
func (l lender) Write(op func(uintptr) bool) error { return l.wait(fd.Write, op) }

func (l lender) wait(m fd.Mode, op func(uintptr) bool) error {
	return l.f.Stream(context.Background(), m, func(num int) error {
		if !op(uintptr(num)) {
			return fd.Again
		}
		return nil
	})
}

// chunk is what one splice moves at most, so that Close needn't wait for long.
const chunk = 1 << 20

// move splices up to limit bytes, or to the end, for which it returns nil. It holds dst's direction for the length of a splice and of a wait
// for room, and waits for the side that isn't ready.
func move(dst, src syscall.RawConn, limit int64) (n int64, err error) {
	for n < limit {
		// Splice asks for no deadline of the source.
		if err := refusal(src.Read(func(uintptr) bool { return true })); err != nil {
			return n, err
		}
		var m step
		size := int(min(limit-n, chunk))
		if err := refusal(dst.Write(func(out uintptr) bool { return m.try(src, int(out), size) })); err != nil {
			return n, err
		}
		n += int64(m.n)
		switch {
		case errors.Is(m.err, errEmpty):
			err := src.Read(func(in uintptr) bool {
				readable, _, over, _ := sys.Ready(int(in), -1)
				return readable || over
			})
			if err := refusal(err); err != nil {
				return n, err
			}
		case m.err != nil:
			return n, m.err
		case m.n == 0:
			return n, nil
		}
	}
	return n, nil
}

// errEmpty says that the source is to be waited for.
var errEmpty = errors.New("there is nothing to splice")

// A step is one splice.
type step struct {
	n   int
	err error
}

// try splices once, and returns false if out is to be waited for.
func (m *step) try(src syscall.RawConn, out, size int) bool {
	wait := false
	err := src.Control(func(num uintptr) {
		in := int(num)
		for range 3 {
			m.n, m.err = sys.Splice(in, nil, out, nil, size, unix.SPLICE_F_NONBLOCK|unix.SPLICE_F_MOVE)
			if m.err == nil {
				return
			}
			if !errors.Is(m.err, syscall.EAGAIN) {
				if m.refused() {
					m.err = errPlain
				}
				return
			}
			readable, writable, inOver, outOver := sys.Ready(in, out)
			if !readable && !inOver {
				m.err = errEmpty
				return
			}
			if !writable && !outOver {
				wait = true
				return
			}
		}
		m.err = errPlain // both are ready, and splice says that one isn't
	})
	if err != nil {
		m.err = refusal(err)
		return true
	}
	return !wait
}

// refused says whether the kernel doesn't splice between these two: any other error would be met by reading and writing too, when the bytes have been read.
func (m *step) refused() bool {
	for _, e := range []error{unix.EINVAL, unix.ENOSYS, unix.EOPNOTSUPP, unix.EPERM, unix.EACCES} {
		if errors.Is(m.err, e) {
			return true
		}
	}
	return false
}

// refusal is the error of a side that was closed or timed out. One that can't be waited for is read or written instead.
func refusal(err error) error {
	err = fd.Normalise(err)
	if err == nil || errors.Is(err, os.ErrClosed) || errors.Is(err, os.ErrDeadlineExceeded) {
		return err
	}
	return errPlain
}
