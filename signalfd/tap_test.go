//go:build linux

package signalfd

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"reflect"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes/internal/fdtest"
	"github.com/fildes/fildes/internal/sys"
)

// notify makes a Receiver that ends with the test.
func notify(t testing.TB, make func(...Signal) (*Receiver, error), signals ...Signal) *Receiver {
	t.Helper()
	r, err := make(signals...)
	if errors.Is(err, errors.ErrUnsupported) {
		fdtest.Need(t, "signal_handler", err.Error())
	}
	check(t, err)
	t.Cleanup(func() { _ = r.Close() })
	return r
}

func next(t testing.TB, r *Receiver) Info {
	t.Helper()
	i, err := r.Read(bounded(t))
	check(t, err)
	return i
}

func TestConformNotify(t *testing.T) {
	notify(t, Notify, SIGHUP)
	wake := func(h fdtest.Handle) error {
		set, err := h.(*Receiver).Set()
		for sig := range set.Signals() {
			err = Queue(os.Getpid(), sig, Value{})
		}
		return err
	}
	var made atomic.Int32
	fdtest.Conform(t, fdtest.Subject{
		New: func(testing.TB) (fdtest.Handle, error) {
			return Notify(RT(1 + int(made.Add(1))%25)) // what is sent to one may be handled when the next is there
		},
		Zero: new(Receiver), Nil: (*Receiver)(nil),
		Args: map[reflect.Type]any{reflect.TypeFor[[]Info](): make([]Info, 1), reflect.TypeFor[Set](): SetOf(RT(9)), reflect.TypeFor[Handlers](): ending},
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
		},
	})
}

// Signals that Go keeps to itself otherwise: who sent them, and with what value.
func TestNotify(t *testing.T) {
	r := notify(t, Notify, SIGTERM, SIGCHLD, SIGUSR1, RT(1))
	self := os.Getpid()
	check(t, syscall.Kill(self, syscall.SIGTERM))
	i := next(t, r)
	if pid, uid, ok := i.Sender(); i.Signal != SIGTERM || i.Code != User || pid != self || int(uid) != os.Getuid() || !ok {
		t.Error(i)
	}
	for k := range int32(500) {
		check(t, Queue(self, RT(1), Value{Int: k}))
	}
	seen := make(map[int32]bool)
	for range 500 {
		i := next(t, r)
		v, ok := i.Value()
		if i.Signal != RT(1) || !ok || seen[v.Int] || i.Lost() != 0 {
			t.Fatalf("%v", i)
		}
		seen[v.Int] = true
	}
	cmd := fdtest.Program(context.Background(), t, "end", "exit 7")
	check(t, cmd.Start())
	i = next(t, r)
	if c, ok := i.Child(); !ok || c.Code != Exited || c.Status != 7 || c.PID != cmd.Process.Pid || i.Origin() != FromKernel {
		t.Errorf("%v: %+v", i, c)
	}
	if err := cmd.Wait(); cmd.ProcessState.ExitCode() != 7 {
		t.Error(err)
	}
	check(t, Queue(self, SIGCHLD, Value{Int: 1}))
	i = next(t, r)
	if _, ok := i.Child(); ok || i.Origin() != Claimed {
		t.Errorf("a forged SIGCHLD: %v", i)
	}
}

// os/signal goes on beside an Observe, and stands still beside a Notify.
func TestBesideSignal(t *testing.T) {
	told := make(chan os.Signal, 10)
	signal.Notify(told, syscall.SIGHUP)
	defer signal.Stop(told)
	observer := notify(t, Observe, SIGHUP)
	self := os.Getpid()
	check(t, syscall.Kill(self, syscall.SIGHUP))
	if i := next(t, observer); i.Signal != SIGHUP {
		t.Error(i)
	}
	<-told
	owner := notify(t, Notify, SIGHUP)
	check(t, syscall.Kill(self, syscall.SIGHUP))
	for _, r := range []*Receiver{observer, owner} {
		if i := next(t, r); i.Signal != SIGHUP {
			t.Error(i)
		}
	}
	check(t, owner.Close())
	check(t, syscall.Kill(self, syscall.SIGHUP))
	next(t, observer)
	<-told
	check(t, observer.Close())
	if sys.Tapped(int(SIGHUP)) {
		t.Error("the handler is still ours")
	}
	check(t, syscall.Kill(self, syscall.SIGHUP))
	<-told
	select {
	case s := <-told: // the one that Notify took
		t.Error(s)
	default:
	}
}

// What takes the handler away is noticed, and can be undone.
func TestDisplaced(t *testing.T) {
	r := notify(t, Notify, SIGHUP, SIGUSR2)
	if set, err := r.Displaced(); err != nil || set != (Set{}) {
		t.Error(set, err)
	}
	signal.Ignore(syscall.SIGHUP)
	defer signal.Reset(syscall.SIGHUP)
	if set, err := r.Displaced(); err != nil || set != SetOf(SIGHUP) {
		t.Error(set, err)
	}
	told := make(chan os.Signal, 1)
	signal.Notify(told, syscall.SIGHUP)
	defer signal.Stop(told)
	check(t, syscall.Kill(os.Getpid(), syscall.SIGHUP))
	<-told
	if set, err := r.Displaced(); err != nil || set != SetOf(SIGHUP) {
		t.Error(set, err)
	}
	check(t, r.Update(SetOf(SIGHUP, SIGUSR2)))
	check(t, syscall.Kill(os.Getpid(), syscall.SIGHUP))
	if i := next(t, r); i.Signal != SIGHUP {
		t.Error(i)
	}
	check(t, r.Update(SetOf(SIGUSR2)))
	check(t, syscall.Kill(os.Getpid(), syscall.SIGHUP))
	<-told
	if n, err := r.TryReadBatch(make([]Info, 1)); n != 0 || err != nil {
		t.Error(n, err)
	}
}

// When nobody reads, what doesn't fit is counted, and told where it was lost.
func TestLost(t *testing.T) {
	r := notify(t, Notify, RT(2))
	self := os.Getpid()
	const all = 10_000
	for k := range int32(all) {
		check(t, Queue(self, RT(2), Value{Int: k}))
		for k%100 == 99 && sys.SignalsPending() { // more may not be allowed to wait
			runtime.Gosched()
		}
	}
	for sys.SignalsPending() {
		runtime.Gosched()
	}
	var kept, lost int
	seen := make(map[int32]bool)
	dst := make([]Info, 100)
	for kept+lost < all {
		n, err := r.ReadBatch(bounded(t), dst)
		check(t, err)
		for _, i := range dst[:n] {
			if i.Lost() > 0 {
				lost += i.Lost()
				continue
			}
			v, _ := i.Value()
			if lost > 0 || seen[v.Int] {
				t.Fatalf("%v after %d, %d lost", i, kept, lost)
			}
			seen[v.Int] = true
			kept++
		}
	}
	if n, err := r.Lost(); err != nil || n != lost || kept < 512 || lost == 0 {
		t.Errorf("%d kept, %d lost, %d said: %v", kept, lost, n, err)
	}
	t.Logf("%d kept, %d lost", kept, lost)
	check(t, Queue(self, RT(2), Value{Int: -1}))
	if i := next(t, r); i.Signal != RT(2) || i.Lost() != 0 {
		t.Error(i)
	}
}

// The pipe of one that is closed serves the next, which gets nothing of before.
func TestPipesAgain(t *testing.T) {
	files := 0
	for k := range fdtest.Rounds(200) {
		r := notify(t, Notify, RT(3), SIGUSR2)
		check(t, Queue(os.Getpid(), RT(3), Value{Int: int32(k)}))
		if k%2 == 0 {
			v := Value{Int: -1}
			for v.Int < int32(k)-1 { // the one before may have been handled only now
				v, _ = next(t, r).Value()
			}
			if v.Int < int32(k) {
				v, _ = next(t, r).Value()
			}
			if int(v.Int) != k {
				t.Fatal(v, k)
			}
		}
		check(t, r.Close())
		if n := len(fdtest.Descriptors()); k == 5 {
			files = n
		} else if k > 5 && n != files {
			t.Fatalf("%d descriptors after %d, and %d before", n, k, files)
		}
	}
	var all []*Receiver
	for range sys.TapEnds {
		all = append(all, notify(t, Notify, RT(3)))
	}
	if _, err := Notify(RT(3)); err == nil {
		t.Error("one too many")
	}
	check(t, Queue(os.Getpid(), RT(3), Value{Int: 1}))
	for _, r := range all {
		if i := next(t, r); i.Signal != RT(3) {
			t.Error(i)
		}
	}
}

// What has the pipe of a Receiver still, when that is closed, gets nothing of the next one's.
func TestPipesLent(t *testing.T) {
	for name, lend := range map[string]func(t *testing.T, r *Receiver) (num int){
		"a duplicate": func(t *testing.T, r *Receiver) (num int) {
			c, err := r.SyscallConn()
			check(t, err)
			check(t, c.Control(func(fd uintptr) { num, err = sys.Dup(int(fd)) }))
			check(t, err)
			check(t, r.Close())
			return num
		},
		"an epoll set": func(t *testing.T, r *Receiver) int {
			set, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
			check(t, err)
			c, err := r.SyscallConn()
			check(t, err)
			check(t, c.Control(func(fd uintptr) {
				err = unix.EpollCtl(set, unix.EPOLL_CTL_ADD, int(fd), &unix.EpollEvent{Events: unix.EPOLLIN})
			}))
			check(t, err)
			check(t, r.Close())
			return set
		},
		"a file": func(t *testing.T, r *Receiver) (num int) {
			f, err := r.File()
			check(t, err)
			defer func() { _ = f.Close() }()
			check(t, r.Close())
			c, err := f.SyscallConn()
			check(t, err)
			check(t, c.Control(func(fd uintptr) { num, err = sys.Dup(int(fd)) }))
			check(t, err)
			return num
		},
		"who it was released to": func(t *testing.T, r *Receiver) int {
			num, err := r.Release()
			check(t, err)
			return num
		},
	} {
		t.Run(name, func(t *testing.T) {
			num := lend(t, notify(t, Notify, RT(4)))
			defer func() { _ = unix.Close(num) }()
			r := notify(t, Notify, RT(4))
			check(t, Queue(os.Getpid(), RT(4), Value{}))
			p := []unix.PollFd{{Fd: int32(num), Events: unix.POLLIN}}
			for tap := []unix.PollFd{{Fd: r.tap.pipe.out, Events: unix.POLLIN}}; tap[0].Revents == 0; {
				_, err := unix.Poll(tap, -1)
				if err != unix.EINTR {
					check(t, err)
				}
			}
			_, err := unix.Poll(p, 0)
			check(t, err)
			if p[0].Revents&unix.POLLIN != 0 {
				t.Error("it has got the signal")
			}
			next(t, r)
		})
	}
}

// Where there are no descriptors for another pipe when one that was lent is closed, there is one when it's needed.
func TestPipesLentWithoutDescriptors(t *testing.T) {
	out, child, err := fdtest.InChild(t)
	if !child {
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	var l unix.Rlimit
	check(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &l))
	none := l
	none.Cur = 0
	before := 0
	for range 5 {
		r := notify(t, Notify, RT(4))
		_, err := r.SyscallConn()
		check(t, err)
		check(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &none))
		err = r.Close()
		_, refused := Notify(RT(4))
		check(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &l))
		check(t, err)
		wantIs(t, refused, syscall.EMFILE)
		if n := len(fdtest.Descriptors()); before != 0 && n != before {
			t.Fatalf("%d descriptors, and %d before", n, before)
		} else {
			before = n
		}
	}
}

// Where Notify has a signal that had no handler, there is nothing that Observe could go on to.
func TestObserveAfterNotify(t *testing.T) {
	r := notify(t, Notify, SIGTSTP, SIGUSR2)
	_, err := Observe(SIGTSTP)
	wantIs(t, err, os.ErrInvalid)
	o := notify(t, Observe, SIGUSR2)
	wantIs(t, o.Update(SetOf(SIGUSR2, SIGTSTP)), os.ErrInvalid)
	check(t, r.Close())
	_, err = Observe(SIGTSTP)
	wantIs(t, err, os.ErrInvalid)
}

func TestTapRefused(t *testing.T) {
	notify(t, Notify, RT(1))
	for _, signals := range [][]Signal{nil, {0}, {Last + 1}, {SIGTERM, -1}, {SIGKILL}, {SIGSEGV, SIGTERM}, {33}, {SIGURG}} {
		_, err := Notify(signals...)
		wantIs(t, err, os.ErrInvalid)
		_, err = Observe(signals...)
		wantIs(t, err, os.ErrInvalid)
	}
}

// Under load, with the collector, timers, forks and threads, none is lost and nothing breaks.
func TestStorm(t *testing.T) {
	r := notify(t, Notify, RT(10), RT(11), SIGUSR1)
	o := notify(t, Observe, SIGWINCH)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	defer func() { close(stop); wg.Wait() }()
	for range 2 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				runtime.GC()
				_ = fdtest.Program(t.Context(), t, "true").Run()
				time.Sleep(time.Millisecond)
				_ = syscall.Kill(os.Getpid(), syscall.SIGWINCH)
			}
		})
	}
	total := int32(fdtest.Rounds(20_000))
	var received atomic.Int32 // the handler takes what comes: it's the sender who must not be too far ahead of the reader
	for _, sig := range []Signal{RT(10), RT(11)} {
		wg.Go(func() {
			for k := range total {
				for 2*k-received.Load() > 2000 {
					select {
					case <-stop:
						return
					default:
						runtime.Gosched()
					}
				}
				if err := Queue(os.Getpid(), sig, Value{Int: k}); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	seen := map[Signal]int32{}
	ctx, cancel := context.WithTimeout(t.Context(), 3*fdtest.Bound)
	defer cancel()
	dst := make([]Info, 64)
	for seen[RT(10)]+seen[RT(11)] < 2*total {
		n, err := r.ReadBatch(ctx, dst)
		check(t, err)
		for _, i := range dst[:n] {
			if i.Lost() > 0 {
				t.Fatal(i)
			}
			seen[i.Signal]++
			received.Add(1)
		}
	}
	if i := next(t, o); i.Signal != SIGWINCH {
		t.Error(i)
	}
}
