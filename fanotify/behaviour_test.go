//go:build linux

package fanotify_test

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes/fanotify"
)

func TestOnChild(t *testing.T) {
	g := newGroup(t, nil)
	dir := t.TempDir()
	path := touch(t, filepath.Join(dir, "file"))
	const all = fanotify.Access | fanotify.Modify | fanotify.Open | fanotify.Close
	mark(t, g, fanotify.Inode, dir, all|fanotify.OnChild, 0)
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	check(t, err)
	step := func(want fanotify.Mask) {
		t.Helper()
		ev := next(t, g)
		if ev.Mask != want {
			t.Errorf("%v, want %v", ev.Mask, want)
		}
		check(t, ev.Close())
	}
	step(fanotify.Open)
	_, err = f.WriteAt([]byte("x"), 0)
	check(t, err)
	step(fanotify.Modify)
	_, err = f.ReadAt(make([]byte, 1), 0)
	check(t, err)
	step(fanotify.Access)
	check(t, f.Close())
	step(fanotify.CloseWrite)
	_, err = os.ReadFile(path)
	check(t, err)
	step(fanotify.Open | fanotify.Access | fanotify.CloseNoWrite) // joined: nobody has read them
	sub := filepath.Join(dir, "sub")
	check(t, os.Mkdir(sub, 0o700))
	touch(t, filepath.Join(sub, "deep"))
	quiet(t, g)
	check(t, g.Unmark(fanotify.Inode, dir, fanotify.OnChild, 0))
	_, err = os.ReadFile(path)
	check(t, err)
	quiet(t, g)
}

// A file that is marked in two ways is told once.
func TestTwoMarks(t *testing.T) {
	g := newGroup(t, nil)
	dir := t.TempDir()
	path := touch(t, filepath.Join(dir, "file"))
	mark(t, g, fanotify.Inode, dir, fanotify.Modify|fanotify.OnChild, 0)
	mark(t, g, fanotify.Inode, path, fanotify.Modify, 0)
	check(t, os.WriteFile(path, []byte("other"), 0))
	if ev := next(t, g); ev.Mask != fanotify.Modify {
		t.Error(ev.Mask)
	}
	quiet(t, g)
}

// PreContent is asked first, then Content; who comes after a refusal isn't asked.
func TestClasses(t *testing.T) {
	path := touch(t, filepath.Join(t.TempDir(), "file"))
	groups := make(map[fanotify.Class]*fanotify.Group)
	for _, c := range []fanotify.Class{fanotify.Content, fanotify.PreContent} {
		groups[c] = newGroup(t, &fanotify.Options{Class: c})
		mark(t, groups[c], fanotify.Inode, path, fanotify.OpenPerm, 0)
	}
	s := newStranger(t)
	c := s.open(t, path)
	first := next(t, groups[fanotify.PreContent])
	quiet(t, groups[fanotify.Content])
	check(t, first.Allow())
	check(t, next(t, groups[fanotify.Content]).Allow())
	wantErrno(t, "open", c, 0)
	c = s.open(t, path)
	check(t, next(t, groups[fanotify.PreContent]).Deny())
	wantErrno(t, "open", c, syscall.EPERM)
	quiet(t, groups[fanotify.Content])
}

func TestAccessPerm(t *testing.T) {
	g := newGroup(t, &fanotify.Options{Class: fanotify.Content})
	path := touch(t, filepath.Join(t.TempDir(), "file"))
	mark(t, g, fanotify.Inode, path, fanotify.AccessPerm, 0)
	s := newStranger(t)
	c := s.do(t, "read", path)
	if ev := next(t, g); ev.Mask != fanotify.AccessPerm {
		t.Error(ev.Mask)
	} else {
		check(t, ev.Deny())
	}
	wantErrno(t, "read", c, syscall.EPERM)
}

func TestExec(t *testing.T) {
	g := newGroup(t, &fanotify.Options{Class: fanotify.Content})
	path := filepath.Join(t.TempDir(), "program")
	b, err := os.ReadFile("/proc/self/exe") // the guests have no other
	check(t, err)
	check(t, os.WriteFile(path, b, 0o700))
	mark(t, g, fanotify.Inode, path, fanotify.OpenExec|fanotify.OpenExecPerm, 0)
	s := newStranger(t)
	c := s.do(t, "execute", path)
	ev := next(t, g)
	if ev.Mask != fanotify.OpenExecPerm {
		t.Error(ev.Mask)
	}
	check(t, ev.Deny())
	wantErrno(t, "execute", c, syscall.EPERM)
	wantErrno(t, "open", s.open(t, path), 0) // which isn't for executing
	c = s.do(t, "execute", path)
	check(t, next(t, g).Allow())
	if ev := next(t, g); ev.Mask != fanotify.OpenExec {
		t.Error(ev.Mask)
	}
	wantErrno(t, "execute", c, 0)
}

func TestThread(t *testing.T) {
	g := newGroup(t, &fanotify.Options{Report: fanotify.ReportTID})
	dir := t.TempDir()
	mark(t, g, fanotify.Inode, dir, fanotify.Open|fanotify.OnDir, 0)
	tid, done := make(chan int), make(chan struct{})
	defer close(done)
	go func() { // not the main thread, whose number is the process's
		runtime.LockOSThread()
		f, err := os.Open(dir)
		if err == nil {
			_ = f.Close()
		}
		tid <- unix.Gettid()
		<-done // a thread that has ended is nobody's
	}()
	want := <-tid
	if ev := next(t, g); ev.PID != want || !ev.Own() {
		t.Errorf("%d, want %d", ev.PID, want)
	}
}

// A mark that keeps its file in memory can't become one that doesn't.
func TestEvictable(t *testing.T) {
	g := newGroup(t, nil)
	path := touch(t, filepath.Join(t.TempDir(), "file"))
	mark(t, g, fanotify.Inode, path, fanotify.Open, fanotify.Evictable)
	mark(t, g, fanotify.Inode, path, fanotify.Access, 0)
	if err := g.Mark(fanotify.Inode, path, fanotify.Modify, fanotify.Evictable); !errors.Is(err, syscall.EEXIST) {
		t.Error(err)
	}
}

func TestDeletedSelf(t *testing.T) {
	g := newGroup(t, &fanotify.Options{Report: fanotify.ReportFID})
	dir := home(t)
	path := touch(t, filepath.Join(dir, "file"))
	h, err := fanotify.HandleOf(path)
	check(t, err)
	mark(t, g, fanotify.Inode, path, fanotify.MoveSelf|fanotify.DeleteSelf, 0)
	other := filepath.Join(dir, "other")
	check(t, os.Rename(path, other))
	ev := next(t, g)
	if got, ok := ev.Object(); ev.Mask != fanotify.MoveSelf || !ok || !got.Equal(h) {
		t.Errorf("%v of %+v", ev.Mask, got)
	}
	check(t, os.Remove(other))
	ev = next(t, g)
	if got, ok := ev.Object(); ev.Mask != fanotify.DeleteSelf || !ok || !got.Equal(h) {
		t.Errorf("%v of %+v", ev.Mask, got)
	}
}

// How a file is opened for an event is the group's choice.
func TestOpenFlags(t *testing.T) {
	g := newGroup(t, &fanotify.Options{Open: os.O_RDWR | os.O_APPEND | unix.O_NOATIME})
	path := touch(t, filepath.Join(t.TempDir(), "file"))
	mark(t, g, fanotify.Inode, path, fanotify.CloseWrite, 0)
	touch(t, path)
	f, err := next(t, g).Take()
	check(t, err)
	defer f.Close()
	_, err = f.WriteString(", more")
	check(t, err)
	if b, err := os.ReadFile(path); string(b) != "content, more" || err != nil {
		t.Errorf("%q, %v", b, err)
	}
	quiet(t, g) // what is done by the event's descriptor isn't told
}

// What one group ignores, others are told.
func TestIgnoreIsTheGroups(t *testing.T) {
	path := touch(t, filepath.Join(t.TempDir(), "file"))
	var groups []*fanotify.Group
	for range 2 {
		g := newGroup(t, nil)
		mark(t, g, fanotify.Inode, path, fanotify.Modify|fanotify.CloseWrite, 0)
		groups = append(groups, g)
	}
	mark(t, groups[0], fanotify.Inode, path, fanotify.CloseWrite, fanotify.IgnoreLegacy|fanotify.SurviveModify)
	check(t, os.Truncate(path, 1))
	check(t, os.WriteFile(path, []byte("other"), 0))
	if ev := next(t, groups[0]); ev.Mask != fanotify.Modify {
		t.Error(ev.Mask)
	}
	quiet(t, groups[0])
	if ev := next(t, groups[1]); ev.Mask != fanotify.Modify|fanotify.CloseWrite {
		t.Error(ev.Mask)
	}
	// Without SurviveModify it ends with the first change.
	g := newGroup(t, nil)
	mark(t, g, fanotify.Inode, path, fanotify.Modify|fanotify.Open, 0)
	mark(t, g, fanotify.Inode, path, fanotify.Open, fanotify.IgnoreLegacy)
	_, err := os.ReadFile(path)
	check(t, err)
	quiet(t, g)
	check(t, os.Truncate(path, 0))
	_, err = os.ReadFile(path)
	check(t, err)
	if ev := next(t, g); ev.Mask != fanotify.Open { // of truncate(2), which has no open file, only groups with handles are told
		t.Error(ev.Mask)
	}
}
