//go:build linux

package epoll_test

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes"
	"github.com/fildes/fildes/epoll"
	"github.com/fildes/fildes/eventfd"
	"github.com/fildes/fildes/internal/fdtest"
)

func newPoller(t testing.TB) *epoll.Poller[string] {
	t.Helper()
	p, err := epoll.New[string](nil)
	check(t, err)
	t.Cleanup(func() { _ = p.Close() })
	return p
}

func newCounter(t testing.TB) *eventfd.Counter {
	t.Helper()
	c, err := eventfd.New(nil)
	check(t, err)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func add(t testing.TB, c *eventfd.Counter) {
	t.Helper()
	check(t, c.Add(t.Context(), 1))
}

// now returns what is ready, without waiting for more.
func now(t testing.TB, p *epoll.Poller[string]) []epoll.Event[string] {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	var dst [16]epoll.Event[string]
	n, err := p.Wait(ctx, dst[:])
	if errors.Is(err, context.DeadlineExceeded) {
		return nil
	}
	check(t, err)
	return slices.Clone(dst[:n])
}

func wait(t testing.TB, p *epoll.Poller[string]) []epoll.Event[string] {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), fdtest.Bound)
	defer cancel()
	var dst [16]epoll.Event[string]
	n, err := p.Wait(ctx, dst[:])
	check(t, err)
	return slices.Clone(dst[:n])
}

func values(evs []epoll.Event[string]) string {
	var v []string
	for _, e := range evs {
		v = append(v, e.Value)
	}
	slices.Sort(v)
	return strings.Join(v, " ")
}

func TestLevelEdgeAndOneShot(t *testing.T) {
	p := newPoller(t)
	level, edge, once := newCounter(t), newCounter(t), newCounter(t)
	_, err := p.Add(level, epoll.Readable, "level")
	check(t, err)
	_, err = p.Add(edge, epoll.Readable|epoll.EdgeTriggered, "edge")
	check(t, err)
	r, err := p.Add(once, epoll.Readable|epoll.OneShot, "once")
	check(t, err)
	if p.Len() != 3 {
		t.Error(p.Len())
	}
	for _, c := range []*eventfd.Counter{level, edge, once} {
		add(t, c)
	}
	if got := values(wait(t, p)); got != "edge level once" {
		t.Fatal(got)
	}
	for _, c := range []*eventfd.Counter{once, edge} {
		add(t, c)
	}
	if got := values(wait(t, p)); got != "edge level" {
		t.Fatal(got)
	}
	check(t, r.Modify(epoll.Readable|epoll.OneShot))
	if got := values(wait(t, p)); got != "level once" {
		t.Fatal(got)
	}
	check(t, r.Modify(epoll.Writable))
	evs := wait(t, p)
	i := slices.IndexFunc(evs, func(e epoll.Event[string]) bool { return e.Value == "once" })
	if i < 0 || evs[i].Events != epoll.Writable || evs[i].Registration != r {
		t.Fatal(evs)
	}
}

func TestRemove(t *testing.T) {
	p := newPoller(t)
	a, b := newCounter(t), newCounter(t)
	ra, err := p.Add(a, epoll.Readable, "a")
	check(t, err)
	add(t, a)
	check(t, ra.Remove())
	if p.Len() != 0 {
		t.Error(p.Len())
	}
	_, err = p.Add(b, epoll.Readable, "b") // which takes a's slot
	check(t, err)
	if got := values(now(t, p)); got != "" {
		t.Fatal("after Remove:", got)
	}
	for name, err := range map[string]error{"Remove": ra.Remove(), "Modify": ra.Modify(epoll.Readable)} {
		if !errors.Is(err, os.ErrClosed) {
			t.Errorf("%s after Remove: %v", name, err)
		}
	}
	_, err = p.Add(a, epoll.Readable, "a again")
	check(t, err)
	if got := values(wait(t, p)); got != "a again" {
		t.Fatal(got)
	}
}

// Handles of this module leave by themselves, even if a duplicate keeps the kernel's item alive.
func TestOwnHandlesLeaveOnClose(t *testing.T) {
	p := newPoller(t)
	c := newCounter(t)
	f, err := c.File()
	check(t, err)
	defer f.Close()
	r, err := p.Add(c, epoll.Readable, "c")
	check(t, err)
	add(t, c)
	if got := values(wait(t, p)); got != "c" {
		t.Fatal(got)
	}
	check(t, c.Close())
	if p.Len() != 0 {
		t.Error(p.Len())
	}
	if got := now(t, p); got != nil {
		t.Fatal("after Close:", got)
	}
	if err := r.Modify(epoll.Readable); !errors.Is(err, os.ErrClosed) {
		t.Error(err)
	}
	check(t, r.Remove())
	if err := r.Remove(); !errors.Is(err, os.ErrClosed) {
		t.Error(err)
	}
}

func tcp(t testing.TB) (a, b *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	defer l.Close()
	c, err := net.Dial("tcp", l.Addr().String())
	check(t, err)
	d, err := l.Accept()
	check(t, err)
	t.Cleanup(func() { _ = c.Close(); _ = d.Close() })
	return c.(*net.TCPConn), d.(*net.TCPConn)
}

// A foreign connection that is closed while a duplicate lives can't be taken out of the kernel's set, and is ready for ever.
func TestStaleItemDoesntSpin(t *testing.T) {
	for _, removeFirst := range []bool{false, true} {
		p := newPoller(t)
		a, b := tcp(t)
		other := newCounter(t)
		shot, edge := newCounter(t), newCounter(t)
		_, err := p.Add(other, epoll.Readable, "other")
		check(t, err)
		rShot, err := p.Add(shot, epoll.Readable|epoll.OneShot, "shot")
		check(t, err)
		_, err = p.Add(edge, epoll.Readable|epoll.EdgeTriggered, "edge")
		check(t, err)
		add(t, shot)
		if got := values(wait(t, p)); got != "shot" {
			t.Fatal(got)
		}
		r, err := p.Add(a, epoll.Readable, "conn")
		check(t, err)
		_, err = b.Write([]byte("x"))
		check(t, err)
		dup, err := a.File()
		check(t, err)
		if got := values(wait(t, p)); got != "conn" {
			t.Fatal(got)
		}
		if removeFirst {
			check(t, r.Remove())
			check(t, a.Close())
		} else {
			check(t, a.Close())
			check(t, r.Remove())
		}
		_, err = p.Add(newCounter(t), epoll.Readable, "successor") // in the same slot
		check(t, err)
		before := number(t, p)
		if got := now(t, p); got != nil {
			t.Fatal("after Remove:", got)
		}
		if replaced := number(t, p) != before; replaced == removeFirst {
			t.Errorf("removed first %v: the set was replaced: %v", removeFirst, replaced)
		}
		// All the others are still there, the fired one-shot still silent.
		add(t, other)
		add(t, edge)
		if got := values(wait(t, p)); got != "edge other" {
			t.Fatal(got)
		}
		check(t, rShot.Modify(epoll.Readable|epoll.OneShot))
		if got := values(wait(t, p)); got != "other shot" && got != "edge other shot" {
			t.Fatal(got)
		}
		if p.Len() != 4 {
			t.Error(p.Len())
		}
		check(t, dup.Close())
	}
}

func number(t testing.TB, c syscall.Conn) (n uintptr) {
	t.Helper()
	raw, err := c.SyscallConn()
	check(t, err)
	check(t, raw.Control(func(fd uintptr) { n = fd }))
	return n
}

// While a goroutine waits, the set is replaced under it.
func TestReplacedWhileWaiting(t *testing.T) {
	p := newPoller(t)
	outer := newPoller(t)
	_, err := outer.Add(p, epoll.Readable, "inner")
	check(t, err)
	other := newCounter(t)
	_, err = p.Add(other, epoll.Readable, "other")
	check(t, err)
	a, b := tcp(t)
	r, err := p.Add(a, epoll.Readable, "conn")
	check(t, err)
	var got []epoll.Event[string]
	c := fdtest.Go(t, func() error { got = wait(t, p); return nil }).Parked()
	dup, err := a.File()
	check(t, err)
	defer dup.Close()
	check(t, a.Close())
	check(t, r.Remove())
	_, err = b.Write([]byte("x")) // the item that can't be deleted becomes ready
	check(t, err)
	c.Parked()
	add(t, other)
	check(t, c.Err())
	if values(got) != "other" {
		t.Fatal(got)
	}
	if got := values(wait(t, outer)); got != "inner" {
		t.Fatal("the set in which the replaced one was:", got)
	}
	check(t, p.Close())
	if outer.Len() != 0 {
		t.Error("the closed set is still in the other")
	}
}

func TestForeignKinds(t *testing.T) {
	p := newPoller(t)
	r, w, err := os.Pipe()
	check(t, err)
	defer r.Close()
	defer w.Close()
	_, err = p.Add(r, epoll.Readable, "pipe")
	check(t, err)
	a, b := tcp(t)
	_, err = p.Add(a, epoll.Readable|epoll.ReadHangup, "tcp")
	check(t, err)
	_, err = w.Write([]byte("x"))
	check(t, err)
	check(t, b.CloseWrite())
	seen := map[string]epoll.Events{}
	for len(seen) < 2 {
		for _, e := range wait(t, p) {
			seen[e.Value] |= e.Events
		}
	}
	if seen["pipe"] != epoll.Readable || seen["tcp"] != epoll.Readable|epoll.ReadHangup || !seen["tcp"].PeerClosed() {
		t.Error(seen)
	}
	// They are Go's all the same.
	var x [1]byte
	_, err = r.Read(x[:])
	check(t, err)
	if _, err := a.Read(x[:]); err != io.EOF {
		t.Error(err)
	}
}

func TestPriority(t *testing.T) {
	p := newPoller(t)
	a, b := tcp(t)
	_, err := p.Add(a, epoll.Priority, "urgent")
	check(t, err)
	_, err = b.Write([]byte("x"))
	check(t, err)
	if got := now(t, p); got != nil {
		t.Fatal("ordinary data:", got)
	}
	raw, err := b.SyscallConn()
	check(t, err)
	check(t, raw.Control(func(fd uintptr) { err = unix.Send(int(fd), []byte("!"), unix.MSG_OOB) }))
	check(t, err)
	if got := wait(t, p); values(got) != "urgent" || got[0].Events != epoll.Priority {
		t.Fatal(got)
	}
}

func TestBadArguments(t *testing.T) {
	p := newPoller(t)
	c := newCounter(t)
	regular, err := os.CreateTemp(t.TempDir(), "")
	check(t, err)
	defer regular.Close()
	closed, err := os.CreateTemp(t.TempDir(), "")
	check(t, err)
	check(t, closed.Close())
	_, err = p.Add(c, epoll.Readable, "c")
	check(t, err)
	inner := newPoller(t)
	_, err = inner.Add(p, epoll.Readable, "p")
	check(t, err)
	for _, x := range []struct {
		name   string
		conn   syscall.Conn
		events epoll.Events
		is     error
		says   string
	}{
		{"regular file", regular, epoll.Readable, unix.EPERM, "can't be polled"},
		{"closed file", closed, epoll.Readable, os.ErrClosed, ""},
		{"nothing", nil, epoll.Readable, os.ErrInvalid, "no connection"},
		{"twice", c, epoll.Writable, unix.EEXIST, "already"},
		{"loop", inner, epoll.Readable, unix.ELOOP, "nested"},
		{"itself", p, epoll.Readable, unix.EINVAL, "itself"},
		{"Exclusive and OneShot", c, epoll.Readable | epoll.Exclusive | epoll.OneShot, os.ErrInvalid, "Exclusive"},
		{"Exclusive and Priority", c, epoll.Priority | epoll.Exclusive, os.ErrInvalid, "Exclusive"},
	} {
		r, err := p.Add(x.conn, x.events, "")
		if r != nil || !errors.Is(err, x.is) || !strings.Contains(err.Error(), x.says) {
			t.Errorf("%s: %v", x.name, err)
		}
	}
	if p.Len() != 1 {
		t.Error("what was refused counts:", p.Len())
	}
	if _, err := p.Wait(t.Context(), nil); !errors.Is(err, os.ErrInvalid) {
		t.Error(err)
	}
	if _, err := epoll.New[int](&epoll.Options{Capacity: -1}); !errors.Is(err, os.ErrInvalid) {
		t.Error(err)
	}
	x := newCounter(t)
	r, err := p.Add(x, epoll.Readable|epoll.Exclusive, "exclusive")
	check(t, err)
	if err := r.Modify(epoll.Readable); !errors.Is(err, os.ErrInvalid) {
		t.Error(err)
	}
	r2, err := p.Add(newCounter(t), epoll.Readable, "")
	check(t, err)
	if err := r2.Modify(epoll.Readable | epoll.Exclusive); !errors.Is(err, os.ErrInvalid) {
		t.Error(err)
	}
	var zero epoll.Registration[int]
	for _, r := range []*epoll.Registration[int]{&zero, nil} {
		if err := r.Modify(0); !errors.Is(err, os.ErrInvalid) {
			t.Error(err)
		}
		if err := r.Remove(); !errors.Is(err, os.ErrInvalid) {
			t.Error(err)
		}
	}
}

// An event that a loop has read ahead isn't handed out once its registration is gone.
func TestEventsAndRemove(t *testing.T) {
	p := newPoller(t)
	regs := map[string]*epoll.Registration[string]{}
	for _, name := range []string{"a", "b", "c", "d"} {
		c := newCounter(t)
		r, err := p.Add(c, epoll.Readable|epoll.EdgeTriggered, name)
		check(t, err)
		regs[name] = r
		add(t, c)
	}
	ctx, cancel := context.WithTimeout(t.Context(), fdtest.Bound)
	defer cancel()
	seen := ""
	for ev, err := range p.Events(ctx) {
		check(t, err)
		seen += ev.Value
		if len(seen) == 1 {
			for name, r := range regs { // all but one of those that are left
				if name != ev.Value && len(regs) > 2 {
					check(t, r.Remove())
					delete(regs, name)
				}
			}
			continue
		}
		break
	}
	if len(seen) != 2 || regs[seen[1:]] == nil {
		t.Errorf("seen %q, left %v", seen, regs)
	}
	if got := now(t, p); got != nil {
		t.Error(got)
	}
}

// What a loop has read ahead and left goes to a goroutine that waits already.
func TestLeftAheadIsHandedOver(t *testing.T) {
	p := newPoller(t)
	for _, name := range []string{"a", "b", "c"} {
		c := newCounter(t)
		_, err := p.Add(c, epoll.Readable|epoll.EdgeTriggered, name)
		check(t, err)
		add(t, c)
	}
	var c *fdtest.Caller
	var others []epoll.Event[string]
	mine := ""
	started := make(chan struct{})
	for ev, err := range p.Events(t.Context()) {
		check(t, err)
		mine = ev.Value
		c = fdtest.Go(t, func() error {
			close(started)
			for len(others) < 2 {
				others = append(others, wait(t, p)...)
			}
			return nil
		})
		<-started
		break
	}
	check(t, c.Err())
	if got := values(append(others, epoll.Event[string]{Value: mine})); got != "a b c" {
		t.Error(got)
	}
	var none context.Context
	for _, err := range p.Events(none) {
		if !errors.Is(err, os.ErrInvalid) {
			t.Error(err)
		}
	}
	check(t, p.Close())
	n := 0
	for _, err := range p.Events(t.Context()) {
		n++
		if !errors.Is(err, os.ErrClosed) {
			t.Error(err)
		}
	}
	if n != 1 {
		t.Errorf("the error was yielded %d times", n)
	}
}

func TestManyMoreThanTheBatch(t *testing.T) {
	p := newPoller(t)
	n := max(fdtest.Rounds(3000), 1100)
	for i := range n {
		c := newCounter(t)
		_, err := p.Add(c, epoll.Readable|epoll.OneShot, strconv.Itoa(i))
		check(t, err)
		add(t, c)
	}
	seen := map[string]bool{}
	dst := make([]epoll.Event[string], 2*n)
	for len(seen) < n {
		k, err := p.Wait(t.Context(), dst)
		check(t, err)
		if k > 1024 {
			t.Fatal(k)
		}
		for _, e := range dst[:k] {
			if seen[e.Value] {
				t.Fatal("twice:", e.Value)
			}
			seen[e.Value] = true
		}
	}
}

// The Poller lets go of values and connections.
func TestLetsGo(t *testing.T) {
	type big [1 << 16]byte
	p, err := epoll.New[*big](nil)
	check(t, err)
	defer p.Close()
	var left atomic.Int32
	put := func() {
		c, err := eventfd.New(nil)
		check(t, err)
		v := new(big)
		left.Add(1)
		runtime.AddCleanup(v, func(int) { left.Add(-1) }, 0)
		r, err := p.Add(c, epoll.Readable, v)
		check(t, err)
		if left.Load()%2 == 0 {
			check(t, r.Remove())
			check(t, c.Close())
		} else {
			check(t, c.Close())
		}
	}
	for range 4 {
		put()
	}
	for end := time.Now().Add(fdtest.Bound); left.Load() > 0; runtime.GC() {
		if time.Now().After(end) {
			t.Fatalf("%d values are still held", left.Load())
		}
	}
	runtime.KeepAlive(p)
}

// A Poller and a handle in it that are both forgotten are both closed.
func TestForgottenTogether(t *testing.T) {
	numbers := func() []int {
		p, err := epoll.New[*eventfd.Counter](nil)
		check(t, err)
		c, err := eventfd.New(nil)
		check(t, err)
		_, err = p.Add(c, epoll.Readable, c)
		check(t, err)
		var ns []int
		for _, x := range []syscall.Conn{p, c} {
			raw, err := x.SyscallConn()
			check(t, err)
			check(t, raw.Control(func(fd uintptr) { ns = append(ns, int(fd)) }))
		}
		return ns
	}()
	for end := time.Now().Add(fdtest.Bound); ; runtime.GC() {
		open := 0
		for _, n := range numbers {
			if _, err := unix.FcntlInt(uintptr(n), unix.F_GETFD, 0); err == nil {
				open++
			}
		}
		if open == 0 {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%d are still open", open)
		}
	}
}

// Everything at once, and no event ever carries another's value.
func TestChurn(t *testing.T) {
	p, err := epoll.New[*eventfd.Counter](nil)
	check(t, err)
	defer p.Close()
	ctx, cancel := context.WithCancel(t.Context())
	var served atomic.Int64
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for ev, err := range p.Events(ctx) {
				if err != nil {
					if !errors.Is(err, context.Canceled) {
						t.Error(err)
					}
					return
				}
				if _, ok, err := ev.Value.TryWait(); ok {
					served.Add(1)
				} else if err != nil && !errors.Is(err, os.ErrClosed) {
					t.Error(err)
				}
			}
		})
	}
	var churning sync.WaitGroup
	for i := range 4 {
		churning.Go(func() {
			for j := range fdtest.Rounds(500) {
				c, err := eventfd.New(nil)
				check(t, err)
				r, err := p.Add(c, epoll.Readable|epoll.ReadHangup, c)
				check(t, err)
				check(t, c.Add(ctx, 1))
				switch (i + j) % 3 {
				case 0:
					check(t, r.Modify(epoll.Readable|epoll.EdgeTriggered))
				case 1:
					check(t, r.Remove())
				}
				check(t, c.Close())
			}
		})
	}
	churning.Wait()
	last := newCounter(t)
	_, err = p.Add(last, epoll.Readable, last)
	check(t, err)
	add(t, last)
	for end := time.Now().Add(fdtest.Bound); ; runtime.Gosched() {
		if _, ok, err := last.TryWait(); err != nil {
			t.Fatal(err)
		} else if !ok {
			break // a loop has served it
		} else {
			add(t, last)
		}
		if time.Now().After(end) {
			t.Fatal("the loops serve nothing any more")
		}
	}
	cancel()
	wg.Wait()
	if p.Len() != 1 {
		t.Error(p.Len())
	}
}

func TestAllocations(t *testing.T) {
	if fdtest.Race {
		t.Skip("the race detector allocates")
	}
	p := newPoller(t)
	c := newCounter(t)
	_, err := p.Add(c, epoll.Readable|epoll.EdgeTriggered, "")
	check(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	n := testing.AllocsPerRun(fdtest.Rounds(1000), func() {
		var dst [4]epoll.Event[string]
		_ = c.Add(ctx, 1)
		_, _ = p.Wait(ctx, dst[:])
	})
	if n != 0 {
		t.Errorf("Wait: %v allocations", n)
	}
	back := newCounter(t)
	done := make(chan struct{})
	go func() {
		defer close(done)
		var dst [4]epoll.Event[string]
		for {
			if _, err := p.Wait(ctx, dst[:]); err != nil {
				return
			}
			_ = back.Add(ctx, 1)
		}
	}()
	if n := testing.AllocsPerRun(fdtest.Rounds(1000), func() { _ = c.Add(ctx, 1); _, _ = back.Wait(ctx) }); n != 0 {
		t.Errorf("Wait that parks: %v allocations", n)
	}
	cancel()
	<-done
}

func TestLimitIsNamed(t *testing.T) {
	if out, child, err := fdtest.InChild(t); !child {
		if err != nil || strings.Contains(out, "--- SKIP") {
			fdtest.Need(t, "seccomp", skipped(out))
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	p := newPoller(t)
	c := newCounter(t)
	waiting := fdtest.Go(t, func() error { _, err := newCounter(t).Wait(t.Context()); return err }).Parked() // Go's poller is up
	_ = waiting
	fdtest.Seccomp(t, fdtest.AnswerErrno(unix.ENOSPC), unix.SYS_EPOLL_CTL)
	_, err := p.Add(c, epoll.Readable, "")
	oe, ok := errors.AsType[*fildes.OpError](err)
	if !ok || !errors.Is(err, unix.ENOSPC) || !strings.Contains(oe.Hint, "fs.epoll.max_user_watches") {
		t.Error(err)
	}
	// A wait that can't be registered fails with the limit, and the handle works on.
	_, err = c.Wait(t.Context())
	if !errors.Is(err, unix.ENOSPC) || !strings.Contains(err.Error(), "fs.epoll.max_user_watches") {
		t.Error(err)
	}
	check(t, c.Add(t.Context(), 2))
	if n, err := c.Wait(t.Context()); n != 2 || err != nil {
		t.Error(n, err)
	}
	os.Exit(exitCode(t)) // the goroutine that waits can't be ended any more
}

func exitCode(t *testing.T) int {
	if t.Failed() {
		return 1
	}
	return 0
}

func skipped(out string) string {
	if _, why, ok := strings.Cut(out, "needs seccomp: "); ok {
		return strings.SplitN(why, "\n", 2)[0]
	}
	return ""
}
