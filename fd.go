//go:build linux

package fildes

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

// An FD owns one descriptor, of whatever kind, and treats it as a stream of bytes.
//
// All methods may be called by several goroutines at once. Calls to Read, ReadContext and ReadVectored of one FD exclude each
// other, each for its whole length, and so do those that write; reading and writing don't exclude each other.
//
// The zero FD and a nil *FD refuse every operation with [os.ErrInvalid], a closed one with [os.ErrClosed]. An FD must not be
// copied. One that is forgotten without Close is closed by the garbage collector, some time later.
type FD struct {
	fd   fd.FD
	name string
	iov  [2][]sys.Iovec // owned by whoever is inside the direction's gate
}

// Adopt makes an FD of a descriptor that was made elsewhere. It takes ownership of the number also when it fails: the caller
// must not use or close it again. The name is for messages.
//
// It sets close-on-exec (fcntl(2), F_SETFD) and sees to it that calls don't block: a pipe, a FIFO, a message queue or a terminal is opened anew
// through /proc/self/fd and put under the same number (dup3(2)), because O_NONBLOCK would be shared with everybody who has the
// old description; anything else has O_NONBLOCK set, which those who share it will notice. Regular files, directories and
// block devices are used as they are, offset included: their calls can't be waited for, and block a thread.
//
// A pipe, FIFO, message queue or terminal that can't be opened anew (no /proc, a process that has changed its user, TIOCEXCL, a pipe whose other
// end is closed, a /dev/tty that would be another terminal) is treated as anything else. What was opened anew has lost a flock(2), O_ASYNC and
// its owner: lock after Adopt, through [FD.Control].
func Adopt(fd int, name string) (*FD, error) {
	f := &FD{name: name}
	if err := f.fd.Adopt(fd); err != nil {
		return nil, f.fail("adopt", err)
	}
	return f, nil
}

// FromFile makes an FD of a duplicate of f's descriptor (fcntl(2), F_DUPFD_CLOEXEC), which it then treats as [Adopt] does. f stays
// the caller's. The two share the offset of a regular file.
func FromFile(f *os.File) (*FD, error) {
	n, err := fd.FromFile(f)
	if err != nil {
		return nil, (&FD{}).fail("from-file", err)
	}
	return Adopt(n, f.Name())
}

// Name is what was given to [Adopt].
func (f *FD) Name() string {
	if f == nil {
		return ""
	}
	return f.name
}

// fail makes an OpError of what the engine or a stream operation returned. op is the system call of an errno.
func (f *FD) fail(op string, err error) error {
	if err == nil {
		return nil
	}
	name := f.Name()
	if e, ok := err.(syscall.Errno); ok {
		err = sys.Error(op, e)
	}
	return NewOpError("fd", op, name, err)
}

var errNoFunction = fmt.Errorf("there is no function to run: %w", os.ErrInvalid)

// engine is safe on a nil FD, whose engine refuses everything.
func (f *FD) engine() *fd.FD {
	if f == nil {
		return nil
	}
	return &f.fd
}

// Close ends the FD and frees the number: close(2), which is never retried.
//
// It wakes every waiting operation, which then fails with [os.ErrClosed], lets the running ones finish and returns when the
// number is free. So it must not be called from within a function that was given to Control, WaitRead, WaitWrite or SyscallConn's
// methods: it would wait for its caller, as [FD.Release] would. A second Close returns [os.ErrClosed].
//
// An error of close(2) itself can be the last news of written data (EIO, ENOSPC, EDQUOT on some file systems); the number is
// free all the same.
func (f *FD) Close() error {
	return f.fail("close", f.engine().Close())
}

// Read is [FD.ReadContext] without a context.
func (f *FD) Read(p []byte) (int, error) { return f.ReadContext(context.Background(), p) }

// ReadContext reads up to len(p) bytes, and waits until there are some: read(2).
//
// At the end of the stream it returns 0 and a bare [io.EOF]; an empty datagram looks the same, so that sockets of datagrams want
// [FD.WaitRead] and recvmsg(2). An empty p gives 0 and nil, without a system call, when it is its turn. A descriptor that can't be polled (a regular file, /dev/zero) is read at once, whatever the context does meanwhile.
//
// A done ctx fails the call before anything is read, with an error that matches ctx.Err() and context.Cause(ctx); so does a read
// deadline that has passed, with [os.ErrDeadlineExceeded], also when data is there.
func (f *FD) ReadContext(ctx context.Context, p []byte) (n int, err error) {
	err = f.engine().Stream(ctx, fd.Read, func(num int) (err error) {
		if len(p) > 0 {
			n, err = sys.Read(num, p)
		}
		return err
	})
	if err != nil {
		return n, f.fail("read", err)
	}
	if n == 0 && len(p) > 0 {
		return 0, io.EOF
	}
	return n, nil
}

// Write is [FD.WriteContext] without a context.
func (f *FD) Write(p []byte) (int, error) { return f.WriteContext(context.Background(), p) }

// WriteContext writes all of p, and waits as often as it must: write(2). If it can't write all, it returns how many bytes it
// wrote and why not: those bytes are gone, and a caller that goes on must go on behind them.
//
// An empty p is handed to the kernel as it is: on some objects it means something (an empty datagram), on most nothing.
//
// A pipe or socket without a reader gives EPIPE; unlike an [os.File], an FD never turns that into the death of the process,
// whatever its number.
func (f *FD) WriteContext(ctx context.Context, p []byte) (n int, err error) {
	err = f.engine().Stream(ctx, fd.Write, func(num int) error {
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
	return n, f.fail("write", err)
}

// ReadVectored reads into the buffers in their order, filling one before the next, and waits until there is something:
// readv(2), once. Empty buffers are passed over; if all are empty it returns 0 and nil without a system call. Beyond the first
// 1,024 (IOV_MAX) buffers that aren't empty nothing is read. Its end of stream and its errors are those of [FD.ReadContext].
func (f *FD) ReadVectored(ctx context.Context, bufs [][]byte) (n int, err error) {
	empty := false
	err = f.engine().Stream(ctx, fd.Read, func(num int) (err error) {
		iov := sys.AppendIovecs(f.iov[fd.Read][:0], bufs, 0)
		if empty = len(iov) == 0; !empty {
			n, err = sys.Readv(num, iov)
		}
		f.keep(fd.Read, iov)
		return err
	})
	if err != nil {
		return n, f.fail("readv", err)
	}
	if n == 0 && !empty {
		return 0, io.EOF
	}
	return n, nil
}

// WriteVectored writes all of the buffers in their order, as if they were one: writev(2), as often as it must, with up to 1,024
// (IOV_MAX) buffers a call. Empty buffers are passed over; if all are empty nothing is written. The slices aren't changed. It
// returns how many bytes it wrote, and if that isn't all, why; see [FD.WriteContext].
func (f *FD) WriteVectored(ctx context.Context, bufs [][]byte) (n int, err error) {
	err = f.engine().Stream(ctx, fd.Write, func(num int) error {
		for {
			iov := sys.AppendIovecs(f.iov[fd.Write][:0], bufs, n)
			if len(iov) == 0 {
				f.keep(fd.Write, iov)
				return nil
			}
			k, err := sys.Writev(num, iov)
			f.keep(fd.Write, iov)
			n += k
			switch {
			case err != nil:
				return err
			case k == 0:
				return io.ErrUnexpectedEOF
			}
		}
	})
	return n, f.fail("writev", err)
}

// keep stores vectors for the next call, without keeping the buffers alive.
func (f *FD) keep(m fd.Mode, iov []sys.Iovec) {
	clear(iov)
	f.iov[m] = iov[:0]
}

// SetDeadline is SetReadDeadline and SetWriteDeadline.
func (f *FD) SetDeadline(t time.Time) error {
	return f.fail("set-deadline", f.engine().SetDeadline(t, fd.Read, fd.Write))
}

// SetReadDeadline makes reads fail with [os.ErrDeadlineExceeded] from t on, those that wait now included. The zero time takes
// the deadline away. A descriptor that can't be polled gives [os.ErrNoDeadline].
func (f *FD) SetReadDeadline(t time.Time) error {
	return f.fail("set-deadline", f.engine().SetDeadline(t, fd.Read))
}

// SetWriteDeadline is SetReadDeadline for writes. A write that is cut short says how many bytes it wrote.
func (f *FD) SetWriteDeadline(t time.Time) error {
	return f.fail("set-deadline", f.engine().SetDeadline(t, fd.Write))
}

// Control runs op once with the number, for one system call that doesn't wait: an ioctl, say. The number is op's until it
// returns; Close waits for it. Several may run at once, beside reads and writes. op's error is returned as it is.
//
// op must not close the descriptor, change its O_NONBLOCK, or call Close or Release.
func (f *FD) Control(op func(fd int) error) error {
	if op == nil {
		return f.fail("control", errNoFunction)
	}
	var own error
	err := f.engine().Control(func(num int) error {
		own = op(num)
		return nil
	})
	if err != nil {
		return f.fail("control", err)
	}
	return own
}

// WaitRead runs op, which makes one non-blocking system call with the number, until it returns anything but a bare
// [syscall.EAGAIN], and between the runs waits until the descriptor is readable. It is for calls other than read(2) that wait for
// input: an ioctl, accept4, recvmsg. op's result is returned as it is; what ends the wait otherwise is an [*OpError].
//
// op may run several times, and beside another goroutine's operation. What it changes through captured variables stays on the
// caller's stack: a wait allocates nothing. op must not call Read, WaitRead, Close or Release of
// the same FD, nor sleep.
//
// A descriptor that can't be polled isn't waited for: WaitRead then returns op's EAGAIN.
func (f *FD) WaitRead(ctx context.Context, op func(fd int) error) error {
	return f.wait(ctx, fd.Read, "wait-read", op)
}

// WaitWrite is WaitRead for calls that wait until the descriptor is writable.
func (f *FD) WaitWrite(ctx context.Context, op func(fd int) error) error {
	return f.wait(ctx, fd.Write, "wait-write", op)
}

func (f *FD) wait(ctx context.Context, m fd.Mode, name string, op func(fd int) error) error {
	if op == nil {
		return f.fail(name, errNoFunction)
	}
	var own error
	err := f.engine().Await(ctx, m, func(num int) error {
		if own = op(num); own == fd.Again {
			return fd.Again
		}
		return nil
	})
	if err == fd.Again {
		return own
	}
	if err != nil {
		return f.fail(name, err)
	}
	return own
}

// SyscallConn lends the descriptor to functions that take a [syscall.Conn]. Its Read and Write wait as FD's do, obey FD's
// deadlines and exclude FD's reads and writes. Close waits for a function that has the number.
func (f *FD) SyscallConn() (syscall.RawConn, error) {
	c, err := f.engine().SyscallConn(f.fail)
	return c, f.fail("syscall-conn", err)
}

// File returns an [os.File] with a duplicate of the descriptor (fcntl(2), F_DUPFD_CLOEXEC). The two share one open file description: the
// offset, and O_NONBLOCK. So the file is non-blocking too; whoever makes it blocking (its Fd method doesn't) does so to the FD
// as well. A child process that is to have the descriptor as its standard input wants [FD.Inherit].
func (f *FD) File() (*os.File, error) {
	file, err := f.engine().File(f.Name())
	return file, f.fail("file", err)
}

// Inherit returns a file for a child's standard input or output or exec.Cmd's ExtraFiles: a blocking description of the same
// object, made by opening /proc/self/fd. Pipes, FIFOs, message queues and terminals have one; regular files, directories and block devices, which
// don't block, are duplicated and share the offset.
//
// Anything else can't be opened anew and gives an error that matches [errors.ErrUnsupported]: a duplicate would hand the child
// EAGAIN.
func (f *FD) Inherit() (*os.File, error) {
	file, err := f.engine().Inherit(f.Name())
	return file, f.fail("inherit", err)
}

// Release ends the FD without closing the descriptor, and returns the number, which is close-on-exec, as blocking as it was here, and the caller's to
// close. It refuses new operations, wakes the waiting ones, which fail with [os.ErrClosed], and waits for those that run.
//
// The number is another one than before if an operation has had to wait or a deadline was set: Go's poller can't let go of a
// number, so that a duplicate is given away. If there is none to be had (EMFILE) the FD stays as it was. It must not be called from within a
// function that has the number: see [FD.Close].
func (f *FD) Release() (int, error) {
	n, err := f.engine().Release()
	return n, f.fail("release", err)
}
