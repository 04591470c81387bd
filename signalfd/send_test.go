//go:build linux

package signalfd

import (
	"context"
	"encoding/binary"
	"errors"
	"os"
	"runtime"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes/internal/fdtest"
	"github.com/fildes/fildes/internal/sys"
)

// Signal 0 asks whether there is such a process; what isn't a process or a signal is refused, as are others' processes.
func TestQueueErrors(t *testing.T) {
	self := os.Getpid()
	check(t, Queue(self, 0, Value{}))
	check(t, QueueThread(self, unix.Gettid(), 0, Value{}))
	for _, pid := range []int{0, -1, 1 << 30} { // no groups
		if err := Queue(pid, RT(1), Value{}); err == nil {
			t.Errorf("queued to process %d", pid)
		}
	}
	wantIs(t, Queue(1<<30, 0, Value{}), syscall.ESRCH)
	wantIs(t, QueueThread(self, 1<<30, 0, Value{}), syscall.ESRCH)
	wantIs(t, QueueThread(self, 0, 0, Value{}), os.ErrInvalid)
	for _, sig := range []Signal{-1, Last + 1} {
		wantIs(t, Queue(self, sig, Value{}), os.ErrInvalid)
	}
}

// Who may not signal a process is told so.
func TestQueuePermission(t *testing.T) {
	fdtest.NeedRoot(t)
	out, child, err := fdtest.InChild(t)
	if !child {
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	parent := os.Getppid()
	check(t, Queue(parent, 0, Value{}))
	check(t, syscall.Setuid(65534))
	wantIs(t, Queue(parent, 0, Value{}), os.ErrPermission)
	wantIs(t, Queue(parent, RT(1), Value{}), os.ErrPermission)
	r := notify(t, Notify, RT(1))
	check(t, Queue(os.Getpid(), RT(1), Value{Int: 3}))
	if _, uid, ok := next(t, r).Sender(); uid != 65534 || !ok {
		t.Error(uid)
	}
}

// forged is a signal with a code and an errno of choice.
func forged(sig Signal, code Code, errno int32) *[recordSize]byte {
	info := new([recordSize]byte)
	first, second := errno, int32(code)
	if native.has(mips) {
		first, second = second, first
	}
	binary.NativeEndian.PutUint32(info[0:], uint32(sig))
	binary.NativeEndian.PutUint32(info[4:], uint32(first))
	binary.NativeEndian.PutUint32(info[8:], uint32(second))
	return info
}

// What Origin says rests on this: the kernel lets nobody pretend to be it, or kill(2), towards another process.
func TestForged(t *testing.T) {
	if os.Getenv("FDTEST_EXEC") != "" {
		fdtest.Need(t, "signal_codes", "an emulator translates those that it knows")
	}
	cmd := fdtest.Program(context.Background(), t, "cat")
	in, err := cmd.StdinPipe()
	check(t, err)
	check(t, cmd.Start())
	for _, code := range []Code{User, Kernel, Thread} {
		wantIs(t, sys.QueueSignal(cmd.Process.Pid, int(SIGWINCH), forged(SIGWINCH, code, 0)), syscall.EPERM)
	}
	for _, code := range []Code{Queued, Expired, Message, AsyncIO, Descriptor, -77} {
		check(t, sys.QueueSignal(cmd.Process.Pid, int(SIGWINCH), forged(SIGWINCH, code, 0))) // which does nothing
	}
	check(t, in.Close())
	check(t, cmd.Wait())

	r := notify(t, Notify, RT(25), SIGUSR2)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	check(t, sys.QueueThreadSignal(os.Getpid(), unix.Gettid(), int(SIGUSR2), forged(SIGUSR2, Kernel, 0))) // to itself a thread may
	if i := next(t, r); i.Code != Kernel || i.Origin() != FromKernel {
		t.Error(i)
	}
	check(t, sys.QueueSignal(os.Getpid(), int(RT(25)), forged(RT(25), -77, 0x1234)))
	if i := next(t, r); i.Code != -77 || i.Origin() != Claimed || i.Errno != 0x1234 {
		t.Errorf("%v, errno %#x", i, i.Errno)
	}
}

// A thread's signal to itself is handled when the call returns.
func TestQueueOwnThread(t *testing.T) {
	r := notify(t, Notify, RT(26))
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for k := range int32(10) {
		check(t, QueueThread(os.Getpid(), unix.Gettid(), RT(26), Value{Int: k}))
		var one [1]Info
		n, err := r.TryReadBatch(one[:])
		check(t, err)
		if v, _ := one[0].Value(); n != 1 || v.Int != k {
			t.Fatal(n, one[0], k)
		}
	}
}

// Two signalfds share what waits, by their sets.
func TestTwoSets(t *testing.T) {
	if !blocking(t, SetOf(SIGUSR1, Last)) {
		return
	}
	low, high := newReceiverOf(t, SIGUSR1), newReceiverOf(t, Last)
	check(t, Queue(os.Getpid(), SIGUSR1, Value{}))
	check(t, Queue(os.Getpid(), Last, Value{Int: 101}))
	check(t, Queue(os.Getpid(), Last, Value{Int: 102}))
	for _, want := range []int32{101, 102} {
		i := next(t, high)
		if v, _ := i.Value(); i.Signal != Last || v.Int != want {
			t.Error(i)
		}
	}
	if i := next(t, low); i.Signal != SIGUSR1 {
		t.Error(i)
	}
}

// A thread's own signal waits for it: no other thread reads it.
func TestThreadDirected(t *testing.T) {
	if !blocking(t, SetOf(RT(1))) {
		return
	}
	r := newReceiverOf(t, RT(1))
	id, read := make(chan int), make(chan struct{})
	c := fdtest.Go(t, func() error {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		id <- unix.Gettid()
		<-read
		i, err := r.Read(t.Context())
		if v, _ := i.Value(); v.Int != 4 {
			t.Errorf("%v: %v", i, err)
		}
		return err
	})
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	check(t, QueueThread(os.Getpid(), <-id, RT(1), Value{Int: 4}))
	if n, err := r.TryReadBatch(make([]Info, 1)); n != 0 || err != nil {
		t.Error(n, err)
	}
	close(read)
	check(t, c.Err())
}

// Of several that read, one gets each signal.
func readersInTurn(t *testing.T, r *Receiver, sig Signal) {
	t.Helper()
	const readers = 4
	got := make(chan int32)
	var all []*fdtest.Caller
	ctx := bounded(t)
	rounds := fdtest.Rounds(200)
	for range readers {
		all = append(all, fdtest.Go(t, func() error {
			for i, err := range r.Events(ctx) {
				if err != nil {
					if errors.Is(err, os.ErrClosed) {
						err = nil
					}
					return err
				}
				v, _ := i.Value()
				got <- v.Int
			}
			return nil
		}))
	}
	for k := range int32(rounds) {
		check(t, Queue(os.Getpid(), sig, Value{Int: k}))
		if v := <-got; v != k {
			t.Fatalf("%d, not %d", v, k)
		}
	}
	check(t, r.Close())
	for _, c := range all {
		check(t, c.Err())
	}
}

func TestReadersInTurn(t *testing.T) {
	if blocking(t, SetOf(RT(1))) {
		readersInTurn(t, newReceiverOf(t, RT(1)), RT(1))
	}
}

func TestNotifyReadersInTurn(t *testing.T) {
	readersInTurn(t, notify(t, Notify, RT(27)), RT(27))
}
