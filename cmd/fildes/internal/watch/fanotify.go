//go:build linux

package watch

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/fildes/fildes/fanotify"
	"github.com/fildes/fildes/inotify"
)

// A marked is what a fanotify group watches, and how its events are told.
type marked struct {
	group *fanotify.Group
	roots []root
	whole bool // of file systems, whatever the paths
	paths map[string]string
	how   string
}

// A root is a path that was asked for.
type root struct{ given, resolved string }

// maxPaths is how many directories' paths are remembered, for those that are gone when their events are read.
const maxPaths = 1 << 16

// mark makes a group that watches what is asked for.
func mark(o Options) (m *marked, err error) {
	g, err := fanotify.New(&fanotify.Options{Report: fanotify.ReportDirFIDName})
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = g.Close()
		}
	}()
	m = &marked{group: g, whole: o.Mechanism == Filesystem, paths: make(map[string]string)}
	scope := fanotify.Inode
	if o.Recursive || m.whole {
		scope = fanotify.Filesystem
	}
	for _, given := range o.Paths {
		path, err := filepath.Abs(given)
		if err == nil {
			path, err = filepath.EvalSymlinks(path)
		}
		if err != nil {
			return nil, err
		}
		if err := m.add(scope, path, o.Mask); err != nil {
			return nil, err
		}
		m.roots = append(m.roots, root{given, path})
		if h, err := fanotify.HandleOf(path); err == nil {
			m.paths[h.Key()] = path
		}
	}
	switch {
	case m.whole:
		m.how = plural(len(m.roots), "file system", "file systems")
	case o.Recursive:
		m.how = plural(len(m.roots), "tree", "trees")
	default:
		m.how = plural(len(m.roots), "file or directory", "files and directories")
	}
	m.how += " by fanotify"
	return m, nil
}

// add marks a path; renames are asked for as one event where the kernel has that.
func (m *marked) add(scope fanotify.Scope, path string, asked inotify.Mask) error {
	mask := fanotify.Mask(asked) | fanotify.OnDir // the bits are the same
	if scope == fanotify.Inode {
		mask |= fanotify.OnChild
		if st, err := os.Stat(path); err == nil && !st.IsDir() {
			mask &^= fanotify.OnDir | fanotify.OnChild | fanotify.Create | fanotify.Delete | fanotify.Moved
		}
	}
	if mask.Has(fanotify.Moved) {
		one := mask&^fanotify.Moved | fanotify.Rename
		if err := m.group.Mark(scope, path, one, 0); !errors.Is(err, errors.ErrUnsupported) {
			return err
		}
	}
	return m.group.Mark(scope, path, mask, 0)
}

// run tells what happens.
func (m *marked) run(ctx context.Context, emit func(Event) error) error {
	defer func() { _ = m.group.Close() }()
	batch := fanotify.NewBatch(64 << 10)
	for {
		if _, err := m.group.ReadBatch(ctx, batch); err != nil {
			return err
		}
		now := time.Now()
		for ev, ok := batch.Next(); ok; ev, ok = batch.Next() {
			if told, ok := m.tell(ev); ok {
				told.Time = now
				if err := emit(told); err != nil {
					return err
				}
			}
		}
	}
}

// tell says what an event means, unless it is none of those that were asked for. What this program does itself, to find paths, is none.
func (m *marked) tell(ev fanotify.Event) (Event, bool) {
	if ev.Mask == fanotify.Overflow {
		return Event{Mask: inotify.Overflow}, true
	}
	if ev.Own() {
		return Event{}, false
	}
	told := Event{Mask: inotify.Mask(ev.Mask &^ fanotify.Rename), PID: ev.PID}
	en, found := ev.Entry()
	old, renamed := ev.OldEntry()
	known := false
	if found {
		told.Path, known = m.path(en)
	}
	if renamed {
		from, fromKnown := m.path(old)
		told.Mask |= inotify.MovedFrom
		if !found {
			told.Path, known = from, fromKnown
		} else {
			told.Mask |= inotify.MovedTo
			told.From, known = from, known || fromKnown
		}
	}
	return told, known
}

// path is where an entry is, as it was asked for, and whether it was.
func (m *marked) path(en fanotify.Entry) (string, bool) {
	key := en.Dir.Key()
	dir, err := m.group.Path(en.Dir)
	switch {
	case err == nil:
		if len(m.paths) >= maxPaths {
			clear(m.paths)
		}
		m.paths[key] = dir
	case m.paths[key] != "":
		dir = m.paths[key]
	default:
		return filepath.Join("?", string(en.Name)), m.whole // it is gone, and nothing is known of it
	}
	path := dir
	if name := string(en.Name); name != "." && name != "" {
		path = filepath.Join(dir, name)
	}
	if m.whole {
		return path, true
	}
	for _, r := range m.roots {
		if path == r.resolved {
			return r.given, true
		}
		if rest, ok := strings.CutPrefix(path, strings.TrimSuffix(r.resolved, "/")+"/"); ok {
			if r.given == "." {
				return "./" + rest, true
			}
			return filepath.Join(r.given, rest), true
		}
	}
	return path, false
}

// full says whether an error is about the limit of watches.
func full(err error) bool { return errors.Is(err, syscall.ENOSPC) }
