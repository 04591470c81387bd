//go:build linux

package pipe

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/fildes/fildes/internal/fd"
	"github.com/fildes/fildes/internal/sys"
)

// A Writer is the end of a pipe or a FIFO that is written to, or the standard output or error.
//
// All methods may be called by several goroutines at once; calls that write exclude each other, so that what one writes isn't in
// pieces. The zero Writer and a nil *Writer refuse every operation with [os.ErrInvalid], a closed one with [os.ErrClosed]. A Writer must not be
// copied. One that is forgotten without Close is closed by the garbage collector, some time later; the FIFO that it was to remove is then left.
type Writer struct {
	e       end
	broken  func(rest []byte) (int, error) // of a standard stream: ends the program, or writes the rest
	lenient atomic.Bool                    // a broken standard stream doesn't end the program
}

// end is safe on a nil Writer.
func (w *Writer) end() *end {
	if w == nil {
		return nil
	}
	return &w.e
}

// Name is the path, or a name for messages.
func (w *Writer) Name() string {
	if w == nil {
		return ""
	}
	return w.e.name
}

// Write is [Writer.WriteContext] without a context.
func (w *Writer) Write(p []byte) (int, error) {
	if w.enter(p) { // as in WriteContext: to call that would cost as much as all else here
		n, e := sys.WriteOnce(w.e.fd.Num(), p)
		if w.e.fd.Leave(fd.Write); e == 0 {
			return int(n), nil
		}
	}
	return w.writeSlow(context.Background(), p)
}

// WriteContext writes all of p, and waits as often as it must: write(2). If it can't write all, it returns how many bytes it wrote and
// why not; those bytes are in the pipe.
//
// Up to PIPE_BUF (4,096) bytes are written at once or not at all, also where other processes write. Longer ones are in pieces between which other
// processes' may come, though not those of this Writer. In packet mode p is one packet, and as many as it takes if it is longer than a page. An empty p writes nothing.
//
// Without a reader it fails with EPIPE ([syscall.EPIPE]), which doesn't end the program, but for [Stdout]'s and [Stderr]'s. After Close it is
// [os.ErrClosed]. A done ctx fails the call before anything is written, with an error that matches ctx.Err() and context.Cause(ctx).
func (w *Writer) WriteContext(ctx context.Context, p []byte) (int, error) {
	if ctx != nil && ctx.Err() == nil && w.enter(p) {
		n, e := sys.WriteOnce(w.e.fd.Num(), p)
		if w.e.fd.Leave(fd.Write); e == 0 {
			return int(n), nil
		}
	}
	return w.writeSlow(ctx, p)
}

// enter says whether the fast path is open: one system call, which a pipe does in whole or not at all, and after which Leave must follow.
func (w *Writer) enter(p []byte) bool {
	return w != nil && 0 < len(p) && len(p) <= pipeBuf && !w.e.other && w.e.fd.Enter(fd.Write)
}

func (w *Writer) writeSlow(ctx context.Context, p []byte) (n int, err error) {
	err = w.end().engine().Stream(ctx, fd.Write, func(num int) error {
		for {
			k, err := sys.Write(num, p[n:])
			n += k
			switch {
			case err != nil:
				return err
			case n == len(p):
				return nil
			case k == 0:
				return io.ErrUnexpectedEOF
			}
		}
	})
	if err == nil {
		return n, nil
	}
	return w.failed("write", n, [][]byte{p}, err)
}

// WriteVectored writes all of the buffers in their order, as if they were one: writev(2), as often as it must, with up to 1,024 (IOV_MAX) buffers a
// call. Empty buffers are passed over. The slices aren't changed. What [Writer.WriteContext] says of one buffer holds for all of them together, if they are up to 1,024.
func (w *Writer) WriteVectored(ctx context.Context, bufs [][]byte) (n int, err error) {
	err = w.end().engine().Stream(ctx, fd.Write, func(num int) error {
		for {
			iov := sys.AppendIovecs(w.e.iov[:0], bufs, n)
			if len(iov) == 0 {
				w.e.keep(iov)
				return nil
			}
			k, err := sys.Writev(num, iov)
			w.e.keep(iov)
			n += k
			switch {
			case err != nil:
				return err
			case k == 0:
				return io.ErrUnexpectedEOF
			}
		}
	})
	if err == nil {
		return n, nil
	}
	return w.failed("writev", n, bufs, err)
}

// pipeBuf (PIPE_BUF) bytes are written all at once or not at all.
const pipeBuf = 4096

// failed is the result of a write that has written n bytes of bufs.
func (w *Writer) failed(op string, n int, bufs [][]byte, err error) (int, error) {
	if w != nil && w.broken != nil && !w.lenient.Load() && errors.Is(err, syscall.EPIPE) {
		k := 0
		k, err = w.broken(bytes.Join(bufs, nil)[n:])
		n += k
	}
	return n, w.end().fail(op, err)
}

// SetDeadline is SetWriteDeadline.
func (w *Writer) SetDeadline(t time.Time) error { return w.SetWriteDeadline(t) }

// SetWriteDeadline makes writes fail with [os.ErrDeadlineExceeded] from t on, those that wait now included; one that is cut short says how
// many bytes it wrote. The zero time takes the deadline away. A standard output that can't be polled (a regular file) gives [os.ErrNoDeadline].
func (w *Writer) SetWriteDeadline(t time.Time) error { return w.end().setDeadline(t, fd.Write) }

// Packet says whether the Writer is in packet mode.
func (w *Writer) Packet() bool { return w != nil && w.e.packet }

// Buffered is how many bytes are in the pipe, unread: see [Reader.Buffered].
func (w *Writer) Buffered() (int, error) { return w.end().buffered() }

// Size is how many bytes the pipe can hold: see [Reader.Size].
func (w *Writer) Size() (int, error) { return w.end().size() }

// SetSize makes the pipe hold at least n bytes, for everybody who has it, and returns how many it holds then, which is a power of
// two of pages: fcntl(F_SETPIPE_SZ).
//
// EPERM says that n is more than the sysctl fs.pipe-max-size, or that the pipes of this user would have more pages than
// fs.pipe-user-pages-soft or -hard; the error has their values, and who has CAP_SYS_RESOURCE may exceed them. EBUSY says that the pipe holds more than
// would fit.
func (w *Writer) SetSize(n int) (int, error) { return w.end().setSize(n) }

// Close ends the Writer: close(2). It wakes whoever waits, who then fails with [os.ErrClosed], and returns when the number is free. A
// second Close returns [os.ErrClosed]. The other side reads what is left, and the end of the stream when no other writer is left. It removes the FIFO where
// [OpenOptions].RemoveOnClose says so, and its error may be of that.
func (w *Writer) Close() error { return w.end().close() }

// SyscallConn lends the descriptor out: see [fildes.FD.SyscallConn].
func (w *Writer) SyscallConn() (syscall.RawConn, error) { return w.end().syscallConn() }

// File returns a duplicate of the descriptor, which shares the description and so O_NONBLOCK: see [fildes.FD.File]. A child wants
// [Writer.Inherit].
func (w *Writer) File() (*os.File, error) { return w.end().file() }

// Inherit returns a file for a child's standard output or exec.Cmd's ExtraFiles: a blocking description of the same end, made by opening
// /proc/self/fd; the Writer stays as it was. Whoever starts the child closes the file afterwards, and the Writer, or the Reader will never come to the
// end. Without a reader it fails with ENXIO.
func (w *Writer) Inherit() (*os.File, error) { return w.end().inherit() }

// Release ends the Writer without closing the descriptor, and returns its number: see [fildes.FD.Release]. A FIFO stays where it is.
func (w *Writer) Release() (int, error) { return w.end().release() }
