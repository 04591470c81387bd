//go:build linux

// Package watch reports what happens to files, as lines.
package watch

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/fildes/fildes/inotify"
)

// Options say what is watched.
type Options struct {
	Paths     []string
	Recursive bool
	Mask      inotify.Mask // 0 is what changes files
	Mechanism Mechanism
}

// A Mechanism is how files are watched.
type Mechanism int

// The mechanisms.
const (
	Auto       Mechanism = iota // inotify, or fanotify where that has not enough watches
	Fanotify                    // of what is asked for
	Filesystem                  // fanotify, of the file systems that it is in
)

// Usual is what changes files.
const Usual = inotify.Create | inotify.Delete | inotify.Modify | inotify.CloseWrite | inotify.Attrib | inotify.Moved |
	inotify.DeleteSelf | inotify.MoveSelf

// ErrNothingLeft says that all that was watched is gone.
var ErrNothingLeft = errors.New("nothing is left to watch")

// An Event is a line.
type Event struct {
	Time  time.Time
	Mask  inotify.Mask
	Path  string
	From  string
	PID   int // who did it, where that is told
	Found bool
	Err   error
}

// Run watches until ctx ends, which is no error, and hands each event to emit, whose error ends it. It calls begun when everything is watched, and again if it goes on in another way.
func Run(ctx context.Context, o Options, begun func(how string) error, emit func(Event) error) error {
	if o.Mask == 0 {
		o.Mask = Usual
	}
	run := flat
	switch {
	case o.Mechanism != Auto:
		run = byFanotify
	case o.Recursive:
		run = recursive
	}
	err := run(ctx, o, begun, emit)
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return nil
	}
	return err
}

func byFanotify(ctx context.Context, o Options, begun func(string) error, emit func(Event) error) error {
	m, err := mark(o)
	if err != nil {
		return err
	}
	if err := begun(m.how); err != nil {
		_ = m.group.Close()
		return err
	}
	return m.run(ctx, emit)
}

func recursive(ctx context.Context, o Options, begun func(string) error, emit func(Event) error) error {
	t, err := inotify.NewTree(&inotify.TreeOptions{Mask: o.Mask})
	if err != nil {
		return err
	}
	defer func() { _ = t.Close() }()
	for _, path := range o.Paths {
		err := t.Add(ctx, path)
		if full(err) {
			if m, err := mark(o); err == nil {
				_ = t.Close()
				return instead(ctx, m, begun, emit)
			}
		}
		if err != nil {
			return err
		}
	}
	if err := begun(fmt.Sprintf("%s by inotify", plural(t.Len(), "directory", "directories"))); err != nil {
		return err
	}
	events := make([]inotify.TreeEvent, 256)
	for {
		n, err := t.ReadBatch(ctx, events)
		if err != nil {
			return err
		}
		unwatched, err := tell(events[:n], emit)
		if err != nil {
			return err
		}
		if len(unwatched) > 0 {
			if m, err := mark(o); err == nil {
				return goOver(ctx, t, m, begun, emit)
			}
		}
		for _, ev := range unwatched {
			if err := emit(ev); err != nil {
				return err
			}
		}
		if t.Len() == 0 {
			return ErrNothingLeft
		}
	}
}

// tell hands events on, but those of directories that there are no watches for.
func tell(events []inotify.TreeEvent, emit func(Event) error) (unwatched []Event, err error) {
	now := time.Now()
	for _, ev := range events {
		told := Event{Time: now, Mask: ev.Mask, Path: ev.Path, From: ev.From, Found: ev.Found, Err: ev.Err}
		if full(ev.Err) {
			unwatched = append(unwatched, told)
		} else if err := emit(told); err != nil {
			return nil, err
		}
	}
	return unwatched, nil
}

// goOver goes on with m, which is there already, where t has no more watches. What t has seen is told before. What nobody has seen is an overflow.
func goOver(ctx context.Context, t *inotify.Tree, m *marked, begun func(string) error, emit func(Event) error) error {
	if err := drain(ctx, t, emit); err != nil {
		_ = m.group.Close()
		return err
	}
	_ = t.Close()
	return instead(ctx, m, begun, emit, Event{Time: time.Now(), Mask: inotify.Overflow})
}

// drain tells what t has seen.
func drain(ctx context.Context, t *inotify.Tree, emit func(Event) error) error {
	seen, cancel := context.WithTimeout(ctx, 10*renameTime)
	defer cancel()
	events := make([]inotify.TreeEvent, 256)
	for {
		n, err := t.ReadBatch(seen, events)
		if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
			return nil
		}
		if err != nil {
			return err
		}
		if _, err := tell(events[:n], emit); err != nil {
			return err
		}
	}
}

// instead runs m where there aren't enough watches, and tells something before.
func instead(ctx context.Context, m *marked, begun func(string) error, emit func(Event) error, first ...Event) error {
	err := begun(m.how + ", because fs.inotify.max_user_watches is reached")
	for _, ev := range first {
		err = errors.Join(err, emit(ev))
	}
	if err != nil {
		_ = m.group.Close()
		return err
	}
	return m.run(ctx, emit)
}

// renameTime is how long a rename's second half is waited for.
const renameTime = 10 * time.Millisecond

func flat(ctx context.Context, o Options, begun func(string) error, emit func(Event) error) error {
	w, err := inotify.New(nil)
	if err != nil {
		return err
	}
	defer func() { _ = w.Close() }()
	paths := make(map[inotify.Watch]string)
	for _, path := range o.Paths {
		wd, err := w.Add(path, o.Mask, inotify.MaskAdd)
		if err != nil {
			return err
		}
		if _, ok := paths[wd]; !ok {
			paths[wd] = path
		}
	}
	if err := begun(fmt.Sprintf("%s by inotify", plural(len(paths), "file or directory", "files and directories"))); err != nil {
		return err
	}
	for c, err := range inotify.NewPairer(w, renameTime).Events(ctx) {
		if err != nil {
			return err
		}
		ev := Event{Time: time.Now(), Mask: c.Mask, Path: under(paths, c.Event)}
		if c.Renamed() {
			ev.From, ev.Path, ev.Mask = ev.Path, under(paths, c.To), c.Mask|c.To.Mask
		}
		if c.Mask.Has(inotify.Ignored) {
			if delete(paths, c.Watch); len(paths) == 0 {
				return ErrNothingLeft
			}
			continue
		}
		if err := emit(ev); err != nil {
			return err
		}
	}
	return nil
}

// under is the path of what an event is about.
func under(paths map[inotify.Watch]string, ev inotify.Event) string {
	switch path := paths[ev.Watch]; {
	case ev.Name == "":
		return path
	case path == ".":
		return "." + string(os.PathSeparator) + ev.Name
	default:
		return filepath.Join(path, ev.Name)
	}
}

func plural(n int, one, more string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, more)
}
