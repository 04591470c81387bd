//go:build linux

package pidfd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	ossignal "os/signal"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes/epoll"
	"github.com/fildes/fildes/internal/fdtest"
	"github.com/fildes/fildes/signalfd"
)

var ends = []struct {
	how, want string
	code      int
	sig       signalfd.Signal
}{
	{"exit 0", "exit status 0", 0, 0},
	{"exit 7", "exit status 7", 7, 0},
	{"exit 255", "exit status 255", 255, 0},
	{"signal 9", "signal SIGKILL", -1, signalfd.SIGKILL},
	{"signal 15", "signal SIGTERM", -1, signalfd.SIGTERM},
	{"signal 11", "signal SIGSEGV", -1, signalfd.SIGSEGV},
}

// A child's end is told to all who wait, with what it has used, and the child stays for os.
func TestWait(t *testing.T) {
	for _, e := range ends {
		t.Run(e.how, func(t *testing.T) {
			c := ending(t, e.how)
			if s, ended, err := c.TryWait(); ended || err != nil || s.Known() {
				t.Error(s, ended, err)
			}
			var wg sync.WaitGroup
			for range 10 {
				wg.Go(func() {
					s, err := c.Wait(bounded(t))
					sig, signalled := s.Signal()
					if _, used := s.Usage(); err != nil || s.String() != e.want || s.ExitCode() != e.code || sig != e.sig || signalled != (e.sig != 0) || s.Success() != (e.code == 0) || !used {
						t.Errorf("%v, %v, %+v", s, err, s)
					}
				})
			}
			c.end()
			wg.Wait()
			if s, ended, err := c.TryWait(); s.String() != e.want || !ended || err != nil {
				t.Error(s, ended, err)
			}
			_ = c.cmd.Wait()
			if got := c.cmd.ProcessState; got.ExitCode() != e.code {
				t.Errorf("os says %v", got)
			}
			s, err := c.Wait(bounded(t)) // the kernel may say it still
			check(t, err)
			if s.Known() && s.String() != e.want {
				t.Error(s)
			}
			if knowsExit(t) != s.Known() {
				t.Errorf("%v, and the kernel says exits: %v", s, knowsExit(t))
			}
		})
	}
}

// knowsExit says whether the kernel tells how what has been reaped has ended.
func knowsExit(t testing.TB) bool {
	t.Helper()
	c := ending(t, "exit 3")
	c.end()
	_ = c.cmd.Wait()
	i, err := c.Info()
	return err == nil && i.Fields.Has(Exit) && i.State.ExitCode() == 3
}

// What a Process has reaped it remembers, and os gets ECHILD.
func TestReap(t *testing.T) {
	c := ending(t, "exit 4")
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := c.Reap(ctx)
	wantIs(t, err, context.Canceled)
	c.end()
	for range 3 {
		s, err := c.Reap(bounded(t))
		if _, used := s.Usage(); err != nil || s.ExitCode() != 4 || !used {
			t.Fatal(s, err)
		}
		if s, err := c.Wait(bounded(t)); err != nil || s.ExitCode() != 4 {
			t.Fatal(s, err)
		}
	}
	wantIs(t, c.cmd.Wait(), unix.ECHILD)
	wantIs(t, c.Signal(signalfd.SIGTERM), os.ErrProcessDone)
	wantIs(t, c.Signal(0), unix.ESRCH)

	c = ending(t, "exit 5")
	c.end()
	_ = c.cmd.Wait()
	if s, err := c.Reap(bounded(t)); err != nil || s.Known() && s.ExitCode() != 5 {
		t.Error(s, err)
	}

	other := openedPID(t, os.Getppid())
	_, err = other.Reap(bounded(t))
	wantIs(t, err, unix.ECHILD)
}

// grandchild is the child of a child, which isn't this process's, and has its parent reap it.
func grandchild(t testing.TB, how string) (p *Process, reap func()) {
	t.Helper()
	fdtest.NeedPidfd(t)
	cmd := fdtest.Program(context.Background(), t, "parent", how)
	out, err := cmd.StdoutPipe()
	check(t, err)
	in, err := cmd.StdinPipe()
	check(t, err)
	gate, let, err := os.Pipe()
	check(t, err)
	cmd.ExtraFiles = []*os.File{gate}
	check(t, cmd.Start())
	check(t, gate.Close())
	t.Cleanup(func() {
		_ = let.Close()
		_ = in.Close()
		_ = cmd.Wait()
	})
	var pid int
	_, err = fmt.Fscan(out, &pid)
	check(t, err)
	p = openedPID(t, pid)
	check(t, let.Close())
	return p, func() {
		_ = in.Close()
		_ = cmd.Wait()
	}
}

// A process that isn't a child is waited for, too: while nobody has reaped it, and afterwards.
func TestWaitOfAnother(t *testing.T) {
	exits := knowsExit(t)
	for _, e := range ends {
		t.Run(e.how, func(t *testing.T) {
			p, reap := grandchild(t, e.how)
			s, err := p.Wait(bounded(t))
			check(t, err)
			if _, used := s.Usage(); s.String() != e.want || used {
				t.Errorf("before it was reaped: %v", s)
			}
			_, err = p.Reap(bounded(t))
			wantIs(t, err, unix.ECHILD)
			check(t, p.Signal(signalfd.SIGTERM)) // it takes it, without effect
			reap()
			wantIs(t, p.Signal(signalfd.SIGTERM), os.ErrProcessDone)
			s, err = p.Wait(bounded(t))
			check(t, err)
			if s.Known() != exits || exits && s.String() != e.want {
				t.Errorf("after it was reaped: %v", s)
			}
			if r, err := p.Reap(bounded(t)); r != s || err != nil {
				t.Error(r, err)
			}
		})
	}
}

// Whom ptrace could not attach to, /proc shows an exit code of 0, which is not to be believed.
func TestWaitOfAnotherUser(t *testing.T) {
	fdtest.NeedRoot(t)
	p, _ := grandchild(t, "exit 9")
	s, err := p.Wait(bounded(t))
	check(t, err)
	if s.ExitCode() != 9 {
		t.Fatal(s)
	}
	asNobody(t, func() {
		if s, ended, err := p.TryWait(); !ended || err != nil || s.Known() {
			t.Error(s, ended, err)
		}
	})
}

// asNobody runs f on a thread with the rights of another user.
func asNobody(t testing.TB, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and the thread ends with the goroutine
		for _, call := range []uintptr{unix.SYS_SETRESGID, unix.SYS_SETRESUID} {
			if _, _, e := unix.RawSyscall(call, 65534, 65534, 65534); e != 0 {
				t.Error(e)
				return
			}
		}
		f()
	}()
	<-done
}

// A child that the kernel reaps by itself, because SIGCHLD is ignored, is told all the same.
func TestWaitIgnored(t *testing.T) {
	if !alone(t) {
		return
	}
	exits := knowsExit(t)
	ossignal.Ignore(syscall.SIGCHLD)
	c := ending(t, "exit 6")
	c.end()
	for range 3 {
		s, err := c.Wait(bounded(t))
		if err != nil || s.Known() != exits || exits && s.ExitCode() != 6 {
			t.Fatal(s, err)
		}
	}
	s, err := c.Reap(bounded(t))
	if err != nil || s.Known() != exits {
		t.Error(s, err)
	}
}

// alone runs the test again in a process of its own, and says whether this is that.
func alone(t testing.TB) bool {
	t.Helper()
	fdtest.NeedPidfd(t)
	out, child, err := fdtest.InChild(t)
	if !child && err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return child
}

// A thread that leads its process ends before it, and another one replaces the program: the process lives on.
func TestWaitThreads(t *testing.T) {
	g := startThreads(t, leaderEnds)
	p := g.Process
	done := make(chan State, 1)
	go func() {
		s, err := p.Wait(bounded(t))
		if err != nil {
			t.Error(err)
		}
		done <- s
	}()
	if s, ended, err := p.TryWait(); ended || err != nil {
		t.Error(s, ended, err)
	}
	g.tell('x')
	select {
	case s := <-done:
		t.Fatal(s)
	default:
	}
	check(t, g.in.Close())
	if s := <-done; !s.Success() {
		t.Error(s)
	}
	check(t, g.cmd.Wait())
}

// Threads are a process with a thread that leads it and another one that does as it's told.
type threads struct {
	*Process
	t   testing.TB
	cmd *exec.Cmd
	in  io.WriteCloser
	out io.Reader
	tid int // of the other one
}

// startThreads returns when the thread that leads has ended, if it is to.
func startThreads(t testing.TB, leads string) *threads {
	t.Helper()
	fdtest.NeedPidfd(t)
	fdtest.NeedExec(t)
	g := &threads{t: t, cmd: fdtest.Self(context.Background(), t)}
	g.cmd.Env = append(os.Environ(), leaderEnv+"="+leads)
	var err error
	g.in, err = g.cmd.StdinPipe()
	check(t, err)
	g.out, err = g.cmd.StdoutPipe()
	check(t, err)
	g.Process, err = Start(g.cmd)
	check(t, err)
	t.Cleanup(func() {
		_ = g.in.Close()
		_ = g.cmd.Process.Kill()
		_ = g.cmd.Wait()
		_ = g.Close()
	})
	_, err = fmt.Fscan(g.out, &g.tid)
	check(t, err)
	for leads == leaderEnds {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/stat", g.cmd.Process.Pid))
		check(t, err)
		if strings.Contains(string(stat), ") Z") {
			break
		}
		runtime.Gosched()
	}
	return g
}

// tell makes the other thread call execve, with 'x', or end, with 'e'.
func (g *threads) tell(b byte) {
	g.t.Helper()
	_, err := g.in.Write([]byte{b})
	check(g.t, err)
	if b == 'x' {
		_, err = g.out.Read(make([]byte, 1)) // it's another program now
		check(g.t, err)
	}
}

// byThread is the Process of a thread.
func byThread(t testing.TB, tid int) *Process {
	t.Helper()
	fdtest.NeedPidfd(t)
	p, err := OpenThread(tid)
	if errors.Is(err, errors.ErrUnsupported) {
		fdtest.Need(t, "pidfd_thread", err.Error())
	}
	return opened(t, p, err)
}

// The descriptor of the thread that leads a process doesn't tell that it has ended before the last one has, because until then another one may take its place: since Linux 6.15. That one ends so, with 0.
func TestWaitThreadsExec(t *testing.T) {
	exits := knowsExit(t) // as old as that is this
	for _, leads := range []string{leaderEnds, leaderStays} {
		t.Run(leads, func(t *testing.T) {
			g := startThreads(t, leads)
			leader, other := byThread(t, g.cmd.Process.Pid), byThread(t, g.tid)
			lives := func(ps ...*Process) {
				t.Helper()
				for _, p := range ps {
					if s, ended, err := p.TryWait(); ended && (exits || p != leader) || err != nil {
						t.Error(s, ended, err)
					}
				}
			}
			lives(g.Process, leader, other)
			for p, pid := range map[*Process]int{g.Process: g.cmd.Process.Pid, leader: g.cmd.Process.Pid, other: g.tid} {
				if i, err := p.Info(); i.PID != pid || i.ThreadGroup != g.cmd.Process.Pid || i.Fields.Has(Exit) || err != nil {
					t.Errorf("%+v, %v", i, err)
				}
			}
			g.tell('x')
			s, err := other.Wait(bounded(t))
			if err != nil || exits && !s.Success() {
				t.Error(s, err)
			}
			wantIs(t, other.Signal(0), os.ErrProcessDone)
			lives(g.Process, leader)
			if i, err := g.Info(); i.PID != g.cmd.Process.Pid || i.Fields.Has(Exit) || err != nil {
				t.Errorf("%+v, %v", i, err)
			}
			check(t, g.Signal(signalfd.SIGKILL))
			for _, p := range []*Process{leader, g.Process} {
				s, err := p.Wait(bounded(t))
				if sig, _ := s.Signal(); (exits || p != leader) && sig != signalfd.SIGKILL || err != nil {
					t.Error(s, err)
				}
			}
		})
	}
}

// A thread ends before its process, and how is known of it alone; a signal that ends the process ends each of its threads.
func TestWaitThreadsEnd(t *testing.T) {
	exits := knowsExit(t)
	for range fdtest.Rounds(20) {
		g := startThreads(t, leaderStays)
		other := byThread(t, g.tid)
		g.tell('e')
		s, err := other.Wait(bounded(t))
		if err != nil || exits && s.ExitCode() != 7 {
			t.Fatal(s, err)
		}
		if s, ended, err := g.TryWait(); ended || err != nil {
			t.Fatal(s, ended, err)
		}

		g = startThreads(t, leaderEnds)
		leader, other := byThread(t, g.cmd.Process.Pid), byThread(t, g.tid)
		check(t, g.Signal(signalfd.SIGKILL))
		s, err = g.Reap(bounded(t))
		if sig, _ := s.Signal(); sig != signalfd.SIGKILL || err != nil {
			t.Fatal(s, err)
		}
		for _, p := range []*Process{leader, other} {
			s, err := p.Wait(bounded(t))
			if sig, _ := s.Signal(); exits && sig != signalfd.SIGKILL || err != nil {
				t.Fatal(s, err)
			}
		}
	}
}

// A child that is stopped and goes on hasn't ended.
func TestWaitStopped(t *testing.T) {
	c := ending(t, "exit 0")
	w := fdtest.Go(t, func() error {
		s, err := c.Wait(bounded(t))
		if sig, _ := s.Signal(); sig != signalfd.SIGKILL {
			t.Error(s)
		}
		return err
	}).Parked()
	for _, step := range []struct {
		sig  signalfd.Signal
		told int
	}{{signalfd.SIGSTOP, unix.WSTOPPED}, {signalfd.SIGCONT, unix.WCONTINUED}, {signalfd.SIGSTOP, unix.WSTOPPED}} {
		check(t, c.Signal(step.sig))
		check(t, unix.Waitid(unix.P_PID, c.cmd.Process.Pid, nil, step.told, nil))
		if s, ended, err := c.TryWait(); ended || err != nil {
			t.Error(s, ended, err)
		}
	}
	if w.Done() {
		t.Error("it has ended")
	}
	check(t, c.Signal(signalfd.SIGKILL)) // also of what is stopped
	check(t, w.Err())
}

// Whenever a child is killed, those who wait are told.
func TestWaitKilled(t *testing.T) {
	fdtest.NeedPidfd(t)
	for range fdtest.Rounds(300) {
		cmd := fdtest.Program(context.Background(), t, "hang")
		p, err := Start(cmd)
		check(t, err)
		check(t, p.Signal(signalfd.SIGKILL))
		s, err := p.Wait(bounded(t))
		if sig, _ := s.Signal(); sig != signalfd.SIGKILL || err != nil {
			t.Error(s, err)
		}
		_ = cmd.Wait()
		check(t, p.Close())
	}
}

// A child that this process traces isn't taken for ended when it stops, and stays stopped for the tracer.
func TestWaitTraced(t *testing.T) {
	fdtest.NeedPidfd(t)
	runtime.LockOSThread() // the tracer is a thread
	defer runtime.UnlockOSThread()
	cmd := fdtest.Program(context.Background(), t, "true")
	cmd.SysProcAttr = &syscall.SysProcAttr{Ptrace: true}
	p, err := Start(cmd)
	p = opened(t, p, err)
	var info unix.Siginfo
	check(t, unix.Waitid(unix.P_PID, cmd.Process.Pid, &info, unix.WSTOPPED|unix.WNOWAIT|unix.WEXITED, nil))
	if s, ended, err := p.TryWait(); ended || err != nil || s != (State{}) {
		t.Error(s, ended, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if s, err := p.Reap(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(s, err)
	}
	check(t, unix.Waitid(unix.P_PID, cmd.Process.Pid, &info, unix.WSTOPPED|unix.WEXITED, nil)) // still there
	check(t, unix.PtraceDetach(cmd.Process.Pid))
	if s, err := p.Wait(bounded(t)); err != nil || !s.Success() {
		t.Error(s, err)
	}
	check(t, cmd.Wait())
}

// Of several that reap one child, each gets its State.
func TestReapers(t *testing.T) {
	for range fdtest.Rounds(300) {
		c := ending(t, "exit 5")
		other := openedPID(t, c.cmd.Process.Pid)
		var wg sync.WaitGroup
		for _, p := range []*Process{c.Process, other} {
			wg.Go(func() {
				if s, err := p.Reap(bounded(t)); err != nil || s.Known() && s.ExitCode() != 5 {
					t.Error(s, err)
				}
			})
		}
		c.end()
		wg.Wait()
	}
}

// In an epoll set a process is readable once it has ended, and stays so.
func TestInPoller(t *testing.T) {
	set, err := epoll.New[string](nil)
	check(t, err)
	defer func() { _ = set.Close() }()
	c := ending(t, "exit 0")
	_, err = set.Add(c.Process, epoll.Readable, "c")
	check(t, err)
	var evs [1]epoll.Event[string]
	w := fdtest.Go(t, func() error {
		_, err := set.Wait(bounded(t), evs[:])
		return err
	}).Parked()
	c.end()
	check(t, w.Err())
	_ = c.cmd.Wait()
	for range 2 {
		if evs[0].Value != "c" || !evs[0].Events.Has(epoll.Readable) {
			t.Error(evs)
		}
		_, err := set.Wait(bounded(t), evs[:])
		check(t, err)
	}
}

const leaderEnv, leaderEnds, leaderStays = "FILDES_PIDFD_TEST_LEADER", "ends", "stays"

// leader is on the thread that leads the process, and ends it or stays. Another one waits for a byte and becomes cat, or ends.
func leader() {
	path, err := os.Executable() // while there is a first thread, whose /proc/self is
	if err != nil {
		panic(err)
	}
	go func() {
		runtime.LockOSThread()
		_, _ = fmt.Println(unix.Gettid())
		var b [1]byte
		_, _ = os.Stdin.Read(b[:])
		if b[0] == 'e' {
			_, _, _ = unix.Syscall(unix.SYS_EXIT, 7, 0, 0)
		}
		_ = os.Unsetenv(leaderEnv)
		panic(syscall.Exec(path, os.Args, append(os.Environ(), fdtest.ProgramEnv+"=greet")))
	}()
	if os.Getenv(leaderEnv) == leaderStays {
		select {}
	}
	_, _, _ = unix.Syscall(unix.SYS_EXIT, 0, 0, 0) // not RawSyscall, which would take a processor along
}
