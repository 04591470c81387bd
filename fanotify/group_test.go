//go:build linux

package fanotify_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes"
	"github.com/fildes/fildes/fanotify"
	"github.com/fildes/fildes/internal/fdtest"
	"github.com/fildes/fildes/internal/fdtest/fixture"
)

func touch(t testing.TB, path string) string {
	t.Helper()
	check(t, os.WriteFile(path, []byte("content"), 0o600))
	return path
}

// link makes and removes a symbolic link.
func link(t testing.TB, path string) {
	t.Helper()
	check(t, errors.Join(os.Symlink("x", path), os.Remove(path)))
}

// lacks ends a test that the kernel, or a right, is missing for.
func lacks(t testing.TB, err error) {
	t.Helper()
	ue, ok := errors.AsType[*fildes.UnsupportedError](err)
	switch {
	case ok && ue.Feature == "fanotify_init":
		fdtest.Need(t, "fanotify", err.Error())
	case ok:
		fdtest.Need(t, strings.ToLower(ue.Feature), err.Error())
	case errors.Is(err, syscall.EPERM) && os.Geteuid() != 0:
		fdtest.Need(t, "sys_admin", err.Error())
	}
}

// home is a directory of a file system whose handles can be reported: a tmpfs has no id before Linux 5.13.
func home(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	g := newGroup(t, &fanotify.Options{Report: fanotify.ReportFID})
	err := g.Mark(fanotify.Inode, dir, fanotify.Attrib, 0)
	if errors.Is(err, syscall.ENODEV) || errors.Is(err, syscall.EOPNOTSUPP) {
		return fixture.Ext4(t)
	}
	check(t, err)
	return dir
}

// has says whether groups can report something here.
func has(t testing.TB, r fanotify.Report) bool {
	t.Helper()
	g, err := fanotify.New(&fanotify.Options{Report: r})
	if errors.Is(err, errors.ErrUnsupported) {
		return false
	}
	lacks(t, err)
	check(t, err)
	check(t, g.Close())
	return true
}

func newGroup(t testing.TB, o *fanotify.Options) *fanotify.Group {
	t.Helper()
	g, err := fanotify.New(o)
	lacks(t, err)
	check(t, err)
	t.Cleanup(func() {
		if err := g.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
			t.Error(err)
		}
	})
	return g
}

func mark(t testing.TB, g *fanotify.Group, scope fanotify.Scope, path string, mask fanotify.Mask, flags fanotify.MarkFlags) {
	t.Helper()
	err := g.Mark(scope, path, mask, flags)
	lacks(t, err)
	check(t, err)
}

func next(t testing.TB, g *fanotify.Group) fanotify.Event {
	t.Helper()
	ev, err := g.Read(bounded(t))
	check(t, err)
	t.Cleanup(func() { _ = ev.Close() })
	return ev
}

func quiet(t testing.TB, g *fanotify.Group) {
	t.Helper()
	if n, err := g.TryReadBatch(new(fanotify.Batch)); n != 0 || err != nil {
		t.Errorf("%d events are left, %v", n, err)
	}
}

func drain(t testing.TB, g *fanotify.Group) {
	t.Helper()
	b := new(fanotify.Batch)
	for {
		n, err := g.TryReadBatch(b)
		check(t, err)
		if n == 0 {
			return
		}
		b.Close()
	}
}

func wantErrno(t testing.TB, what string, c <-chan syscall.Errno, want syscall.Errno) {
	t.Helper()
	select {
	case got := <-c:
		if got != want {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	case <-time.After(fdtest.Bound):
		t.Fatalf("%s hangs", what)
	}
}

func still(t testing.TB, what string, c <-chan syscall.Errno) {
	t.Helper()
	select {
	case got := <-c:
		t.Fatalf("%s didn't wait: %v", what, got)
	case <-time.After(20 * time.Millisecond):
	}
}

func TestDescriptor(t *testing.T) {
	g := newGroup(t, nil)
	path := touch(t, filepath.Join(t.TempDir(), "file"))
	mark(t, g, fanotify.Inode, path, fanotify.CloseWrite, 0)
	touch(t, path)
	ev := next(t, g)
	if ev.Mask != fanotify.CloseWrite || !ev.Own() || ev.PID != os.Getpid() || ev.Asks() || ev.Err() != nil {
		t.Errorf("%+v", ev)
	}
	if got, err := ev.Path(); got != path || err != nil {
		t.Error(got, err)
	}
	b := make([]byte, 4)
	if n, err := ev.ReadAt(b, 3); n != 4 || err != nil || string(b) != "tent" {
		t.Errorf("%d, %v: %q", n, err, b)
	}
	if n, err := ev.ReadAt(b, 5); n != 2 || err != io.EOF {
		t.Errorf("%d, %v", n, err)
	}
	if err := ev.Allow(); !errors.Is(err, os.ErrInvalid) {
		t.Error(err)
	}
	f, err := ev.Take()
	check(t, err)
	defer f.Close()
	if all, err := io.ReadAll(f); string(all) != "content" || err != nil {
		t.Errorf("%q, %v", all, err)
	}
	if _, err := ev.Take(); err == nil {
		t.Error("taken twice")
	}
	check(t, ev.Close())
	if err := ev.Close(); !errors.Is(err, os.ErrClosed) {
		t.Error(err)
	}
	if _, err := ev.Path(); !errors.Is(err, os.ErrClosed) {
		t.Error(err)
	}
	quiet(t, g)
}

func TestNames(t *testing.T) {
	g := newGroup(t, &fanotify.Options{Report: fanotify.ReportDirFIDName})
	dir := home(t)
	mark(t, g, fanotify.Inode, dir, fanotify.Create|fanotify.Delete|fanotify.Moved|fanotify.CloseWrite|fanotify.OnChild|fanotify.OnDir, fanotify.OnlyDir)
	home, err := fanotify.HandleOf(dir)
	check(t, err)
	expect := func(mask fanotify.Mask, name string) {
		t.Helper()
		ev := next(t, g)
		en, ok := ev.Entry()
		if ev.Mask != mask || !ok || string(en.Name) != name || !en.Dir.Equal(home) || en.Dir.Key() != home.Key() {
			t.Errorf("%v %+v, want %v %q in %+v", ev.Mask, en, mask, name, home)
		}
	}
	path := touch(t, filepath.Join(dir, "one"))
	expect(fanotify.Create|fanotify.CloseWrite, "one")
	check(t, os.Rename(path, filepath.Join(dir, "\xff other\n")))
	expect(fanotify.MovedFrom, "one")
	expect(fanotify.MovedTo, "\xff other\n")
	check(t, os.Mkdir(filepath.Join(dir, "sub"), 0o700))
	expect(fanotify.Create|fanotify.OnDir, "sub")
	check(t, os.Remove(filepath.Join(dir, "sub")))
	expect(fanotify.Delete|fanotify.OnDir, "sub")
	quiet(t, g)
	check(t, g.Unmark(fanotify.Inode, dir, fanotify.Create, 0))
	touch(t, filepath.Join(dir, "two"))
	expect(fanotify.CloseWrite, "two")
	check(t, g.Flush(fanotify.Inode))
	touch(t, filepath.Join(dir, "three"))
	quiet(t, g)
	if err := g.Unmark(fanotify.Inode, dir, fanotify.Delete, 0); !errors.Is(err, syscall.ENOENT) {
		t.Error(err)
	}
}

func TestFilesystem(t *testing.T) {
	fdtest.NeedRoot(t)
	dir := home(t)
	report, mask := fanotify.ReportDirFIDName, fanotify.Create|fanotify.MovedFrom|fanotify.Delete|fanotify.OnDir
	target, pidfd := has(t, fanotify.ReportDirFIDNameTarget), has(t, fanotify.ReportPIDFD)
	if target { // Rename came with it
		report, mask = fanotify.ReportDirFIDNameTarget, fanotify.Create|fanotify.Rename|fanotify.Delete|fanotify.OnDir
	}
	if pidfd {
		report |= fanotify.ReportPIDFD
	}
	g := newGroup(t, &fanotify.Options{Report: report, UnlimitedQueue: true, UnlimitedMarks: true})
	mark(t, g, fanotify.Filesystem, dir, mask, 0)
	next := func(t testing.TB, g *fanotify.Group) fanotify.Event {
		t.Helper()
		for {
			if ev := next(t, g); ev.Own() {
				return ev
			}
		}
	}
	sub := filepath.Join(dir, "a", "b c")
	check(t, os.MkdirAll(sub, 0o700))
	path := touch(t, filepath.Join(sub, "file"))
	object, err := fanotify.HandleOf(path)
	check(t, err)
	for _, want := range []string{filepath.Dir(sub), sub, path} {
		ev := next(t, g)
		if got, err := ev.Path(); got != want || err != nil {
			t.Errorf("%q, %v, want %q", got, err, want)
		}
		if pidfd {
			p, err := ev.TakePIDFD()
			check(t, err)
			c, err := p.SyscallConn()
			check(t, err)
			check(t, c.Control(func(fd uintptr) { err = unix.PidfdSendSignal(int(fd), 0, nil, 0) }))
			check(t, err)
			_ = p.Close()
		}
		if h, ok := ev.Object(); ok != target || target && want == path && !h.Equal(object) {
			t.Errorf("%+v, %v, want %+v", h, ok, object)
		}
		check(t, ev.Close())
	}
	other := filepath.Join(dir, "a", "other")
	check(t, os.Rename(path, other))
	ev := next(t, g)
	now, err := ev.Path()
	if target {
		old, oerr := ev.OldPath()
		if ev.Mask != fanotify.Rename || old != path || now != other || err != nil || oerr != nil {
			t.Errorf("%v %q -> %q, %v, %v", ev.Mask, old, now, err, oerr)
		}
	} else if ev.Mask != fanotify.MovedFrom || now != path || err != nil {
		t.Errorf("%v %q, %v", ev.Mask, now, err)
	}
	f, err := g.OpenHandle(object, os.O_RDONLY)
	check(t, err)
	if all, err := io.ReadAll(f); string(all) != "content" || err != nil {
		t.Errorf("%q, %v", all, err)
	}
	_ = f.Close()
	check(t, os.Remove(other))
	if _, err := g.Path(object); !errors.Is(err, fanotify.ErrStale) || !errors.Is(err, syscall.ESTALE) {
		t.Error(err)
	}
	check(t, g.Close())
	check(t, os.RemoveAll(filepath.Join(dir, "a")))
}

func TestMountScope(t *testing.T) {
	fdtest.NeedRoot(t)
	dir := fdtest.Tmpfs(t)
	g := newGroup(t, nil)
	mark(t, g, fanotify.Mount, dir, fanotify.Open, 0)
	path := touch(t, filepath.Join(dir, "file"))
	if ev := next(t, g); ev.Mask != fanotify.Open {
		t.Error(ev.Mask)
	}
	check(t, g.Mark(fanotify.Inode, path, fanotify.Open, fanotify.IgnoreLegacy|fanotify.SurviveModify))
	touch(t, path)
	quiet(t, g)
	check(t, g.Unmark(fanotify.Inode, path, fanotify.Open, fanotify.IgnoreLegacy))
	touch(t, path)
	if ev := next(t, g); ev.Mask != fanotify.Open {
		t.Error(ev.Mask)
	}
	err := g.Mark(fanotify.Inode, path, fanotify.Open, fanotify.Ignore|fanotify.SurviveModify|fanotify.Evictable)
	lacks(t, err)
	check(t, err)
	touch(t, path)
	quiet(t, g)
	check(t, g.Flush(fanotify.Mount))
	check(t, g.Flush(fanotify.Filesystem))
}

func TestMarkAt(t *testing.T) {
	g := newGroup(t, &fanotify.Options{Report: fanotify.ReportFID})
	dir := home(t)
	d, err := os.Open(dir)
	check(t, err)
	defer d.Close()
	path := touch(t, filepath.Join(dir, "file"))
	check(t, g.MarkAt(d, fanotify.Inode, "file", fanotify.Attrib, 0))
	check(t, os.Chmod(path, 0o400))
	ev := next(t, g)
	want, err := fanotify.HandleOf(path)
	check(t, err)
	if h, ok := ev.Object(); !ok || !h.Equal(want) {
		t.Errorf("%+v, want %+v", h, want)
	}
	check(t, g.UnmarkAt(d, fanotify.Inode, "file", fanotify.Attrib, 0))
	check(t, g.MarkFile(d, fanotify.Inode, fanotify.Attrib|fanotify.OnDir, fanotify.OnlyDir))
	check(t, os.Chmod(dir, 0o700))
	if h, _ := next(t, g).Object(); h.Equal(want) {
		t.Error("the file, not the directory")
	}
	check(t, g.UnmarkFile(d, fanotify.Inode, fanotify.Attrib|fanotify.OnDir, 0))
	num, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	check(t, err)
	f := os.NewFile(uintptr(num), "path")
	defer f.Close()
	check(t, g.MarkFile(f, fanotify.Inode, fanotify.Attrib, 0))
	check(t, os.Chmod(path, 0o600))
	if h, _ := next(t, g).Object(); !h.Equal(want) {
		t.Error("not the file")
	}
	if h, err := fanotify.HandleOfFile(f); err != nil || !h.Equal(want) {
		t.Error(h, err)
	}
	link := filepath.Join(dir, "link")
	check(t, os.Symlink("file", link))
	if err := g.Mark(fanotify.Inode, path, fanotify.Attrib, fanotify.OnlyDir); !errors.Is(err, syscall.ENOTDIR) {
		t.Error(err)
	}
	check(t, g.Mark(fanotify.Inode, link, fanotify.DeleteSelf, fanotify.DontFollow))
	check(t, os.Remove(link))
	if ev := next(t, g); ev.Mask != fanotify.DeleteSelf {
		t.Error(ev.Mask)
	}
}

func TestRefusals(t *testing.T) {
	for name, o := range map[string]fanotify.Options{
		"class":           {Class: 12},
		"report":          {Report: 1 << 30},
		"class and FID":   {Class: fanotify.Content, Report: fanotify.ReportFID},
		"name":            {Report: fanotify.ReportName},
		"target":          {Report: fanotify.ReportTargetFID},
		"pidfd and tid":   {Report: fanotify.ReportPIDFD | fanotify.ReportTID},
		"mount and FID":   {Report: fanotify.ReportMount | fanotify.ReportFID},
		"open":            {Open: os.O_CREATE},
		"access mode":     {Open: unix.O_ACCMODE},
		"default":         {Default: fanotify.DenyErrno(syscall.EIO)},
		"default verdict": {Default: 4},
	} {
		if g, err := fanotify.New(&o); !errors.Is(err, os.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
			_ = g.Close()
		}
	}
	g := newGroup(t, &fanotify.Options{Report: fanotify.ReportFID})
	dir := t.TempDir()
	for name, err := range map[string]error{
		"no mask":         g.Mark(fanotify.Inode, dir, 0, 0),
		"overflow":        g.Mark(fanotify.Inode, dir, fanotify.Overflow, 0),
		"unknown mask":    g.Mark(fanotify.Inode, dir, 1<<40, 0),
		"no path":         g.Mark(fanotify.Inode, "", fanotify.Open, 0),
		"flags":           g.Mark(fanotify.Inode, dir, fanotify.Open, 1),
		"scope":           g.Mark(7, dir, fanotify.Open, 0),
		"permission":      g.Mark(fanotify.Inode, dir, fanotify.OpenPerm, 0),
		"name":            g.Mark(fanotify.Inode, dir, fanotify.Rename, 0),
		"mount and entry": g.Mark(fanotify.Mount, dir, fanotify.Create, 0),
		"error scope":     g.Mark(fanotify.Inode, dir, fanotify.FSError, 0),
		"mount events":    g.Mark(fanotify.Inode, dir, fanotify.MountAttach, 0),
		"ignores":         g.Mark(fanotify.Inode, dir, fanotify.Open, fanotify.Ignore|fanotify.IgnoreLegacy),
		"evictable":       g.Mark(fanotify.Filesystem, dir, fanotify.Open, fanotify.Evictable),
		"no file":         g.MarkFile(nil, fanotify.Inode, fanotify.Open, 0),
		"flush":           g.Flush(9),
		"batch":           func() error { _, err := g.ReadBatch(t.Context(), nil); return err }(),
	} {
		if !errors.Is(err, os.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := g.Mark(fanotify.Inode, filepath.Join(dir, "none"), fanotify.Open, 0); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	if err := g.Mark(fanotify.Inode, "a\x00b", fanotify.Open, 0); err == nil {
		t.Error("a path with NUL")
	}
	// File systems without an id or without handles, as far as this kernel has any of those.
	for _, path := range []string{"/proc/self/status", "/sys/kernel"} {
		if err := g.Mark(fanotify.Inode, path, fanotify.Open, 0); err != nil && !errors.Is(err, syscall.ENODEV) && !errors.Is(err, syscall.EOPNOTSUPP) && !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// Ordinary users get what the kernel gives them, and are told what it doesn't.
func TestUnprivileged(t *testing.T) {
	fdtest.NeedUser(t)
	newGroup(t, &fanotify.Options{Report: fanotify.ReportFID}) // or there is nothing to show
	for name, o := range map[string]*fanotify.Options{
		"descriptors": nil,
		"content":     {Class: fanotify.Content},
		"queue":       {Report: fanotify.ReportFID, UnlimitedQueue: true},
		"marks":       {Report: fanotify.ReportFID, UnlimitedMarks: true},
	} {
		if _, err := fanotify.New(o); !errors.Is(err, os.ErrPermission) {
			t.Errorf("%s: %v", name, err)
		}
	}
	g := newGroup(t, &fanotify.Options{Report: fanotify.ReportDirFIDName})
	dir := home(t)
	for _, scope := range []fanotify.Scope{fanotify.Mount, fanotify.Filesystem} {
		if err := g.Mark(scope, dir, fanotify.Open, 0); !errors.Is(err, os.ErrPermission) {
			t.Errorf("%v: %v", scope, err)
		}
	}
	mark(t, g, fanotify.Inode, dir, fanotify.Create, 0)
	touch(t, filepath.Join(dir, "file"))
	ev := next(t, g)
	if en, ok := ev.Entry(); !ok || string(en.Name) != "file" || !ev.Own() {
		t.Errorf("%+v %+v", ev, en)
	}
	if _, err := ev.Path(); !errors.Is(err, os.ErrPermission) {
		t.Error(err)
	}
	s := newStranger(t)
	wantErrno(t, "open", s.open(t, dir), 0)
	touch(t, filepath.Join(dir, "more"))
	if ev := next(t, g); !ev.Own() {
		t.Errorf("%+v", ev)
	}
}

func TestOverflow(t *testing.T) {
	g := newGroup(t, &fanotify.Options{Report: fanotify.ReportDirFIDName})
	limit, err := os.ReadFile("/proc/sys/fs/fanotify/max_queued_events")
	if err != nil {
		limit = []byte("16384")
	}
	var n int
	_, err = fmt.Sscan(string(limit), &n)
	check(t, err)
	if n > 1<<17 {
		fdtest.Need(t, "queue_limit", "fs.fanotify.max_queued_events is too high for a test")
	}
	dir := home(t)
	mark(t, g, fanotify.Inode, dir, fanotify.Create, 0)
	for i := range n + 10 {
		link(t, filepath.Join(dir, fmt.Sprint(i)))
	}
	b := new(fanotify.Batch)
	events, overflows := 0, 0
	for overflows == 0 {
		_, err := g.ReadBatch(bounded(t), b)
		check(t, err)
		for ev, ok := b.Next(); ok; ev, ok = b.Next() {
			if ev.Mask == fanotify.Overflow {
				overflows++
				if _, ok := ev.Entry(); ok || ev.Err() != nil {
					t.Errorf("%+v", ev)
				}
				continue
			}
			if en, ok := ev.Entry(); !ok || string(en.Name) != fmt.Sprint(events) {
				t.Fatalf("event %d: %+v", events, en)
			}
			events++
		}
	}
	if events != n {
		t.Errorf("%d events before the overflow, of %d", events, n)
	}
}

// What Next hasn't returned is kept, what it has returned ends.
func TestBatch(t *testing.T) {
	g := newGroup(t, nil)
	dir := t.TempDir()
	mark(t, g, fanotify.Inode, dir, fanotify.CloseWrite|fanotify.OnChild, 0)
	for i := range 5 {
		touch(t, filepath.Join(dir, fmt.Sprint(i)))
	}
	b := new(fanotify.Batch)
	seen := 0
	var kept, ended fanotify.Event
	for seen < 5 {
		n, err := g.ReadBatch(bounded(t), b)
		check(t, err)
		ev, ok := b.Next()
		if !ok || n < 1 {
			t.Fatal(n, ok)
		}
		want := filepath.Join(dir, fmt.Sprint(seen))
		if got, err := ev.Path(); got != want || err != nil {
			t.Error(got, err)
		}
		switch seen {
		case 0:
			kept, err = ev.Keep()
			check(t, err)
			if _, err := ev.Path(); !errors.Is(err, os.ErrClosed) {
				t.Error(err)
			}
		case 1:
			ended = ev
		}
		seen++
	}
	if _, err := ended.Path(); !errors.Is(err, os.ErrClosed) {
		t.Error(err)
	}
	if got, err := kept.Path(); got != filepath.Join(dir, "0") || err != nil {
		t.Error(got, err)
	}
	check(t, kept.Close())
	b.Close()
}

// Forgotten events, batches and groups leave no descriptors.
func TestForgotten(t *testing.T) {
	g := newGroup(t, nil)
	dir := t.TempDir()
	mark(t, g, fanotify.Inode, dir, fanotify.CloseWrite|fanotify.OnChild, 0)
	before := len(fdtest.Descriptors())
	func() {
		for i := range 8 {
			touch(t, filepath.Join(dir, fmt.Sprint(i)))
		}
		_, err := g.Read(bounded(t))
		check(t, err)
		b := new(fanotify.Batch)
		_, err = g.ReadBatch(bounded(t), b)
		check(t, err)
		for _, ok := b.Next(); ok; _, ok = b.Next() {
		}
		if len(fdtest.Descriptors()) <= before {
			t.Error("no descriptors")
		}
		g2, err := fanotify.New(nil)
		check(t, err)
		check(t, g2.Mark(fanotify.Inode, dir, fanotify.CloseWrite|fanotify.OnChild, 0))
		touch(t, filepath.Join(dir, "last"))
		if _, err := g2.ReadBatch(bounded(t), b); err != nil {
			t.Error(err)
		}
	}()
	for end := time.Now().Add(fdtest.Bound); ; time.Sleep(time.Millisecond) {
		runtime.GC()
		_, err := g.TryReadBatch(new(fanotify.Batch))
		check(t, err)
		if len(fdtest.Descriptors()) <= before {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%d descriptors before, now %v", before, fdtest.Descriptors())
		}
	}
}

// Without a descriptor left, events still come, and say why they have none.
func TestNoDescriptorLeft(t *testing.T) {
	out, child, err := fdtest.InChild(t)
	if !child {
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		if _, why, ok := strings.Cut(out, "needs sys_admin: "); ok {
			fdtest.Need(t, "sys_admin", strings.SplitN(why, "\n", 2)[0])
		}
		return
	}
	g := newGroup(t, nil)
	dir := t.TempDir()
	mark(t, g, fanotify.Inode, dir, fanotify.CloseWrite|fanotify.OnChild, 0)
	const n = 20
	for i := range n {
		touch(t, filepath.Join(dir, fmt.Sprint(i)))
	}
	drain(t, g)
	touch(t, filepath.Join(dir, "first")) // the poller and what else is made once
	ev, err := g.Read(bounded(t))
	check(t, err)
	check(t, ev.Close())
	for i := range n {
		touch(t, filepath.Join(dir, fmt.Sprint(i)))
	}
	var l unix.Rlimit
	check(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &l))
	low := l
	low.Cur = uint64(len(fdtest.Descriptors()) + 3)
	check(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &low))
	b := new(fanotify.Batch)
	events, failed := 0, 0
	var held []fanotify.Event
	for events < n {
		if _, err := g.ReadBatch(bounded(t), b); err != nil {
			t.Fatal(events, err)
		}
		for ev, ok := b.Next(); ok; ev, ok = b.Next() {
			events++
			if err := ev.Err(); errors.Is(err, syscall.EMFILE) {
				failed++
				continue
			} else if err != nil {
				t.Error(err)
			}
			k, err := ev.Keep()
			check(t, err)
			held = append(held, k)
		}
	}
	if failed == 0 || len(held) == 0 || failed+len(held) != n {
		t.Errorf("%d failed, %d didn't, of %d", failed, len(held), n)
	}
	check(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &l))
	for _, ev := range held {
		check(t, ev.Close())
	}
	quiet(t, g)
}

func TestFromFile(t *testing.T) {
	g := newGroup(t, &fanotify.Options{Report: fanotify.ReportDirFIDName})
	dir := home(t)
	mark(t, g, fanotify.Inode, dir, fanotify.Create, 0)
	f, err := g.File()
	check(t, err)
	defer f.Close()
	h, err := fanotify.FromFile(f, nil)
	check(t, err)
	if h.Report()&^fanotify.ReportFDError != fanotify.ReportDirFIDName || h.Class() != fanotify.Notify {
		t.Error(h.Report(), h.Class())
	}
	check(t, g.Close())
	touch(t, filepath.Join(dir, "file"))
	if en, ok := next(t, h).Entry(); !ok || string(en.Name) != "file" {
		t.Errorf("%+v, %v", en, ok)
	}
	check(t, h.Close())
	r, w, err := os.Pipe()
	check(t, err)
	defer r.Close()
	defer w.Close()
	if _, err := fanotify.FromFile(r, nil); !errors.Is(err, os.ErrInvalid) {
		t.Error(err)
	}
}

func TestManyReaders(t *testing.T) {
	g := newGroup(t, &fanotify.Options{Report: fanotify.ReportDirFIDName})
	dir := home(t)
	mark(t, g, fanotify.Inode, dir, fanotify.Create, 0)
	n := fdtest.Rounds(2000)
	var mu sync.Mutex
	seen := make(map[string]bool)
	var wg sync.WaitGroup
	ctx, cancel := context.WithCancel(bounded(t))
	defer cancel()
	add := func(ev fanotify.Event) {
		en, _ := ev.Entry()
		mu.Lock()
		defer mu.Unlock()
		if seen[string(en.Name)] {
			t.Errorf("%s twice", en.Name)
		}
		if seen[string(en.Name)] = true; len(seen) == n {
			cancel()
		}
	}
	for i := range 4 {
		wg.Go(func() {
			b := new(fanotify.Batch)
			for {
				if i%2 == 0 {
					ev, err := g.Read(ctx)
					if err != nil {
						return
					}
					add(ev)
					continue
				}
				if _, err := g.ReadBatch(ctx, b); err != nil {
					return
				}
				for ev, ok := b.Next(); ok; ev, ok = b.Next() {
					add(ev)
				}
			}
		})
	}
	for i := range n {
		link(t, filepath.Join(dir, fmt.Sprint(i)))
	}
	wg.Wait()
	if len(seen) != n {
		t.Errorf("%d of %d", len(seen), n)
	}
}
