//go:build linux

package mq

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"
)

// Watching says what is looked at and how often.
type Watching struct {
	Names    []string // or all queues
	Interval time.Duration
	Count    int // of the looks; 0 is no end
}

// Run looks until ctx ends, which is no error, and hands what it sees to show, whose error ends it. Queues are opened for each look, so that one that is removed isn't kept, and one that comes instead is seen. refresh has the last of it shown again.
func (o Watching) Run(ctx context.Context, refresh <-chan func() error, show func([]Queue) error) error {
	ticker := time.NewTicker(o.Interval)
	defer ticker.Stop()
	for n := 0; ; {
		queues, err := o.look(n == 0)
		if err != nil {
			return err
		}
		if err := show(queues); err != nil {
			return err
		}
		if n++; n == o.Count {
			return nil
		}
		for waiting := true; waiting; {
			select {
			case <-ctx.Done():
				return nil
			case <-ticker.C:
				waiting = false
			case do := <-refresh:
				if err := do(); err != nil {
					return err
				}
			}
		}
	}
}

// look fails at first for a queue that isn't there; later it's told.
func (o Watching) look(first bool) ([]Queue, error) {
	if len(o.Names) == 0 {
		return List()
	}
	var queues []Queue
	for _, name := range o.Names {
		q, err := Look(name)
		if err != nil {
			if first {
				return nil, err
			}
			q = Queue{Name: name, Time: q.Time, Err: err}
		}
		queues = append(queues, q)
	}
	return queues, nil
}

// state is why a queue's messages aren't known.
func (q Queue) state() string {
	switch {
	case q.Attr:
		return ""
	case errors.Is(q.Err, fs.ErrNotExist):
		return "gone"
	}
	return cause(q.Err).Error()
}

// PrintLines writes a line for each queue.
func PrintLines(w io.Writer, queues []Queue) error {
	for _, q := range queues {
		what, size := q.state(), "?"
		if q.Attr {
			what = fmt.Sprintf("%d/%d", q.Status.Messages, q.Status.MaxMessages)
			if q.All {
				size = bytes(q.Status.Bytes)
			}
		} else {
			size = "-"
		}
		if _, err := fmt.Fprintf(w, "%s  %9s  %13s  %s\n", q.Time.Format("15:04:05.000"), what, size, escape(q.Name)); err != nil {
			return err
		}
	}
	return nil
}
