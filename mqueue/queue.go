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

// A Queue is a message queue that is sent to and received from; see [Sender] and [Receiver] for one direction alone, which need one permission alone, and which the compiler holds to it.
//
// All methods may be called by several goroutines at once. The zero Queue and a nil *Queue refuse every operation with [os.ErrInvalid], a closed one with [os.ErrClosed]. A Queue must not be copied. One that is
// forgotten without Close is closed by the garbage collector, some time later.
type Queue struct{ h handle }

// Open opens a queue for both directions: mq_open(3), close-on-exec. The name has a slash, and up to 255 bytes after it.
//
// It fails with [fs.ErrNotExist] where there is no such queue, and with [fs.ErrPermission] without the permissions. Making one fails, and the error names the limit, with EINVAL above fs.mqueue.msg_max and fs.mqueue.msgsize_max, with EMFILE above
// RLIMIT_MSGQUEUE, and with ENOSPC above fs.mqueue.queues_max.
func Open(name string, opts *Options) (*Queue, error) {
	q := new(Queue)
	if err := q.h.open(name, unix.O_RDWR, opts); err != nil {
		return nil, err
	}
	return q, nil
}

// FromFile makes a Queue of f's descriptor, which was inherited or received, or opened below /dev/mqueue; f stays the caller's. The queue is opened anew, through /proc, so that O_NONBLOCK isn't shared; where that can't be done, the
// descriptor is duplicated and made non-blocking, also for others that have it.
//
// What isn't a queue, or isn't open for both directions, is refused with [os.ErrInvalid]. Either way a duplicate is closed, and so a registration of this process with [Receiver.Notify] ends.
func FromFile(f *os.File) (*Queue, error) {
	q := new(Queue)
	if err := q.h.adopt(f, unix.O_RDWR); err != nil {
		return nil, err
	}
	return q, nil
}

func (q *Queue) handle() *handle {
	if q == nil {
		return nil
	}
	return &q.h
}

// Name is the queue's name, with the slash. The queue may have been unlinked since, and the name be another's.
func (q *Queue) Name() string { return q.handle().path() }

// Send is [Sender.Send].
func (q *Queue) Send(ctx context.Context, msg []byte, priority int) error {
	if q != nil && ctx != nil && ctx.Err() == nil && q.h.enterSend(len(msg), priority) {
		e := sys.QueueSendOnce(q.h.fd.Num(), msg, priority)
		if q.h.fd.Give(); e == 0 {
			return nil
		}
	}
	return q.handle().send(ctx, msg, priority)
}

// TrySend is [Sender.TrySend].
func (q *Queue) TrySend(msg []byte, priority int) (bool, error) {
	return q.handle().trySend(msg, priority)
}

// Receive is [Receiver.Receive].
func (q *Queue) Receive(ctx context.Context, buf []byte) (n, priority int, err error) {
	if q != nil && ctx != nil && ctx.Err() == nil && q.h.enterReceive(len(buf)) {
		var p uint32
		k, e := sys.QueueReceiveOnce(q.h.fd.Num(), buf, &p)
		if q.h.fd.Give(); e == 0 {
			return int(k), int(p), nil
		}
	}
	return q.handle().receive(ctx, buf)
}

// TryReceive is [Receiver.TryReceive].
func (q *Queue) TryReceive(buf []byte) (n, priority int, ok bool, err error) {
	return q.handle().tryReceive(buf)
}

// Messages is [Receiver.Messages].
func (q *Queue) Messages(ctx context.Context) iter.Seq2[Message, error] {
	return func(yield func(Message, error) bool) { q.handle().messages(ctx, yield) }
}

// Attr is [Sender.Attr].
func (q *Queue) Attr() (Attr, error) { return q.handle().attr() }

// Status is [Receiver.Status].
func (q *Queue) Status() (Status, error) { return q.handle().status() }

// Notify is [Receiver.Notify].
func (q *Queue) Notify() (*Notification, error) { return q.handle().notify() }

// NotifySignal is [Receiver.NotifySignal].
func (q *Queue) NotifySignal(sig syscall.Signal, value uintptr) error {
	return q.handle().notifySignal(sig, value)
}

// StopNotify is [Receiver.StopNotify].
func (q *Queue) StopNotify() error { return q.handle().stopNotify() }

// Close is [Sender.Close].
func (q *Queue) Close() error { return q.handle().close() }

// SyscallConn is [Sender.SyscallConn].
func (q *Queue) SyscallConn() (syscall.RawConn, error) { return q.handle().syscallConn() }

// File is [Sender.File].
func (q *Queue) File() (*os.File, error) { return q.handle().file() }

// Inherit is [Sender.Inherit].
func (q *Queue) Inherit() (*os.File, error) { return q.handle().inherit() }

// Release is [Sender.Release].
func (q *Queue) Release() (int, error) { return q.handle().release() }
