//go:build linux

package pipe

import (
	"context"
	"errors"
	"os"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes"
	"github.com/fildes/fildes/internal/fd"
	"github.com/fildes/fildes/internal/sys"
)

// New makes a pipe: pipe2(2), close-on-exec and non-blocking.
//
// It fails with EMFILE or ENFILE at the limit on descriptors, and with what [Writer.SetSize] says if Size can't be had. Without Size, a user whose pipes have more pages
// than the sysctl fs.pipe-user-pages-soft gets smaller ones: [Reader.Size] tells.
func New(opts *Options) (*Reader, *Writer, error) {
	var o Options
	if opts != nil {
		o = *opts
	}
	if o.Size < 0 {
		return nil, nil, fail("new", "", errSize)
	}
	in, out, err := sys.Pipe(o.Packet)
	if err != nil {
		if o.Packet && errors.Is(err, unix.EINVAL) {
			err = &fildes.UnsupportedError{Feature: "O_DIRECT of pipe2", Since: "3.4", Err: err}
		}
		return nil, nil, fail("new", "", err)
	}
	r, w := new(Reader), new(Writer)
	r.e.packet, w.e.packet = o.Packet, o.Packet
	r.e.fd.Init(in, false)
	w.e.fd.Init(out, false)
	if o.Size > 0 {
		if _, err := w.SetSize(o.Size); err != nil {
			_, _ = r.Close(), w.Close()
			return nil, nil, err
		}
	}
	return r, w, nil
}

// ReaderFromFile makes a Reader of a duplicate of f's descriptor: of the end of a pipe or a FIFO that was inherited, received or made elsewhere.
// f stays the caller's. The pipe is opened anew through /proc/self/fd, so that O_NONBLOCK stays as it is for everybody who has the old description;
// where that can't be (no /proc, a process that has changed its user) it is set for all of them.
//
// Anything else than a pipe or a FIFO is refused with [os.ErrInvalid], and so is an end that can't be read.
func ReaderFromFile(f *os.File) (*Reader, error) {
	r := new(Reader)
	if err := r.e.fromFile(f, unix.O_RDONLY); err != nil {
		return nil, fail("from-file", r.e.name, err)
	}
	return r, nil
}

// WriterFromFile is [ReaderFromFile] for the end that is written to.
func WriterFromFile(f *os.File) (*Writer, error) {
	w := new(Writer)
	if err := w.e.fromFile(f, unix.O_WRONLY); err != nil {
		return nil, fail("from-file", w.e.name, err)
	}
	return w, nil
}

func (e *end) fromFile(f *os.File, mode int) error {
	num, err := fd.FromFile(f)
	if err != nil {
		return err
	}
	e.name = f.Name()
	typ, err := sys.FileType(num)
	if err == nil && typ != unix.S_IFIFO {
		err = errNotPipe
	}
	if err == nil {
		err = checkMode(num, mode)
	}
	if err != nil {
		_ = sys.Close(num)
		return err
	}
	if own, err := reopenPipe(num, mode); err == nil {
		_ = sys.Close(num)
		return e.adopt(own, false)
	}
	if err := sys.SetNonblocking(num, true); err != nil {
		_ = sys.Close(num)
		return err
	}
	return e.adopt(num, true)
}

// checkMode refuses a descriptor that isn't open for reading, or for writing.
func checkMode(num, mode int) error {
	flags, err := sys.StatusFlags(num)
	if err != nil {
		return err
	}
	if m := flags & unix.O_ACCMODE; flags&unix.O_PATH != 0 || m != mode && m != unix.O_RDWR {
		if mode == unix.O_RDONLY {
			return errNotReadable
		}
		return errNotWritable
	}
	return nil
}

// reopenPipe makes a description of our own, which reads or writes only, of a pipe or a FIFO.
func reopenPipe(num, mode int) (int, error) {
	flags, err := sys.StatusFlags(num)
	if err != nil {
		return -1, err
	}
	own, err := sys.ReopenPipe(num, mode|unix.O_NONBLOCK|flags&unix.O_DIRECT)
	if mode == unix.O_RDONLY || !errors.Is(err, unix.ENXIO) {
		return own, err
	}
	// Nobody reads any more, which a write is to tell, and not an open: for a moment we do.
	err = pretend(context.Background(), nil, num, func() (err error) {
		own, err = sys.ReopenPipe(num, mode|unix.O_NONBLOCK|flags&unix.O_DIRECT)
		return err
	})
	return own, err
}

var (
	errNotPipe     error = invalid("it is neither a pipe nor a FIFO")
	errNotReadable error = invalid("it isn't open for reading")
	errNotWritable error = invalid("it isn't open for writing")
)
