//go:build linux

package mqueue_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes/epoll"
	"github.com/fildes/fildes/internal/fdtest"
	"github.com/fildes/fildes/mqueue"
	"github.com/fildes/fildes/signalfd"
)

type notifies interface {
	Notify() (*mqueue.Notification, error)
}

func notify(t testing.TB, q notifies) *mqueue.Notification {
	t.Helper()
	n, err := q.Notify()
	check(t, err)
	t.Cleanup(func() { _ = n.Close() })
	return n
}

// beRegistered registers until its input ends.
func beRegistered(args []string) error {
	r, err := mqueue.OpenReceiver(args[0], nil)
	if err != nil {
		return err
	}
	defer r.Close()
	n, err := r.Notify()
	if err != nil {
		fmt.Println("busy", errors.Is(err, unix.EBUSY))
		return nil
	}
	defer n.Close()
	fmt.Println("registered")
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// sendOnce sends one message.
func sendOnce(args []string) error {
	s, err := mqueue.OpenSender(args[0], nil)
	if err != nil {
		return err
	}
	defer s.Close()
	fmt.Println(os.Getpid())
	return s.Send(context.Background(), []byte("once"), 0)
}

func TestNotifyOnce(t *testing.T) {
	needNotify(t)
	q := newQueue(t, 2, 16)
	n := notify(t, openReceiver(t, q.Name()))
	c := fdtest.Go(t, func() error { return n.Wait(bounded(t)) }).Parked()
	check(t, q.Send(t.Context(), []byte("1"), 0))
	check(t, c.Err())
	check(t, n.Wait(t.Context())) // it stays so
	wantCount(t, q, 1)            // nothing is taken
	wantNext(t, q, "1", 0)
	// The registration is over, and there can be another.
	second := notify(t, q)
	check(t, n.Close()) // which isn't this one's
	c = fdtest.Go(t, func() error { return second.Wait(bounded(t)) }).Parked()
	check(t, q.Send(t.Context(), []byte("2"), 0))
	check(t, c.Err())
	check(t, second.Close())
	wantIs(t, second.Wait(t.Context()), os.ErrClosed)
}

// Only a message that comes into the empty queue is told of.
func TestNotifyNotEmpty(t *testing.T) {
	needNotify(t)
	q := newQueue(t, 3, 16)
	check(t, q.Send(t.Context(), []byte("1"), 0))
	n := notify(t, q)
	check(t, q.Send(t.Context(), []byte("2"), 0))
	c := fdtest.Go(t, func() error { return n.Wait(bounded(t)) }).Parked()
	wantNext(t, q, "1", 0)
	check(t, q.Send(t.Context(), []byte("3"), 0))
	c.Parked()
	if s, err := q.Status(); err != nil || s.Registration != (mqueue.Registration{PID: os.Getpid(), Way: mqueue.BySocket}) {
		t.Errorf("%+v: %v", s, err)
	}
	wantNext(t, q, "2", 0)
	wantNext(t, q, "3", 0)
	check(t, q.Send(t.Context(), []byte("4"), 0))
	check(t, c.Err())
}

// One that waits in the kernel is given the message, and nobody is told.
func TestNotifyWhileBlocked(t *testing.T) {
	needNotify(t)
	q := newQueue(t, 1, 16)
	blocking, err := q.Inherit()
	check(t, err)
	n := notify(t, q)
	c := fdtest.Go(t, func() error {
		raw, err := blocking.SyscallConn()
		if err != nil {
			return err
		}
		cerr := raw.Control(func(fd uintptr) { _, _, err = blockingReceive(int(fd), make([]byte, 16)) })
		return errors.Join(cerr, err)
	}).InSyscall()
	asleep(t, "do_mq_timedreceive", "wq_sleep")
	w := fdtest.Go(t, func() error { return n.Wait(context.Background()) }).Parked()
	check(t, q.Send(t.Context(), []byte("direct"), 0))
	check(t, c.Err())
	w.Parked()
	check(t, blocking.Close()) // as the kernel has it
	wantIs(t, w.Err(), mqueue.ErrRemoved)
}

// asleep waits until a thread of this process sleeps in one of the kernel's functions.
func asleep(t testing.TB, functions ...string) {
	t.Helper()
	until(t, func() bool {
		tasks, err := os.ReadDir("/proc/self/task")
		check(t, err)
		for _, task := range tasks {
			where, err := os.ReadFile("/proc/self/task/" + task.Name() + "/wchan")
			if err != nil || string(where) == "" {
				continue
			}
			if slices.Contains(functions, string(where)) {
				return true
			}
			// Without the names of functions, the number of the call says it.
			call, err := os.ReadFile("/proc/self/task/" + task.Name() + "/syscall")
			var nr int
			if k, _ := fmt.Sscan(string(call), &nr); err == nil && k == 1 && nr == unix.SYS_MQ_TIMEDRECEIVE {
				return true
			}
		}
		return false
	})
}

func TestNotifyBusy(t *testing.T) {
	needNotify(t)
	q := newQueue(t, 1, 16)
	busy := func() {
		t.Helper()
		_, err := q.Notify()
		wantIs(t, err, unix.EBUSY)
		wantIs(t, q.NotifySignal(unix.SIGURG, 0), unix.EBUSY)
	}
	line, end := talking(t, peer(bounded(t), t, "register", q.Name()))
	if got := line(); got != "registered" {
		t.Fatal(got)
	}
	busy()
	check(t, q.StopNotify()) // takes nobody else's
	busy()
	end()
	n := notify(t, q)
	busy()
	another := func(want string) {
		t.Helper()
		line, end := talking(t, peer(bounded(t), t, "register", q.Name()))
		if got := line(); got != want {
			t.Errorf("%q, not %q", got, want)
		}
		end()
	}
	another("busy true")
	check(t, n.Close())
	another("registered")
	check(t, q.NotifySignal(unix.SIGURG, 0))
	another("busy true")
	check(t, q.StopNotify())
	check(t, q.StopNotify())
	another("registered")
	wantIs(t, q.NotifySignal(0, 0), os.ErrInvalid)
	wantIs(t, q.NotifySignal(-1, 0), os.ErrInvalid)
	wantIs(t, q.NotifySignal(1000, 0), unix.EINVAL)
	another("registered")
}

func TestNotifyRemoved(t *testing.T) {
	needNotify(t)
	q := newQueue(t, 1, 16)
	n := notify(t, q)
	c := fdtest.Go(t, func() error { return n.Wait(bounded(t)) }).Parked()
	check(t, q.StopNotify())
	wantIs(t, c.Err(), mqueue.ErrRemoved)
	wantIs(t, n.Wait(t.Context()), mqueue.ErrRemoved)
	check(t, q.Send(t.Context(), nil, 0))
	wantIs(t, n.Wait(t.Context()), mqueue.ErrRemoved)
	wantNext(t, q, "", 0)

	n = notify(t, q)
	check(t, openSender(t, q.Name()).Close()) // any other descriptor of the queue
	wantIs(t, n.Wait(bounded(t)), mqueue.ErrRemoved)

	n = notify(t, q)
	check(t, q.Close())
	wantIs(t, n.Wait(bounded(t)), mqueue.ErrRemoved)
	check(t, n.Close())
}

// Close takes the registration away, but not one that this process has made since.
func TestNotifyClose(t *testing.T) {
	needNotify(t)
	q := newQueue(t, 1, 16)
	for _, signal := range []bool{false, true} {
		first := notify(t, q)
		check(t, q.StopNotify())
		var second *mqueue.Notification
		if signal {
			check(t, q.NotifySignal(unix.SIGURG, 0))
		} else {
			second = notify(t, q)
		}
		check(t, first.Close())
		_, err := q.Notify()
		wantIs(t, err, unix.EBUSY)
		if signal {
			check(t, q.StopNotify())
			continue
		}
		c := fdtest.Go(t, func() error { return second.Wait(bounded(t)) }).Parked()
		check(t, q.Send(t.Context(), nil, 0))
		check(t, c.Err())
		wantNext(t, q, "", 0)
	}
	// Nor where the first has been removed by closing, and wasn't asked.
	first := notify(t, q)
	check(t, openSender(t, q.Name()).Close())
	second := notify(t, q)
	check(t, first.Close())
	check(t, q.Send(t.Context(), nil, 0))
	check(t, second.Wait(bounded(t)))
}

func TestNotifyRelease(t *testing.T) {
	needNotify(t)
	q := newQueue(t, 2, 16)
	r := openReceiver(t, q.Name())
	n := notify(t, r)
	num, err := r.Release()
	check(t, err)
	defer unix.Close(num)
	wantIs(t, n.Wait(bounded(t)), mqueue.ErrRemoved)
	check(t, notify(t, q).Close())
}

func TestNotifyMany(t *testing.T) {
	needNotify(t)
	for _, how := range []string{"woken", "closed", "removed", "cancelled"} {
		t.Run(how, func(t *testing.T) {
			q := newQueue(t, 1, 16)
			n := notify(t, q)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var cs []*fdtest.Caller
			for range 20 {
				cs = append(cs, fdtest.Go(t, func() error { return n.Wait(ctx) }))
			}
			for _, c := range cs {
				c.Parked()
			}
			var want error
			switch how {
			case "woken":
				check(t, q.Send(t.Context(), nil, 0))
			case "closed":
				check(t, n.Close())
				want = os.ErrClosed
			case "removed":
				check(t, q.StopNotify())
				want = mqueue.ErrRemoved
			case "cancelled":
				cancel()
				want = context.Canceled
			}
			for _, c := range cs {
				if err := c.Err(); !errors.Is(err, want) {
					t.Errorf("%v, not %v", err, want)
				}
			}
		})
	}
}

// Messages and Close race with registering: each Notification ends one way or another, and none is in the way of the next.
func TestNotifyRace(t *testing.T) {
	needNotify(t)
	q := newQueue(t, 1, 16)
	for i := range fdtest.Rounds(300) {
		n, err := q.Notify()
		check(t, err)
		w := fdtest.Go(t, func() error { return n.Wait(context.Background()) })
		s := fdtest.Go(t, func() error { return q.Send(context.Background(), nil, 0) })
		if i%3 == 0 {
			check(t, s.Err())
			check(t, w.Err())
		}
		check(t, n.Close())
		if err := w.Err(); err != nil {
			wantIs(t, err, os.ErrClosed)
		}
		check(t, s.Err())
		wantNext(t, q, "", 0)
	}
}

// Of several that wait one reads the socket, and the others are told of it.
func TestNotifyTogether(t *testing.T) {
	needNotify(t)
	q := newQueue(t, 1, 16)
	buf := make([]byte, 16)
	ctx := bounded(t)
	for range fdtest.Rounds(30000) {
		n, err := q.Notify()
		check(t, err)
		check(t, q.Send(ctx, nil, 0))
		errs := make(chan error, 4)
		for range cap(errs) {
			go func() { errs <- n.Wait(ctx) }()
		}
		for range cap(errs) {
			check(t, <-errs)
		}
		check(t, n.Close())
		_, _, err = q.Receive(ctx, buf)
		check(t, err)
	}
}

// A List ends no registration, also one that is made meanwhile.
func TestNotifyWhileListed(t *testing.T) {
	needNotify(t)
	if _, err := mqueue.List(); err != nil {
		fdtest.Need(t, "sys_admin", err.Error())
	}
	q := newQueue(t, 1, 16)
	ctx, end := context.WithCancel(t.Context())
	var listers []*fdtest.Caller
	for range 3 {
		listers = append(listers, fdtest.Go(t, func() error {
			for ctx.Err() == nil {
				if _, err := mqueue.List(); err != nil {
					return err
				}
			}
			return nil
		}))
	}
	for range fdtest.Rounds(20000) {
		n, err := q.Notify()
		check(t, err)
		runtime.Gosched()
		s, err := q.Status()
		check(t, err)
		check(t, n.Close())
		if s.Registration.PID != os.Getpid() {
			t.Errorf("the registration has ended: %+v", s)
			break
		}
	}
	end()
	for _, l := range listers {
		check(t, l.Err())
	}
}

// A Notification that is forgotten isn't closed in the kernel's eyes: the registration is the queue's, and StopNotify ends it. FromFile ends it too, as it closes a descriptor.
func TestNotifyLeft(t *testing.T) {
	needNotify(t)
	q := newQueue(t, 1, 16)
	func() {
		_, err := q.Notify()
		check(t, err)
	}()
	for range 3 {
		runtime.GC()
	}
	_, err := q.Notify()
	wantIs(t, err, unix.EBUSY)
	check(t, q.StopNotify())
	n := notify(t, q)
	f, err := q.File()
	check(t, err)
	defer f.Close()
	d, err := mqueue.FromFile(f)
	check(t, err)
	defer d.Close()
	wantIs(t, n.Wait(bounded(t)), mqueue.ErrRemoved)
}

// The socket can be waited for in a set.
func TestNotifyInPoller(t *testing.T) {
	needNotify(t)
	q := newQueue(t, 1, 16)
	n := notify(t, q)
	p, err := epoll.New[int](nil)
	check(t, err)
	defer p.Close()
	_, err = p.Add(n, epoll.Readable, 1)
	check(t, err)
	check(t, q.Send(t.Context(), nil, 0))
	dst := make([]epoll.Event[int], 1)
	k, err := p.Wait(bounded(t), dst)
	if k != 1 || err != nil {
		t.Error(k, err)
	}
	check(t, n.Wait(t.Context()))
}

// The signal comes with the value, its code, and who has sent the message.
func TestNotifySignal(t *testing.T) {
	needNotify(t)
	out, child, err := fdtest.InChild(t, "FDTEST_COLD=1") // signalfd keeps descriptors
	if !child {
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	sig := signalfd.RT(9)
	signals, err := signalfd.Notify(sig)
	check(t, err)
	defer signals.Close()
	q := newQueue(t, 1, 16)
	for i := range 3 {
		check(t, q.NotifySignal(unix.Signal(sig), uintptr(1000+i)))
		if s, err := q.Status(); err != nil || s.Registration != (mqueue.Registration{PID: os.Getpid(), Way: mqueue.BySignal, Signal: int(sig)}) {
			t.Errorf("%+v: %v", s.Registration, err)
		}
		if _, err := mqueue.List(); err == nil {
			t.Log("listed")
		}
		line, end := talking(t, peer(bounded(t), t, "once", q.Name()))
		pid := line()
		end()
		info, err := signals.Read(bounded(t))
		check(t, err)
		sender, uid, ok := info.Sender()
		if !ok || fmt.Sprint(sender) != pid || int(uid) != os.Getuid() {
			t.Errorf("the sender is %d of user %d, not %s", sender, uid, pid)
		}
		v, ok := info.Value()
		if info.Signal != sig || info.Code != signalfd.Message || !ok || v.Pointer != uint64(1000+i) {
			t.Errorf("%v, %+v", info, v)
		}
		wantNext(t, q, "once", 0)
		if s, err := q.Status(); err != nil || s.Registration != (mqueue.Registration{}) {
			t.Errorf("%+v: %v", s.Registration, err)
		}
	}
}
