//go:build linux

package inotify_test

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes/inotify"
	"github.com/fildes/fildes/internal/fdtest"
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
