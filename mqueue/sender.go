//go:build linux

package mqueue

import (
	"context"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes/internal/sys"
)

// A Sender is a message queue that is only sent to.
//
// All methods may be called by several goroutines at once. The zero Sender and a nil *Sender refuse every operation with [os.ErrInvalid], a closed one with [os.ErrClosed]. A Sender must not be copied. One that is
// forgotten without Close is closed by the garbage collector, some time later.
type Sender struct{ h handle }

// OpenSender is [Open] for sending alone, which takes the permission to write alone.
func OpenSender(name string, opts *Options) (*Sender, error) {
	s := new(Sender)
	if err := s.h.open(name, unix.O_WRONLY, opts); err != nil {
		return nil, err
	}
	return s, nil
}

// SenderFromFile is [FromFile] for sending alone.
func SenderFromFile(f *os.File) (*Sender, error) {
	s := new(Sender)
	if err := s.h.adopt(f, unix.O_WRONLY); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *Sender) handle() *handle {
	if s == nil {
		return nil
	}
	return &s.h
}

// Name is [Queue.Name].
func (s *Sender) Name() string { return s.handle().path() }

// Send puts a message into the queue, behind those of its priority and of higher ones, and waits while the queue is full: mq_timedsend(2). Messages may be empty; priorities are from 0 to [MaxPriority], and higher ones are received first.
//
// A message that is too long is refused with a [*SizeError], another priority with [os.ErrInvalid]. A done ctx fails the call before anything is sent, with an error that matches ctx.Err() and
// context.Cause(ctx).
func (s *Sender) Send(ctx context.Context, msg []byte, priority int) error {
	if s != nil && ctx != nil && ctx.Err() == nil && s.h.enterSend(len(msg), priority) {
		e := sys.QueueSendOnce(s.h.fd.Num(), msg, priority)
		if s.h.fd.Give(); e == 0 {
			return nil
		}
	}
	return s.handle().send(ctx, msg, priority)
}

// TrySend is [Sender.Send] where it need not wait. It returns false if the queue is full.
func (s *Sender) TrySend(msg []byte, priority int) (bool, error) {
	return s.handle().trySend(msg, priority)
}

// Attr says what the queue has room for, and how many messages are in it: mq_getsetattr(2). By the time that it is known others may have changed that.
func (s *Sender) Attr() (Attr, error) { return s.handle().attr() }

// Close ends the Sender: close(2). It wakes whoever waits, who then fails with [os.ErrClosed], and returns when the number is free. A second Close returns [os.ErrClosed]. The queue stays, with its
// messages, until it is unlinked.
//
// As the kernel has it, a process that closes any descriptor of a queue loses its registration with [Receiver.Notify].
func (s *Sender) Close() error { return s.handle().close() }

// SyscallConn lends the descriptor out: see [fildes.FD.SyscallConn]. To read(2), a queue is a line of text: [Receiver.Status].
func (s *Sender) SyscallConn() (syscall.RawConn, error) { return s.handle().syscallConn() }

// File returns a duplicate of the descriptor, which shares the description and so O_NONBLOCK: see [fildes.FD.File]. A child wants [Sender.Inherit].
func (s *Sender) File() (*os.File, error) { return s.handle().file() }

// Inherit returns a file for exec.Cmd's ExtraFiles: a blocking description of the same queue, made by opening /proc/self/fd; the Sender stays as it was. It takes the permission that opening the queue took.
func (s *Sender) Inherit() (*os.File, error) { return s.handle().inherit() }

// Release ends the Sender without closing the descriptor, and returns its number: see [fildes.FD.Release]. A registration with [Receiver.Notify] that was made with the handle ends.
func (s *Sender) Release() (int, error) { return s.handle().release() }
