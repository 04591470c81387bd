//go:build linux

package signalfd

import (
	"context"
	"os"
	"reflect"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes/internal/fdtest"
)

func TestConform(t *testing.T) {
	if !blocking(t, Blockable()) {
		return
	}
	wake := func(fdtest.Handle) error { return Queue(os.Getpid(), RT(1), Value{}) }
	fdtest.Conform(t, fdtest.Subject{
		New: func(testing.TB) (fdtest.Handle, error) {
			r, err := New(SetOf(RT(1)))
			for n := 1; n > 0 && err == nil; { // the process has one queue, whoever reads
				n, err = r.TryReadBatch(make([]Info, batchSize))
			}
			return r, err
		},
		Zero: new(Receiver), Nil: (*Receiver)(nil),
		Args: map[reflect.Type]any{reflect.TypeFor[[]Info](): make([]Info, 1), reflect.TypeFor[Set](): SetOf(RT(1)), reflect.TypeFor[Handlers](): ending},
		Waits: []fdtest.Wait{
			{Name: "Read", Wake: wake, Call: func(ctx context.Context, h fdtest.Handle) error {
				_, err := h.(*Receiver).Read(ctx)
				return err
			}},
			{Name: "ReadBatch", Wake: wake, Call: func(ctx context.Context, h fdtest.Handle) error {
				_, err := h.(*Receiver).ReadBatch(ctx, make([]Info, 1))
				return err
			}},
			{Name: "Serve", Wake: wake, Call: serveOne},
			{Name: "Events", Wake: wake, Call: func(ctx context.Context, h fdtest.Handle) error {
				for _, err := range h.(*Receiver).Events(ctx) {
					return err
				}
				return nil
			}},
		},
	})
}

// Standard signals are one, real-time ones are a queue, each with what its sender says.
func TestReceive(t *testing.T) {
	if !blocking(t, Blockable()) {
		return
	}
	r := newReceiverOf(t, SIGUSR1, RT(1), RT(2))
	self := os.Getpid()
	check(t, Queue(self, RT(2), Value{Int: 5}))
	for i := range 3 {
		check(t, Queue(self, RT(1), Value{Int: int32(-i)}))
	}
	check(t, syscall.Kill(self, syscall.SIGUSR1))
	check(t, syscall.Kill(self, syscall.SIGUSR1))
	got := make([]Info, 100)
	n, err := r.ReadBatch(bounded(t), got[:2])
	check(t, err)
	m, err := r.ReadBatch(bounded(t), got[n:])
	check(t, err)
	want := []struct {
		sig   Signal
		code  Code
		value int32
	}{{SIGUSR1, User, 0}, {RT(1), Queued, 0}, {RT(1), Queued, -1}, {RT(1), Queued, -2}, {RT(2), Queued, 5}}
	if n != 2 || m != len(want)-2 {
		t.Fatalf("%d and %d signals: %v", n, m, got[:n+m])
	}
	for k, w := range want {
		i := got[k]
		pid, uid, ok := i.Sender()
		v, valued := i.Value()
		if i.Signal != w.sig || i.Code != w.code || !ok || pid != self || int(uid) != os.Getuid() || valued != (w.code == Queued) || v.Int != w.value {
			t.Errorf("%v, want %+v", i, w)
		}
	}
	if n, err := r.TryReadBatch(got); n != 0 || err != nil {
		t.Error(n, err)
	}
	pointer := uint64(0xfedcba98)
	if ^uintptr(0)>>63 == 1 {
		pointer = 0xfedcba9876543210
	}
	check(t, Queue(self, RT(1), Value{Pointer: pointer}))
	i, err := r.Read(bounded(t))
	check(t, err)
	if v, _ := i.Value(); v.Pointer != pointer {
		t.Errorf("%v: %#x", i, v.Pointer)
	}
	runtime.LockOSThread() // a thread's own signals are for a thread that has them
	defer runtime.UnlockOSThread()
	check(t, QueueThread(self, unix.Gettid(), RT(2), Value{Int: 9}))
	if n, err := r.TryReadBatch(got); n != 1 || err != nil || got[0].Signal != RT(2) {
		t.Error(n, err, got[0])
	}
	check(t, unix.Tgkill(self, unix.Gettid(), unix.SIGUSR1))
	if n, err := r.TryReadBatch(got); n != 1 || err != nil || got[0].Code != Thread || got[0].Origin() != FromUser {
		t.Error(n, err, got[0])
	}
}

// What the kernel sends by itself is told with all it says.
func TestReceiveKernel(t *testing.T) {
	if !blocking(t, Blockable()) {
		return
	}
	r := newReceiverOf(t, SIGPIPE, SIGWINCH, RT(3), RT(4))
	var p [2]int
	check(t, unix.Pipe2(p[:], unix.O_CLOEXEC|unix.O_NONBLOCK|unix.O_DIRECT))
	defer func() { _ = unix.Close(p[0]) }()
	for _, c := range []struct{ cmd, arg int }{{unix.F_SETOWN, os.Getpid()}, {unix.F_SETSIG, int(RT(3))}, {unix.F_SETFL, unix.O_ASYNC | unix.O_NONBLOCK}} {
		_, err := unix.FcntlInt(uintptr(p[0]), c.cmd, c.arg)
		check(t, err)
	}
	_, err := unix.Write(p[1], []byte("x"))
	check(t, err)
	i, err := r.Read(bounded(t))
	check(t, err)
	if got, ok := i.Poll(); !ok || got.Code != PollIn || got.Band&unix.POLLIN == 0 || got.Of != p[0] || i.Signal != RT(3) || i.Origin() != FromKernel {
		t.Errorf("%v: %+v", i, got)
	}
	check(t, unix.Close(p[1]))
	for i.Signal == RT(3) { // the end of the pipe may be told so too
		if n, err := r.TryReadBatch((&[1]Info{})[:]); err != nil || n == 0 {
			break
		}
	}
}

// A set can be changed, and what waits already counts.
func TestUpdate(t *testing.T) {
	if !blocking(t, Blockable()) {
		return
	}
	r := newReceiverOf(t, RT(1))
	check(t, Queue(os.Getpid(), RT(2), Value{Int: 2}))
	if n, err := r.TryReadBatch(make([]Info, 1)); n != 0 || err != nil {
		t.Error(n, err)
	}
	check(t, r.Update(SetOf(RT(2), SIGUSR2)))
	if set, err := r.Set(); err != nil || set != SetOf(RT(2), SIGUSR2) {
		t.Error(set, err)
	}
	i, err := r.Read(bounded(t))
	check(t, err)
	if i.Signal != RT(2) {
		t.Error(i)
	}
	wantIs(t, r.Update(SetOf(SIGTERM)), os.ErrInvalid)
	if set, err := r.Set(); err != nil || set != SetOf(RT(2), SIGUSR2) {
		t.Error(set, err)
	}
	f, err := r.File()
	check(t, err)
	defer f.Close()
	other, err := FromFile(f)
	check(t, err)
	defer other.Close()
	check(t, Queue(os.Getpid(), RT(2), Value{Int: 3}))
	if i, err = other.Read(bounded(t)); err != nil || i.Signal != RT(2) {
		t.Error(i, err)
	}
}

// What would be handled now and then instead of received is refused.
func TestRefused(t *testing.T) {
	for set, text := range map[Set]string{
		SetOf(SIGTERM, RT(1)): "SIGTERM",
		SetOf(SIGKILL):        "SIGKILL",
		All():                 "SIGSEGV",
		SetOf(SIGUSR1, RT(1)): "SIGUSR1|SIGRTMIN+1: call BlockAndReexec",
	} {
		_, err := New(set)
		wantIs(t, err, os.ErrInvalid)
		if !strings.Contains(err.Error(), text) {
			t.Error(err)
		}
	}
	wantIs(t, BlockAndReexec(SetOf(SIGCHLD)), os.ErrInvalid)
	wantIs(t, Queue(os.Getpid(), Last+1, Value{}), os.ErrInvalid)
	wantIs(t, Queue(1<<30, RT(1), Value{}), syscall.ESRCH)
	f, err := os.Open("/dev/null")
	check(t, err)
	defer f.Close()
	_, err = FromFile(f)
	wantIs(t, err, os.ErrInvalid)
}

// A program that begins with BlockAndReexec receives, whatever its threads.
func TestBlockAndReexec(t *testing.T) {
	if os.Getenv("FDTEST_EXEC") != "" {
		fdtest.Need(t, "blocked_signals", "the kernel can't start an emulated program anew")
	}
	out, child, err := fdtest.InChild(t)
	if !child {
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	set := SetOf(SIGUSR1, RT(7))
	check(t, BlockAndReexec(set))
	if os.Getenv(reexecEnv) != "" {
		t.Error("the variable is still there")
	}
	now, err := blocked()
	check(t, err)
	if now.Intersection(set) != set {
		t.Fatalf("blocked: %v", now)
	}
	r := newReceiverOf(t, SIGUSR1, RT(7))
	for range 20 { // more threads
		c := fdtest.Go(t, func() error {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			return unix.Nanosleep(&unix.Timespec{Nsec: 1000}, nil)
		})
		check(t, c.Err())
	}
	for k := range int32(100) {
		check(t, Queue(os.Getpid(), RT(7), Value{Int: k}))
		runtime.GC()
		i, err := r.Read(bounded(t))
		check(t, err)
		if v, _ := i.Value(); v.Int != k {
			t.Fatalf("%v, not %d", i, k)
		}
	}
}

// Signals are sent, and a batch is read, without allocating.
func TestAllocations(t *testing.T) {
	if !blocking(t, Blockable()) {
		return
	}
	r := newReceiverOf(t, RT(1))
	dst := make([]Info, 8)
	run := func() {
		for range 8 {
			check(t, Queue(os.Getpid(), RT(1), Value{Int: 1}))
		}
		if n, err := r.ReadBatch(t.Context(), dst); n != 8 || err != nil {
			t.Fatal(n, err)
		}
	}
	run()
	if n := testing.AllocsPerRun(100, run); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
