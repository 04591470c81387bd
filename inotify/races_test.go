//go:build linux

package inotify_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes/inotify"
	"github.com/fildes/fildes/internal/fdtest"
)

// Files come and go while their watches are added and removed and their Watchers closed: nothing fails but for that reason, and nothing hangs.
func TestRaces(t *testing.T) {
	dir := t.TempDir()
	var paths []string
	for i := range 3 {
		paths = append(paths, filepath.Join(dir, strconv.Itoa(i)))
	}
	shared, rounds := newWatcher(t), fdtest.Rounds(500)
	watch := func(w *inotify.Watcher) error {
		for _, path := range paths {
			wd, err := w.Add(path, inotify.AllEvents, 0)
			if err == nil {
				err = w.Remove(wd)
			}
			if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, inotify.ErrNoWatch) {
				return err
			}
		}
		_, err := w.TryReadBatch(new(inotify.Batch))
		return err
	}
	var cs []*fdtest.Caller
	for i := range 6 {
		cs = append(cs, fdtest.Go(t, func() error {
			for range rounds {
				w := shared
				if i%2 == 0 {
					var err error
					if w, err = inotify.New(nil); err != nil {
						return err
					}
				}
				err := watch(w)
				if w != shared {
					for _, path := range paths { // which Close ends
						_, _ = w.Add(path, inotify.AllEvents, 0)
					}
					err = errors.Join(err, w.Close())
				}
				if err != nil {
					return err
				}
			}
			return nil
		}))
	}
	for range rounds {
		for _, path := range paths {
			check(t, os.WriteFile(path, nil, 0o600))
			check(t, os.Remove(path))
		}
	}
	for _, c := range cs {
		check(t, c.Err())
	}
}

// Each Watcher gets its events.
func TestManyWatchers(t *testing.T) {
	dir := t.TempDir()
	var all []*inotify.Watcher
	for range 5 {
		w := newWatcher(t)
		_, err := w.Add(dir, inotify.Create, 0)
		check(t, err)
		all = append(all, w)
	}
	touch(t, filepath.Join(dir, "a"))
	for _, w := range all {
		if ev, err := w.Read(bounded(t)); err != nil || ev.Name != "a" {
			t.Error(ev, err)
		}
	}
}

// A path may be relative.
func TestRelative(t *testing.T) {
	dir := t.TempDir()
	touch(t, filepath.Join(dir, "a"))
	t.Chdir(dir)
	w, tree := newWatcher(t), newTree(t, structure)
	_, err := w.Add("a", inotify.Modify, 0)
	check(t, errors.Join(err, tree.Add(t.Context(), ".")))
	t.Chdir("/")
	check(t, os.Truncate(filepath.Join(dir, "a"), 5))
	if ev, err := w.Read(bounded(t)); err != nil || ev.Mask != inotify.Modify {
		t.Error(ev, err)
	}
	check(t, os.Mkdir(filepath.Join(dir, "b"), 0o700))
	touch(t, filepath.Join(dir, "b", "x"))
	if got := treeEvents(t, tree, dir); len(got) != 2 || got[0] != "Create|IsDir ./b" || !strings.HasPrefix(got[1], "Create ./b/x") {
		t.Errorf("%q", got)
	}
}

// Who is told that a file was deleted can't open it any more.
func TestDeletedIsGone(t *testing.T) {
	dir := t.TempDir()
	w, path := newWatcher(t), filepath.Join(dir, "a")
	_, err := w.Add(dir, inotify.Delete, 0)
	check(t, err)
	for range fdtest.Rounds(500) {
		touch(t, path)
		c := fdtest.Go(t, func() error { return os.Remove(path) })
		_, err := w.Read(bounded(t))
		check(t, err)
		_, err = os.Stat(path)
		wantIs(t, err, fs.ErrNotExist)
		check(t, c.Err())
	}
}

// What sendfile(2) reads and writes is reported, and that attributes were changed, though not that they were read.
func TestSendfileAndAttributes(t *testing.T) {
	dir := t.TempDir()
	check(t, os.WriteFile(dir+"/in", []byte("hello"), 0o600))
	in, err := unix.Open(dir+"/in", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	check(t, err)
	defer unix.Close(in)
	out, err := unix.Open(dir+"/out", unix.O_WRONLY|unix.O_CREAT|unix.O_CLOEXEC, 0o600)
	check(t, err)
	defer unix.Close(out)
	w := newWatcher(t)
	from, err := w.Add(dir+"/in", inotify.Access|inotify.Attrib, 0)
	check(t, err)
	to, err := w.Add(dir+"/out", inotify.Modify, 0)
	check(t, err)
	n, err := unix.Sendfile(out, in, nil, 5)
	if check(t, err); n != 5 {
		t.Error(n)
	}
	got := map[inotify.Watch]inotify.Mask{}
	for range 2 {
		ev, err := w.Read(bounded(t))
		check(t, err)
		got[ev.Watch] |= ev.Mask
	}
	if got[from] != inotify.Access || got[to] != inotify.Modify {
		t.Error(got)
	}
	var b inotify.Batch // of one or the other there may be two
	_, err = w.TryReadBatch(&b)
	check(t, err)
	b = inotify.Batch{}
	if err := unix.Setxattr(dir+"/in", "user.test", []byte("x"), 0); errors.Is(err, unix.EOPNOTSUPP) {
		fdtest.Need(t, "xattr", err.Error())
	} else {
		check(t, err)
	}
	_, err = unix.Getxattr(dir+"/in", "user.test", make([]byte, 9))
	check(t, err)
	if n, err := w.TryReadBatch(&b); n != 1 || err != nil {
		t.Error(n, err)
	} else if r, _ := b.Next(); r.Mask != inotify.Attrib {
		t.Errorf("%+v", r)
	}
	check(t, unix.Removexattr(dir+"/in", "user.test"))
	if n, err := w.TryReadBatch(&b); n != 1 || err != nil {
		t.Error(n, err)
	}
}

// A program that is started is opened and read.
func TestExec(t *testing.T) {
	path, err := os.Executable()
	check(t, err)
	w := newWatcher(t)
	_, err = w.Add(path, inotify.Open|inotify.Access, 0)
	check(t, err)
	check(t, fdtest.Self(t.Context(), t, "-test.run", "^$").Run())
	var all inotify.Mask
	for all != inotify.Open|inotify.Access {
		ev, err := w.Read(bounded(t))
		check(t, err)
		all |= ev.Mask
	}
}

// In an overlay, what was watched before it was copied up is still watched.
func TestOverlay(t *testing.T) {
	if !inRootChild(t) {
		return
	}
	dir := mounts(t)
	for _, name := range []string{"lower", "upper", "work", "merged"} {
		check(t, os.Mkdir(dir+"/"+name, 0o700))
	}
	check(t, os.WriteFile(dir+"/lower/a", []byte("hello"), 0o600))
	if err := unix.Mount("fildes", dir+"/merged", "overlay", 0, fmt.Sprintf("lowerdir=%[1]s/lower,upperdir=%[1]s/upper,workdir=%[1]s/work", dir)); err != nil {
		fdtest.Need(t, "overlayfs", err.Error())
	}
	w := newWatcher(t)
	d, err := w.Add(dir+"/merged", inotify.Modify, 0)
	check(t, err)
	f, err := w.Add(dir+"/merged/a", inotify.Modify, 0)
	check(t, err)
	file, err := os.OpenFile(dir+"/merged/a", os.O_WRONLY, 0)
	check(t, err)
	_, err = file.WriteString("x")
	check(t, errors.Join(err, file.Close()))
	for _, want := range []inotify.Watch{d, f} {
		if ev, err := w.Read(bounded(t)); err != nil || ev.Watch != want || ev.Mask != inotify.Modify {
			t.Error(ev, err)
		}
	}
}

// A Tree takes some hundred bytes per directory, however many there are.
func TestTreeLarge(t *testing.T) {
	all := 100_000
	switch {
	case testing.Short():
		all = 2000
	case fdtest.Race: // the other build has shown it
		all = 10_000
	}
	b, err := os.ReadFile("/proc/sys/fs/inotify/max_user_watches")
	if err != nil {
		fdtest.Need(t, "proc", err.Error())
	}
	if limit, err := strconv.Atoi(string(bytes.TrimSpace(b))); err != nil || limit < all+all/10 {
		fdtest.Need(t, "inotify_watches", fmt.Sprintf("the sysctl fs.inotify.max_user_watches is %d", limit))
	}
	base := t.TempDir()
	for i := 0; i < all; i += 100 {
		dir := filepath.Join(base, fmt.Sprintf("directory-%d", i))
		check(t, os.Mkdir(dir, 0o700))
		for j := 1; j < 100; j++ {
			check(t, os.Mkdir(filepath.Join(dir, strconv.Itoa(j)), 0o700))
		}
	}
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	tree := newTree(t, nil)
	before := heap()
	check(t, tree.Add(t.Context(), base))
	each := (int64(heap()) - int64(before)) / int64(all)
	if n := tree.Len(); n != all+1 {
		t.Errorf("%d directories are watched, of %d", n, all+1)
	}
	if t.Logf("%d bytes per directory", each); each > 400 {
		t.Errorf("%d bytes per directory", each)
	}
	touch(t, base+"/directory-0/99/x")
	wantEvents(t, tree, base, "Create /directory-0/99/x", "CloseWrite /directory-0/99/x")
	check(t, os.Rename(base+"/directory-0", base+"/directory"))
	touch(t, base+"/directory/98/x")
	wantEvents(t, tree, base, "MovedFrom|MovedTo|IsDir /directory from /directory-0", "Create /directory/98/x", "CloseWrite /directory/98/x")
}
