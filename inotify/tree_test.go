//go:build linux

package inotify_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes/inotify"
	"github.com/fildes/fildes/internal/fdtest"
)

func newTree(t testing.TB, opts *inotify.TreeOptions) *inotify.Tree {
	t.Helper()
	tree, err := inotify.NewTree(opts)
	check(t, err)
	t.Cleanup(func() { _ = tree.Close() })
	return tree
}

// picture is what a reader of a tree's events knows: whether each path is a directory.
type picture map[string]bool

// apply does what the documentation of Tree says.
func (p picture) apply(ev inotify.TreeEvent) error {
	below := func(path string) []string {
		return slices.DeleteFunc(slices.Collect(maps.Keys(p)), func(q string) bool { return q != path && !strings.HasPrefix(q, path+"/") })
	}
	switch {
	case ev.Err != nil:
		return fmt.Errorf("%s: %w", ev.Path, ev.Err)
	case ev.Mask.Has(inotify.Overflow):
		clear(p)
	case ev.From != "":
		if _, ok := p[ev.From]; !ok {
			return fmt.Errorf("%+v: nobody knows the old name", ev)
		}
		for _, q := range below(ev.Path) {
			if q != ev.From && !strings.HasPrefix(q, ev.From+"/") {
				delete(p, q)
			}
		}
		for _, q := range below(ev.From) {
			dir := p[q]
			delete(p, q)
			p[ev.Path+strings.TrimPrefix(q, ev.From)] = dir
		}
	case ev.Mask&(inotify.Create|inotify.MovedTo) != 0:
		if _, ok := p[ev.Path]; ok && ev.Mask.Has(inotify.Create) {
			return fmt.Errorf("%+v: reported twice", ev)
		}
		for _, q := range below(ev.Path) {
			delete(p, q)
		}
		p[ev.Path] = ev.IsDir()
	case ev.Mask&(inotify.Delete|inotify.MovedFrom) != 0:
		if _, ok := p[ev.Path]; !ok {
			return fmt.Errorf("%+v: nobody knows it", ev)
		}
		for _, q := range below(ev.Path) {
			delete(p, q)
		}
	}
	return nil
}

// walk is the truth.
func walk(t testing.TB, root string) picture {
	p := picture{}
	check(t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && path != root {
			p[path] = d.IsDir()
		}
		return err
	}))
	return p
}

// settle reads events until a file that is made now is reported, and then the tree is what it was.
func settle(t testing.TB, tree *inotify.Tree, p picture, root string, strict bool) {
	t.Helper()
	mark := filepath.Join(root, "mark"+unique())
	touch(t, mark)
	ctx, cancel := context.WithTimeout(context.Background(), fdtest.Bound)
	defer cancel()
	for {
		ev, err := tree.Read(ctx)
		check(t, err)
		if err := p.apply(ev); err != nil && strict {
			t.Error(err)
		}
		if ev.Path == mark && ev.Mask.Has(inotify.Create) {
			break
		}
	}
}

// quiet is how long no event comes when there are none any more: all were queued before.
func quiet() time.Duration {
	if testing.Short() { // on a machine that is emulated
		return 300 * time.Millisecond
	}
	return 30 * time.Millisecond
}

// readAll reads what there is.
func readAll(t testing.TB, tree *inotify.Tree, p picture, strict bool) (all []inotify.TreeEvent) {
	t.Helper()
	for {
		ctx, cancel := context.WithTimeout(context.Background(), quiet())
		ev, err := tree.Read(ctx)
		cancel()
		if errors.Is(err, context.DeadlineExceeded) {
			return all
		}
		check(t, err)
		if err := p.apply(ev); err != nil && strict {
			t.Error(err)
		}
		all = append(all, ev)
	}
}

func compare(t testing.TB, got, want picture) {
	t.Helper()
	for path, dir := range want {
		if is, ok := got[path]; !ok {
			t.Errorf("%s isn't known (directory: %v)", path, dir)
		} else if is != dir {
			t.Errorf("%s: directory: %v", path, is)
		}
	}
	for path, dir := range got {
		if _, ok := want[path]; !ok {
			t.Errorf("%s is known, and isn't there (directory: %v)", path, dir)
		}
	}
}

var structure = &inotify.TreeOptions{Mask: inotify.Create | inotify.Delete | inotify.Moved}

// workload changes a tree at random, n times.
func workload(r *rand.Rand, root, outside string, n int) {
	dirs := []string{root}
	pick := func() string { return dirs[r.IntN(len(dirs))] }
	name := func() string { return string(rune('a' + r.IntN(6))) }
	for range n {
		d := pick()
		switch r.IntN(12) {
		case 0, 1, 2: // mkdir -p
			p := filepath.Join(d, name(), name(), name())
			if os.MkdirAll(p, 0o700) == nil && len(dirs) < 60 {
				dirs = append(dirs, p, filepath.Dir(p), filepath.Dir(filepath.Dir(p)))
			}
		case 3, 4, 5:
			_ = os.WriteFile(filepath.Join(d, name()), nil, 0o600)
		case 6:
			_ = os.Remove(filepath.Join(d, name()))
		case 7:
			if p := filepath.Join(d, name()); r.IntN(3) == 0 {
				_ = os.RemoveAll(p)
			}
		case 8, 9:
			_ = os.Rename(filepath.Join(d, name()), filepath.Join(pick(), name()))
		case 10:
			_ = unix.Renameat2(unix.AT_FDCWD, filepath.Join(d, name()), unix.AT_FDCWD, filepath.Join(pick(), name()), unix.RENAME_EXCHANGE)
		case 11:
			if r.IntN(2) == 0 {
				_ = os.Rename(filepath.Join(d, name()), filepath.Join(outside, unique()))
			} else if all, _ := os.ReadDir(outside); len(all) > 0 {
				_ = os.Rename(filepath.Join(outside, all[r.IntN(len(all))].Name()), filepath.Join(d, name()))
			}
		}
	}
}

// Whatever is done to a tree, at full speed and by several at once: the picture that its events give is the tree.
func TestTreeRandom(t *testing.T) {
	for seed := range fdtest.Rounds(40) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			base := t.TempDir()
			root, outside := filepath.Join(base, "root"), filepath.Join(base, "outside")
			check(t, errors.Join(os.Mkdir(root, 0o700), os.Mkdir(outside, 0o700)))
			workload(rand.New(rand.NewPCG(uint64(seed), 0)), root, outside, 30)
			tree := newTree(t, &inotify.TreeOptions{Mask: structure.Mask, Existing: true})
			var wg sync.WaitGroup
			for i := range 1 + seed%3 {
				wg.Go(func() { workload(rand.New(rand.NewPCG(uint64(seed), uint64(i+1))), root, outside, 200) })
			}
			check(t, tree.Add(t.Context(), root))
			p := picture{}
			if seed%2 == 0 { // else nobody reads until all is over
				ctx, cancel := context.WithCancel(t.Context())
				c := fdtest.Go(t, func() error {
					for {
						ev, err := tree.Read(ctx)
						if err != nil {
							return err
						}
						_ = p.apply(ev)
					}
				})
				wg.Wait()
				cancel()
				wantIs(t, c.Err(), context.Canceled)
			}
			wg.Wait()
			settle(t, tree, p, root, false)
			readAll(t, tree, p, false) // what was looked for again
			compare(t, p, walk(t, root))
			if t.Failed() {
				t.Logf("seed %d", seed)
			}
			dirs := 1
			for _, dir := range p {
				if dir {
					dirs++
				}
			}
			if n := tree.Len(); n != dirs {
				t.Errorf("%d directories are watched, of %d", n, dirs)
			}
			check(t, tree.Close())
		})
	}
}

// Slowly, every entry is reported exactly once.
func TestTreeExact(t *testing.T) {
	for seed := range fdtest.Rounds(20) {
		base := t.TempDir()
		root, outside := filepath.Join(base, "root"), filepath.Join(base, "outside")
		check(t, errors.Join(os.Mkdir(root, 0o700), os.Mkdir(outside, 0o700)))
		tree := newTree(t, structure)
		check(t, tree.Add(t.Context(), root))
		p := picture{}
		r := rand.New(rand.NewPCG(uint64(seed), 99))
		for range 60 {
			workload(r, root, outside, 1)
			settle(t, tree, p, root, true)
		}
		compare(t, p, walk(t, root))
		check(t, tree.Close())
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

// events reads what there is, as text.
func treeEvents(t testing.TB, tree *inotify.Tree, root string) []string {
	t.Helper()
	return texts(readAll(t, tree, picture{}, false), root)
}

// someEvents reads as many, as text.
func someEvents(t testing.TB, tree *inotify.Tree, root string, n int) []string {
	t.Helper()
	var all []inotify.TreeEvent
	for range n {
		ev, err := tree.Read(bounded(t))
		check(t, err)
		all = append(all, ev)
	}
	return texts(all, root)
}

func texts(events []inotify.TreeEvent, root string) (all []string) {
	for _, ev := range events {
		s := ev.Mask.String() + " " + strings.TrimPrefix(ev.Path, root)
		if ev.From != "" {
			s += " from " + strings.TrimPrefix(ev.From, root)
		}
		if ev.Found {
			s += " found"
		}
		if ev.Err != nil {
			s += " " + ev.Err.Error()
		}
		all = append(all, s)
	}
	return all
}

func wantEvents(t testing.TB, tree *inotify.Tree, root string, want ...string) {
	t.Helper()
	if got := append(someEvents(t, tree, root, len(want)), treeEvents(t, tree, root)...); !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestTree(t *testing.T) {
	base := t.TempDir()
	root, out := filepath.Join(base, "root"), filepath.Join(base, "out")
	check(t, errors.Join(os.MkdirAll(root+"/a/b", 0o700), os.Mkdir(out, 0o700)))
	tree := newTree(t, nil)
	check(t, tree.Add(t.Context(), root))
	if n := tree.Len(); n != 3 {
		t.Error(n)
	}
	wantEvents(t, tree, root)
	check(t, os.WriteFile(root+"/a/b/f", []byte("x"), 0o600))
	wantEvents(t, tree, root, "Create /a/b/f", "Modify /a/b/f", "CloseWrite /a/b/f")
	check(t, os.Rename(root+"/a/b", root+"/c"))
	wantEvents(t, tree, root, "MovedFrom|MovedTo|IsDir /c from /a/b")
	check(t, os.Rename(root+"/c/f", root+"/c/g"))
	wantEvents(t, tree, root, "MovedFrom|MovedTo /c/g from /c/f")
	check(t, os.Rename(root+"/c", out+"/c"))
	wantEvents(t, tree, root, "MovedFrom|IsDir /c")
	touch(t, out+"/c/unseen")
	wantEvents(t, tree, root)
	check(t, os.Rename(out+"/c", root+"/d"))
	wantEvents(t, tree, root, "MovedTo|IsDir /d", "Create /d/unseen found", "Create /d/g found")
	check(t, os.MkdirAll(root+"/x/y", 0o700))
	touch(t, root+"/x/y/z")
	got := treeEvents(t, tree, root)
	slices.Sort(got)
	for _, want := range []string{"/x", "/x/y", "/x/y/z"} {
		n := 0
		for _, s := range got {
			if f := strings.Fields(s); strings.HasPrefix(s, "Create") && f[1] == want {
				n++
			}
		}
		if n != 1 {
			t.Errorf("%s was reported %d times: %q", want, n, got)
		}
	}
	check(t, os.RemoveAll(root+"/x"))
	wantEvents(t, tree, root, "Delete /x/y/z", "Delete|IsDir /x/y", "Delete|IsDir /x")
	check(t, unix.Renameat2(unix.AT_FDCWD, root+"/a", unix.AT_FDCWD, root+"/d", unix.RENAME_EXCHANGE))
	touch(t, root+"/a/new")
	touch(t, root+"/d/new")
	p := picture{root + "/a": true, root + "/d": true, root + "/d/unseen": false, root + "/d/g": false}
	readAll(t, tree, p, false)
	compare(t, p, walk(t, root))
	check(t, tree.Remove(root))
	touch(t, root+"/ignored")
	wantEvents(t, tree, root)
	wantIs(t, tree.Remove(root), os.ErrInvalid)
	if n := tree.Len(); n != 0 {
		t.Error(n)
	}
}

func TestTreeRoots(t *testing.T) {
	base := t.TempDir()
	check(t, errors.Join(os.MkdirAll(base+"/a/sub", 0o700), os.Mkdir(base+"/b", 0o700), os.Symlink(base+"/a", base+"/link")))
	tree := newTree(t, structure)
	check(t, tree.Add(t.Context(), base+"/a"))
	check(t, tree.Add(t.Context(), base+"/b/"))
	wantIs(t, tree.Add(t.Context(), base+"/a"), os.ErrInvalid)
	wantIs(t, tree.Add(t.Context(), base+"/a/sub"), os.ErrInvalid)
	wantIs(t, tree.Add(t.Context(), base+"/link"), os.ErrInvalid)
	wantIs(t, tree.Add(t.Context(), base+"/none"), fs.ErrNotExist)
	touch(t, base+"/file")
	wantIs(t, tree.Add(t.Context(), base+"/file"), syscall.ENOTDIR)
	done, cancel := context.WithCancel(t.Context())
	cancel()
	wantIs(t, tree.Add(done, base), context.Canceled)
	if n := tree.Len(); n != 3 {
		t.Error(n)
	}
	touch(t, base+"/a/sub/x")
	check(t, os.Rename(base+"/a/sub", base+"/b/sub"))
	wantEvents(t, tree, base, "Create /a/sub/x", "MovedFrom|MovedTo|IsDir /b/sub from /a/sub")
	check(t, os.Rename(base+"/b", base+"/c"))
	wantEvents(t, tree, base, "MoveSelf /b/")
	check(t, os.RemoveAll(base+"/a"))
	wantEvents(t, tree, base, "DeleteSelf /a")
	if n := tree.Len(); n != 0 {
		t.Error(n)
	}
}

func TestTreeSkip(t *testing.T) {
	base := t.TempDir()
	check(t, os.MkdirAll(base+"/.git/objects", 0o700))
	tree := newTree(t, &inotify.TreeOptions{Mask: structure.Mask, Skip: func(path string, _ bool) bool {
		return filepath.Base(path) == ".git" || strings.HasSuffix(path, "~")
	}})
	check(t, tree.Add(t.Context(), base))
	if n := tree.Len(); n != 1 {
		t.Error(n)
	}
	touch(t, base+"/.git/objects/x")
	touch(t, base+"/a~")
	check(t, os.Rename(base+"/a~", base+"/a"))
	check(t, os.Rename(base+"/a", base+"/b~"))
	check(t, os.Rename(base+"/b~", base+"/c~"))
	check(t, os.Rename(base+"/.git", base+"/git"))
	wantEvents(t, tree, base, "MovedTo /a", "MovedFrom /a", "MovedTo|IsDir /git", "Create|IsDir /git/objects found", "Create /git/objects/x found")
}

func TestTreeLinks(t *testing.T) {
	base, other := t.TempDir(), t.TempDir()
	check(t, errors.Join(os.Mkdir(base+"/d", 0o700), os.Symlink(other, base+"/link"), os.Symlink(base, base+"/d/loop"), os.Symlink("nowhere", base+"/dead")))
	tree := newTree(t, structure)
	check(t, tree.Add(t.Context(), base))
	touch(t, other+"/a")
	wantEvents(t, tree, base)
	tree = newTree(t, &inotify.TreeOptions{Mask: structure.Mask, FollowLinks: true})
	check(t, tree.Add(t.Context(), base))
	if n := tree.Len(); n != 3 {
		t.Error(n)
	}
	touch(t, other+"/b")
	touch(t, base+"/x")
	wantEvents(t, tree, base, "Create /link/b", "Create /x")
	check(t, os.Remove(base+"/link"))
	touch(t, other+"/c")
	wantEvents(t, tree, base, "Delete /link")
	check(t, os.Symlink(other, base+"/again"))
	got := treeEvents(t, tree, base)
	slices.Sort(got)
	if want := []string{"Create /again", "Create /again/a found", "Create /again/b found", "Create /again/c found"}; !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

func TestTreeUnreadable(t *testing.T) {
	fdtest.NeedUser(t)
	base := t.TempDir()
	check(t, os.Mkdir(base+"/closed", 0o300))
	tree := newTree(t, structure)
	check(t, tree.Add(t.Context(), base))
	ev, err := tree.Read(bounded(t))
	check(t, err)
	wantIs(t, ev.Err, fs.ErrPermission)
	if ev.Path != base+"/closed" {
		t.Errorf("%+v", ev)
	}
	check(t, os.Rename(base+"/closed", base+"/moved")) // tried again under its new name
	moved := []string{"MovedFrom|IsDir /closed", "MovedTo|IsDir /moved"}
	if got := treeEvents(t, tree, base); len(got) != 3 || !slices.Equal(got[:2], moved) || !strings.Contains(got[2], "permission denied") {
		t.Errorf("%q", got)
	}
	tree = newTree(t, nil)
	check(t, tree.Add(t.Context(), base))
	_, err = tree.Read(bounded(t))
	check(t, err)
	touch(t, base+"/moved/x")
	check(t, os.Chmod(base+"/moved", 0o700))
	wantEvents(t, tree, base, "Attrib|IsDir /moved", "Create /moved/x found")
	touch(t, base+"/moved/y")
	wantEvents(t, tree, base, "Create /moved/y", "CloseWrite /moved/y")
}

// What two links lead to is reported under one, and under the other when that is gone.
func TestTreeTwoWays(t *testing.T) {
	base, other := t.TempDir(), t.TempDir()
	check(t, errors.Join(os.Mkdir(other+"/d", 0o700), os.Symlink(other, base+"/a"), os.Symlink(other, base+"/b")))
	tree := newTree(t, &inotify.TreeOptions{Mask: structure.Mask, FollowLinks: true})
	check(t, tree.Add(t.Context(), base))
	touch(t, other+"/x")
	got := treeEvents(t, tree, base)
	first, second := "/a", "/b"
	if slices.Equal(got, []string{"Create /b/x"}) {
		first, second = second, first
	} else if !slices.Equal(got, []string{"Create /a/x"}) {
		t.Fatalf("%q", got)
	}
	check(t, os.Rename(base+second, base+"/c"))
	wantEvents(t, tree, base, "MovedFrom|MovedTo /c from "+second)
	check(t, os.Remove(base+first))
	got = treeEvents(t, tree, base)
	if slices.Sort(got); !slices.Equal(got, []string{"Create /c/x found", "Create|IsDir /c/d found", "Delete " + first}) {
		t.Errorf("%q", got)
	}
	touch(t, other+"/d/y")
	wantEvents(t, tree, base, "Create /c/d/y")
	check(t, os.Symlink(other+"/d", base+"/e")) // a second way to what is below
	wantEvents(t, tree, base, "Create /e")
	check(t, os.Remove(base+"/c"))
	wantEvents(t, tree, base, "Delete /c", "Create /e/y found")
	if n := tree.Len(); n != 2 {
		t.Error(n)
	}
	check(t, os.RemoveAll(other+"/d"))
	wantEvents(t, tree, base, "Delete /e/y")
	check(t, os.Remove(base+"/e"))
	wantEvents(t, tree, base, "Delete /e")
}

// A root is a way too.
func TestTreeWayRemoved(t *testing.T) {
	base, other := t.TempDir(), t.TempDir()
	tree := newTree(t, &inotify.TreeOptions{Mask: structure.Mask, FollowLinks: true})
	check(t, errors.Join(tree.Add(t.Context(), other), os.Symlink(other, base+"/link"), tree.Add(t.Context(), base)))
	touch(t, other+"/x")
	wantEvents(t, tree, other, "Create /x")
	var got inotify.TreeEvent
	c := fdtest.Go(t, func() (err error) { got, err = tree.Read(bounded(t)); return err }).Parked()
	check(t, tree.Remove(other))
	check(t, c.Err())
	if got.Path != base+"/link/x" || !got.Found {
		t.Errorf("%+v", got)
	}
}

// What a link led to is renamed: the link leads nowhere, or elsewhere.
func TestTreeTargetRenamed(t *testing.T) {
	base, other := t.TempDir(), t.TempDir()
	check(t, errors.Join(os.Mkdir(other+"/d", 0o700), os.Symlink(other+"/d", base+"/link")))
	tree := newTree(t, &inotify.TreeOptions{Mask: structure.Mask, FollowLinks: true})
	check(t, tree.Add(t.Context(), base))
	check(t, os.Rename(other+"/d", other+"/e"))
	touch(t, other+"/e/unseen")
	wantEvents(t, tree, base, "MovedFrom /link", "Create /link found")
	check(t, os.Remove(base+"/link"))
	check(t, os.Symlink(other+"/e", base+"/link"))
	wantEvents(t, tree, base, "Delete /link", "Create /link", "Create /link/unseen found")
	check(t, errors.Join(os.Mkdir(other+"/f", 0o700), unix.Renameat2(unix.AT_FDCWD, other+"/e", unix.AT_FDCWD, other+"/f", unix.RENAME_EXCHANGE)))
	wantEvents(t, tree, base, "MovedFrom /link", "Create /link found")
	touch(t, other+"/e/seen")
	wantEvents(t, tree, base, "Create /link/seen")
	check(t, os.Rename(other+"/e", base+"/e")) // into the tree
	p := picture{base + "/link": false, base + "/link/seen": false}
	readAll(t, tree, p, false)
	compare(t, p, walk(t, base))
}

// After an Overflow all that is there is reported, and the watches of what has left are gone.
func TestTreeOverflow(t *testing.T) {
	base := t.TempDir()
	check(t, os.MkdirAll(base+"/root/a/b", 0o700))
	tree := newTree(t, &inotify.TreeOptions{Mask: inotify.Create | inotify.Delete | inotify.Moved | inotify.Attrib})
	check(t, tree.Add(t.Context(), base+"/root"))
	files := []string{base + "/root/x", base + "/root/y"}
	for _, f := range files {
		touch(t, f)
	}
	limit := queueLimit(t)
	for i := range limit + 1 {
		check(t, os.Chmod(files[i%2], 0o600))
	}
	check(t, errors.Join(os.Rename(base+"/root/a/b", base+"/b"), os.MkdirAll(base+"/root/new/dir", 0o700), os.Remove(files[0])))
	p, overflows := picture{}, 0
	for _, ev := range readAll(t, tree, p, false) {
		if ev.Mask == inotify.Overflow {
			overflows++
		}
	}
	if overflows != 1 {
		t.Errorf("%d overflows", overflows)
	}
	compare(t, p, walk(t, base+"/root"))
	if n := tree.Len(); n != 4 {
		t.Error(n)
	}
	touch(t, base+"/b/unseen")
	touch(t, base+"/root/new/dir/seen")
	wantEvents(t, tree, base, "Create /root/new/dir/seen")
}

func TestTreeMisuse(t *testing.T) {
	for _, tree := range []*inotify.Tree{nil, {}} {
		_, err := tree.Read(t.Context())
		for _, err := range []error{err, tree.Add(t.Context(), "."), tree.Remove("."), tree.Close()} {
			wantIs(t, err, os.ErrInvalid)
		}
		if tree.Len() != 0 {
			t.Error(tree.Len())
		}
	}
	_, err := inotify.NewTree(&inotify.TreeOptions{Mask: inotify.IsDir})
	wantIs(t, err, os.ErrInvalid)
	tree := newTree(t, nil)
	_, err = tree.ReadBatch(t.Context(), nil)
	wantIs(t, err, os.ErrInvalid)
	ctx, cancel := context.WithCancel(t.Context())
	read := func(ctx context.Context) *fdtest.Caller {
		return fdtest.Go(t, func() error { _, err := tree.Read(ctx); return err }).Parked()
	}
	a, b := read(ctx), read(t.Context())
	cancel()
	wantIs(t, a.Err(), context.Canceled)
	check(t, tree.Close())
	wantIs(t, b.Err(), os.ErrClosed)
	wantIs(t, tree.Close(), os.ErrClosed)
	wantIs(t, tree.Add(t.Context(), "."), os.ErrClosed)
}

// A root whose path has changed further up is given up, and not silently.
func TestTreeAboveRoot(t *testing.T) {
	base := t.TempDir()
	check(t, os.MkdirAll(base+"/x/root", 0o700))
	tree := newTree(t, structure)
	check(t, tree.Add(t.Context(), base+"/x/root"))
	check(t, errors.Join(os.Rename(base+"/x", base+"/y"), os.Mkdir(base+"/y/root/new", 0o700)))
	wantEvents(t, tree, base, "Create|IsDir /x/root/new", "MoveSelf /x/root")
	if n := tree.Len(); n != 0 {
		t.Error(n)
	}
}

// What happened to a directory before it was added as a root doesn't end it.
func TestTreeAddedAgain(t *testing.T) {
	base := t.TempDir()
	check(t, os.Mkdir(base+"/a", 0o700))
	tree := newTree(t, structure)
	check(t, tree.Add(t.Context(), base+"/a"))
	check(t, os.Rename(base+"/a", base+"/b"))
	check(t, tree.Add(t.Context(), base+"/b"))
	touch(t, base+"/b/x")
	wantEvents(t, tree, base, "MoveSelf /a", "Create /b/x")
}

// A Read that waits gets what an Add has found.
func TestTreeAddWakes(t *testing.T) {
	base := t.TempDir()
	touch(t, base+"/file")
	tree := newTree(t, &inotify.TreeOptions{Existing: true})
	var got inotify.TreeEvent
	c := fdtest.Go(t, func() (err error) { got, err = tree.Read(bounded(t)); return err }).Parked()
	check(t, tree.Add(t.Context(), base))
	check(t, c.Err())
	if got.Path != base+"/file" || !got.Found {
		t.Errorf("%+v", got)
	}
}

func TestTreeOverflowWithoutRoot(t *testing.T) {
	base := t.TempDir()
	check(t, os.Mkdir(base+"/root", 0o700))
	tree := newTree(t, &inotify.TreeOptions{Mask: inotify.Attrib})
	check(t, tree.Add(t.Context(), base+"/root"))
	files := []string{base + "/root/x", base + "/root/y"}
	for _, f := range files {
		touch(t, f)
	}
	for i := range queueLimit(t) + 1 {
		check(t, os.Chmod(files[i%2], 0o600))
	}
	check(t, os.RemoveAll(base+"/root"))
	var last [2]inotify.Mask
	for last[1] != inotify.MoveSelf {
		ev, err := tree.Read(bounded(t))
		check(t, err)
		last[0], last[1] = last[1], ev.Mask
	}
	if last[0] != inotify.Overflow {
		t.Errorf("it ends with %v", last)
	}
	if more := treeEvents(t, tree, base); len(more) > 0 {
		t.Errorf("it goes on with %q", more)
	}
}

// An Add that fails takes nothing from other roots.
func TestTreeFailedAdd(t *testing.T) {
	base := t.TempDir()
	check(t, errors.Join(os.MkdirAll(base+"/one/d", 0o700), os.MkdirAll(base+"/two/e/f", 0o700)))
	ctx, cancel := context.WithCancel(t.Context())
	tree := newTree(t, &inotify.TreeOptions{Mask: structure.Mask, Skip: func(path string, _ bool) bool {
		if filepath.Base(path) == "f" {
			cancel()
		}
		return false
	}})
	check(t, tree.Add(t.Context(), base+"/one"))
	check(t, os.Rename(base+"/one/d", base+"/two/d"))
	wantIs(t, tree.Add(ctx, base+"/two"), context.Canceled)
	wantEvents(t, tree, base, "MovedFrom|IsDir /one/d")
}

// A Tree that reports everything doesn't drown in what it does itself.
func TestTreeAllEvents(t *testing.T) {
	base := t.TempDir()
	n := fdtest.Rounds(4000)
	for i := range n {
		check(t, os.Mkdir(filepath.Join(base, fmt.Sprint(i)), 0o700))
	}
	tree := newTree(t, &inotify.TreeOptions{Mask: inotify.AllEvents})
	check(t, tree.Add(t.Context(), base))
	touch(t, base+"/17/x")
	wantEvents(t, tree, base, "Create /17/x", "Open /17/x", "CloseWrite /17/x")
	if got := tree.Len(); got != n+1 {
		t.Errorf("%d directories are watched, of %d", got, n+1)
	}
}

// A half that waits is forgotten with its root.
func TestTreeHalfRemoved(t *testing.T) {
	base := t.TempDir()
	check(t, errors.Join(os.Mkdir(base+"/one", 0o700), os.Mkdir(base+"/two", 0o700)))
	touch(t, base+"/one/x")
	tree := newTree(t, &inotify.TreeOptions{Mask: structure.Mask, RenameWithin: 100 * time.Millisecond})
	check(t, errors.Join(tree.Add(t.Context(), base+"/one"), tree.Add(t.Context(), base+"/two")))
	c := fdtest.Go(t, func() error { _, err := tree.Read(bounded(t)); return err }).Parked()
	check(t, os.Rename(base+"/one/x", base+"/x"))
	time.Sleep(10 * time.Millisecond)
	check(t, tree.Remove(base+"/one"))
	time.Sleep(150 * time.Millisecond)
	fdtest.Idle(t, 500*time.Millisecond)
	touch(t, base+"/two/y")
	check(t, c.Err())
}

// What an exchange has put where is found, also where the paths are the past's because a directory above was renamed before the events were read.
func TestTreeExchange(t *testing.T) {
	for _, kinds := range []string{"dir/dir", "dir/file", "file/dir", "file/file"} {
		for _, moved := range []string{"", "p", "q", "p q"} {
			t.Run(kinds+" "+moved, func(t *testing.T) {
				root := t.TempDir()
				one, other, _ := strings.Cut(kinds, "/")
				for path, kind := range map[string]string{root + "/p/a": one, root + "/q/b": other} {
					check(t, os.Mkdir(filepath.Dir(path), 0o700))
					if kind == "dir" {
						check(t, os.Mkdir(path, 0o700))
						path += "/" + filepath.Base(path)
					}
					touch(t, path)
				}
				tree := newTree(t, &inotify.TreeOptions{Mask: structure.Mask, Existing: true})
				check(t, tree.Add(t.Context(), root))
				check(t, unix.Renameat2(unix.AT_FDCWD, root+"/p/a", unix.AT_FDCWD, root+"/q/b", unix.RENAME_EXCHANGE))
				for _, dir := range strings.Fields(moved) {
					check(t, os.Rename(root+"/"+dir, root+"/"+dir+dir))
				}
				p := picture{}
				readAll(t, tree, p, false)
				compare(t, p, walk(t, root))
			})
		}
	}
}

// An entry that was found as a file, though events tell first of a directory of its name: each is reported, and that it has gone.
func TestTreeOtherKind(t *testing.T) {
	root := t.TempDir()
	check(t, os.Mkdir(root+"/c", 0o700))
	tree := newTree(t, structure)
	check(t, tree.Add(t.Context(), root))
	p := picture{root + "/c": true}
	check(t, errors.Join(os.Rename(root+"/c", root+"/x"), os.Mkdir(root+"/c", 0o700), os.Remove(root+"/c")))
	touch(t, root+"/c")
	readAll(t, tree, p, true)
	compare(t, p, walk(t, root))
}
