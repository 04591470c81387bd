//go:build linux

package doctor

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes/pipe"
	"github.com/fildes/fildes/splice"
)

var spliceKind = Kind{
	Name:    "splice",
	About:   "moving bytes without copying: splice(2)",
	Sysctls: []string{"fs.pipe-user-pages-soft"},
	Checks: []Check{
		{Name: "splice", What: "move a page from a file into a pipe", Run: spliceSplice},
		{Name: "tee", What: "copy what is in a pipe into another", Run: spliceTee},
		{Name: "vmsplice", What: "hand a page of memory to a pipe", Run: spliceMemory},
		{Name: "sendfile", What: "send a page of a file to a pipe", Run: spliceSendFile},
		{Name: "copy_file_range", What: "copy from file to file", Run: spliceCopyRange},
		{Name: "copy", What: "copy a page from socket to socket", Run: spliceCopy},
	},
}

// page is something to move.
var page = bytes.Repeat([]byte("fildes. "), os.Getpagesize()/8)

// memory makes a file without a place, that has a page. It is open twice: as a file, and as the bare number that the library is compared with.
func (t *Trial) memory() (f *os.File, raw int, err error) {
	raw, err = unix.MemfdCreate("fildes", unix.MFD_CLOEXEC)
	if err = t.own(os.NewSyscallError("memfd_create", err), raw); err != nil {
		return nil, -1, err
	}
	n, err := unix.FcntlInt(uintptr(raw), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, -1, os.NewSyscallError("fcntl", err)
	}
	f = os.NewFile(uintptr(n), "memory")
	t.Cleanup(func() { _ = f.Close() })
	_, err = f.WriteAt(page, 0)
	return f, raw, err
}

// rawWhole is whole for a system call without the library; the page is then read from r, which may be -1.
func rawWhole(n int, err error, r int, buf []byte) error {
	if err := whole(int64(n), err); err != nil || r < 0 {
		return err
	}
	n, err = unix.Read(r, buf)
	return whole(int64(n), err)
}

const rawFlags = unix.SPLICE_F_NONBLOCK | unix.SPLICE_F_MOVE

// pipes makes a pipe that the trial closes.
func (t *Trial) pipes() (*pipe.Reader, *pipe.Writer, error) {
	r, w, err := pipe.New(nil)
	if err == nil {
		t.Cleanup(func() { _, _ = r.Close(), w.Close() })
	}
	return r, w, err
}

// arrives sees that a page comes out of r.
func arrives(r io.Reader, buf []byte) error {
	if _, err := io.ReadFull(r, buf); err != nil {
		return err
	}
	if !bytes.Equal(buf, page) {
		return fmt.Errorf("what arrived isn't what was sent")
	}
	return nil
}

// whole makes an error of a move that was short.
func whole(n int64, err error) error {
	if err != nil {
		return err
	}
	return want("the number of bytes", n, int64(len(page)))
}

func spliceSplice(t *Trial) error {
	f, raw, err := t.memory()
	if err != nil {
		return err
	}
	r, w, err := t.pipes()
	if err != nil {
		return err
	}
	rr, rw, err := t.rawPipe(unix.O_NONBLOCK)
	if err != nil {
		return err
	}
	buf := make([]byte, len(page))
	return t.Measure(func() error {
		at := int64(0)
		if err := whole(splice.Splice(t.ctx, w, f, int64(len(page)), &splice.Options{SrcOffset: &at})); err != nil {
			return err
		}
		return arrives(r, buf)
	}, func() error {
		at := int64(0)
		n, err := unix.Splice(raw, &at, rw, nil, len(page), rawFlags)
		return rawWhole(int(n), err, rr, buf)
	})
}

func spliceTee(t *Trial) error {
	r, w, err := t.pipes()
	if err != nil {
		return err
	}
	other, copied, err := t.pipes()
	if err != nil {
		return err
	}
	if _, err := w.WriteContext(t.ctx, page); err != nil {
		return err
	}
	rr, rw, err := t.rawPipe(unix.O_NONBLOCK)
	if err != nil {
		return err
	}
	ro, rc, err := t.rawPipe(unix.O_NONBLOCK)
	if err != nil {
		return err
	}
	if _, err := unix.Write(rw, page); err != nil {
		return os.NewSyscallError("write", err)
	}
	buf := make([]byte, len(page))
	err = t.Measure(func() error {
		if err := whole(splice.Tee(t.ctx, copied, r, int64(len(page)))); err != nil {
			return err
		}
		return arrives(other, buf)
	}, func() error {
		// x/sys' Tee returns its count shifted on big-endian machines of 32 bits.
		n, _, errno := unix.Syscall6(unix.SYS_TEE, uintptr(rr), uintptr(rc), uintptr(len(page)), unix.SPLICE_F_NONBLOCK, 0, 0)
		if errno != 0 {
			return os.NewSyscallError("tee", errno)
		}
		return rawWhole(int(n), nil, ro, buf)
	})
	if err != nil {
		return err
	}
	t.Step("read what stayed")
	return arrives(r, buf)
}

func spliceMemory(t *Trial) error {
	r, w, err := t.pipes()
	if err != nil {
		return err
	}
	m, err := splice.NewMemory(len(page))
	if err != nil {
		return err
	}
	t.Cleanup(func() { _ = m.Close() })
	buf := make([]byte, len(page))
	return t.Measure(func() error {
		copy(m.Bytes(), page)
		if err := whole(splice.VMSplice(t.ctx, w, []splice.Piece{{Memory: m, N: len(page)}}, nil)); err != nil {
			return err
		}
		clear(m.Bytes()) // which the reader doesn't see
		return arrives(r, buf)
	}, nil)
}

func spliceSendFile(t *Trial) error {
	f, raw, err := t.memory()
	if err != nil {
		return err
	}
	r, w, err := t.pipes()
	if err != nil {
		return err
	}
	rr, rw, err := t.rawPipe(unix.O_NONBLOCK)
	if err != nil {
		return err
	}
	buf := make([]byte, len(page))
	return t.Measure(func() error {
		if err := whole(splice.SendFile(t.ctx, w, f, 0, int64(len(page)))); err != nil {
			return err
		}
		return arrives(r, buf)
	}, func() error {
		at := int64(0)
		n, err := unix.Sendfile(rw, raw, &at, len(page))
		return rawWhole(n, err, rr, buf)
	})
}

func spliceCopyRange(t *Trial) error {
	from, rawFrom, err := t.memory()
	if err != nil {
		return err
	}
	to, rawTo, err := t.memory()
	if err != nil {
		return err
	}
	return t.Measure(func() error {
		return whole(splice.CopyFileRange(t.ctx, to, 0, from, 0, int64(len(page))))
	}, func() error {
		var a, b int64
		n, err := unix.CopyFileRange(rawFrom, &a, rawTo, &b, len(page), 0)
		return rawWhole(n, err, -1, nil)
	})
}

// spliceCopy says how a copy between two sockets went, where it wasn't by splice.
func spliceCopy(t *Trial) error {
	buf := make([]byte, len(page))
	return t.Sample(func() (d time.Duration, err error) {
		in, feed, err := socketPair()
		if err != nil {
			return 0, err
		}
		out, sink, err := socketPair()
		if err != nil {
			return 0, errors.Join(err, in.Close(), feed.Close())
		}
		defer func() { _, _, _ = in.Close(), out.Close(), sink.Close() }()
		if _, err := feed.Write(page); err != nil {
			return 0, errors.Join(err, feed.Close())
		}
		if err := feed.Close(); err != nil {
			return 0, err
		}
		start := time.Now()
		c, err := splice.Copy(t.ctx, out, in)
		d = time.Since(start)
		if err := whole(c.Bytes, err); err != nil {
			return 0, err
		}
		if err := arrives(sink, buf); err != nil {
			return 0, err
		}
		return d, want("the way", c.Way, splice.ThroughPipe)
	}, nil)
}

func socketPair() (a, b *os.File, err error) {
	p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	return os.NewFile(uintptr(p[0]), "socket"), os.NewFile(uintptr(p[1]), "socket"), nil
}
