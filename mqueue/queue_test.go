//go:build linux

package mqueue_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes"
	"github.com/fildes/fildes/epoll"
	"github.com/fildes/fildes/internal/fdtest"
	"github.com/fildes/fildes/mqueue"
)

func TestMessages(t *testing.T) {
	q := newQueue(t, 2, 16)
	for _, c := range []struct {
		msg      []byte
		priority int
	}{
		{nil, 0}, {[]byte{}, 1}, {[]byte{0}, 0}, {[]byte("text"), 7}, {bytes.Repeat([]byte{0xff}, 16), mqueue.MaxPriority},
	} {
		check(t, q.Send(t.Context(), c.msg, c.priority))
		wantNext(t, q, string(c.msg), c.priority)
		ok, err := q.TrySend(c.msg, c.priority)
		check(t, err)
		buf := make([]byte, 20) // more than needed
		n, p, got, err := q.TryReceive(buf)
		if !ok || !got || err != nil || !bytes.Equal(buf[:n], c.msg) || p != c.priority {
			t.Errorf("%t, %t, %v: %q with priority %d", ok, got, err, buf[:n], p)
		}
	}
}

func TestPriorities(t *testing.T) {
	q := newQueue(t, 2, 16)
	for _, p := range []int{-1, mqueue.MaxPriority + 1, -1 << 31} {
		wantIs(t, q.Send(t.Context(), nil, p), os.ErrInvalid)
		_, err := q.TrySend(nil, p)
		wantIs(t, err, os.ErrInvalid)
	}
	wantCount(t, q, 0)
}

// The highest priority first, and the oldest of it.
func TestOrder(t *testing.T) {
	q := newQueue(t, 10, 16)
	for i, p := range []int{0, 3, mqueue.MaxPriority, 3, 0, 1, 3, 0, mqueue.MaxPriority, 1} {
		check(t, q.Send(t.Context(), fmt.Append(nil, i), p))
	}
	for _, want := range []string{"2", "8", "1", "3", "6", "5", "9", "0", "4", "7"} {
		if got, _ := next(t, q); got != want {
			t.Errorf("message %s, not %s", got, want)
		}
	}
}

func TestSizes(t *testing.T) {
	q := newQueue(t, 2, 16)
	r, s := openReceiver(t, q.Name()), openSender(t, q.Name())
	tooLong := func(err error) {
		t.Helper()
		se, ok := errors.AsType[*mqueue.SizeError](err)
		if !ok || *se != (mqueue.SizeError{Size: 17, MessageSize: 16}) {
			t.Errorf("%v", err)
		}
		wantIs(t, err, unix.EMSGSIZE)
		if errors.Is(err, io.ErrShortBuffer) || !strings.Contains(err.Error(), "17") || !strings.Contains(err.Error(), "16") {
			t.Errorf("%v", err)
		}
	}
	tooLong(s.Send(t.Context(), make([]byte, 17), 0))
	_, err := s.TrySend(make([]byte, 17), 0)
	tooLong(err)
	wantCount(t, s, 0)

	check(t, s.Send(t.Context(), []byte("short"), 5))
	for _, size := range []int{0, 5, 15} {
		tooSmall := func(err error) {
			t.Helper()
			se, ok := errors.AsType[*mqueue.SizeError](err)
			if !ok || *se != (mqueue.SizeError{Size: size, MessageSize: 16, Buffer: true}) {
				t.Errorf("%v", err)
			}
			wantIs(t, err, unix.EMSGSIZE, io.ErrShortBuffer)
		}
		_, _, err := r.Receive(t.Context(), make([]byte, size))
		tooSmall(err)
		_, _, _, err = r.TryReceive(make([]byte, size))
		tooSmall(err)
	}
	wantCount(t, r, 1)
	wantNext(t, r, "short", 5)
}

func TestTry(t *testing.T) {
	q := newQueue(t, 2, 16)
	var buf [16]byte
	if n, p, ok, err := q.TryReceive(buf[:]); n != 0 || p != 0 || ok || err != nil {
		t.Error(n, p, ok, err)
	}
	for i := range 3 {
		ok, err := q.TrySend([]byte("x"), i)
		if ok != (i < 2) || err != nil {
			t.Error(i, ok, err)
		}
	}
	wantNext(t, q, "x", 1)
	wantNext(t, q, "x", 0)
}

func TestAttr(t *testing.T) {
	q := newQueue(t, 3, 20)
	for i := range 4 {
		a, err := q.Attr()
		if want := (mqueue.Attr{MaxMessages: 3, MessageSize: 20, Messages: i}); a != want || err != nil {
			t.Errorf("%+v, not %+v: %v", a, want, err)
		}
		if a.Free() != 3-i || a.Full() != (i == 3) {
			t.Errorf("%d messages: %d free, full %t", i, a.Free(), a.Full())
		}
		if i < 3 {
			check(t, q.Send(t.Context(), nil, 0))
		}
	}
}

func TestStatus(t *testing.T) {
	q := open(t, newName(t), &mqueue.Options{Create: true, Exclusive: true, MaxMessages: 3, MessageSize: 20, Perm: 0o640})
	r := openReceiver(t, q.Name())
	begin := time.Now().Truncate(time.Second).Add(-time.Second)
	check(t, q.Send(t.Context(), make([]byte, 7), 0))
	check(t, q.Send(t.Context(), make([]byte, 20), 0))
	for _, status := range []func() (mqueue.Status, error){q.Status, r.Status} {
		s, err := status()
		check(t, err)
		if s.Used.Before(begin) || s.Used.After(time.Now().Add(time.Second)) {
			t.Errorf("used at %v", s.Used)
		}
		s.Used = time.Time{}
		want := mqueue.Status{Attr: mqueue.Attr{MaxMessages: 3, MessageSize: 20, Messages: 2}, Bytes: 27, Mode: 0o640, UID: uint32(os.Geteuid()), GID: uint32(os.Getegid())}
		if s != want {
			t.Errorf("%+v, not %+v", s, want)
		}
	}
	wantCount(t, q, 2)
}

func TestContext(t *testing.T) {
	q := newQueue(t, 1, 16)
	cause := errors.New("the cause")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	wantIs(t, q.Send(ctx, nil, 0), context.Canceled, cause)
	wantCount(t, q, 0)
	check(t, q.Send(t.Context(), []byte("stays"), 0))
	_, _, err := q.Receive(ctx, make([]byte, 16))
	wantIs(t, err, context.Canceled, cause)
	wantCount(t, q, 1)

	ctx, stop := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer stop()
	wantIs(t, q.Send(ctx, nil, 0), context.DeadlineExceeded)
	wantNext(t, q, "stays", 0)
	ctx, cancel = context.WithCancelCause(t.Context())
	c := fdtest.Go(t, func() error { _, _, err := q.Receive(ctx, make([]byte, 16)); return err }).Parked()
	cancel(cause)
	wantIs(t, c.Err(), context.Canceled, cause)
}

// What has been received is the loop's own.
func TestIterator(t *testing.T) {
	q := newQueue(t, 5, 16)
	for i := range 5 {
		check(t, q.Send(t.Context(), fmt.Append(nil, "message ", i), i))
	}
	var kept []mqueue.Message
	for m, err := range q.Messages(t.Context()) {
		check(t, err)
		if kept = append(kept, m); len(kept) == 3 {
			break
		}
	}
	for i, m := range kept {
		if string(m.Data) != fmt.Sprint("message ", 4-i) || m.Priority != 4-i {
			t.Errorf("%q, %d", m.Data, m.Priority)
		}
	}
	_ = append(kept[0].Data, "more"...)
	wantCount(t, q, 2)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var got []string
	for m, err := range openReceiver(t, q.Name()).Messages(ctx) {
		if err != nil {
			wantIs(t, err, context.Canceled)
			if m.Data != nil || m.Priority != 0 {
				t.Errorf("%+v", m)
			}
			got = append(got, "error")
			continue // nothing comes after it
		}
		got = append(got, string(m.Data))
		if len(got) == 2 {
			cancel()
		}
	}
	if fmt.Sprint(got) != "[message 1 message 0 error]" {
		t.Error(got)
	}
}

func TestClose(t *testing.T) {
	q := newQueue(t, 1, 16)
	check(t, q.Send(t.Context(), []byte("left"), 3))
	s, r := openSender(t, q.Name()), openReceiver(t, newQueue(t, 1, 16).Name())
	sending := fdtest.Go(t, func() error { return s.Send(context.Background(), nil, 0) }).Parked()
	receiving := fdtest.Go(t, func() error { _, _, err := r.Receive(context.Background(), make([]byte, 16)); return err }).Parked()
	check(t, s.Close())
	check(t, r.Close())
	wantIs(t, sending.Err(), os.ErrClosed)
	wantIs(t, receiving.Err(), os.ErrClosed)
	check(t, q.Close())
	wantNext(t, openReceiver(t, q.Name()), "left", 3) // the queue stays
}

// Many wait in few threads, and each message wakes one.
func TestManyWait(t *testing.T) {
	threads := func() int {
		tasks, err := os.ReadDir("/proc/self/task")
		check(t, err)
		return len(tasks)
	}
	before, each := threads(), fdtest.Rounds(50)
	var rs []*mqueue.Receiver
	q := newQueue(t, 2, 16)
	for range 4 {
		rs = append(rs, openReceiver(t, q.Name()))
	}
	var cs []*fdtest.Caller
	for i := range each * len(rs) {
		cs = append(cs, fdtest.Go(t, func() error {
			_, _, err := rs[i%len(rs)].Receive(context.Background(), make([]byte, 16))
			return err
		}))
	}
	for _, c := range cs {
		c.Parked()
	}
	if n := threads(); n >= before+20 {
		t.Errorf("%d calls wait in %d threads, of which there were %d", len(cs), n, before)
	}
	for range cs {
		check(t, q.Send(bounded(t), []byte("one"), 0))
	}
	for _, c := range cs {
		check(t, c.Err())
	}
	wantCount(t, q, 0)
}

func TestUnlinkedGoesOn(t *testing.T) {
	name := newName(t)
	old := open(t, name, made(2, 16))
	check(t, old.Send(t.Context(), []byte("old"), 0))
	check(t, mqueue.Unlink(name))
	wantIs(t, mqueue.Unlink(name), fs.ErrNotExist)
	_, err := mqueue.OpenReceiver(name, nil)
	wantIs(t, err, fs.ErrNotExist)
	young := open(t, name, made(2, 16))
	check(t, young.Send(t.Context(), []byte("young"), 0))
	check(t, old.Send(t.Context(), []byte("older"), 0))
	wantCount(t, young, 1)
	wantNext(t, old, "old", 0)
	wantNext(t, old, "older", 0)
	wantNext(t, young, "young", 0)
	c := fdtest.Go(t, func() error { return old.Send(bounded(t), []byte("x"), 1) })
	wantNext(t, old, "x", 1)
	check(t, c.Err())
}

func nonblocking(t testing.TB, c syscall.Conn) bool {
	t.Helper()
	raw, err := c.SyscallConn()
	check(t, err)
	flags := 0
	cerr := raw.Control(func(fd uintptr) { flags, err = unix.FcntlInt(fd, unix.F_GETFL, 0) })
	check(t, cerr)
	check(t, err)
	return flags&unix.O_NONBLOCK != 0
}

// blocks changes O_NONBLOCK of a description that others have too.
func blocks(t testing.TB, f *os.File, blocking bool) {
	t.Helper()
	raw, err := f.SyscallConn()
	check(t, err)
	cerr := raw.Control(func(fd uintptr) { err = unix.SetNonblock(int(fd), !blocking) })
	check(t, cerr)
	check(t, err)
}

// A queue's description is opened anew, so that a blocking one stays as it was for who else has it.
func TestFromFile(t *testing.T) {
	q := newQueue(t, 2, 16)
	given, err := q.Inherit()
	check(t, err)
	defer given.Close()
	q2, err := mqueue.FromFile(given)
	check(t, err)
	defer q2.Close()
	s, err := mqueue.SenderFromFile(given)
	check(t, err)
	defer s.Close()
	r, err := mqueue.ReceiverFromFile(given)
	check(t, err)
	defer r.Close()
	if nonblocking(t, given) || !nonblocking(t, q2) || !nonblocking(t, s) || !nonblocking(t, r) {
		t.Error("O_NONBLOCK")
	}
	for _, n := range []string{q2.Name(), s.Name(), r.Name()} {
		if n != q.Name() {
			t.Errorf("the name is %q, not %q", n, q.Name())
		}
	}
	check(t, s.Send(t.Context(), []byte("1"), 1))
	check(t, q2.Send(t.Context(), []byte("2"), 1))
	wantNext(t, r, "1", 1)
	wantNext(t, q2, "2", 1)
	check(t, mqueue.Unlink(q.Name()))
	gone, err := mqueue.FromFile(given)
	check(t, err)
	defer gone.Close()
	if gone.Name() != q.Name() {
		t.Errorf("the name is %q", gone.Name())
	}
	var se *mqueue.SizeError
	if err := s.Send(t.Context(), make([]byte, 17), 0); !errors.As(err, &se) {
		t.Error(err)
	}
}

func TestFromFileRefuses(t *testing.T) {
	q := newQueue(t, 2, 16)
	sender, err := openSender(t, q.Name()).File()
	check(t, err)
	defer sender.Close()
	receiver, err := openReceiver(t, q.Name()).File()
	check(t, err)
	defer receiver.Close()
	r, w, err := os.Pipe()
	check(t, err)
	defer r.Close()
	defer w.Close()
	regular, err := os.Create(filepath.Join(t.TempDir(), "file"))
	check(t, err)
	defer regular.Close()
	closed, err := os.Open("/")
	check(t, err)
	_ = closed.Close()
	both := func(f *os.File) error {
		q, err := mqueue.FromFile(f)
		_ = q.Close() // of nil, too
		return err
	}
	toSend := func(f *os.File) error {
		s, err := mqueue.SenderFromFile(f)
		_ = s.Close()
		return err
	}
	toReceive := func(f *os.File) error {
		r, err := mqueue.ReceiverFromFile(f)
		_ = r.Close()
		return err
	}
	for name, c := range map[string]struct {
		from func(*os.File) error
		f    *os.File
		want error
	}{
		"both of a sender's":       {both, sender, os.ErrInvalid},
		"both of a receiver's":     {both, receiver, os.ErrInvalid},
		"a receiver of a sender's": {toReceive, sender, os.ErrInvalid},
		"a sender of a receiver's": {toSend, receiver, os.ErrInvalid},
		"a pipe":                   {toReceive, r, os.ErrInvalid},
		"a pipe's other end":       {toSend, w, os.ErrInvalid},
		"a regular file":           {both, regular, os.ErrInvalid},
		"nil":                      {both, nil, os.ErrInvalid},
		"closed":                   {both, closed, os.ErrClosed},
	} {
		if err := c.from(c.f); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	check(t, toSend(sender))
	check(t, toReceive(receiver))
}

// A child is given a blocking description of its own, also of a queue without a name.
func TestInherit(t *testing.T) {
	q := newQueue(t, 2, 16)
	check(t, mqueue.Unlink(q.Name()))
	f, err := q.Inherit()
	check(t, err)
	defer f.Close()
	if nonblocking(t, f) || !nonblocking(t, q) {
		t.Error("O_NONBLOCK")
	}
	cmd := peer(bounded(t), t, "block", "2")
	cmd.ExtraFiles = []*os.File{f}
	line, end := talking(t, cmd)
	if got := line(); got != "ready" {
		t.Error(got)
	}
	for _, text := range []string{"one", "two"} {
		check(t, q.Send(bounded(t), []byte(text), 3))
		if got := line(); got != text+" 3" {
			t.Error(got)
		}
	}
	end()
}

// beBlocking receives from descriptor 3 with calls that block.
func beBlocking(args []string) error {
	fmt.Println("ready")
	for range args[0][0] - '0' {
		buf := make([]byte, 16)
		n, p, err := blockingReceive(3, buf)
		if err != nil {
			return err
		}
		fmt.Printf("%s %d\n", buf[:n], p)
	}
	return nil
}

func TestFile(t *testing.T) {
	q := newQueue(t, 1, 16)
	f, err := q.File()
	check(t, err)
	defer f.Close()
	if f.Name() != q.Name() || !nonblocking(t, f) {
		t.Error(f.Name())
	}
	check(t, q.Close())
	again, err := mqueue.FromFile(f)
	check(t, err)
	defer again.Close()
	check(t, again.Send(t.Context(), nil, 0))
	wantNext(t, again, "", 0)
}

func TestRelease(t *testing.T) {
	q := newQueue(t, 1, 16)
	n, err := q.Release()
	check(t, err)
	f := os.NewFile(uintptr(n), "queue")
	defer f.Close()
	wantIs(t, q.Close(), os.ErrClosed)
	again, err := mqueue.FromFile(f)
	check(t, err)
	defer again.Close()
	check(t, again.Send(t.Context(), []byte("x"), 0))
	wantNext(t, again, "x", 0)
}

// Whoever shares the description may make it block: nothing blocks in the kernel for that.
func TestMadeBlocking(t *testing.T) {
	empty, full := newQueue(t, 1, 16), newQueue(t, 1, 16)
	check(t, full.Send(t.Context(), []byte("full"), 0))
	for _, q := range []*mqueue.Queue{empty, full} {
		f, err := q.File()
		check(t, err)
		blocks(t, f, true)
		defer f.Close()
	}
	defer func() {
		if t.Failed() { // what does block is let go, so that Close can return
			_, _ = empty.TrySend(nil, 0)
			_, _, _, _ = full.TryReceive(make([]byte, 16))
		}
	}()
	ctx, cancel := context.WithCancel(t.Context())
	calls := func(ctx context.Context) []*fdtest.Caller {
		return []*fdtest.Caller{
			fdtest.Go(t, func() error { _, _, err := empty.Receive(ctx, make([]byte, 16)); return err }).Parked(),
			fdtest.Go(t, func() error { return full.Send(ctx, []byte("more"), 0) }).Parked(),
		}
	}
	cs := calls(ctx)
	if ok, err := full.TrySend(nil, 0); ok || err != nil {
		t.Error(ok, err)
	}
	if _, _, ok, err := empty.TryReceive(make([]byte, 16)); ok || err != nil {
		t.Error(ok, err)
	}
	fdtest.Collect(t) // a thread that hangs would hold it up
	cancel()
	for _, c := range cs {
		wantIs(t, c.Err(), context.Canceled)
	}
	cs = calls(context.Background())
	wantNext(t, full, "full", 0)
	check(t, empty.Send(t.Context(), []byte("x"), 0))
	for _, c := range cs {
		check(t, c.Err())
	}
	wantNext(t, full, "more", 0)
	c := fdtest.Go(t, func() error { _, _, err := empty.Receive(context.Background(), make([]byte, 16)); return err }).Parked()
	check(t, empty.Close())
	wantIs(t, c.Err(), os.ErrClosed)
}

func TestInPoller(t *testing.T) {
	q := newQueue(t, 1, 16)
	p, err := epoll.New[string](nil)
	check(t, err)
	defer p.Close()
	_, err = p.Add(q, epoll.Readable|epoll.Writable, "queue")
	check(t, err)
	events := func() epoll.Events {
		t.Helper()
		dst := make([]epoll.Event[string], 2)
		n, err := p.Wait(bounded(t), dst)
		check(t, err)
		if n != 1 || dst[0].Value != "queue" {
			t.Fatalf("%+v", dst[:n])
		}
		return dst[0].Events
	}
	if e := events(); e != epoll.Writable {
		t.Errorf("empty: %v", e)
	}
	check(t, q.Send(t.Context(), nil, 0))
	if e := events(); e != epoll.Readable {
		t.Errorf("full: %v", e)
	}
	wantNext(t, q, "", 0)
	if e := events(); e != epoll.Writable {
		t.Errorf("empty again: %v", e)
	}
}

// The core takes a queue for what can be waited for, though fstat says that it's a regular file.
func TestCoreWaits(t *testing.T) {
	q := newQueue(t, 1, 16)
	given, err := q.Inherit()
	check(t, err)
	defer given.Close()
	raw, err := given.SyscallConn()
	check(t, err)
	n := -1
	cerr := raw.Control(func(fd uintptr) { n, err = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0) })
	check(t, cerr)
	check(t, err)
	adopted, err := fildes.Adopt(n, "queue")
	check(t, err)
	defer adopted.Close()
	from, err := fildes.FromFile(given)
	check(t, err)
	defer from.Close()
	if nonblocking(t, given) {
		t.Error("others' description doesn't block any more")
	}
	for _, f := range []*fildes.FD{adopted, from} {
		if !nonblocking(t, f) {
			t.Error("the description blocks")
		}
		ctx, cancel := context.WithCancel(t.Context())
		buf := make([]byte, 16)
		wait := func(ctx context.Context) *fdtest.Caller {
			return fdtest.Go(t, func() error {
				return f.WaitRead(ctx, func(fd int) error {
					_, _, err := blockingReceive(fd, buf)
					return err
				})
			}).Parked()
		}
		c := wait(ctx)
		cancel()
		wantIs(t, c.Err(), context.Canceled)
		c = wait(t.Context())
		check(t, q.Send(t.Context(), []byte("x"), 0))
		check(t, c.Err())
	}
	check(t, from.SetDeadline(time.Now().Add(time.Hour)))
}

func TestAllocations(t *testing.T) {
	if fdtest.Race {
		t.Skip("the race detector allocates")
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	q := newQueue(t, 2, 64)
	msg, buf := make([]byte, 64), make([]byte, 64)
	for name, op := range map[string]func(){
		"Background":  func() { _ = q.Send(context.Background(), msg, 1); _, _, _ = q.Receive(context.Background(), buf) },
		"cancellable": func() { _ = q.Send(ctx, msg, 1); _, _, _ = q.Receive(ctx, buf) },
		"try":         func() { _, _ = q.TrySend(msg, 1); _, _, _, _ = q.TryReceive(buf); _, _, _, _ = q.TryReceive(buf) },
		"Attr":        func() { _, _ = q.Attr() },
	} {
		if n := testing.AllocsPerRun(fdtest.Rounds(1000), op); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
	there, back := newQueue(t, 1, 64), newQueue(t, 1, 64)
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 64)
		for {
			n, p, err := there.Receive(ctx, buf)
			if err != nil {
				return
			}
			_ = back.Send(ctx, buf[:n], p)
		}
	}()
	if n := testing.AllocsPerRun(fdtest.Rounds(1000), func() { _ = there.Send(ctx, msg, 1); _, _, _ = back.Receive(ctx, buf) }); n != 0 {
		t.Errorf("a wait that parks: %v allocations", n)
	}
	cancel()
	<-done
	ctx, cancel = context.WithCancel(t.Context())
	defer cancel()
	full, taken := newQueue(t, 1, 64), make(chan struct{})
	go func() {
		defer close(taken)
		buf := make([]byte, 64)
		for {
			if _, _, err := full.Receive(ctx, buf); err != nil {
				return
			}
		}
	}()
	if n := testing.AllocsPerRun(fdtest.Rounds(1000), func() { _ = full.Send(ctx, msg, 1); _ = full.Send(ctx, msg, 1) }); n != 0 {
		t.Errorf("a full queue: %v allocations", n)
	}
	cancel()
	<-taken
}

// What one process' goroutine has written before it sends, another has after it has received.
func TestOrdered(t *testing.T) {
	q := newQueue(t, 1, 16)
	shared := 0
	c := fdtest.Go(t, func() error {
		for range 50 {
			shared++
			if err := q.Send(context.Background(), nil, 0); err != nil {
				return err
			}
			if _, _, err := q.Receive(context.Background(), make([]byte, 16)); err != nil {
				return err
			}
		}
		return nil
	})
	check(t, c.Err())
	there, back := newQueue(t, 1, 16), newQueue(t, 1, 16)
	c = fdtest.Go(t, func() error {
		for range 50 {
			if _, _, err := there.Receive(context.Background(), make([]byte, 16)); err != nil {
				return err
			}
			shared++
			if err := back.Send(context.Background(), nil, 0); err != nil {
				return err
			}
		}
		return nil
	})
	for range 50 {
		shared++
		check(t, there.Send(bounded(t), nil, 0))
		wantNext(t, back, "", 0)
	}
	check(t, c.Err())
	if shared != 150 {
		t.Error(shared)
	}
}
