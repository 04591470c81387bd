//go:build linux

package inotify_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes"
	"github.com/fildes/fildes/epoll"
	"github.com/fildes/fildes/inotify"
	"github.com/fildes/fildes/internal/fdtest"
)

var names atomic.Uint64

func unique() string { return strconv.FormatUint(names.Add(1), 10) }

func newWatcher(t testing.TB) *inotify.Watcher {
	t.Helper()
	w, err := inotify.New(nil)
	check(t, err)
	t.Cleanup(func() { _ = w.Close() })
	return w
}

func touch(t testing.TB, path string) {
	t.Helper()
	f, err := os.Create(path)
	check(t, err)
	check(t, f.Close())
}

func TestConstantsAreTheKernels(t *testing.T) {
	for m, c := range map[inotify.Mask]uint32{
		inotify.Access: unix.IN_ACCESS, inotify.Modify: unix.IN_MODIFY, inotify.Attrib: unix.IN_ATTRIB, inotify.CloseWrite: unix.IN_CLOSE_WRITE,
		inotify.CloseNoWrite: unix.IN_CLOSE_NOWRITE, inotify.Open: unix.IN_OPEN, inotify.MovedFrom: unix.IN_MOVED_FROM, inotify.MovedTo: unix.IN_MOVED_TO,
		inotify.Create: unix.IN_CREATE, inotify.Delete: unix.IN_DELETE, inotify.DeleteSelf: unix.IN_DELETE_SELF, inotify.MoveSelf: unix.IN_MOVE_SELF,
		inotify.Unmounted: unix.IN_UNMOUNT, inotify.Overflow: unix.IN_Q_OVERFLOW, inotify.Ignored: unix.IN_IGNORED, inotify.IsDir: unix.IN_ISDIR,
		inotify.Close: unix.IN_CLOSE, inotify.Moved: unix.IN_MOVE, inotify.AllEvents: unix.IN_ALL_EVENTS,
	} {
		if uint32(m) != c {
			t.Errorf("%v is %#x, not %#x", m, uint32(m), c)
		}
	}
	for f, c := range map[inotify.AddFlags]uint32{
		inotify.OnlyDir: unix.IN_ONLYDIR, inotify.DontFollow: unix.IN_DONT_FOLLOW, inotify.ExclUnlink: unix.IN_EXCL_UNLINK,
		inotify.MaskCreate: unix.IN_MASK_CREATE, inotify.MaskAdd: unix.IN_MASK_ADD, inotify.OneShot: unix.IN_ONESHOT,
	} {
		if uint32(f) != c {
			t.Errorf("%v is %#x, not %#x", f, uint32(f), c)
		}
	}
}

// Names are any bytes, and a batch grows for one that doesn't fit.
func TestNames(t *testing.T) {
	for _, name := range []string{"a", "\xff\xfe", "new\nline", " ", strings.Repeat("x", 15), strings.Repeat("x", 16), strings.Repeat("\x80", 255)} {
		w, dir := newWatcher(t), t.TempDir()
		_, err := w.Add(dir, inotify.Create, 0)
		check(t, err)
		b := inotify.NewBatch(0)
		for range 2 {
			path := filepath.Join(dir, name)
			if err := os.Mkdir(path, 0o700); err != nil {
				t.Fatal(err)
			}
			n, err := w.ReadBatch(bounded(t), b)
			r, ok := b.Next()
			if err != nil || n != 1 || !ok || string(r.Name) != name {
				t.Errorf("%q: %d, %v, %+v %q", name, n, err, r, r.Name)
			}
			check(t, os.Remove(path))
		}
		check(t, w.Close())
	}
}

// What one form has read ahead is there for the others, in order, and nobody sleeps over it.
func TestReadAhead(t *testing.T) {
	w, dir := newWatcher(t), t.TempDir()
	_, err := w.Add(dir, inotify.Create, 0)
	check(t, err)
	const all = 100
	for i := range all {
		check(t, os.Mkdir(filepath.Join(dir, strconv.Itoa(i)), 0o700))
	}
	next := 0
	for ev, err := range w.Events(bounded(t)) {
		check(t, err)
		if ev.Name != strconv.Itoa(next) {
			t.Fatalf("%+v is event %d", ev, next)
		}
		if next++; next == 3 {
			break
		}
	}
	ev, err := w.Read(bounded(t))
	if check(t, err); ev.Name != "3" {
		t.Errorf("%+v", ev)
	}
	b := new(inotify.Batch)
	n, err := w.ReadBatch(bounded(t), b)
	if check(t, err); n != all-4 {
		t.Errorf("%d", n)
	}
	if r, _ := b.Next(); string(r.Name) != "4" {
		t.Errorf("%+v", r)
	}
	if n, err := w.ReadBatch(bounded(t), b); err != nil || n != all-5 {
		t.Errorf("what a batch holds comes first: %d, %v", n, err)
	}
	if n, err := w.TryReadBatch(new(inotify.Batch)); n != 0 || err != nil {
		t.Error(n, err)
	}
}

// Many who wait all get their event, even if one reads them all.
func TestReadersInTurn(t *testing.T) {
	w, dir := newWatcher(t), t.TempDir()
	_, err := w.Add(dir, inotify.Create, 0)
	check(t, err)
	for range fdtest.Rounds(50) {
		const readers = 8
		var cs []*fdtest.Caller
		for range readers {
			cs = append(cs, fdtest.Go(t, func() error {
				_, err := w.Read(bounded(t))
				return err
			}))
		}
		for range readers {
			check(t, os.Mkdir(filepath.Join(dir, unique()), 0o700))
		}
		for _, c := range cs {
			check(t, c.Err())
		}
	}
}

// queueLimit is how many events may wait.
func queueLimit(t testing.TB) int {
	b, err := os.ReadFile("/proc/sys/fs/inotify/max_queued_events")
	if err != nil {
		fdtest.Need(t, "proc", err.Error())
	}
	limit, err := strconv.Atoi(strings.TrimSpace(string(b)))
	check(t, err)
	return limit
}

// Overflow is an event, of no watch, and the queue goes on after it.
func TestOverflow(t *testing.T) {
	limit := queueLimit(t)
	w, dir := newWatcher(t), t.TempDir()
	_, err := w.Add(dir, inotify.Attrib, 0)
	check(t, err)
	for _, name := range []string{"a", "b"} {
		touch(t, filepath.Join(dir, name))
	}
	for i := range limit + 10 { // neighbours differ, or they would be one
		check(t, os.Chmod(filepath.Join(dir, []string{"a", "b"}[i%2]), 0o600))
	}
	batch, got := inotify.NewBatch(1<<20), 0
	for {
		n, err := w.TryReadBatch(batch)
		check(t, err)
		if n == 0 {
			break
		}
		for r, ok := batch.Next(); ok; r, ok = batch.Next() {
			got++
			if over := r.Mask == inotify.Overflow && r.Watch == inotify.None && len(r.Name) == 0; over != (got == limit+1) {
				t.Fatalf("event %d of %d is %+v", got, limit, r)
			}
		}
	}
	if got != limit+1 {
		t.Errorf("%d events, with a limit of %d", got, limit)
	}
	check(t, os.Chmod(filepath.Join(dir, "a"), 0o600))
	if ev, err := w.Read(bounded(t)); err != nil || ev.Mask != inotify.Attrib || ev.Name != "a" {
		t.Error(ev, err)
	}
}

// iocSetNextWD is INOTIFY_IOC_SETNEXTWD, _IOW('I', 0, __s32).
var iocSetNextWD = func() uint {
	if strings.HasPrefix(runtime.GOARCH, "mips") || strings.HasPrefix(runtime.GOARCH, "ppc64") {
		return 0x80044900
	}
	return 0x40044900
}()

// Watch numbers wrap around, and those that are in use are left out.
func TestWrap(t *testing.T) {
	w, dir := newWatcher(t), t.TempDir()
	set := func(next int) error {
		c, err := w.SyscallConn()
		check(t, err)
		check(t, c.Control(func(num uintptr) { err = unix.IoctlSetInt(int(num), iocSetNextWD, next) }))
		return err
	}
	if err := set(1<<31 - 1); err != nil { // the kernel is built without CHECKPOINT_RESTORE
		fdtest.Need(t, "inotify_setnextwd", err.Error())
	}
	var all []inotify.Watch
	for i := range 3 {
		sub := filepath.Join(dir, strconv.Itoa(i))
		check(t, os.Mkdir(sub, 0o700))
		wd, err := w.Add(sub, inotify.Create, 0)
		check(t, err)
		all = append(all, wd)
		touch(t, filepath.Join(sub, "x"))
		if ev, err := w.Read(bounded(t)); err != nil || ev.Watch != wd {
			t.Errorf("%+v, %v, of watch %d", ev, err, wd)
		}
	}
	if all[0] != 1<<31-1 || all[1] != 1 || all[2] != 2 {
		t.Error(all)
	}
	check(t, w.Remove(all[0]))
}

func TestErrors(t *testing.T) {
	w := newWatcher(t)
	_, err := w.Add("/nowhere", inotify.Create, 0)
	wantIs(t, err, fs.ErrNotExist)
	want := "inotify: add /nowhere: inotify_add_watch: no such file or directory"
	if err.Error() != want {
		t.Errorf("%q, want %q", err, want)
	}
	if _, ok := err.(*fildes.OpError); !ok {
		t.Errorf("%T", err)
	}
	_, err = w.Add("", inotify.Create, 0)
	wantIs(t, err, fs.ErrNotExist)
	_, err = w.Add("a\x00b", inotify.Create, 0)
	wantIs(t, err, syscall.EINVAL)
	_, err = w.AddFile(nil, inotify.Create, 0)
	wantIs(t, err, os.ErrInvalid)
	f, err := os.Open(t.TempDir())
	check(t, err)
	check(t, f.Close())
	_, err = w.AddFile(f, inotify.Create, 0)
	wantIs(t, err, os.ErrClosed)
	wantIs(t, w.Remove(5), inotify.ErrNoWatch)
	wantIs(t, w.Remove(-1), inotify.ErrNoWatch)
	if want := "inotify: remove: the watch is gone already, with its file or after its one event"; w.Remove(5).Error() != want {
		t.Errorf("%q", w.Remove(5))
	}
	_, err = w.ReadBatch(t.Context(), nil)
	wantIs(t, err, os.ErrInvalid)
	_, err = w.TryReadBatch(nil)
	wantIs(t, err, os.ErrInvalid)
	for _, p := range []*inotify.Pairer{nil, {}, inotify.NewPairer(nil, 0)} {
		_, err = p.Read(t.Context())
		wantIs(t, err, os.ErrInvalid)
	}
	r, _, err := os.Pipe()
	check(t, err)
	defer r.Close()
	_, err = inotify.FromFile(r)
	wantIs(t, err, os.ErrInvalid)
}

func TestNotReadable(t *testing.T) {
	fdtest.NeedUser(t)
	dir := t.TempDir()
	check(t, os.Mkdir(filepath.Join(dir, "closed"), 0o300))
	_, err := newWatcher(t).Add(filepath.Join(dir, "closed"), inotify.Create, 0)
	wantIs(t, err, fs.ErrPermission)
	if !strings.Contains(err.Error(), "permission to read") {
		t.Error(err)
	}
}

func TestFromFile(t *testing.T) {
	w, dir := newWatcher(t), t.TempDir()
	wd, err := w.Add(dir, inotify.Create, 0)
	check(t, err)
	f, err := w.File()
	check(t, err)
	defer f.Close()
	other, err := inotify.FromFile(f)
	if errors.Is(err, fs.ErrNotExist) {
		fdtest.Need(t, "proc", err.Error())
	}
	check(t, err)
	defer other.Close()
	check(t, os.Mkdir(filepath.Join(dir, "a"), 0o700))
	ev, err := other.Read(bounded(t))
	if check(t, err); ev.Watch != wd || ev.Name != "a" {
		t.Errorf("%+v", ev)
	}
	_, err = w.Inherit()
	wantIs(t, err, errors.ErrUnsupported)
}

// The limits are named, with their values.
func TestLimits(t *testing.T) {
	out, child, err := fdtest.InChild(t)
	if !child {
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	var l unix.Rlimit
	check(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &l))
	l.Cur = min(l.Max, 4096)
	check(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &l))
	b, err := os.ReadFile("/proc/sys/fs/inotify/max_user_instances")
	check(t, err)
	most, err := strconv.Atoi(strings.TrimSpace(string(b)))
	check(t, err)
	if uint64(most)+100 < l.Cur {
		for i := range most + 1 {
			w, err := inotify.New(nil)
			if err == nil {
				defer w.Close()
				continue
			}
			wantIs(t, err, syscall.EMFILE)
			if want := fmt.Sprintf("the sysctl fs.inotify.max_user_instances is %d: raise it", most); !strings.Contains(err.Error(), want) {
				t.Errorf("after %d: %q lacks %q", i, err, want)
			}
			break
		}
	}
	check(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 3, Max: l.Max}))
	defer func() { check(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &l)) }()
	_, err = inotify.New(nil)
	wantIs(t, err, syscall.EMFILE)
	if !strings.Contains(err.Error(), "RLIMIT_NOFILE is 3") {
		t.Error(err)
	}
}

// A Watcher may be in an epoll set.
func TestInPoller(t *testing.T) {
	p, err := epoll.New[string](nil)
	check(t, err)
	defer p.Close()
	w, dir := newWatcher(t), t.TempDir()
	_, err = w.Add(dir, inotify.Create, 0)
	check(t, err)
	_, err = p.Add(w, epoll.Readable, "w")
	check(t, err)
	check(t, os.Mkdir(filepath.Join(dir, "a"), 0o700))
	var evs [1]epoll.Event[string]
	n, err := p.Wait(bounded(t), evs[:])
	if err != nil || n != 1 || evs[0].Value != "w" {
		t.Error(n, err, evs)
	}
	b := new(inotify.Batch)
	if n, err := w.TryReadBatch(b); n != 1 || err != nil {
		t.Error(n, err)
	}
}

func TestNoAllocations(t *testing.T) {
	w, dir := newWatcher(t), t.TempDir()
	_, err := w.Add(dir, inotify.Attrib, 0)
	check(t, err)
	for _, name := range []string{"a", "b"} {
		touch(t, filepath.Join(dir, name))
	}
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	batch := new(inotify.Batch)
	var plain float64
	for range 2 {
		plain = testing.AllocsPerRun(100, func() {
			for range 8 {
				_, _ = os.Chmod(a, 0o600), os.Chmod(b, 0o600)
			}
		})
	}
	for {
		if n, err := w.TryReadBatch(batch); err != nil || n == 0 {
			break
		}
		*batch = inotify.Batch{}
	}
	got := testing.AllocsPerRun(100, func() {
		for range 8 {
			_, _ = os.Chmod(a, 0o600), os.Chmod(b, 0o600)
		}
		n, err := w.ReadBatch(t.Context(), batch)
		if err != nil || n != 16 {
			t.Fatal(n, err)
		}
		for r, ok := batch.Next(); ok; r, ok = batch.Next() {
			if len(r.Name) != 1 {
				t.Fatal(r)
			}
		}
	})
	if got != plain && !fdtest.Race {
		t.Errorf("%v allocations, %v without reading", got, plain)
	}
}

func TestPairer(t *testing.T) {
	w, in, out := newWatcher(t), t.TempDir(), t.TempDir()
	_, err := w.Add(in, inotify.Moved|inotify.Create, 0)
	check(t, err)
	p := inotify.NewPairer(w, time.Millisecond)
	mv := func(from, to string) { check(t, os.Rename(from, to)) }
	touch(t, filepath.Join(in, "a"))
	mv(filepath.Join(in, "a"), filepath.Join(in, "b"))
	mv(filepath.Join(in, "b"), filepath.Join(out, "c"))
	touch(t, filepath.Join(in, "d"))
	mv(filepath.Join(out, "c"), filepath.Join(in, "e"))
	mv(filepath.Join(in, "e"), filepath.Join(in, "f"))
	want := []string{"Create a 0", "MovedFrom a MovedTo b", "MovedFrom b 0", "Create d 0", "MovedTo e 0", "MovedFrom e MovedTo f"}
	for c, err := range p.Events(bounded(t)) {
		check(t, err)
		got := fmt.Sprint(c.Mask, " ", c.Name, " ", c.To.Mask)
		if c.Renamed() {
			got += " " + c.To.Name
		}
		if got != want[0] {
			t.Fatalf("%q, want %q", got, want[0])
		}
		if want = want[1:]; len(want) == 0 {
			break
		}
	}
	// What is held when a context ends isn't lost.
	p = inotify.NewPairer(w, time.Hour)
	mv(filepath.Join(in, "f"), filepath.Join(out, "g"))
	ctx, cancel := context.WithCancel(t.Context())
	c := fdtest.Go(t, func() error { _, err := p.Read(ctx); return err }).Parked()
	cancel()
	wantIs(t, c.Err(), context.Canceled)
	c = fdtest.Go(t, func() error {
		c, err := p.Read(bounded(t))
		if err == nil && (c.Renamed() || c.Mask != inotify.MovedFrom || c.Name != "f") {
			err = fmt.Errorf("%+v", c)
		}
		return err
	}).Parked()
	check(t, w.Close())
	wantIs(t, c.Err(), os.ErrClosed)
}

// A lone half isn't held for as long as other events come.
func TestPairerFlood(t *testing.T) {
	w, in, out := newWatcher(t), t.TempDir(), t.TempDir()
	files := []string{filepath.Join(in, "a"), filepath.Join(in, "b")}
	for _, f := range files {
		touch(t, f)
	}
	touch(t, filepath.Join(in, "x"))
	_, err := w.Add(in, inotify.Moved|inotify.Attrib, 0)
	check(t, err)
	check(t, os.Rename(filepath.Join(in, "x"), filepath.Join(out, "x")))
	ctx, cancel := context.WithCancel(bounded(t))
	var all atomic.Int64
	flood := func() error {
		for i := 0; ctx.Err() == nil; i++ {
			all.Add(1)
			if err := os.Chmod(files[i%2], 0o600); err != nil {
				return err
			}
		}
		return nil
	}
	var cs []*fdtest.Caller
	for range 16 {
		cs = append(cs, fdtest.Go(t, flood))
	}
	p := inotify.NewPairer(w, time.Millisecond)
	for {
		c, err := p.Read(t.Context())
		check(t, err)
		if c.Mask == inotify.MovedFrom {
			break
		}
	}
	if n := all.Load(); n > 100*int64(queueLimit(t)) {
		t.Errorf("it was held for about %d events", n)
	}
	cancel()
	for _, c := range cs {
		check(t, c.Err())
	}
}
