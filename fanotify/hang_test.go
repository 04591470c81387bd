//go:build linux

package fanotify_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes/fanotify"
	"github.com/fildes/fildes/internal/fdtest"
)

// However much comes while nobody reads, each is answered.
func TestNobodyReads(t *testing.T) {
	g, path := guarded(t, fanotify.Options{Within: 20 * time.Millisecond})
	s := newStranger(t)
	for range fdtest.Rounds(30) { // more than the keeper keeps
		var cs []<-chan syscall.Errno
		for range 100 {
			cs = append(cs, s.open(t, path))
		}
		for _, c := range cs {
			wantErrno(t, "open", c, 0)
		}
	}
	_, err := os.ReadFile(path)
	check(t, err)
	check(t, g.Close())
}

// Events that ask nothing don't keep those that do from being answered, and that some were lost is told.
func TestBacklog(t *testing.T) {
	g := newGroup(t, &fanotify.Options{Class: fanotify.Content, Within: 50 * time.Millisecond})
	dir := t.TempDir()
	path := touch(t, filepath.Join(t.TempDir(), "guarded"))
	mark(t, g, fanotify.Inode, dir, fanotify.CloseWrite|fanotify.OnChild, 0)
	mark(t, g, fanotify.Inode, path, fanotify.OpenPerm, 0)
	for i := range 1500 {
		touch(t, filepath.Join(dir, fmt.Sprint(i)))
	}
	_, err := os.ReadFile(path)
	check(t, err)
	wantErrno(t, "open", newStranger(t).open(t, path), 0)
	for {
		ev, err := g.Read(bounded(t))
		check(t, err)
		check(t, ev.Close())
		if ev.Mask == fanotify.Overflow {
			return
		}
	}
}

// A decider that opens what it guards after it has answered, or before it reads, doesn't wait either.
func TestOwnBetweenReads(t *testing.T) {
	g, path := guarded(t, fanotify.Options{Within: -1})
	start := time.Now()
	_, err := os.ReadFile(path)
	check(t, err)
	s := newStranger(t)
	c := s.open(t, path)
	check(t, next(t, g).Allow())
	wantErrno(t, "open", c, 0)
	time.Sleep(30 * time.Millisecond) // the reader lingers after a read: here it doesn't any more, there it did
	_, err = os.ReadFile(path)
	check(t, err)
	if took := time.Since(start); took > fdtest.Bound/2 {
		t.Errorf("it took %v", took)
	}
}

// Many goroutines of this process open what it guards, while it decides.
func TestManyOwn(t *testing.T) {
	g, path := guarded(t, fanotify.Options{})
	c := newStranger(t).open(t, path)
	ev := next(t, g)
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			for range fdtest.Rounds(50) {
				if _, err := os.ReadFile(path); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	check(t, ev.Allow())
	wantErrno(t, "open", c, 0)
}

// An event that ends while a refused answer is being given isn't forgotten.
func TestRefusedAndClosed(t *testing.T) {
	g, path := guarded(t, fanotify.Options{})
	s := newStranger(t)
	for range fdtest.Rounds(1000) {
		c := s.open(t, path)
		ev := next(t, g)
		var stop atomic.Bool
		var wg sync.WaitGroup
		wg.Go(func() {
			for !stop.Load() {
				_ = ev.DenyErrno(syscall.EIO) // refused: the class is Content
			}
		})
		runtime.Gosched()
		_ = ev.Close()
		stop.Store(true)
		wg.Wait()
		wantErrno(t, "open", c, 0)
	}
}

// Answers that are being given while the group is closed or released are given.
func TestAnsweredWhileClosed(t *testing.T) {
	s := newStranger(t)
	for _, release := range []bool{false, true} {
		for i := range fdtest.Rounds(60) {
			g, path := guarded(t, fanotify.Options{Default: fanotify.Deny})
			var cs []<-chan syscall.Errno
			var rs []fanotify.Response
			for j := range 20 {
				cs = append(cs, s.open(t, path))
				v := fanotify.Deny
				if j%2 == 0 {
					v = fanotify.DenyErrno(syscall.EIO) // refused, so that there are several system calls
				}
				rs = append(rs, fanotify.Response{Event: next(t, g), Verdict: v})
			}
			num := -1
			var wg sync.WaitGroup
			wg.Go(func() {
				time.Sleep(time.Duration(i) * time.Microsecond)
				if !release {
					_ = g.Close()
				} else if n, err := g.Release(); err == nil {
					num = n
				}
			})
			_, _ = g.RespondBatch(rs)
			wg.Wait()
			for _, c := range cs {
				wantErrno(t, "open", c, syscall.EPERM)
			}
			if num >= 0 {
				check(t, unix.Close(num))
			}
		}
	}
}

// An event that is in use keeps itself, also when its batch is forgotten.
func TestBatchForgottenInUse(t *testing.T) {
	g, path := guarded(t, fanotify.Options{})
	c := newStranger(t).open(t, path)
	ev := func() fanotify.Event {
		b := new(fanotify.Batch)
		_, err := g.ReadBatch(bounded(t), b)
		check(t, err)
		ev, _ := b.Next()
		return ev
	}()
	ended := make(chan struct{})
	runtime.AddCleanup(new([64]byte), func(done chan struct{}) { close(done) }, ended)
	for over := false; !over; { // what is ended with the batch would be by then
		runtime.GC()
		select {
		case <-ended:
			over = true
		case <-bounded(t).Done():
			t.Fatal("the collector ends nothing")
		case <-time.After(time.Millisecond):
		}
	}
	check(t, ev.Deny())
	wantErrno(t, "open", c, syscall.EPERM)
}

// One batch serves several groups.
func TestBatchOfGroups(t *testing.T) {
	g1, path := guarded(t, fanotify.Options{})
	g2, other := guarded(t, fanotify.Options{})
	b := new(fanotify.Batch)
	own := fdtest.Go(t, func() error { _, err := os.ReadFile(path); return err })
	check(t, own.Err())
	s := newStranger(t)
	for range 20 {
		for _, x := range []struct {
			g    *fanotify.Group
			path string
		}{{g1, path}, {g2, other}} {
			c := s.open(t, x.path)
			_, err := x.g.ReadBatch(bounded(t), b)
			check(t, err)
			ev, ok := b.Next()
			if !ok {
				t.Fatal("no event")
			}
			check(t, ev.Deny())
			wantErrno(t, "open", c, syscall.EPERM)
			if n, err := x.g.TryReadBatch(b); n != 0 || err != nil {
				t.Error(n, err)
			}
		}
	}
}

// Who doesn't read a group that others have doesn't decide for them.
func TestSharedUnread(t *testing.T) {
	g, path := guarded(t, fanotify.Options{Within: 8 * time.Millisecond})
	f, err := g.File()
	check(t, err)
	defer f.Close()
	h, err := fanotify.FromFile(f, &fanotify.Options{Default: fanotify.Deny})
	check(t, err)
	c := fdtest.Go(t, func() error {
		for ev, err := range h.Events(t.Context()) {
			if err != nil {
				return err
			}
			time.Sleep(time.Millisecond)
			_ = ev.Deny()
		}
		return nil
	})
	s := newStranger(t)
	for range fdtest.Rounds(100) {
		wantErrno(t, "open", s.open(t, path), syscall.EPERM)
	}
	check(t, h.Close())
	if err := c.Err(); !errors.Is(err, os.ErrClosed) {
		t.Error(err)
	}
}

// An event without a descriptor says so, and not that it was closed.
func TestNoDescriptor(t *testing.T) {
	g := newGroup(t, &fanotify.Options{Report: fanotify.ReportFID})
	path := touch(t, filepath.Join(home(t), "file"))
	mark(t, g, fanotify.Inode, path, fanotify.Open, 0)
	_, err := os.ReadFile(path)
	check(t, err)
	ev := next(t, g)
	_, err = ev.ReadAt(make([]byte, 1), 0)
	for _, err := range []error{err, ev.Allow()} {
		if err == nil || errors.Is(err, os.ErrClosed) {
			t.Error(err)
		}
	}
}

// A path that leads elsewhere, or nowhere, isn't told.
func TestNoPath(t *testing.T) {
	fdtest.NeedRoot(t)
	g := newGroup(t, nil)
	dir := t.TempDir()
	a, b := touch(t, filepath.Join(dir, "a")), filepath.Join(dir, "b")
	check(t, os.Link(a, b))
	mark(t, g, fanotify.Inode, a, fanotify.CloseNoWrite, 0)
	_, err := os.ReadFile(a)
	check(t, err)
	check(t, os.Remove(a))
	if path, err := next(t, g).Path(); !errors.Is(err, fanotify.ErrNoPath) {
		t.Error(path, err)
	}
	check(t, os.Remove(b))

	// Of a file system, only a part is mounted here.
	mnt, part := fdtest.Tmpfs(t), t.TempDir()
	check(t, errors.Join(os.Mkdir(mnt+"/shown", 0o700), os.Mkdir(mnt+"/hidden", 0o700)))
	h, err := fanotify.HandleOf(mnt + "/hidden")
	check(t, err)
	check(t, unix.Mount(mnt+"/shown", part, "", unix.MS_BIND, ""))
	defer func() { check(t, unix.Unmount(part, unix.MNT_DETACH)) }()
	check(t, unix.Unmount(mnt, unix.MNT_DETACH))
	handles := newGroup(t, &fanotify.Options{Report: fanotify.ReportDirFIDName})
	if path, err := handles.Path(h); !errors.Is(err, fanotify.ErrNoPath) && !errors.Is(err, fanotify.ErrStale) {
		t.Error(path, err)
	}
	check(t, handles.Close())
}
