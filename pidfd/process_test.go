//go:build linux

package pidfd

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes/internal/fd"
	"github.com/fildes/fildes/internal/fdtest"
	"github.com/fildes/fildes/internal/sys"
	"github.com/fildes/fildes/signalfd"
)

func TestOpen(t *testing.T) {
	fdtest.NeedPidfd(t)
	p := openedPID(t, self)
	if pid, err := p.PID(); pid != self || err != nil {
		t.Error(pid, err)
	}
	for pid, want := range map[int]error{0: os.ErrInvalid, -1: os.ErrInvalid, math.MaxInt32: os.ErrProcessDone, unusedPID(t): os.ErrProcessDone} {
		_, err := Open(pid)
		wantIs(t, err, want)
	}
	_, err := Open(anotherThread(t))
	wantIs(t, err, os.ErrInvalid)
	if err != nil && !strings.Contains(err.Error(), "OpenThread") {
		t.Error(err)
	}
}

// unusedPID was a process's.
func unusedPID(t testing.TB) int {
	t.Helper()
	cmd := fdtest.Program(context.Background(), t, "true")
	check(t, cmd.Run())
	return cmd.Process.Pid
}

// thread starts one, and returns what ends it.
func thread() (tid int, end func()) {
	tids, ending, ended := make(chan int), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		runtime.LockOSThread()
		tids <- unix.Gettid()
		<-ending
	}()
	return <-tids, func() {
		close(ending)
		<-ended
	}
}

// anotherThread is one that lives as long as the test and doesn't lead the process.
func anotherThread(t testing.TB) int {
	t.Helper()
	for {
		tid, end := thread()
		t.Cleanup(end)
		if tid != self {
			return tid
		}
	}
}

// What os knows is opened anew, so that what it has isn't changed: with O_NONBLOCK its Wait would fail with EAGAIN.
func TestFromProcess(t *testing.T) {
	fdtest.NeedPidfd(t)
	cmd := fdtest.Program(context.Background(), t, "cat")
	in, err := cmd.StdinPipe()
	check(t, err)
	check(t, cmd.Start())
	p, err := FromProcess(cmd.Process)
	p = opened(t, p, err)
	var before int
	check(t, cmd.Process.WithHandle(func(h uintptr) { before, err = sys.StatusFlags(int(h)) }))
	check(t, err)
	w := fdtest.Go(t, func() error {
		_, err := p.Wait(bounded(t))
		return err
	}).Parked()
	check(t, cmd.Process.WithHandle(func(h uintptr) {
		after, err := sys.StatusFlags(int(h))
		if err != nil || after != before || after&unix.O_NONBLOCK != 0 {
			t.Errorf("flags %#x, now %#x, %v", before, after, err)
		}
	}))
	o := fdtest.Go(t, func() error { _, err := cmd.Process.Wait(); return err })
	check(t, in.Close())
	check(t, w.Err())
	check(t, o.Err())
	_, err = FromProcess(cmd.Process)
	wantIs(t, err, os.ErrProcessDone)
	_, err = FromProcess(nil)
	wantIs(t, err, os.ErrInvalid)
	gone, err := os.FindProcess(math.MaxInt32)
	check(t, err)
	_, err = FromProcess(gone)
	wantIs(t, err, os.ErrProcessDone)
}

// A pidfd of a process that has been reaped can't be opened anew: its O_NONBLOCK is left alone, and it is waited for all the same.
func TestFromFileReaped(t *testing.T) {
	c := ending(t, "exit 8")
	raw, err := sys.PidfdOpen(c.cmd.Process.Pid, false, false)
	check(t, err)
	f := os.NewFile(uintptr(raw), "pidfd")
	defer func() { _ = f.Close() }()
	live, err := FromFile(f)
	live = opened(t, live, err)
	if same, err := live.Same(c.Process); !same || err != nil {
		t.Error(same, err)
	}
	c.end()
	_ = c.cmd.Wait()
	p, err := FromFile(f)
	p = opened(t, p, err)
	for _, p := range []*Process{live, p} {
		s, err := p.Wait(bounded(t))
		if err != nil || s.Known() && s.ExitCode() != 8 {
			t.Error(s, err)
		}
	}
	if flags, err := sys.StatusFlags(raw); err != nil || flags&unix.O_NONBLOCK != 0 {
		t.Errorf("%#x, %v", flags, err)
	}
	_, err = p.Inherit()
	wantIs(t, err, os.ErrProcessDone)
	_, err = p.PID()
	wantIs(t, err, os.ErrProcessDone)
}

// Waiting in an epoll set of its own, as for what can't be opened anew, works while the process lives, too.
func TestWaitApart(t *testing.T) {
	c := ending(t, "exit 2")
	raw, err := sys.PidfdOpen(c.cmd.Process.Pid, false, false)
	check(t, err)
	p := newProcess(raw, false, true)
	defer func() { check(t, p.Close()) }()
	w := fdtest.Go(t, func() error {
		s, err := p.Wait(bounded(t))
		if s.ExitCode() != 2 {
			t.Error(s)
		}
		return err
	}).Parked()
	c.end()
	check(t, w.Err())
	if flags, err := sys.StatusFlags(raw); err != nil || flags&unix.O_NONBLOCK != 0 {
		t.Errorf("%#x, %v", flags, err)
	}
}

// What a socket's other end is comes as a descriptor.
func TestFromSocket(t *testing.T) {
	fdtest.NeedPidfd(t)
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	check(t, err)
	defer func() { _ = l.Close() }()
	c, err := net.Dial("unix", path)
	check(t, err)
	defer func() { _ = c.Close() }()
	raw, err := c.(*net.UnixConn).SyscallConn()
	check(t, err)
	num := -1
	check(t, raw.Control(func(n uintptr) { num, err = unix.GetsockoptInt(int(n), unix.SOL_SOCKET, unix.SO_PEERPIDFD) }))
	if errors.Is(err, unix.ENOPROTOOPT) {
		fdtest.Need(t, "peer_pidfd", "SO_PEERPIDFD, Linux 6.5")
	}
	check(t, err)
	f := os.NewFile(uintptr(num), "peer")
	p, err := FromFile(f)
	check(t, f.Close())
	p = opened(t, p, err)
	if same, err := p.Same(openedPID(t, self)); !same || err != nil {
		t.Error(same, err)
	}
}

func TestFromFileRefuses(t *testing.T) {
	fdtest.NeedPidfd(t)
	for _, path := range []string{"/dev/null", "/proc/self"} {
		f, err := os.Open(path)
		check(t, err)
		_, err = FromFile(f)
		wantIs(t, err, os.ErrInvalid)
		check(t, f.Close())
	}
	_, err := FromFile(nil)
	wantIs(t, err, os.ErrInvalid)
	for name, open := range map[string]func() (int, error){
		"epoll":   func() (int, error) { return unix.EpollCreate1(unix.EPOLL_CLOEXEC) },
		"eventfd": func() (int, error) { return unix.Eventfd(0, unix.EFD_CLOEXEC) },
		"inotify": func() (int, error) { return unix.InotifyInit1(unix.IN_CLOEXEC) },
		"timerfd": func() (int, error) { return unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_CLOEXEC) },
		"memfd":   func() (int, error) { return unix.MemfdCreate("[pidfd]", unix.MFD_CLOEXEC) },
		"socket":  func() (int, error) { return unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0) },
		"path":    func() (int, error) { return unix.Open("/", unix.O_PATH|unix.O_CLOEXEC, 0) },
	} {
		num, err := open()
		check(t, err)
		f := os.NewFile(uintptr(num), name)
		if _, err = FromFile(f); !errors.Is(err, os.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
		check(t, f.Close())
	}
}

func TestStart(t *testing.T) {
	fdtest.NeedPidfd(t)
	_, err := Start(nil)
	wantIs(t, err, os.ErrInvalid)
	_, err = Start(exec.Command("/nonexistent"))
	wantIs(t, err, os.ErrNotExist)

	own := -1
	attr := &syscall.SysProcAttr{PidFD: &own, Setpgid: true}
	cmd := fdtest.Program(context.Background(), t, "true")
	cmd.SysProcAttr = attr
	p, err := Start(cmd)
	p = opened(t, p, err)
	if cmd.SysProcAttr != attr || attr.PidFD != &own {
		t.Error("the attributes are others now")
	}
	mine, err := FromFile(os.NewFile(uintptr(own), "pidfd"))
	mine = opened(t, mine, err)
	if same, err := mine.Same(p); !same || err != nil {
		t.Error(same, err)
	}
	s, err := p.Wait(bounded(t))
	if err != nil || !s.Success() {
		t.Error(s, err)
	}
	check(t, cmd.Wait())
}

// Without descriptors no child is started that nobody knows.
func TestStartWithoutDescriptors(t *testing.T) {
	if !alone(t) {
		return
	}
	var limit unix.Rlimit
	check(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &limit))
	before := limit
	started := 0
	for spare := range 12 {
		n, err := sys.Dup(0)
		check(t, err)
		check(t, unix.Close(n))
		limit.Cur = uint64(n + spare)
		check(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &limit))
		cmd := fdtest.Program(context.Background(), t, "true")
		p, err := Start(cmd)
		limit.Cur = before.Cur
		check(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &limit))
		if err != nil {
			wantIs(t, err, unix.EMFILE)
			if _, err := unix.Wait4(-1, nil, unix.WNOHANG, nil); err != unix.ECHILD {
				t.Fatalf("with %d descriptors: a child is there: %v", spare, err)
			}
			continue
		}
		started++
		s, err := p.Wait(bounded(t))
		if err != nil || !s.Success() {
			t.Errorf("with %d descriptors: %v, %v", spare, s, err)
		}
		check(t, cmd.Wait())
		check(t, p.Close())
	}
	if started == 0 {
		t.Error("none was started")
	}
}

// Where the kernel, or a filter, has no pidfds nothing is started that would have to be killed.
func TestStartWithoutPidfds(t *testing.T) {
	if !alone(t) {
		return
	}
	fdtest.Seccomp(t, fdtest.AnswerErrno(unix.ENOSYS), unix.SYS_PIDFD_OPEN)
	_, err := Self()
	wantIs(t, err, errors.ErrUnsupported)
	cmd := fdtest.Program(context.Background(), t, "true")
	_, err = Start(cmd)
	wantIs(t, err, errors.ErrUnsupported)
	if cmd.Process != nil {
		t.Errorf("process %d was started", cmd.Process.Pid)
	}
}

// A thread ends before its process does.
func TestThread(t *testing.T) {
	fdtest.NeedPidfd(t)
	tid, end := thread()
	for tid == self { // the one that leads goes on as long as the process
		defer end()
		tid, end = thread()
	}
	p, err := OpenThread(tid)
	if errors.Is(err, errors.ErrUnsupported) {
		end()
		fdtest.Need(t, "pidfd_thread", err.Error())
	}
	p = opened(t, p, err)
	if pid, err := p.PID(); pid != tid || err != nil {
		t.Error(pid, tid, err)
	}
	i, err := p.Info()
	if err != nil || i.PID != tid || i.ThreadGroup != self {
		t.Errorf("%+v, %v", i, err)
	}
	if same, err := p.Same(openedPID(t, self)); same || err != nil {
		t.Error(same, err)
	}
	file, err := p.File()
	check(t, err)
	again, err := FromFile(file)
	check(t, file.Close())
	again = opened(t, again, err)
	if same, err := p.Same(again); !same || err != nil || !again.thread {
		t.Error(same, err)
	}
	w := fdtest.Go(t, func() error {
		s, err := p.Wait(bounded(t))
		if s.Known() && !s.Success() {
			t.Error(s)
		}
		return err
	}).Parked()
	end()
	check(t, w.Err())
	wantIs(t, p.Signal(0), os.ErrProcessDone)
}

// A child that gets the descriptor can wait with it.
func TestInherit(t *testing.T) {
	p := openedPID(t, self)
	f, err := p.Inherit()
	check(t, err)
	defer func() { _ = f.Close() }()
	num, err := fd.FromFile(f)
	check(t, err)
	defer func() { _ = unix.Close(num) }()
	if flags, err := sys.StatusFlags(num); err != nil || flags&unix.O_NONBLOCK != 0 {
		t.Errorf("%#x, %v", flags, err)
	}
	q, err := FromFile(f)
	q = opened(t, q, err)
	if same, err := q.Same(p); !same || err != nil {
		t.Error(same, err)
	}
}

// O_NONBLOCK is for waitid: what has File's descriptor doesn't wait with it, what has Inherit's does.
func TestNonblock(t *testing.T) {
	c := ending(t, "exit 3")
	duplicate := func(f *os.File, err error) int {
		t.Helper()
		check(t, err)
		num, err := fd.FromFile(f)
		check(t, err)
		check(t, f.Close())
		t.Cleanup(func() { _ = unix.Close(num) })
		return num
	}
	wait := func(num, options int) error {
		return unix.Waitid(unix.P_PIDFD, num, nil, unix.WEXITED|unix.WNOWAIT|options, nil)
	}
	shared, own := duplicate(c.File()), duplicate(c.Inherit())
	wantIs(t, wait(shared, 0), unix.EAGAIN)
	check(t, wait(shared, unix.WNOHANG))
	w := fdtest.Go(t, func() error { return wait(own, 0) }).InSyscall()
	c.end()
	check(t, w.Err())
	check(t, wait(shared, 0))
}

// A thousand children are waited for by a handful of threads.
func TestThousand(t *testing.T) {
	fdtest.NeedPidfd(t)
	n := fdtest.Rounds(1000)
	fdtest.NeedProgram(t, "sh")
	gate, let, err := os.Pipe()
	check(t, err)
	var wg sync.WaitGroup
	threads := threadsNow(t)
	for i := range n {
		cmd := exec.Command("sh", "-c", fmt.Sprintf("read _; exit %d", i%100))
		cmd.Stdin = gate
		p, err := Start(cmd)
		check(t, err)
		wg.Go(func() {
			s, err := p.Wait(bounded(t))
			if err != nil || s.ExitCode() != i%100 {
				t.Errorf("%v, %v, not %d", s, err, i%100)
			}
			if r, err := p.Reap(bounded(t)); r.String() != s.String() || err != nil {
				t.Error(r, err)
			}
			wantIs(t, p.Signal(signalfd.SIGKILL), os.ErrProcessDone)
			if err := p.Close(); err != nil {
				t.Error(err)
			}
			_ = cmd.Process.Release()
		})
	}
	if more := threadsNow(t) - threads; more > 20 {
		t.Errorf("%d more threads for %d children", more, n)
	}
	check(t, gate.Close())
	check(t, let.Close())
	wg.Wait()
}

func threadsNow(t testing.TB) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/task")
	check(t, err)
	return len(entries)
}
