//go:build linux

package mq

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"time"

	"github.com/fildes/fildes/mqueue"
)

// A Piece is a message that is to be sent, or why there is none.
type Piece struct {
	Data  []byte
	Where string // it comes from; empty if that is plain
	Err   error
}

// Sending says how messages are sent.
type Sending struct {
	Priority int
	Wait     bool          // while the queue is full
	Timeout  time.Duration // of a wait, if it isn't 0
}

// ErrInterrupted says that a signal has ended what wasn't finished.
var ErrInterrupted = errors.New("interrupted")

// Run sends the pieces, and stops at the first that fails. It says how many were sent.
func (o Sending) Run(ctx context.Context, s *mqueue.Sender, pieces iter.Seq[Piece]) (sent int, err error) {
	next := make(chan Piece)
	ended, end := context.WithCancel(ctx)
	defer end()
	go func() { // reading may wait for ever
		defer close(next)
		for p := range pieces {
			select {
			case next <- p:
			case <-ended.Done():
				return
			}
		}
	}()
	for {
		var p Piece
		var more bool
		select {
		case p, more = <-next:
		case <-ctx.Done():
		}
		switch {
		case ctx.Err() != nil:
			return sent, ErrInterrupted
		case !more:
			return sent, nil
		}
		err := p.Err
		if err == nil {
			err = o.send(ctx, s, p.Data)
		}
		if err != nil && p.Where != "" {
			err = fmt.Errorf("%s: %w", p.Where, err)
		}
		if err != nil {
			return sent, err
		}
		sent++
	}
}

func (o Sending) send(ctx context.Context, s *mqueue.Sender, data []byte) error {
	if !o.Wait {
		ok, err := s.TrySend(data, o.Priority)
		if err == nil && !ok {
			err = errors.New("the queue is full")
		}
		return err
	}
	bounded, cancel := within(ctx, o.Timeout)
	defer cancel()
	err := s.Send(bounded, data, o.Priority)
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ErrInterrupted
	case bounded.Err() != nil && errors.Is(err, bounded.Err()):
		return fmt.Errorf("the queue has been full for %v", o.Timeout)
	}
	return err
}

// within is ctx, with a timeout if there is one.
func within(ctx context.Context, timeout time.Duration) (context.Context, context.CancelFunc) {
	if timeout == 0 {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, timeout)
}

// Arguments are messages as they are.
func Arguments(args []string, limit int) (iter.Seq[Piece], error) {
	for i, arg := range args {
		if len(arg) > limit {
			return nil, fmt.Errorf("MESSAGE %d: %w", i+1, &mqueue.SizeError{Size: len(arg), MessageSize: limit})
		}
	}
	return func(yield func(Piece) bool) {
		for _, arg := range args {
			if !yield(Piece{Data: []byte(arg)}) {
				return
			}
		}
	}, nil
}

// Whole is how Files are split that aren't.
const Whole = -1

// Files are messages that end with a byte, or are Whole files. What can be known to fail fails before anything is sent.
func Files(paths []string, stdin io.Reader, end, limit int) (iter.Seq[Piece], error) {
	for _, path := range paths {
		if path == "-" {
			continue
		}
		info, err := os.Stat(path)
		switch {
		case err != nil:
			return nil, err
		case info.IsDir():
			return nil, fmt.Errorf("%s is a directory", path)
		case end == Whole && info.Mode().IsRegular() && info.Size() > int64(limit):
			return nil, fmt.Errorf("%s: %w", path, tooLong(info.Size(), limit))
		}
	}
	return func(yield func(Piece) bool) {
		for _, path := range paths {
			if !file(path, stdin, end, limit, yield) {
				return
			}
		}
	}, nil
}

// file yields what a file has, and returns whether to go on.
func file(path string, stdin io.Reader, end, limit int, yield func(Piece) bool) bool {
	name, r := "standard input", stdin
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return yield(Piece{Err: err})
		}
		defer func() { _ = f.Close() }()
		name, r = path, f
	}
	in := bufio.NewReader(r)
	for n := 1; ; n++ {
		where := name
		if end != Whole {
			where = fmt.Sprintf("line %d of %s", n, name)
		}
		data, size, err := read(in, end, limit)
		switch {
		case errors.Is(err, io.EOF):
			if end == Whole || size > 0 {
				return yield(Piece{Data: data, Where: where})
			}
			return true
		case err != nil:
			return yield(Piece{Where: where, Err: err})
		case !yield(Piece{Data: data, Where: where}):
			return false
		}
	}
}

// counted is how many bytes of what is too long are counted: more than any queue takes.
const counted = 64 << 20

// read reads up to the byte end, which isn't part of it, or to the end of the file. What is too long is counted and not kept.
func read(in *bufio.Reader, end, limit int) (data []byte, size int, err error) {
	for {
		var part []byte
		if end == Whole {
			if _, err = in.Peek(1); err == nil {
				part, _ = in.Peek(in.Buffered())
				_, _ = in.Discard(len(part))
			}
		} else {
			part, err = in.ReadSlice(byte(end))
			if err == nil {
				part = part[:len(part)-1]
			}
		}
		if size += len(part); size <= limit {
			data = append(data, part...)
		}
		full := errors.Is(err, bufio.ErrBufferFull) || end == Whole && err == nil
		if full && size <= counted {
			continue
		}
		if size > limit {
			return nil, size, tooLong(int64(size), limit)
		}
		return data, size, err
	}
}

func tooLong(size int64, limit int) error {
	if size > counted {
		return fmt.Errorf("a message of more than %d bytes is too long: the queue takes up to %d", counted, limit)
	}
	return &mqueue.SizeError{Size: int(size), MessageSize: limit}
}
