//go:build linux

package mqueue

import (
	"context"
	"iter"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes/internal/sys"
)

// A Receiver is a message queue that is only received from.
//
// All methods may be called by several goroutines at once. The zero Receiver and a nil *Receiver refuse every operation with [os.ErrInvalid], a closed one with [os.ErrClosed]. A Receiver must not be copied. One that is
// forgotten without Close is closed by the garbage collector, some time later.
type Receiver struct{ h handle }

// A Message is a message that was received.
type Message struct {
	// Data is what was sent, and the caller's.
	Data []byte
	// Priority is what it was sent with.
	Priority int
}

// OpenReceiver is [Open] for receiving alone, which takes the permission to read alone.
func OpenReceiver(name string, opts *Options) (*Receiver, error) {
	r := new(Receiver)
	if err := r.h.open(name, unix.O_RDONLY, opts); err != nil {
		return nil, err
	}
	return r, nil
}

// ReceiverFromFile is [FromFile] for receiving alone.
func ReceiverFromFile(f *os.File) (*Receiver, error) {
	r := new(Receiver)
	if err := r.h.adopt(f, unix.O_RDONLY); err != nil {
		return nil, err
	}
	return r, nil
}

func (r *Receiver) handle() *handle {
	if r == nil {
		return nil
	}
	return &r.h
}

// Name is [Queue.Name].
func (r *Receiver) Name() string { return r.handle().path() }

// Receive takes the oldest of the messages with the highest priority into buf, and waits while there is none: mq_timedreceive(2). Nobody else receives it.
//
// A buf that is smaller than [Attr].MessageSize is refused with a [*SizeError], whatever the length of the next message is, and nothing is taken. A done ctx fails the call before anything is taken, with an error that matches ctx.Err() and
// context.Cause(ctx).
func (r *Receiver) Receive(ctx context.Context, buf []byte) (n, priority int, err error) {
	if r != nil && ctx != nil && ctx.Err() == nil && r.h.enterReceive(len(buf)) {
		var p uint32
		k, e := sys.QueueReceiveOnce(r.h.fd.Num(), buf, &p)
		if r.h.fd.Give(); e == 0 {
			return int(k), int(p), nil
		}
	}
	return r.handle().receive(ctx, buf)
}

// TryReceive is [Receiver.Receive] where it need not wait. It returns false if the queue is empty.
func (r *Receiver) TryReceive(buf []byte) (n, priority int, ok bool, err error) {
	return r.handle().tryReceive(buf)
}

// Messages yields what [Receiver.Receive] receives, each in memory of its own, until ctx is done or the loop is left. An error is yielded once, and last. What a loop hasn't been given stays in the queue.
func (r *Receiver) Messages(ctx context.Context) iter.Seq2[Message, error] {
	return func(yield func(Message, error) bool) { r.handle().messages(ctx, yield) }
}

// Attr is [Sender.Attr].
func (r *Receiver) Attr() (Attr, error) { return r.handle().attr() }

// Status says what the file system knows of the queue: fstat(2), mq_getsetattr(2) and read(2).
func (r *Receiver) Status() (Status, error) { return r.handle().status() }

// Close is [Sender.Close].
func (r *Receiver) Close() error { return r.handle().close() }

// SyscallConn is [Sender.SyscallConn].
func (r *Receiver) SyscallConn() (syscall.RawConn, error) { return r.handle().syscallConn() }

// File is [Sender.File].
func (r *Receiver) File() (*os.File, error) { return r.handle().file() }

// Inherit is [Sender.Inherit].
func (r *Receiver) Inherit() (*os.File, error) { return r.handle().inherit() }

// Release is [Sender.Release].
func (r *Receiver) Release() (int, error) { return r.handle().release() }
