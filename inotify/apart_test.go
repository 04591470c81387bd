//go:build linux

package inotify_test

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes/inotify"
)

// Add works on a thread of its own, whose working directory it changes: nobody sees that.
func TestTreeAddKeepsTheWorkingDirectory(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a/b/c", "d", "e/f"} {
		check(t, os.MkdirAll(filepath.Join(dir, name), 0o700))
	}
	home, err := os.Readlink("/proc/self/cwd")
	check(t, err)
	t.Setenv("PWD", "") // os.Getwd believes it
	asked := 0
	tree := newTree(t, &inotify.TreeOptions{Skip: func(path string, _ bool) bool {
		if asked++; asked > 1 {
			if got, err := unix.Getwd(); err != nil || got != home {
				t.Errorf("Skip(%s) is in %s (%v), not in %s", path, got, err, home)
			}
		}
		return false
	}})
	check(t, tree.Add(t.Context(), dir))
	if asked != 6 || tree.Len() != 7 {
		t.Errorf("asked about %d entries, %d directories are watched", asked, tree.Len())
	}
	threads, err := filepath.Glob("/proc/self/task/*/cwd")
	check(t, err)
	for _, thread := range threads {
		if got, err := os.Readlink(thread); err == nil && got != home {
			t.Errorf("%s is %s, not %s", thread, got, home)
		}
	}
}

// What Skip does reaches the caller of Add, wherever it runs, and the tree goes on.
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

// A goroutine that is locked to its thread sees the thread's own mounts.
func TestTreeAddOnALockedThread(t *testing.T) {
	if !inRootChild(t) {
		return
	}
	dir := mounts(t)
	check(t, os.MkdirAll(filepath.Join(dir, "a/b"), 0o700))
	tree := newTree(t, nil)
	check(t, tree.Add(t.Context(), dir))
	if n := tree.Len(); n != 3 {
		t.Errorf("%d directories are watched: not those of the thread's mount", n)
	}
}

// A directory that may be read but not entered is watched, although it can't be the working directory.
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
