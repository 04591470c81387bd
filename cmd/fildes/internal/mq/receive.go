//go:build linux

package mq

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/fildes/fildes/mqueue"
)

// Receiving says which messages are taken.
type Receiving struct {
	Count   int           // so many; 0 is those that are there
	Follow  bool          // all that come
	Wait    bool          // for those of Count
	Timeout time.Duration // of the wait for each, if it isn't 0
}

var (
	errEmpty = errors.New("the queue is empty")
	errLate  = errors.New("no message has come")
)

// Run takes messages and hands each to emit before it takes the next. ready is asked before each: its error leaves the message where it is. It says how many were emitted.
func (o Receiving) Run(ctx context.Context, r *mqueue.Receiver, ready func() error, emit func(Message) error) (n int, err error) {
	attr, err := r.Attr()
	if err != nil {
		return 0, err
	}
	left, wait := o.Count, o.Wait
	if o.Count == 0 && !o.Follow {
		if left = attr.Messages; left > 0 || o.Timeout == 0 {
			wait = false
		}
	}
	buf := make([]byte, attr.MessageSize)
	first := o.Count == 0 && !o.Follow && wait // it's waited for, and those with it are taken
	for ; o.Follow || left > 0 || first; n++ {
		if err := ready(); err != nil {
			return n, err
		}
		m, err := o.take(ctx, r, buf, wait)
		switch {
		case errors.Is(err, errEmpty) && o.Count == 0: // somebody else was faster
			return n, nil
		case errors.Is(err, errLate) && o.Follow:
			return n, nil
		case err != nil:
			return n, o.missing(r.Name(), n, err)
		}
		if err := emit(m); err != nil {
			return n, err
		}
		left--
		if first {
			if attr, err = r.Attr(); err != nil {
				return n + 1, err
			}
			first, wait, left = false, false, attr.Messages
		}
	}
	return n, nil
}

// missing adds to the error how many there were.
func (o Receiving) missing(name string, n int, err error) error {
	switch {
	case errors.Is(err, errLate):
		err = fmt.Errorf("%s: %w in %v", name, err, o.Timeout)
	case errors.Is(err, errEmpty), errors.Is(err, ErrInterrupted):
		err = fmt.Errorf("%s: %w", name, err)
	}
	if o.Count > 1 {
		return fmt.Errorf("%w, after %d of %d", err, n, o.Count)
	}
	return err
}

func (o Receiving) take(ctx context.Context, r *mqueue.Receiver, buf []byte, wait bool) (m Message, err error) {
	m.Queue = r.Name()
	n := 0
	if wait {
		bounded, cancel := within(ctx, o.Timeout)
		defer cancel()
		n, m.Priority, err = r.Receive(bounded, buf)
		if err != nil && ctx.Err() == nil && bounded.Err() != nil && errors.Is(err, bounded.Err()) {
			err = errLate
		}
	} else if err = ctx.Err(); err == nil {
		var ok bool
		n, m.Priority, ok, err = r.TryReceive(buf)
		if err == nil && !ok {
			err = errEmpty
		}
	}
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	m.Time, m.Data = time.Now(), buf[:n]
	return m, err
}
