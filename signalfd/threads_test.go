//go:build linux

package signalfd

import (
	"os"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes/internal/fdtest"
)

// threads starts threads that wait in the kernel until the test ends, and returns their numbers. Each does something first.
func threads(t *testing.T, n int, first func() error) (ids []int) {
	t.Helper()
	out, in, err := os.Pipe()
	check(t, err)
	var all []*fdtest.Caller
	t.Cleanup(func() {
		_ = in.Close()
		for _, c := range all {
			check(t, c.Err())
		}
		_ = out.Close()
	})
	conn, err := out.SyscallConn()
	check(t, err)
	started := make(chan int)
	for range n {
		all = append(all, fdtest.Go(t, func() error {
			runtime.LockOSThread() // for good: the thread ends with it
			err := first()
			started <- unix.Gettid()
			_ = conn.Control(func(num uintptr) {
				p := []unix.PollFd{{Fd: int32(num), Events: unix.POLLIN}}
				for again := true; again; {
					_, e := unix.Poll(p, -1)
					again = e == unix.EINTR
				}
			})
			return err
		}))
		ids = append(ids, <-started)
	}
	return ids
}

// manyThreads is fewer where threads are dear.
func manyThreads() int {
	switch {
	case os.Getenv("FDTEST_EXEC") != "":
		return 30
	case testing.Short():
		return 60
	}
	return 2000
}

// Each of very many threads has a signal of its own, and the process has others: each is told once.
func TestManyThreads(t *testing.T) {
	r := notify(t, Notify, RT(22), RT(23))
	o := notify(t, Observe, SIGWINCH)
	n := manyThreads()
	self := os.Getpid()
	ids := threads(t, n, func() error { return Queue(self, RT(23), Value{Int: int32(unix.Gettid())}) })
	for k, id := range ids {
		check(t, QueueThread(self, id, RT(22), Value{Int: int32(k)}))
		check(t, unix.Tgkill(self, id, unix.SIGWINCH))
	}
	own, others := make(map[int32]bool), make(map[int32]bool)
	for range 2 * n {
		i := next(t, r)
		v, ok := i.Value()
		seen := own
		if i.Signal == RT(23) {
			seen = others
		}
		if !ok || seen[v.Int] || i.Lost() != 0 {
			t.Fatalf("%v, after %d and %d", i, len(own), len(others))
		}
		seen[v.Int] = true
	}
	for told := 0; told < n; {
		switch i := next(t, o); {
		case i.Signal != SIGWINCH || i.Lost() != 0:
			t.Fatal(i)
		case i.Code == Thread: // and not sent by a test before, and handled now
			told++
		}
	}
	for k, id := range ids {
		if !own[int32(k)] || !others[int32(id)] {
			t.Fatalf("thread %d, the %dth, wasn't told of", id, k)
		}
	}
	for _, r := range []*Receiver{r, o} {
		if n, err := r.TryReadBatch(make([]Info, 1)); n != 0 || err != nil {
			t.Error(n, err)
		}
	}
}

// One thread of many that hasn't a signal blocked is enough for a refusal, and as long as it is there.
func TestManyThreadsBlocked(t *testing.T) {
	set := SetOf(RT(1), RT(2))
	if !blocking(t, set) {
		return
	}
	n := manyThreads()
	threads(t, n, func() error { return nil })
	r := newReceiverOf(t, RT(1), RT(2))
	for k := range int32(n) {
		check(t, Queue(os.Getpid(), RT(1), Value{Int: k}))
	}
	for k := range int32(n) {
		i := next(t, r)
		if v, _ := i.Value(); v.Int != k {
			t.Fatalf("%v, not %d", i, k)
		}
	}
	t.Run("one", func(t *testing.T) {
		one := SetOf(RT(2))
		threads(t, 1, func() error {
			var set unix.Sigset_t
			bit, word := int(RT(2)-1), 1024/len(set.Val)
			set.Val[bit/word] = 1 << (bit % word)
			return unix.PthreadSigmask(unix.SIG_UNBLOCK, &set, nil)
		})
		_, err := New(one)
		wantIs(t, err, os.ErrInvalid)
		wantIs(t, r.Update(one), os.ErrInvalid)
		newReceiverOf(t, RT(1))
	})
	for end := time.Now().Add(fdtest.Bound); ; time.Sleep(time.Millisecond) { // until the thread is gone
		again, err := New(set)
		if err == nil {
			check(t, again.Close())
			return
		}
		wantIs(t, err, os.ErrInvalid)
		if time.Now().After(end) {
			t.Fatal(err)
		}
	}
}

// Threads come and go while signals do.
func TestThreadsComeAndGo(t *testing.T) {
	r := notify(t, Notify, RT(24))
	n := fdtest.Rounds(500)
	c := fdtest.Go(t, func() error {
		for k := range int32(n) {
			done := make(chan error)
			go func() {
				runtime.LockOSThread()
				done <- Queue(os.Getpid(), RT(24), Value{Int: k})
			}()
			if err := <-done; err != nil {
				return err
			}
		}
		return nil
	})
	seen := make(map[int32]bool)
	for range n {
		i := next(t, r)
		v, ok := i.Value()
		if !ok || seen[v.Int] {
			t.Fatal(i, len(seen))
		}
		seen[v.Int] = true
	}
	check(t, c.Err())
}
