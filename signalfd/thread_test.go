//go:build linux

package signalfd

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"reflect"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes/internal/fdtest"
	"github.com/fildes/fildes/internal/sys"
)

func TestThreadConform(t *testing.T) {
	needBlocked(t)
	wake := func(h fdtest.Handle) error {
		tid, err := h.(*Receiver).Thread()
		if err != nil {
			return nil //nolint:nilerr // it is closed
		}
		_ = QueueThread(os.Getpid(), tid, RT(1), Value{}) // the thread may have ended meanwhile
		return nil
	}
	fdtest.Conform(t, fdtest.Subject{
		New:  func(testing.TB) (fdtest.Handle, error) { return NewThread(SetOf(RT(1))) },
		Zero: new(Receiver), Nil: (*Receiver)(nil),
		Args: map[reflect.Type]any{reflect.TypeFor[[]Info](): make([]Info, 1), reflect.TypeFor[Set](): SetOf(RT(1)), reflect.TypeFor[Handlers](): ending},
		Waits: []fdtest.Wait{{Name: "Read", Wake: wake, Call: func(ctx context.Context, h fdtest.Handle) error {
			_, err := h.(*Receiver).Read(ctx)
			return err
		}}},
	})
}

func newThreadOf(t testing.TB, signals ...Signal) (r *Receiver, tid int) {
	t.Helper()
	needBlocked(t)
	r, err := NewThread(SetOf(signals...))
	check(t, err)
	t.Cleanup(func() { _ = r.Close() })
	tid, err = r.Thread()
	check(t, err)
	return r, tid
}

// A thread gets its own signals, those too that Go unblocks everywhere, in order, and none is lost however late they are read.
func TestThread(t *testing.T) {
	r, tid := newThreadOf(t, SIGTERM, SIGCHLD, RT(1))
	self := os.Getpid()
	check(t, unix.Tgkill(self, tid, unix.SIGTERM))
	if i, err := r.Read(bounded(t)); err != nil || i.Signal != SIGTERM || i.Code != Thread {
		t.Fatal(i, err)
	}
	var limit unix.Rlimit
	check(t, unix.Getrlimit(unix.RLIMIT_SIGPENDING, &limit))
	n := min(20000, int(limit.Cur)/2) // more than a pipe holds
	if testing.Short() {
		n /= 10
	}
	for i := range n {
		check(t, QueueThread(self, tid, RT(1), Value{Int: int32(i)}))
	}
	for i := range n {
		got, err := r.Read(bounded(t))
		if v, _ := got.Value(); err != nil || int(v.Int) != i {
			t.Fatal(i, got, err)
		}
	}
	if lost, err := r.Lost(); lost != 0 || err != nil {
		t.Error(lost, err)
	}
}

// The set can be changed; what is no longer in it is handled as before.
func TestThreadUpdate(t *testing.T) {
	r, tid := newThreadOf(t, RT(1))
	other, err := Notify(RT(2))
	if err == nil {
		defer func() { _ = other.Close() }()
		check(t, QueueThread(os.Getpid(), tid, RT(2), Value{Int: 1})) // it isn't blocked there
		if i, err := other.Read(bounded(t)); err != nil || i.Signal != RT(2) {
			t.Error(i, err)
		}
	}
	check(t, r.Update(SetOf(RT(2), SIGUSR1)))
	if set, err := r.Set(); set != SetOf(RT(2), SIGUSR1) || err != nil {
		t.Error(set, err)
	}
	check(t, QueueThread(os.Getpid(), tid, RT(2), Value{Int: 2}))
	if i, err := r.Read(bounded(t)); err != nil || i.Signal != RT(2) {
		t.Error(i, err)
	}
	check(t, r.Update(SetOf(RT(1))))
	status, err := os.ReadFile("/proc/self/task/" + strconv.Itoa(tid) + "/status")
	check(t, err)
	if b, err := blockedIn(status); err != nil || b.Has(RT(2)) || !b.Has(RT(1)) || !b.Has(SIGPIPE) {
		t.Error(b, err)
	}
}

func TestThreadErrors(t *testing.T) {
	r, _ := newThreadOf(t, RT(1))
	wantIs(t, r.Update(SetOf(SIGSEGV)), os.ErrInvalid)
	_, err := NewThread(SetOf(SIGKILL))
	wantIs(t, err, os.ErrInvalid)
	if other, err := Notify(RT(2)); err == nil {
		_, err := other.Thread()
		wantIs(t, err, os.ErrInvalid)
		check(t, other.Close())
	}
}

// The kernel's own senders can be told of a thread: the owner of a descriptor.
func TestThreadOwner(t *testing.T) {
	r, tid := newThreadOf(t, RT(3))
	var p [2]int
	check(t, unix.Pipe2(p[:], unix.O_CLOEXEC|unix.O_NONBLOCK))
	defer func() { _, _ = unix.Close(p[0]), unix.Close(p[1]) }()
	check(t, setOwner(p[0], tid))
	for _, c := range []struct{ cmd, arg int }{{unix.F_SETSIG, int(RT(3))}, {unix.F_SETFL, unix.O_ASYNC | unix.O_NONBLOCK}} {
		_, err := unix.FcntlInt(uintptr(p[0]), c.cmd, c.arg)
		check(t, err)
	}
	_, err := unix.Write(p[1], []byte("x"))
	check(t, err)
	i, err := r.Read(bounded(t))
	if got, ok := i.Poll(); err != nil || !ok || got.Of != p[0] {
		t.Error(i, err)
	}
}

// The thread ends with the Receiver, by Close or forgotten, and many can come and go.
func TestThreadEnds(t *testing.T) {
	needBlocked(t)
	for range fdtest.Rounds(50) {
		r, err := NewThread(SetOf(RT(1)))
		check(t, err)
		tid, err := r.Thread()
		check(t, err)
		var wg sync.WaitGroup
		wg.Go(func() {
			err := error(nil)
			for err == nil || errors.Is(err, unix.EAGAIN) {
				err = QueueThread(os.Getpid(), tid, RT(1), Value{})
			}
			wantIs(t, err, unix.ESRCH)
		})
		runtime.Gosched()
		check(t, r.Close())
		wg.Wait()
		if tid == os.Getpid() {
			t.Error("it was the first thread, which never ends")
		}
	}
}

// Where there are no more descriptors a signal comes nevertheless.
func TestThreadWithoutDescriptors(t *testing.T) {
	out, child, err := fdtest.InChild(t)
	if !child {
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	r, tid := newThreadOf(t, RT(1))
	infos := make([]Info, 1)
	_, err = r.TryReadBatch(infos)
	check(t, err)
	var l unix.Rlimit
	check(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &l))
	// As many as poll(2) is given, which refuses more than that, and as are open.
	check(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 3, Max: l.Max}))
	defer func() { check(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &l)) }()
	check(t, QueueThread(os.Getpid(), tid, RT(1), Value{}))
	for ctx := bounded(t); ctx.Err() == nil; runtime.Gosched() {
		if n, err := r.TryReadBatch(infos); n == 1 || err != nil {
			check(t, err)
			return
		}
	}
	t.Error("it didn't come")
}

// A signal that waits for the process, and that no thread takes, has the thread look now and then only, and keeps none from the thread.
func TestThreadProcessWaits(t *testing.T) {
	if !blocking(t, SetOf(RT(1))) {
		return
	}
	r, tid := newThreadOf(t, RT(1))
	check(t, Queue(os.Getpid(), RT(1), Value{Int: 1}))
	slept := func() (n int) {
		status, err := os.ReadFile("/proc/self/task/" + strconv.Itoa(tid) + "/status")
		check(t, err)
		value, _ := sys.InfoField(status, "voluntary_ctxt_switches")
		n, err = strconv.Atoi(string(value))
		check(t, err)
		return n
	}
	before := slept()
	time.Sleep(time.Second) // a bound of what happens meanwhile
	if n := slept() - before; n > 200 {
		t.Errorf("the thread went to sleep %d times in a second", n)
	}
	for k := range int32(10) {
		check(t, QueueThread(os.Getpid(), tid, RT(1), Value{Int: 2 + k}))
		if v, _ := next(t, r).Value(); v.Int != 2+k {
			t.Error(v)
		}
	}
	own := newReceiverOf(t, RT(1))
	if v, _ := next(t, own).Value(); v.Int != 1 {
		t.Error(v)
	}
}

// A child isn't born with what the thread has blocked.
func TestThreadChild(t *testing.T) {
	newThreadOf(t, RT(1), SIGUSR2)
	out, err := fdtest.Program(t.Context(), t, "cat", "/proc/self/status").Output()
	check(t, err)
	if b, err := blockedIn(out); err != nil || b.Has(RT(1)) || b.Has(SIGUSR2) {
		t.Error(b, err)
	}
}

// What is sent to the process is left to those who are to have it: another Receiver, os/signal, and a New of the same signals.
func TestThreadNotProcess(t *testing.T) {
	own := SIGTERM
	r, tid := newThreadOf(t, own, RT(6))
	values := notify(t, Notify, RT(6))
	terms := make(chan os.Signal, 1)
	signal.Notify(terms, syscall.Signal(own))
	defer signal.Stop(terms)
	self := os.Getpid()
	for i := range fdtest.Rounds(1000) {
		check(t, Queue(self, RT(6), Value{Int: int32(i)}))
		if got := next(t, values); got.Signal != RT(6) {
			t.Fatal(got)
		}
		check(t, syscall.Kill(self, syscall.Signal(own)))
		select {
		case <-terms:
		case <-bounded(t).Done():
			t.Fatalf("SIGTERM number %d was taken", i)
		}
	}
	check(t, QueueThread(self, tid, RT(6), Value{Int: -1}))
	if got := next(t, r); got.Signal != RT(6) {
		t.Error(got)
	}
	if n, err := r.TryReadBatch(make([]Info, 1)); n != 0 || err != nil {
		t.Error(n, err)
	}
}
