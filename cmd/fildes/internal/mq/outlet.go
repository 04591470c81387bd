//go:build linux

package mq

import (
	"context"
	"errors"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes/epoll"
)

// ErrNobodyReads says that what would be written wouldn't be read. It matches EPIPE.
var ErrNobodyReads error = unreadError{}

type unreadError struct{}

func (unreadError) Error() string { return "nobody reads the output any more" }
func (unreadError) Unwrap() error { return syscall.EPIPE }

// StillRead says whether f, a pipe, a socket or a terminal, still has its other end. Other files have none, and are always read.
func StillRead(f *os.File) error {
	c, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var ended bool
	err = c.Control(func(num uintptr) {
		p := []unix.PollFd{{Fd: int32(num)}}
		n, err := unix.Poll(p, 0)
		ended = n > 0 && err == nil && p[0].Revents&(unix.POLLERR|unix.POLLHUP) != 0
	})
	if ended {
		err = ErrNobodyReads
	}
	return err
}

// WhileRead returns a context that ends when nobody reads f any more.
func WhileRead(ctx context.Context, f *os.File) (context.Context, func(), error) {
	ctx, cancel := context.WithCancelCause(ctx)
	p, err := epoll.New[struct{}](nil)
	if err != nil {
		cancel(nil)
		return nil, nil, err
	}
	stop := func() {
		cancel(nil)
		_ = p.Close()
	}
	// Error and Hangup are told unasked.
	if _, err := p.Add(f, 0, struct{}{}); err != nil {
		if errors.Is(err, unix.EPERM) { // such as a regular file, which has no other end
			return ctx, stop, nil
		}
		stop()
		return nil, nil, err
	}
	go func() {
		var events [1]epoll.Event[struct{}]
		if _, err := p.Wait(ctx, events[:]); err == nil {
			cancel(ErrNobodyReads)
		}
	}()
	return ctx, stop, nil
}
