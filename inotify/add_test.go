//go:build linux

package inotify_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes/inotify"
	"github.com/fildes/fildes/internal/fdtest"
	"github.com/fildes/fildes/internal/sys"
)

// A Skip that panics, or ends the goroutine, leaves nothing of the root.
func TestTreeSkipPanics(t *testing.T) {
	dir := t.TempDir()
	check(t, os.MkdirAll(filepath.Join(dir, "a/b"), 0o700))
	what := any("a panic")
	tree := newTree(t, &inotify.TreeOptions{Skip: func(string, bool) bool {
		switch what {
		case nil:
			return false
		case "exit":
			runtime.Goexit()
		}
		panic(what)
	}})
	func() {
		defer func() {
			if got := recover(); got != what {
				t.Errorf("it panicked with %v", got)
			}
		}()
		_ = tree.Add(t.Context(), dir)
		t.Error("no panic")
	}()
	what = "exit"
	returned := true
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = tree.Add(t.Context(), dir)
		returned = false
	}()
	<-done
	if !returned {
		t.Error("Add returned, although Skip ended the goroutine")
	}
	what = nil
	check(t, tree.Add(t.Context(), dir))
	if n := tree.Len(); n != 3 {
		t.Errorf("%d directories are watched, not 3", n)
	}
}

// A directory that may be read but not entered is watched.
func TestTreeUnsearchable(t *testing.T) {
	dir := t.TempDir()
	closed := filepath.Join(dir, "closed")
	check(t, os.MkdirAll(filepath.Join(closed, "below"), 0o700))
	check(t, os.Chmod(closed, 0o400))
	t.Cleanup(func() { _ = os.Chmod(closed, 0o700) })
	tree := newTree(t, nil)
	check(t, tree.Add(t.Context(), dir))
	want := 2
	if os.Geteuid() == 0 {
		want = 3
	}
	if n := tree.Len(); n != want {
		t.Errorf("%d directories are watched, not %d", n, want)
	}
}

// Add keeps directories open while it is below them, but not where that would keep others from being watched.
func TestTreeAddWithFewDescriptors(t *testing.T) {
	if _, child, err := fdtest.InChild(t); !child {
		check(t, err)
		return
	}
	dir := t.TempDir()
	check(t, os.MkdirAll(filepath.Join(dir, strings.Repeat("d/", 60)), 0o700))
	check(t, os.MkdirAll(filepath.Join(dir, strings.Repeat("d/", 20), strings.Repeat("e/", 30)), 0o700))
	tree := newTree(t, &inotify.TreeOptions{Existing: true})
	free, err := unix.Open("/", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	check(t, err)
	check(t, unix.Close(free))
	var old unix.Rlimit
	check(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &old))
	few := old
	few.Cur = uint64(free) + 5
	check(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &few))
	err = tree.Add(t.Context(), dir)
	check(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &old))
	check(t, err)
	if n := tree.Len(); n != 91 {
		t.Errorf("%d directories are watched, not 91", n)
	}
}

// wide makes a tree that is worth several threads, and returns how many directories it has.
func wide(t testing.TB, root string) int {
	t.Helper()
	n := width()
	for i := range n {
		for j := range n {
			check(t, os.MkdirAll(filepath.Join(root, fmt.Sprint(i), fmt.Sprint(j), "deep"), 0o700))
		}
	}
	return 1 + n + 2*n*n
}

func width() int {
	if testing.Short() { // on a machine that is emulated
		return 6
	}
	return 20
}

// Several goroutines look, and one asks Skip and reports.
func TestTreeAddWide(t *testing.T) {
	dir := t.TempDir()
	n := wide(t, dir)
	asked := 0
	tree := newTree(t, &inotify.TreeOptions{Existing: true, Skip: func(string, bool) bool { asked++; return false }})
	check(t, tree.Add(t.Context(), dir))
	if tree.Len() != n || asked != n-1 {
		t.Errorf("%d directories are watched, of %d; Skip was asked %d times", tree.Len(), n, asked)
	}
	p := picture{}
	readAll(t, tree, p, true)
	compare(t, p, walk(t, dir))
}

// What is created in a directory while others are looked into is reported once, whoever looks.
func TestTreeAddWhileItGrows(t *testing.T) {
	for range fdtest.Rounds(5) {
		dir := t.TempDir()
		n := wide(t, dir)
		made := 0
		tree := newTree(t, &inotify.TreeOptions{Mask: structure.Mask, Existing: true, Skip: func(_ string, isDir bool) bool {
			if isDir {
				touch(t, filepath.Join(dir, fmt.Sprint(rand.IntN(width())), fmt.Sprint(rand.IntN(width())), fmt.Sprint("new", made)))
				made++
			}
			return false
		}})
		check(t, tree.Add(t.Context(), dir))
		if tree.Len() != n {
			t.Errorf("%d directories are watched, of %d", tree.Len(), n)
		}
		last := filepath.Join(dir, "last")
		touch(t, last)
		times := make(map[string]int)
		for times[last] == 0 {
			ev, err := tree.Read(bounded(t))
			check(t, err)
			times[ev.Path]++
		}
		for path := range walk(t, dir) {
			if times[path] != 1 {
				t.Errorf("%s was reported %d times", path, times[path])
			}
		}
	}
}

// Whenever Add ends, and however, it leaves no descriptor, no goroutine, and no watch of what it was adding.
func TestTreeAddEnds(t *testing.T) {
	dir, other := t.TempDir(), t.TempDir()
	n := wide(t, dir)
	for _, how := range []string{"cancelled", "panic", "closed"} {
		for after := 1; after < n; after += 37 {
			ctx, cancel := context.WithCancel(t.Context())
			var tree *inotify.Tree
			asked := 0
			tree = newTree(t, &inotify.TreeOptions{Skip: func(string, bool) bool {
				if asked++; asked == after {
					switch how {
					case "cancelled":
						cancel()
					case "panic":
						panic(how)
					case "closed":
						check(t, tree.Close())
					}
				}
				return false
			}})
			asked = after // not yet
			check(t, tree.Add(t.Context(), other))
			asked = 0
			goroutines, files := runtime.NumGoroutine(), len(fdtest.Descriptors())
			err := func() (err error) {
				defer func() {
					if p := recover(); p != nil {
						err = fmt.Errorf("a %v: %w", p, context.Canceled)
					}
				}()
				return tree.Add(ctx, dir)
			}()
			if how == "closed" {
				wantIs(t, err, os.ErrClosed)
			} else {
				wantIs(t, err, context.Canceled)
				if k := watches(t); tree.Len() != 1 || k != 1 {
					t.Errorf("%s after %d: %d directories are left, with %d watches", how, after, tree.Len(), k)
				}
				if now := len(fdtest.Descriptors()); now != files {
					t.Errorf("%s after %d: %d descriptors are open, and %d before", how, after, now, files)
				}
			}
			for end := time.Now().Add(fdtest.Bound); runtime.NumGoroutine() > goroutines; time.Sleep(time.Millisecond) {
				if time.Now().After(end) {
					t.Fatalf("%s after %d: %d goroutines, and %d before", how, after, runtime.NumGoroutine(), goroutines)
				}
			}
			cancel()
			_ = tree.Close()
		}
	}
}

// watches is how many the process has, in all its instances.
func watches(t testing.TB) (all int) {
	t.Helper()
	for num, link := range fdtest.Descriptors() {
		if link == "anon_inode:inotify" {
			info, err := sys.ProcInfo(num)
			check(t, err)
			all += strings.Count(string(info), "inotify wd:")
		}
	}
	return all
}
