//go:build linux

package doctor

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes/inotify"
)

var inotifyKind = Kind{
	Name:    "inotify",
	About:   "events of files: inotify(7)",
	Sysctls: []string{"fs.inotify.max_queued_events", "fs.inotify.max_user_instances", "fs.inotify.max_user_watches"},
	Checks: []Check{
		{Name: "read", What: "change two files 16 times, read it all", Run: inotifyRead},
		{Name: "close-write", What: "tell of a file that was written", Run: inotifyCloseWrite},
		{Name: "rename", What: "join the two halves of a rename", Run: inotifyRename},
		{Name: "descriptor", What: "watch what a descriptor refers to", Run: inotifyDescriptor},
		{Name: "mask-create", What: "refuse to watch a file twice", Run: inotifyMaskCreate},
		{Name: "tree", What: "follow a directory in a tree", Run: inotifyTree},
	},
}

// directory makes an empty directory.
func (t *Trial) directory() (string, error) {
	dir, err := os.MkdirTemp("", "fildes-doctor-")
	if err == nil {
		t.Cleanup(func() { _ = os.RemoveAll(dir) })
	}
	return dir, err
}

// watcher watches a directory.
func (t *Trial) watcher(dir string, mask inotify.Mask) (*inotify.Watcher, error) {
	w, err := inotify.New(nil)
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { _ = w.Close() })
	_, err = w.Add(dir, mask, inotify.OnlyDir)
	return w, err
}

// expect reads an event.
func (t *Trial) expect(w *inotify.Watcher, mask inotify.Mask, name string) error {
	t.Step("wait for " + mask.String())
	ev, err := w.Read(t.ctx)
	if err == nil && (ev.Mask != mask || ev.Name != name) {
		err = fmt.Errorf("the event is %v of %q, not %v of %q", ev.Mask, ev.Name, mask, name)
	}
	return err
}

func inotifyRead(t *Trial) error {
	dir, err := t.directory()
	if err != nil {
		return err
	}
	var files [2]string
	for i := range files {
		files[i] = filepath.Join(dir, fmt.Sprint(i))
		if err := os.WriteFile(files[i], nil, 0o600); err != nil {
			return err
		}
	}
	w, err := t.watcher(dir, inotify.Attrib)
	if err != nil {
		return err
	}
	raw, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err := t.own(os.NewSyscallError("inotify_init1", err), raw); err != nil {
		return err
	}
	wd := 0
	watch := func(on bool) error { // one of the two at a time
		if on {
			wd, err = unix.InotifyAddWatch(raw, dir, unix.IN_ATTRIB)
			return os.NewSyscallError("inotify_add_watch", err)
		}
		_, err := unix.InotifyRmWatch(raw, uint32(wd))
		return os.NewSyscallError("inotify_rm_watch", err)
	}
	const changes = 16
	change := func() error {
		for i := range changes {
			if err := os.Chmod(files[i%2], 0o600); err != nil {
				return err
			}
		}
		return nil
	}
	batch, buf := new(inotify.Batch), make([]byte, 16<<10)
	t.Step("read the events")
	return t.Sample(func() (time.Duration, error) {
		if err := change(); err != nil {
			return 0, err
		}
		start := time.Now()
		n, err := w.ReadBatch(t.ctx, batch)
		for r, ok := batch.Next(); ok; r, ok = batch.Next() {
			if len(r.Name) != 1 {
				return 0, fmt.Errorf("an event of %q", r.Name)
			}
		}
		took := time.Since(start)
		if err == nil {
			err = want("the number of events", n, changes)
		}
		return took, err
	}, func() (time.Duration, error) {
		if err := watch(true); err != nil {
			return 0, err
		}
		if err := change(); err != nil {
			return 0, err
		}
		start := time.Now()
		_, err := unix.Read(raw, buf)
		took := time.Since(start)
		if err != nil {
			return 0, os.NewSyscallError("read", err)
		}
		if _, err := w.TryReadBatch(batch); err != nil {
			return 0, err
		}
		for _, ok := batch.Next(); ok; _, ok = batch.Next() {
		}
		if err := watch(false); err != nil {
			return 0, err
		}
		_, err = unix.Read(raw, buf) // Ignored
		return took, os.NewSyscallError("read", err)
	})
}

func inotifyCloseWrite(t *Trial) error {
	dir, err := t.directory()
	if err != nil {
		return err
	}
	w, err := t.watcher(dir, inotify.CloseWrite)
	if err != nil {
		return err
	}
	return t.Measure(func() error {
		if err := os.WriteFile(filepath.Join(dir, "file"), page, 0o600); err != nil {
			return err
		}
		return t.expect(w, inotify.CloseWrite, "file")
	}, nil)
}

func inotifyRename(t *Trial) error {
	dir, err := t.directory()
	if err != nil {
		return err
	}
	w, err := t.watcher(dir, inotify.Moved)
	if err != nil {
		return err
	}
	from, to := "one", "other"
	if err := os.Mkdir(filepath.Join(dir, from), 0o700); err != nil {
		return err
	}
	p := inotify.NewPairer(w, time.Second)
	t.Step("read both halves")
	return t.Measure(func() error {
		if err := os.Rename(filepath.Join(dir, from), filepath.Join(dir, to)); err != nil {
			return err
		}
		c, err := p.Read(t.ctx)
		if err == nil && (!c.Renamed() || c.Name != from || c.To.Name != to) {
			err = fmt.Errorf("the change is %+v", c)
		}
		from, to = to, from
		return err
	}, nil)
}

func inotifyDescriptor(t *Trial) error {
	dir, err := t.directory()
	if err != nil {
		return err
	}
	w, err := t.watcher(dir, inotify.Create)
	if err != nil {
		return err
	}
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	t.Cleanup(func() { _ = f.Close() })
	return t.Measure(func() error {
		if _, err := w.AddFile(f, inotify.Delete, inotify.MaskAdd); err != nil {
			return err
		}
		file := filepath.Join(dir, "file")
		if err := errors.Join(os.Mkdir(file, 0o700), os.Remove(file)); err != nil {
			return err
		}
		return errors.Join(t.expect(w, inotify.Create|inotify.IsDir, "file"), t.expect(w, inotify.Delete|inotify.IsDir, "file"))
	}, nil)
}

func inotifyMaskCreate(t *Trial) error {
	dir, err := t.directory()
	if err != nil {
		return err
	}
	w, err := t.watcher(dir, inotify.Create)
	if err != nil {
		return err
	}
	return t.Measure(func() error {
		_, err := w.Add(dir, inotify.Create, inotify.MaskCreate)
		return refused("the second watch", err, syscall.EEXIST)
	}, nil)
}

func inotifyTree(t *Trial) error {
	dir, err := t.directory()
	if err != nil {
		return err
	}
	from, to := filepath.Join(dir, "one"), filepath.Join(dir, "other")
	if err := os.MkdirAll(filepath.Join(from, "below"), 0o700); err != nil {
		return err
	}
	tree, err := inotify.NewTree(&inotify.TreeOptions{Mask: inotify.Create | inotify.Moved})
	if err != nil {
		return err
	}
	t.Cleanup(func() { _ = tree.Close() })
	if err := tree.Add(t.ctx, dir); err != nil {
		return err
	}
	return t.Measure(func() error {
		made := filepath.Join(to, "below", "made")
		if err := errors.Join(os.Rename(from, to), os.Mkdir(made, 0o700)); err != nil {
			return err
		}
		t.Step("read what happened in the renamed directory")
		for _, path := range []string{to, made} {
			ev, err := tree.Read(t.ctx)
			if err != nil {
				return err
			}
			if ev.Path != path {
				return fmt.Errorf("the event is %+v, not of %s", ev, path)
			}
		}
		from, to = to, from
		return os.Remove(made)
	}, nil)
}
