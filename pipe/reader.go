//go:build linux

package pipe

import (
	"context"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"

	"github.com/fildes/fildes/internal/fd"
	"github.com/fildes/fildes/internal/sys"
)

// A Reader is the end of a pipe or a FIFO that is read from, or the standard input.
//
// All methods may be called by several goroutines at once; calls that read exclude each other. The zero Reader and a nil *Reader
// refuse every operation with [os.ErrInvalid], a closed one with [os.ErrClosed]. A Reader must not be copied. One that is forgotten without
// Close is closed by the garbage collector, some time later; the FIFO that it was to remove is then left.
type Reader struct {
	e     end
	spill []byte // takes the rest of a packet; owned by whoever is inside the gate
}

// end is safe on a nil Reader.
func (r *Reader) end() *end {
	if r == nil {
		return nil
	}
	return &r.e
}

// Name is the path, or a name for messages.
func (r *Reader) Name() string {
	if r == nil {
		return ""
	}
	return r.e.name
}

// Read is [Reader.ReadContext] without a context.
func (r *Reader) Read(p []byte) (int, error) {
	if r.enter(p) { // as in ReadContext: to call that would cost as much as all else here
		n, e := sys.ReadOnce(r.e.fd.Num(), p)
		if r.e.fd.Leave(fd.Read); e == 0 {
			return count(n)
		}
	}
	return r.readSlow(context.Background(), p)
}

// ReadContext reads up to len(p) bytes, and waits until there are some: read(2).
//
// When all is read and nobody has the other end open any more it returns 0 and a bare [io.EOF]. It may go on afterwards, if somebody opens the FIFO
// anew; until then each call returns io.EOF at once, so that a loop that doesn't stop there spins ([OpenOptions].Survive is for
// such loops). After Close it is [os.ErrClosed]. An empty p gives 0 and nil, without a system call.
//
// In packet mode it reads one packet. If p is too short for it the rest is lost, as the kernel has it, and the error, beside the bytes that were read, is a [*TruncatedError],
// which matches [io.ErrShortBuffer]: so p had better be a page.
//
// A done ctx fails the call before anything is read, with an error that matches ctx.Err() and context.Cause(ctx); so does a read
// deadline that has passed, with [os.ErrDeadlineExceeded], also when data is there.
func (r *Reader) ReadContext(ctx context.Context, p []byte) (int, error) {
	if ctx != nil && ctx.Err() == nil && r.enter(p) {
		n, e := sys.ReadOnce(r.e.fd.Num(), p)
		if r.e.fd.Leave(fd.Read); e == 0 {
			return count(n)
		}
	}
	return r.readSlow(ctx, p)
}

// enter says whether the fast path is open: one system call, after which Leave must follow.
func (r *Reader) enter(p []byte) bool {
	return r != nil && len(p) > 0 && !r.e.packet && r.e.fd.Enter(fd.Read)
}

// count is the result of a read of at least one byte.
func count(n uintptr) (int, error) {
	if n == 0 {
		return 0, io.EOF
	}
	return int(n), nil
}

func (r *Reader) readSlow(ctx context.Context, p []byte) (n int, err error) {
	if r != nil && r.e.packet && len(p) > 0 && len(p) < pageSize {
		return r.readPacket(ctx, "read", [][]byte{p})
	}
	err = r.end().engine().Stream(ctx, fd.Read, func(num int) (err error) {
		if len(p) > 0 {
			n, err = sys.Read(num, p)
		}
		return err
	})
	if err != nil {
		return n, r.end().fail("read", err)
	}
	if n == 0 && len(p) > 0 {
		return 0, io.EOF
	}
	return n, nil
}

// ReadVectored reads into the buffers in their order, filling one before the next, and waits until there is something: readv(2), once. Empty buffers
// are passed over; if all are empty it returns 0 and nil. Beyond the first 1,024 (IOV_MAX; in packet mode 1,023) buffers that aren't empty
// nothing is read. Its results are else those of [Reader.ReadContext].
func (r *Reader) ReadVectored(ctx context.Context, bufs [][]byte) (n int, err error) {
	if r != nil && r.e.packet {
		return r.readPacket(ctx, "readv", bufs)
	}
	empty := false
	err = r.end().engine().Stream(ctx, fd.Read, func(num int) (err error) {
		iov := sys.AppendIovecs(r.e.iov[:0], bufs, 0)
		if empty = len(iov) == 0; !empty {
			n, err = sys.Readv(num, iov)
		}
		r.e.keep(iov)
		return err
	})
	if err != nil {
		return n, r.end().fail("readv", err)
	}
	if n == 0 && !empty {
		return 0, io.EOF
	}
	return n, nil
}

// pageSize is the most that a packet has.
var pageSize = os.Getpagesize()

// readPacket reads a packet into bufs and, so that its length is known, what doesn't fit into the spill.
func (r *Reader) readPacket(ctx context.Context, op string, bufs [][]byte) (n int, err error) {
	room := 0
	err = r.e.fd.Stream(ctx, fd.Read, func(num int) (err error) {
		if r.spill == nil {
			r.spill = make([]byte, pageSize)
		}
		iov := sys.AppendIovecs(r.e.iov[:0], bufs, 0)
		iov = iov[:min(len(iov), sys.MaxIovecs-1)]
		room = 0
		for i := range iov {
			room += int(iov[i].Len)
		}
		if room > 0 {
			iov = sys.AppendIovecs(iov, [][]byte{r.spill}, 0)
			n, err = sys.Readv(num, iov)
		}
		r.e.keep(iov)
		return err
	})
	switch {
	case err != nil:
		return n, r.e.fail(op, err)
	case n > room:
		return room, r.e.fail(op, &TruncatedError{Length: n, Read: room})
	case n == 0 && room > 0:
		return 0, io.EOF
	}
	return n, nil
}

// A TruncatedError says that a packet was longer than the buffer, and that its end is lost. It matches [io.ErrShortBuffer].
type TruncatedError struct {
	// Length is how long the packet was.
	Length int
	// Read is how much of it was read.
	Read int
}

// Error says how much was lost.
func (e *TruncatedError) Error() string {
	return fmt.Sprintf("a packet of %d bytes was cut to the buffer's %d: %v", e.Length, e.Read, io.ErrShortBuffer)
}

// Unwrap returns [io.ErrShortBuffer].
func (e *TruncatedError) Unwrap() error { return io.ErrShortBuffer }

// SetDeadline is SetReadDeadline.
func (r *Reader) SetDeadline(t time.Time) error { return r.SetReadDeadline(t) }

// SetReadDeadline makes reads fail with [os.ErrDeadlineExceeded] from t on, those that wait now included. The zero time takes the
// deadline away. A standard input that can't be polled (a regular file) gives [os.ErrNoDeadline].
func (r *Reader) SetReadDeadline(t time.Time) error { return r.end().setDeadline(t, fd.Read) }

// Packet says whether the Reader is in packet mode.
func (r *Reader) Packet() bool { return r != nil && r.e.packet }

// Buffered is how many bytes are waiting to be read, in packet mode those of all packets: ioctl(FIONREAD). By the time that it is known others may
// have changed it.
func (r *Reader) Buffered() (int, error) { return r.end().buffered() }

// Size is how many bytes the pipe can hold: fcntl(F_GETPIPE_SZ). It counts pages, and a page may be used for less than its size: each write in
// packet mode takes one for itself.
func (r *Reader) Size() (int, error) { return r.end().size() }

// SetSize is [Writer.SetSize], and changes the same pipe.
func (r *Reader) SetSize(n int) (int, error) { return r.end().setSize(n) }

// Close ends the Reader: close(2). It wakes whoever waits, who then fails with [os.ErrClosed], and returns when the number is free. A
// second Close returns [os.ErrClosed]. With the last reader, who writes gets EPIPE, and what was unread is lost. It removes the FIFO where
// [OpenOptions].RemoveOnClose says so, and its error may be of that.
func (r *Reader) Close() error { return r.end().close() }

// SyscallConn lends the descriptor out: see [fildes.FD.SyscallConn].
func (r *Reader) SyscallConn() (syscall.RawConn, error) { return r.end().syscallConn() }

// File returns a duplicate of the descriptor, which shares the description and so O_NONBLOCK: see [fildes.FD.File]. A child wants
// [Reader.Inherit].
func (r *Reader) File() (*os.File, error) { return r.end().file() }

// Inherit returns a file for a child's standard input or exec.Cmd's ExtraFiles: a blocking description of the same end, made by opening
// /proc/self/fd; the Reader stays as it was. Whoever starts the child closes the file afterwards, and the Reader, if the child is to have all that is
// written. The end of the child's input comes when all Writers are closed, those of other children included. A FIFO that was opened with Survive
// makes the child hold its other end too.
func (r *Reader) Inherit() (*os.File, error) { return r.end().inherit() }

// Release ends the Reader without closing the descriptor, and returns its number: see [fildes.FD.Release]. A FIFO stays where it is.
func (r *Reader) Release() (int, error) { return r.end().release() }
