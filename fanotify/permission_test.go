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
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes"
	"github.com/fildes/fildes/fanotify"
	"github.com/fildes/fildes/internal/fdtest"
)

// guarded is a group that decides about opening the file, which nobody else has.
func guarded(t testing.TB, o fanotify.Options) (g *fanotify.Group, path string) {
	t.Helper()
	if o.Class == fanotify.Notify {
		o.Class = fanotify.Content
	}
	g = newGroup(t, &o)
	path = touch(t, filepath.Join(t.TempDir(), "guarded"))
	mark(t, g, fanotify.Inode, path, fanotify.OpenPerm, 0)
	return g, path
}

func TestAllowAndDeny(t *testing.T) {
	g, path := guarded(t, fanotify.Options{Report: pidfdWhereKnown(t)})
	s := newStranger(t)
	for _, allow := range []bool{true, false} {
		c := s.open(t, path)
		ev := next(t, g)
		if ev.Mask != fanotify.OpenPerm || !ev.Asks() || ev.Own() || ev.PID != s.cmd.Process.Pid {
			t.Errorf("%+v", ev)
		}
		still(t, "open", c)
		if all, err := io.ReadAll(io.NewSectionReader(ev, 0, 100)); string(all) != "content" || err != nil {
			t.Errorf("%q, %v", all, err)
		}
		f, err := ev.Take() // the kernel still knows the event by the number
		check(t, err)
		check(t, f.Close())
		want := syscall.EPERM
		if allow {
			want = 0
			check(t, ev.Allow())
		} else {
			check(t, ev.Deny())
		}
		wantErrno(t, "open", c, want)
		if ev.Asks() {
			t.Error("still asks")
		}
		for _, err := range []error{ev.Allow(), ev.Deny(), ev.Respond(fanotify.Allow)} {
			if !errors.Is(err, fanotify.ErrAnswered) {
				t.Error(err)
			}
		}
		check(t, ev.Close())
	}
}

func pidfdWhereKnown(t testing.TB) fanotify.Report {
	t.Helper()
	if has(t, fanotify.ReportPIDFD) {
		return fanotify.ReportPIDFD
	}
	return 0
}

// Of many answers to copies of one event, one counts.
func TestAnsweredOnce(t *testing.T) {
	g, path := guarded(t, fanotify.Options{})
	s := newStranger(t)
	for i := range fdtest.Rounds(200) {
		c := s.open(t, path)
		ev := next(t, g)
		var taken atomic.Int32
		var wg sync.WaitGroup
		var allowed atomic.Bool
		for j := range 6 {
			copied := ev
			wg.Go(func() {
				v := fanotify.Allow
				if (i+j)%2 == 0 {
					v = fanotify.Deny
				}
				switch err := copied.Respond(v); {
				case err == nil:
					taken.Add(1)
					allowed.Store(v == fanotify.Allow)
				case !errors.Is(err, fanotify.ErrAnswered) && !errors.Is(err, os.ErrClosed):
					t.Error(err)
				}
				if j == 5 {
					_ = copied.Close()
				}
			})
		}
		wg.Wait()
		if taken.Load() > 1 {
			t.Fatalf("%d answers were taken", taken.Load())
		}
		want := syscall.EPERM
		if allowed.Load() || taken.Load() == 0 { // Close was the first
			want = 0
		}
		wantErrno(t, "open", c, want)
	}
}

// Whatever is done with an event, who waits for it gets the default.
func TestDefault(t *testing.T) {
	for _, def := range []fanotify.Verdict{fanotify.Allow, fanotify.Deny} {
		want := syscall.Errno(0)
		if def == fanotify.Deny {
			want = syscall.EPERM
		}
		for name, end := range map[string]func(t *testing.T, g *fanotify.Group){
			"Close": func(t *testing.T, g *fanotify.Group) {
				ev, err := g.Read(bounded(t))
				check(t, err)
				check(t, ev.Close())
			},
			"forgotten": func(t *testing.T, g *fanotify.Group) {
				func() {
					_, err := g.Read(bounded(t))
					check(t, err)
				}()
				collect(t, g)
			},
			"batch forgotten": func(t *testing.T, g *fanotify.Group) {
				func() {
					_, err := g.ReadBatch(bounded(t), new(fanotify.Batch))
					check(t, err)
				}()
				collect(t, g)
			},
			"batch": func(t *testing.T, g *fanotify.Group) {
				b := new(fanotify.Batch)
				_, err := g.ReadBatch(bounded(t), b)
				check(t, err)
				b.Next()
				_, err = g.TryReadBatch(b)
				check(t, err)
			},
			"batch closed": func(t *testing.T, g *fanotify.Group) {
				b := new(fanotify.Batch)
				_, err := g.ReadBatch(bounded(t), b)
				check(t, err)
				b.Close()
			},
			"loop left": func(t *testing.T, g *fanotify.Group) {
				for _, err := range g.Events(bounded(t)) {
					check(t, err)
					break
				}
			},
			"panic": func(t *testing.T, g *fanotify.Group) {
				defer func() {
					if _, ok := recover().(*runtime.PanicNilError); !ok {
						t.Error("no panic")
					}
				}()
				for _, err := range g.Events(bounded(t)) {
					panic(err)
				}
			},
			"group closed": func(t *testing.T, g *fanotify.Group) {
				_, err := g.Read(bounded(t))
				check(t, err)
				check(t, g.Close())
			},
			"group closed unread": func(t *testing.T, g *fanotify.Group) {
				await(t, g)
				check(t, g.Close())
			},
			"late": func(t *testing.T, g *fanotify.Group) {
				ev, err := g.Read(bounded(t))
				check(t, err)
				defer ev.Close()
				for end := time.Now().Add(fdtest.Bound); ev.Asks(); time.Sleep(time.Millisecond) {
					if time.Now().After(end) {
						t.Fatal("it still asks")
					}
				}
				if err := ev.Allow(); !errors.Is(err, fanotify.ErrAnswered) {
					t.Error(err)
				}
				for end := time.Now().Add(fdtest.Bound); g.Counts().Late != 1; time.Sleep(time.Millisecond) {
					if time.Now().After(end) {
						t.Fatalf("%+v", g.Counts())
					}
				}
			},
			"late unread": func(*testing.T, *fanotify.Group) {},
		} {
			t.Run(fmt.Sprint(def, "/", name), func(t *testing.T) {
				o := fanotify.Options{Default: def}
				if name == "late" || name == "late unread" {
					o.Within = 50 * time.Millisecond
				}
				g, path := guarded(t, o)
				s := newStranger(t)
				wantErrno(t, "open", s.open(t, filepath.Dir(path)), 0) // it is awake
				c := s.open(t, path)
				end(t, g)
				wantErrno(t, "open", c, want)
			})
		}
	}
}

// await waits until there is an event in the queue, and leaves it there.
func await(t testing.TB, g *fanotify.Group) {
	t.Helper()
	conn, err := g.SyscallConn()
	check(t, err)
	check(t, conn.Control(func(num uintptr) {
		p := []unix.PollFd{{Fd: int32(num), Events: unix.POLLIN}}
		for end := time.Now().Add(fdtest.Bound); p[0].Revents&unix.POLLIN == 0; {
			if _, err := unix.Poll(p, int(fdtest.Bound.Milliseconds())); err != nil && err != unix.EINTR || time.Now().After(end) {
				t.Errorf("there is no event: %v", err)
				return
			}
		}
	}))
}

// collect runs the collector until the group has ended an event.
func collect(t testing.TB, g *fanotify.Group) {
	t.Helper()
	for end := time.Now().Add(fdtest.Bound); g.Counts().Dropped == 0; time.Sleep(time.Millisecond) {
		runtime.GC()
		if time.Now().After(end) {
			t.Fatal("nothing was ended")
		}
	}
}

// A cancelled context takes nothing with it.
func TestCancelled(t *testing.T) {
	g, path := guarded(t, fanotify.Options{Default: fanotify.Deny})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s := newStranger(t)
	c := s.open(t, path)
	still(t, "open", c)
	if _, err := g.Read(ctx); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	check(t, next(t, g).Allow())
	wantErrno(t, "open", c, 0)
}

// A handler that opens what its own group guards doesn't wait for itself, also if nobody else reads.
func TestHandlerOpens(t *testing.T) {
	g, path := guarded(t, fanotify.Options{Within: -1})
	s := newStranger(t)
	for range 3 {
		c := s.open(t, path)
		ev := next(t, g)
		for range 3 {
			_, err := os.ReadFile(path)
			check(t, err)
		}
		check(t, ev.Deny())
		wantErrno(t, "open", c, syscall.EPERM)
		check(t, ev.Close())
	}
	if got := g.Counts(); got.Own < 9 || got.Late != 0 || got.Dropped != 0 {
		t.Errorf("%+v", got)
	}
	quiet(t, g)
}

// With nobody reading at all, this process goes on too.
func TestOwnUnread(t *testing.T) {
	g, path := guarded(t, fanotify.Options{Within: 40 * time.Millisecond})
	_, err := os.ReadFile(path)
	check(t, err)
	if got := g.Counts(); got.Own != 1 {
		t.Errorf("%+v", got)
	}
}

func TestAskOwn(t *testing.T) {
	g, path := guarded(t, fanotify.Options{AskOwn: true})
	c := fdtest.Go(t, func() error { _, err := os.ReadFile(path); return err })
	ev := next(t, g)
	if !ev.Own() {
		t.Error("not own")
	}
	check(t, ev.Deny())
	if err := c.Err(); !errors.Is(err, syscall.EPERM) {
		t.Error(err)
	}
}

// With threads for processes, this process is still told from others.
func TestOwnThread(t *testing.T) {
	g, path := guarded(t, fanotify.Options{Report: fanotify.ReportTID, Within: 40 * time.Millisecond})
	_, err := os.ReadFile(path)
	check(t, err)
	if got := g.Counts(); got.Own != 1 {
		t.Errorf("%+v", got)
	}
	c := newStranger(t).open(t, path)
	if ev := next(t, g); ev.Own() {
		t.Error("a stranger is own")
	}
	wantErrno(t, "open", c, 0)
}

func TestRespondBatch(t *testing.T) {
	g, path := guarded(t, fanotify.Options{Within: -1})
	other, _ := guarded(t, fanotify.Options{})
	s := newStranger(t)
	const n = 40
	var cs []<-chan syscall.Errno
	for range n {
		cs = append(cs, s.open(t, path))
	}
	var rs []fanotify.Response
	want := make(map[bool]int)
	for i := range n {
		ev, err := g.Read(bounded(t))
		check(t, err)
		v := fanotify.Allow
		if i%3 == 0 {
			v = fanotify.Deny
		}
		want[v == fanotify.Allow]++
		rs = append(rs, fanotify.Response{Event: ev, Verdict: v})
	}
	late := rs[7].Event
	check(t, late.Allow()) // one of those that are to be allowed
	again := append([]fanotify.Response{}, rs...)
	taken, err := g.RespondBatch(rs)
	if taken != n-1 || !errors.Is(err, fanotify.ErrAnswered) || !errors.Is(rs[7].Err, fanotify.ErrAnswered) {
		t.Errorf("%d taken, %v", taken, err)
	}
	for i, r := range rs {
		if i != 7 && r.Err != nil {
			t.Errorf("%d: %v", i, r.Err)
		}
	}
	got := make(map[bool]int)
	for _, c := range cs {
		select {
		case e := <-c:
			got[e == 0]++
		case <-time.After(fdtest.Bound):
			t.Fatal("an open hangs")
		}
	}
	if got[true] != want[true] || got[false] != want[false] {
		t.Errorf("%v, want %v", got, want)
	}
	if taken, err := g.RespondBatch(again); taken != 0 || !errors.Is(err, fanotify.ErrAnswered) {
		t.Error(taken, err)
	}
	if taken, err := other.RespondBatch(again[:1]); taken != 0 || !errors.Is(err, os.ErrInvalid) {
		t.Error(taken, err)
	}
	for _, r := range rs {
		check(t, r.Event.Close())
	}
	if taken, err := g.RespondBatch(nil); taken != 0 || err != nil {
		t.Error(taken, err)
	}
}

// What the kernel refuses is still to be answered, and the others of a batch are.
func TestRefusedVerdict(t *testing.T) {
	g, path := guarded(t, fanotify.Options{})
	s := newStranger(t)
	cs := []<-chan syscall.Errno{s.open(t, path), s.open(t, path), s.open(t, path)}
	var evs []fanotify.Event
	for range cs {
		evs = append(evs, next(t, g))
	}
	for _, v := range []fanotify.Verdict{0, 3, fanotify.Allow | 1<<24, 1 << 9, fanotify.DenyErrno(syscall.ENOENT), fanotify.DenyErrno(syscall.EIO), fanotify.Deny.Audit()} {
		if err := evs[1].Respond(v); !errors.Is(err, os.ErrInvalid) && !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("%v: %v", v, err)
		}
	}
	taken, err := g.RespondBatch([]fanotify.Response{{Event: evs[0], Verdict: fanotify.Deny}, {Event: evs[1], Verdict: fanotify.DenyErrno(syscall.EIO)}, {Event: evs[2], Verdict: fanotify.Deny}})
	if taken != 2 || err == nil {
		t.Error(taken, err)
	}
	if !evs[1].Asks() {
		t.Error("it doesn't ask any more")
	}
	check(t, evs[1].Deny())
	for _, c := range cs {
		wantErrno(t, "open", c, syscall.EPERM)
	}
}

func TestAudit(t *testing.T) {
	g, path := func() (*fanotify.Group, string) {
		if !fdtest.HasCap(unix.CAP_AUDIT_WRITE) {
			fdtest.Need(t, "audit_write", "no CAP_AUDIT_WRITE")
		}
		return guarded(t, fanotify.Options{Audit: true})
	}()
	s := newStranger(t)
	c := s.open(t, path)
	ev := next(t, g)
	check(t, ev.Respond(fanotify.Deny.Audit()))
	wantErrno(t, "open", c, syscall.EPERM)
	c = s.open(t, path)
	ev = next(t, g)
	err := ev.RespondRule(fanotify.Deny, fanotify.AuditRule{Number: 7, Subject: fanotify.Untrusted, Object: fanotify.Trusted})
	if ue, ok := errors.AsType[*fildes.UnsupportedError](err); ok {
		t.Logf("%v", ue)
		err = ev.Deny()
	}
	check(t, err)
	wantErrno(t, "open", c, syscall.EPERM)
}

// Who is killed while it waits is no trouble.
func TestKilled(t *testing.T) {
	g, path := guarded(t, fanotify.Options{})
	s := newStranger(t)
	s.open(t, path)
	ev := next(t, g)
	check(t, s.cmd.Process.Kill())
	_, _ = s.cmd.Process.Wait()
	if err := ev.Allow(); err != nil && !errors.Is(err, fanotify.ErrAnswered) {
		t.Error(err)
	}
	check(t, ev.Close())
	quiet(t, g)
}

// Of others that have the description, one may close without the marks going.
func TestSharedClose(t *testing.T) {
	g, path := guarded(t, fanotify.Options{Default: fanotify.Deny})
	f, err := g.File()
	check(t, err)
	defer f.Close()
	h, err := fanotify.FromFile(f, &fanotify.Options{Default: fanotify.Allow})
	check(t, err)
	s := newStranger(t)
	c := s.open(t, path)
	_, err = g.Read(bounded(t))
	check(t, err)
	check(t, g.Close())
	wantErrno(t, "open", c, syscall.EPERM)
	c = s.open(t, path)
	ev, err := h.Read(bounded(t))
	check(t, err)
	check(t, ev.Deny())
	wantErrno(t, "open", c, syscall.EPERM)
	check(t, h.Close())
}

func TestReleaseAnswers(t *testing.T) {
	g, path := guarded(t, fanotify.Options{Default: fanotify.Deny})
	c := newStranger(t).open(t, path)
	_, err := g.Read(bounded(t))
	check(t, err)
	n, err := g.Release()
	check(t, err)
	defer unix.Close(n)
	wantErrno(t, "open", c, syscall.EPERM)
}

// Handlers that come and go, and a group that is closed under them, leave nobody waiting.
func TestStorm(t *testing.T) {
	s := newStranger(t)
	for range fdtest.Rounds(30) {
		g, path := guarded(t, fanotify.Options{Default: fanotify.Deny})
		var wg sync.WaitGroup
		for i := range 4 {
			wg.Go(func() {
				if i == 0 {
					b := new(fanotify.Batch)
					for {
						if _, err := g.ReadBatch(t.Context(), b); err != nil {
							return
						}
						for ev, ok := b.Next(); ok; ev, ok = b.Next() {
							_ = ev.Allow()
						}
					}
				}
				for ev, err := range g.Events(t.Context()) {
					if err != nil {
						return
					}
					if i == 1 {
						_ = ev.Deny()
					}
				}
			})
		}
		var cs []<-chan syscall.Errno
		for range 50 {
			cs = append(cs, s.open(t, path))
		}
		time.Sleep(time.Millisecond)
		check(t, g.Close())
		wg.Wait()
		for _, c := range cs {
			select {
			case e := <-c:
				if e != 0 && e != syscall.EPERM {
					t.Error(e)
				}
			case <-time.After(fdtest.Bound):
				t.Fatal("an open hangs")
			}
		}
	}
}
