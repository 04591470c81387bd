//go:build linux

package mqueue

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes"
	"github.com/fildes/fildes/internal/fd"
	"github.com/fildes/fildes/internal/sys"
)

// A handle is what Sender, Receiver and Queue have in common. All its methods may be called on nil.
type handle struct {
	fd   fd.FD
	name string
	size int // the most that a message has, which never changes
	id   sys.Identity
}

// open opens or makes the queue, for an access mode.
func (h *handle) open(name string, mode int, opts *Options) error {
	var o Options
	if opts != nil {
		o = *opts
	}
	h.name = name
	err := o.check()
	if err == nil {
		err = checkName(name)
	}
	if err != nil {
		return h.fail("open", err)
	}
	num, err := o.open(name, mode)
	if err == nil {
		if err = h.know(num); err != nil {
			_ = sys.Close(num)
		}
	}
	if err != nil {
		return h.fail("open", supported(err))
	}
	h.fd.Init(num, false)
	return nil
}

// adopt makes h of a duplicate of somebody's descriptor.
func (h *handle) adopt(f *os.File, mode int) error {
	num, err := fd.FromFile(f)
	if err != nil {
		return h.fail("from-file", err)
	}
	flags, err := sys.StatusFlags(num)
	if err == nil {
		err = h.know(num)
	}
	if err == nil {
		if m := flags & unix.O_ACCMODE; m != mode && m != unix.O_RDWR {
			err = errDirection
		}
	}
	if err != nil {
		_ = sys.Close(num)
		return h.fail("from-file", err)
	}
	if link, err := os.Readlink(sys.ProcPath(num)); err == nil {
		h.name = "/" + path.Base(strings.TrimSuffix(link, " (deleted)")) // it may have been opened by a path below a mount
	}
	return h.fail("from-file", h.fd.Adopt(num))
}

// know asks for what doesn't change of a queue.
func (h *handle) know(num int) error {
	attr, err := sys.QueueAttributes(num)
	if err == nil {
		h.id, err = sys.IdentityOf(num)
	}
	h.size = attr.MessageSize
	if errors.Is(err, unix.EBADF) {
		return errNoQueue
	}
	return err
}

type invalid string

func (e invalid) Error() string { return string(e) }
func (invalid) Unwrap() error   { return os.ErrInvalid }

var (
	errNoQueue   error = invalid("the descriptor isn't a message queue")
	errDirection error = invalid("the descriptor isn't open for that direction")
	errPriority  error = invalid("priorities are from 0 to 32767")
)

// supported says of a kernel without queues that it is one.
func supported(err error) error {
	if errors.Is(err, unix.ENOSYS) {
		return &fildes.UnsupportedError{Feature: "mq_open (CONFIG_POSIX_MQUEUE)", Err: err}
	}
	return err
}

// fail makes the error of a method; it returns nil for nil.
//
//go:noinline
func (h *handle) fail(op string, err error) error {
	if h == nil {
		return fail(op, "", err)
	}
	return fail(op, h.name, err)
}

func fail(op, name string, err error) error {
	if err == nil {
		return nil
	}
	if e, ok := err.(syscall.Errno); ok {
		call := "mq_timedreceive"
		switch {
		case strings.HasSuffix(op, "send"):
			call = "mq_timedsend"
		case op == "wait":
			call = "read"
		}
		err = sys.Error(call, e)
	}
	return fildes.NewOpError("mqueue", op, name, err)
}

// A SizeError says that a message is longer than the queue allows, or that a buffer is too small for what the queue allows, in which case nothing has been received. It matches EMSGSIZE, and
// of a buffer [io.ErrShortBuffer].
type SizeError struct {
	// Size is the length of the message or the buffer.
	Size int
	// MessageSize is what the queue allows, and what a buffer needs.
	MessageSize int
	// Buffer says that it is about a buffer.
	Buffer bool
}

// Error says both sizes.
func (e *SizeError) Error() string {
	if e.Buffer {
		return fmt.Sprintf("a buffer of %d bytes is too small: messages have up to %d", e.Size, e.MessageSize)
	}
	return fmt.Sprintf("a message of %d bytes is too long: the queue takes up to %d", e.Size, e.MessageSize)
}

// Unwrap returns EMSGSIZE and, of a buffer, [io.ErrShortBuffer].
func (e *SizeError) Unwrap() []error {
	if e.Buffer {
		return []error{unix.EMSGSIZE, io.ErrShortBuffer}
	}
	return []error{unix.EMSGSIZE}
}

func (h *handle) engine() *fd.FD {
	if h == nil {
		return nil
	}
	return &h.fd
}

// sendable is why a message can't be sent to an open queue.
func (h *handle) sendable(msg []byte, priority int) error {
	switch {
	case priority < 0 || priority > MaxPriority:
		return errPriority
	case h != nil && h.fd.Check() == nil && len(msg) > h.size:
		return &SizeError{Size: len(msg), MessageSize: h.size}
	}
	return nil
}

// enterSend says whether the fast path of Send is open: one call without a timeout, after which Give must follow. While the reference is held nobody else gets the
// description, and so it doesn't block; the kernel may make the call wait for memory, which whoever wants the description then waits for too.
func (h *handle) enterSend(size, priority int) bool {
	if uint(priority) > MaxPriority || size > h.size {
		return false
	}
	if uint32(h.fd.Take())&fd.WriteMask == fd.Open {
		return true
	}
	h.fd.Give()
	return false
}

// enterReceive is enterSend for Receive.
func (h *handle) enterReceive(size int) bool {
	if size < h.size {
		return false
	}
	if uint32(h.fd.Take())&fd.ReadMask == fd.Open {
		return true
	}
	h.fd.Give()
	return false
}

func (h *handle) send(ctx context.Context, msg []byte, priority int) error {
	err := h.sendable(msg, priority)
	if err == nil {
		err = h.engine().Await(ctx, fd.Write, func(num int) error {
			if e := sys.QueueSend(num, msg, priority); e != 0 {
				return e
			}
			return nil
		})
	}
	return h.fail("send", err)
}

func (h *handle) trySend(msg []byte, priority int) (bool, error) {
	err := h.sendable(msg, priority)
	if err == nil {
		err = h.engine().Control(func(num int) error {
			if e := sys.QueueSend(num, msg, priority); e != 0 {
				return e
			}
			return nil
		})
	}
	return h.tried("try-send", err)
}

func (h *handle) receivable(buf []byte) error {
	if h != nil && h.fd.Check() == nil && len(buf) < h.size {
		return &SizeError{Size: len(buf), MessageSize: h.size, Buffer: true}
	}
	return nil
}

func (h *handle) receive(ctx context.Context, buf []byte) (n, priority int, err error) {
	if err = h.receivable(buf); err == nil {
		err = h.engine().Await(ctx, fd.Read, func(num int) error {
			k, p, e := sys.QueueReceive(num, buf)
			if e != 0 {
				return e
			}
			n, priority = k, int(p)
			return nil
		})
	}
	return n, priority, h.fail("receive", err)
}

func (h *handle) tryReceive(buf []byte) (n, priority int, ok bool, err error) {
	if err = h.receivable(buf); err == nil {
		err = h.engine().Control(func(num int) error {
			k, p, e := sys.QueueReceive(num, buf)
			if e != 0 {
				return e
			}
			n, priority = k, int(p)
			return nil
		})
	}
	ok, err = h.tried("try-receive", err)
	return n, priority, ok, err
}

func (h *handle) tried(op string, err error) (bool, error) {
	if err == nil || err == fd.Again {
		return err == nil, nil
	}
	return false, h.fail(op, err)
}

func (h *handle) messages(ctx context.Context, yield func(Message, error) bool) {
	var buf []byte
	if h != nil {
		buf = make([]byte, h.size)
	}
	for {
		n, priority, err := h.receive(ctx, buf)
		if err != nil {
			yield(Message{}, err)
			return
		}
		if !yield(Message{Data: append(make([]byte, 0, n), buf[:n]...), Priority: priority}, nil) {
			return
		}
	}
}

func (h *handle) attr() (a Attr, err error) {
	err = h.engine().Control(func(num int) (err error) {
		a, err = attrOf(num)
		return err
	})
	return a, h.fail("attr", err)
}

func attrOf(num int) (Attr, error) {
	a, err := sys.QueueAttributes(num)
	return Attr{MaxMessages: a.MaxMessages, MessageSize: a.MessageSize, Messages: a.Messages}, err
}

func (h *handle) status() (s Status, err error) {
	err = h.engine().Control(func(num int) (err error) {
		s, err = statusOf(num)
		return err
	})
	return s, h.fail("status", err)
}

func (h *handle) path() string {
	if h == nil {
		return ""
	}
	return h.name
}

func (h *handle) close() error { return h.fail("close", h.engine().Close()) }

func (h *handle) release() (int, error) {
	n, err := h.engine().Release()
	if err == nil {
		h.unregister(n)
	}
	return n, h.fail("release", err)
}

func (h *handle) syscallConn() (syscall.RawConn, error) {
	c, err := h.engine().SyscallConn(h.fail)
	return c, h.fail("syscall-conn", err)
}

func (h *handle) file() (*os.File, error) {
	f, err := h.engine().File(h.path())
	return f, h.fail("file", err)
}

func (h *handle) inherit() (*os.File, error) {
	f, err := h.engine().Inherit(h.path())
	return f, h.fail("inherit", err)
}
