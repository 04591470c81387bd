//go:build linux

package splice

import (
	"context"
	"errors"
	"io"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes/internal/sys"
)

// A Way is how bytes were moved.
type Way uint8

// The ways, from the one that does the most work for the program to the one that does the least.
const (
	Nothing       Way = iota // nothing was moved
	ReadWrite                // read(2) and write(2), through the program's memory
	ThroughPipe              // splice(2) from the source into a pipe of this package, and from there to the destination
	Direct                   // splice(2) from one end to the other, one of which is a pipe
	SentFile                 // sendfile(2)
	CopiedInRange            // copy_file_range(2)
)

// String is the name of the way, in the words of the system calls.
func (w Way) String() string {
	names := [...]string{"nothing", "read and write", "splice through a pipe", "splice", "sendfile", "copy_file_range"}
	if int(w) < len(names) {
		return names[w]
	}
	return "Way(" + strconv.Itoa(int(w)) + ")"
}

// A Copied is what became of a [Copy].
type Copied struct {
	// Bytes is how many bytes dst took.
	Bytes int64
	// Way is how they were moved, the last of them if several ways were gone.
	Way Way
	// Unsent are the bytes that were taken out of src and that dst didn't take, in their order: they are the caller's to deliver. There are none
	// unless Copy failed.
	Unsent []byte
}

// Copy moves all that src gives, to its end, to dst, by the best way there is between the two, and says which way that was. It waits
// for either, and returns nil when src has ended. Files are read and written at their own offsets, which move.
//
// Between regular files that is copy_file_range(2), from a file to anything else sendfile(2), to or from a pipe splice(2), and else splice through a pipe that Copy
// keeps for that purpose. Where the kernel refuses a way, the next one is tried, down to read(2) and write(2), without losing a byte.
//
// Where Copy fails, bytes may have left src that dst didn't take: they are in the result. ctx and ends that block are treated as by
// [Splice], but that ends which block and are sockets don't keep a thread. A socket of datagrams or of records
// as a source is refused with [os.ErrInvalid]: they would be cut. Descriptors that come with the bytes of a Unix socket (SCM_RIGHTS) are closed by the
// kernel.
func Copy(ctx context.Context, dst, src syscall.Conn) (Copied, error) {
	p, err := beginKnowing(ctx, dst, src, 0)
	if err != nil {
		return Copied{}, fail("copy", "", err)
	}
	defer p.close()
	c := &copying{pair: p}
	call, err := c.run(ctx)
	return Copied{c.sent.Load(), c.way, c.unsent}, fail("copy", call, err)
}

// copying is a Copy, or one direction of a Relay.
type copying struct {
	*pair
	sent   atomic.Int64
	way    Way
	unsent []byte

	spare *spare // with what is on its way
	last  int    // what the last system call moved

	delivering bool // the last system call was about dst alone
}

func (c *copying) moved(n int64, w Way) {
	if n > 0 {
		c.sent.Add(n)
		c.way = w
	}
}

// all is as much as there is.
const all = 1<<63 - 1

// run goes down the ladder. It returns the system call in which an errno was refused.
func (c *copying) run(ctx context.Context) (string, error) {
	if c.src.kind == unix.S_IFSOCK {
		err := c.src.lend(func(num int) error {
			if !sys.IsStream(num) {
				return errRecords
			}
			return nil
		})
		if err != nil {
			return "", err
		}
	}
	regular := c.src.kind == unix.S_IFREG
	if regular && c.dst.kind == unix.S_IFREG {
		c.progress = func(n int) { c.moved(int64(n), CopiedInRange) }
		n, err := c.copyRange(ctx, nil, nil, all)
		if done, err := finished(n, err); done {
			return "copy_file_range", err
		}
	}
	if c.src.blocks && c.src.kind == unix.S_IFSOCK || c.dst.blocks && c.dst.kind == unix.S_IFSOCK {
		return c.readWrite(ctx) // all else would keep a thread
	}
	if pipe := uint32(unix.S_IFIFO); c.src.kind == pipe || c.dst.kind == pipe {
		c.progress = func(n int) { c.moved(int64(n), Direct) }
		n, err := c.move(ctx, all, func(d, s, n int) (int, error) { return sys.Splice(s, nil, d, nil, n, spliceFlags) })
		if done, err := finished(n, err); done {
			return "splice", err
		}
		return c.readWrite(ctx)
	}
	if regular || c.src.kind == unix.S_IFBLK {
		c.progress = func(n int) { c.moved(int64(n), SentFile) }
		n, call, err := c.sendFile(ctx, nil, all)
		if done, err := finished(n, err); done {
			return call, err
		}
		return c.readWrite(ctx)
	}
	if done, call, err := c.throughPipe(ctx); done {
		return call, err
	}
	return c.readWrite(ctx)
}

// finished says whether a way came to an end, or to an error that the other ways would meet too. An end at once isn't believed: the
// kernel says it of files whose size it doesn't know, such as those of /proc.
func finished(n int64, err error) (bool, error) {
	switch {
	case errors.Is(err, io.EOF):
		return n > 0, nil
	case refused(err):
		return false, nil
	}
	return true, err
}

// refused says whether an error is about the way, and not about the ends. Where it was about the ends after all, reading and writing will meet it.
func refused(err error) bool {
	e, ok := err.(syscall.Errno)
	if !ok {
		return false
	}
	switch e {
	case unix.EINVAL, unix.ENOSYS, unix.EOPNOTSUPP, unix.EXDEV, unix.EBADF, unix.EPERM, unix.EACCES, unix.ETXTBSY, unix.EIO, unix.ENODEV,
		unix.EOVERFLOW, unix.ENOMEM, unix.ESPIPE, unix.ENXIO:
		return true
	}
	return false
}

// throughPipe moves bytes by way of a spare pipe, which it has only while there are bytes in it. It says whether the copy is over.
func (c *copying) throughPipe(ctx context.Context) (bool, string, error) {
	take, deliver := c.take, c.deliver // made once, as those of an end
	for {
		c.delivering = false
		err := c.src.run(ctx, take)
		switch {
		case refused(err), errors.Is(err, errNoSpare):
			return false, "", nil
		case err != nil || c.last == 0:
			return true, "splice", err
		}
		for err == nil && c.spare.inUse > 0 {
			c.last, c.delivering = 0, true
			err = c.dst.run(ctx, deliver)
			c.moved(int64(c.last), ThroughPipe)
			if err == nil && c.last == 0 {
				err = io.ErrUnexpectedEOF
			}
		}
		p := c.spare
		c.spare = nil
		if err != nil {
			rest, rerr := p.rest()
			c.unsent = rest
			putSpare(p)
			if rerr != nil {
				return true, "read", rerr
			}
			if !refused(err) {
				return true, "splice", err
			}
			if call, err := c.write(ctx, rest); err != nil {
				return true, call, err
			}
			return false, "", nil
		}
		putSpare(p)
	}
}

var errNoSpare = errors.New("there is no pipe to be had")

// take fills a spare with bytes of src, or leaves c.last at 0 at its end.
func (c *copying) take(src int) (err error) {
	c.last = 0
	if err := c.src.look(src); err != nil {
		return err
	}
	p := getSpare()
	if p == nil {
		return errNoSpare
	}
	if c.last, err = p.fill(src, p.room); c.last == 0 {
		putSpare(p)
	} else {
		c.spare = p
	}
	return err
}

// deliver moves bytes of the spare to dst.
func (c *copying) deliver(dst int) (err error) {
	if err := c.dst.look(dst); err != nil {
		return err
	}
	c.last, err = c.spare.drain(dst, 0)
	return err
}

const bufBytes = 64 << 10

var buffers = sync.Pool{New: func() any { return new([bufBytes]byte) }}

// readWrite moves the rest through the program's memory.
func (c *copying) readWrite(ctx context.Context) (string, error) {
	buf := buffers.Get().(*[bufBytes]byte)
	defer buffers.Put(buf)
	for {
		var n int
		c.delivering = false
		err := c.src.run(ctx, func(s int) (err error) {
			n, err = c.src.read(s, buf[:])
			return err
		})
		if err != nil || n == 0 {
			return "read", err
		}
		if call, err := c.write(ctx, buf[:n]); err != nil {
			return call, err
		}
	}
}

// write writes all of b, and keeps what dst didn't take for the caller.
func (c *copying) write(ctx context.Context, b []byte) (string, error) {
	for len(b) > 0 {
		var k int
		c.delivering = true
		err := c.dst.run(ctx, func(d int) (err error) {
			k, err = c.dst.write(d, b)
			return err
		})
		c.moved(int64(k), ReadWrite)
		b = b[k:]
		if err == nil && k == 0 {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			c.unsent = append([]byte(nil), b...)
			return "write", err
		}
	}
	c.unsent = nil
	return "", nil
}

// pipeBuf (PIPE_BUF) is what a pipe that says that it can be written takes without waiting.
const pipeBuf = 4096

// read reads without waiting.
func (e *end) read(num int, p []byte) (int, error) {
	if !e.blocks {
		return sys.Read(num, p)
	}
	if e.kind == unix.S_IFSOCK {
		return sys.ReceiveNow(num, p)
	}
	if err := e.look(num); err != nil {
		return 0, err
	}
	return sys.Read(num, p)
}

// write writes without waiting, as far as the kind of descriptor lets it.
func (e *end) write(num int, p []byte) (int, error) {
	if !e.blocks {
		return sys.Write(num, p)
	}
	if e.kind == unix.S_IFSOCK {
		return sys.SendNow(num, p)
	}
	if err := e.look(num); err != nil {
		return 0, err
	}
	return sys.Write(num, p[:min(len(p), pipeBuf)])
}
