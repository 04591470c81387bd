//go:build linux

package inotify_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes/inotify"
	"github.com/fildes/fildes/internal/fdtest"
)

// lowLimit runs the test in a child that is root of a user namespace in which there may be few watches; it returns false in the parent.
func lowLimit(t *testing.T, watches int) bool {
	t.Helper()
	const limit = "/proc/sys/user/max_inotify_watches"
	if os.Getenv("INOTIFY_LIMITED") == t.Name() {
		check(t, os.WriteFile(limit, []byte(strconv.Itoa(watches)), 0))
		return true
	}
	if os.Getenv("FDTEST_EXEC") != "" {
		fdtest.Need(t, "user_namespaces", "an emulator starts no child in one")
	}
	cmd := fdtest.Self(t.Context(), t, "-test.run", "^"+t.Name()+"$", "-test.count=1", "-test.v")
	cmd.Env = append(os.Environ(), "INOTIFY_LIMITED="+t.Name())
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
	}
	if _, err := os.Stat(limit); err != nil {
		fdtest.Need(t, "user_namespaces", err.Error())
	}
	out, err := cmd.CombinedOutput()
	if cmd.Process == nil {
		fdtest.Need(t, "user_namespaces", err.Error())
	}
	if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Errorf("%v\n%s", err, out)
	}
	return false
}

// At the limit on watches the error says what it is.
func TestWatchLimit(t *testing.T) {
	if !lowLimit(t, 3) {
		return
	}
	w, dir := newWatcher(t), t.TempDir()
	for i := range 4 {
		path := filepath.Join(dir, strconv.Itoa(i))
		touch(t, path)
		_, err := w.Add(path, inotify.Modify, 0)
		if i < 3 {
			check(t, err)
			continue
		}
		wantIs(t, err, syscall.ENOSPC)
		for _, want := range []string{"fs.inotify.max_user_watches is ", "user.max_inotify_watches of this user namespace 3"} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%q lacks %q", err, want)
			}
		}
	}
}

// A Tree says which directories it can't watch, and goes on with the rest.
func TestTreeWatchLimit(t *testing.T) {
	if !lowLimit(t, 3) {
		return
	}
	base := t.TempDir()
	check(t, os.MkdirAll(base+"/a/b", 0o700))
	tree := newTree(t, nil)
	check(t, tree.Add(t.Context(), base))
	check(t, os.Mkdir(base+"/c", 0o700))
	touch(t, base+"/c/unseen")
	touch(t, base+"/a/b/x")
	got := someEvents(t, tree, base, 4)
	if got[0] != "Create|IsDir /c" || !strings.HasSuffix(got[1], "user.max_inotify_watches of this user namespace 3: raise the one that is too low)") ||
		!slices.Equal(got[2:], []string{"Create /a/b/x", "CloseWrite /a/b/x"}) {
		t.Errorf("%q", got)
	}
	check(t, errors.Join(os.Remove(base+"/a/b/x"), os.Remove(base+"/a/b"), os.Chmod(base+"/c", 0o755)))
	want := []string{"Delete /a/b/x", "Delete|IsDir /a/b", "Attrib|IsDir /c", "Create /c/unseen found"}
	if got := someEvents(t, tree, base, len(want)); !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	check(t, tree.Remove(base))
	check(t, os.Mkdir(base+"/d", 0o700))
	wantIs(t, tree.Add(t.Context(), base), syscall.ENOSPC)
	if n := tree.Len(); n != 0 {
		t.Error(n)
	}
}

// mounts moves the thread, and so the rest of the test, into a mount namespace of its own, and mounts a tmpfs on a new directory. It is for a child.
func mounts(t testing.TB) (dir string) {
	t.Helper()
	runtime.LockOSThread() // for good: the thread ends with the test
	dir = t.TempDir()
	if err := unix.Unshare(unix.CLONE_NEWNS | unix.CLONE_FS); err != nil {
		fdtest.Need(t, "mount_namespaces", err.Error())
	}
	check(t, unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""))
	check(t, unix.Mount("fildes", dir, "tmpfs", 0, ""))
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	return dir
}

// inRootChild runs the rest of the test in a child, as root.
func inRootChild(t *testing.T) bool {
	t.Helper()
	fdtest.NeedRoot(t)
	out, child, err := fdtest.InChild(t)
	if !child && strings.Contains(out, "--- SKIP") {
		for _, word := range []string{"overlayfs", "mount_namespaces"} {
			if _, why, ok := strings.Cut(out, "needs "+word+": "); ok {
				fdtest.Need(t, word, strings.SplitN(why, "\n", 2)[0])
			}
		}
		t.Errorf("skipped for what isn't known: %s", out)
	}
	if !child && err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	return child
}

// A file system that is unmounted takes its watches with it.
func TestUnmount(t *testing.T) {
	if !inRootChild(t) {
		return
	}
	dir := mounts(t)
	touch(t, dir+"/file")
	w := newWatcher(t)
	a, err := w.Add(dir, inotify.Create, 0)
	check(t, err)
	b, err := w.Add(dir+"/file", inotify.Modify, 0)
	check(t, err)
	check(t, unix.Unmount(dir, 0))
	var got []string
	for range 4 {
		ev, err := w.Read(bounded(t))
		check(t, err)
		got = append(got, fmt.Sprint(ev.Watch, ev.Mask))
	}
	slices.Sort(got) // which one is first isn't said
	if want := []string{fmt.Sprint(a, inotify.Ignored), fmt.Sprint(a, inotify.Unmounted|inotify.IsDir), fmt.Sprint(b, inotify.Ignored), fmt.Sprint(b, inotify.Unmounted)}; !slices.Equal(got, want) {
		t.Error(got)
	}
	wantIs(t, w.Remove(a), inotify.ErrNoWatch)
}

func TestTreeUnmount(t *testing.T) {
	if !inRootChild(t) {
		return
	}
	dir := mounts(t)
	check(t, os.MkdirAll(dir+"/mnt/hidden", 0o700))
	check(t, unix.Mount("fildes", dir+"/mnt", "tmpfs", 0, ""))
	check(t, os.MkdirAll(dir+"/mnt/a/b", 0o700))
	tree := newTree(t, structure)
	check(t, tree.Add(t.Context(), dir))
	touch(t, dir+"/mnt/a/x")
	wantEvents(t, tree, dir, "Create /mnt/a/x")
	check(t, unix.Unmount(dir+"/mnt", 0))
	got := treeEvents(t, tree, dir)
	if !slices.Contains(got, "Unmounted|IsDir /mnt") || got[len(got)-1] != "Create|IsDir /mnt/hidden found" {
		t.Errorf("%q", got)
	}
	if n := tree.Len(); n != 3 {
		t.Error(n)
	}
	touch(t, dir+"/mnt/hidden/y")
	wantEvents(t, tree, dir, "Create /mnt/hidden/y")
	root := dir + "/mnt/hidden"
	check(t, tree.Remove(dir))
	check(t, unix.Mount("fildes", root, "tmpfs", 0, ""))
	check(t, tree.Add(t.Context(), root))
	check(t, unix.Unmount(root, 0))
	wantEvents(t, tree, root, "Unmounted|IsDir ")
	if n := tree.Len(); n != 0 {
		t.Error(n)
	}
}

// A bind mount shows the same files: one Watch, and in a Tree one path at a time.
func TestBindMount(t *testing.T) {
	if !inRootChild(t) {
		return
	}
	dir := mounts(t)
	check(t, errors.Join(os.MkdirAll(dir+"/a/sub", 0o700), os.Mkdir(dir+"/b", 0o700)))
	check(t, unix.Mount(dir+"/a", dir+"/b", "", unix.MS_BIND, ""))
	w := newWatcher(t)
	one, err := w.Add(dir+"/a", inotify.Create, 0)
	check(t, err)
	other, err := w.Add(dir+"/b", inotify.Create, 0)
	if check(t, err); one != other {
		t.Error(one, other)
	}
	touch(t, dir+"/b/x")
	if ev, err := w.Read(bounded(t)); err != nil || ev.Watch != one || ev.Name != "x" {
		t.Error(ev, err)
	}
	tree := newTree(t, structure)
	check(t, tree.Add(t.Context(), dir))
	if n := tree.Len(); n != 3 {
		t.Error(n)
	}
	check(t, os.Mkdir(dir+"/a/new", 0o700))
	if got := treeEvents(t, tree, dir); len(got) != 1 || !strings.HasSuffix(got[0], "/new") {
		t.Errorf("%q", got)
	}
}
