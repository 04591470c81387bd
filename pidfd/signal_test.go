//go:build linux

package pidfd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes/internal/fdtest"
	"github.com/fildes/fildes/internal/sys"
	"github.com/fildes/fildes/signalfd"
)

// told is a Receiver of signals to this process.
func told(t testing.TB, signals ...signalfd.Signal) *signalfd.Receiver {
	t.Helper()
	if !sys.Taps {
		fdtest.Need(t, "signal_handler", "a signal handler for "+runtime.GOARCH)
	}
	r, err := signalfd.Notify(signals...)
	check(t, err)
	t.Cleanup(func() { _ = r.Close() })
	return r
}

// needTargets skips where the kernel only knows whole processes.
func needTargets(t testing.TB) {
	t.Helper()
	if !targets() {
		fdtest.Need(t, "pidfd_signal_target", "pidfd_send_signal's flags, Linux 6.9")
	}
}

func TestSignal(t *testing.T) {
	fdtest.NeedPidfd(t)
	r := told(t, signalfd.SIGUSR1, signalfd.RT(3))
	p := openedPID(t, self)
	receive := func(want signalfd.Signal, code signalfd.Code) signalfd.Info {
		t.Helper()
		i, err := r.Read(bounded(t))
		check(t, err)
		pid, uid, ok := i.Sender()
		if i.Signal != want || i.Code != code || pid != self || int(uid) != os.Getuid() || !ok {
			t.Errorf("%v, not %v", i, want)
		}
		return i
	}
	check(t, p.Signal(0))
	check(t, p.Signal(signalfd.SIGUSR1))
	receive(signalfd.SIGUSR1, signalfd.User)
	check(t, p.SignalInfo(signalfd.RT(3), SignalInfo{Value: &signalfd.Value{Int: -7}}))
	if v, ok := receive(signalfd.RT(3), signalfd.Queued).Value(); v.Int != -7 || !ok {
		t.Error(v, ok)
	}
	for _, target := range []Target{Whole, Thread, ThreadGroup} {
		check(t, Raise(signalfd.SIGUSR1, SignalInfo{Target: target}))
		i, err := r.Read(bounded(t))
		if err != nil || i.Signal != signalfd.SIGUSR1 || i.Origin() != signalfd.FromUser {
			t.Error(target, i, err)
		}
		check(t, Raise(signalfd.RT(3), SignalInfo{Target: target, Value: &signalfd.Value{Int: 5}}))
		if v, _ := receive(signalfd.RT(3), signalfd.Queued).Value(); v.Int != 5 {
			t.Error(target, v)
		}
	}
	for _, c := range []struct {
		sig  signalfd.Signal
		info SignalInfo
	}{{-1, SignalInfo{}}, {signalfd.Last + 1, SignalInfo{}}, {signalfd.SIGUSR1, SignalInfo{Target: 9}}, {signalfd.SIGUSR1, SignalInfo{Target: -1}}} {
		wantIs(t, p.SignalInfo(c.sig, c.info), os.ErrInvalid)
		wantIs(t, Raise(c.sig, c.info), os.ErrInvalid)
	}
	wantIs(t, Raise(signalfd.SIGUSR1, SignalInfo{Target: ProcessGroup}), os.ErrInvalid)
	if pointer := (&signalfd.Value{Pointer: 1 << 40}); ^uintptr(0)>>63 == 0 {
		wantIs(t, p.SignalInfo(signalfd.RT(3), SignalInfo{Value: pointer}), os.ErrInvalid)
	}
}

// Before Linux 6.14 there is no PIDFD_SELF, and before 6.9 there are no targets.
func TestRaiseWithout(t *testing.T) {
	if !alone(t) {
		return
	}
	r := told(t, signalfd.SIGUSR1, signalfd.RT(3))
	fdtest.Seccomp(t, fdtest.AnswerErrno(unix.EBADF), unix.SYS_PIDFD_SEND_SIGNAL)
	for _, target := range []Target{Whole, Thread} {
		check(t, Raise(signalfd.SIGUSR1, SignalInfo{Target: target}))
		check(t, Raise(signalfd.RT(3), SignalInfo{Target: target, Value: &signalfd.Value{Int: 5}}))
		for range 2 {
			i, err := r.Read(bounded(t))
			if v, _ := i.Value(); err != nil || i.Signal == signalfd.RT(3) && v.Int != 5 {
				t.Error(i, v, err)
			}
		}
	}
}

func TestTargetWithout(t *testing.T) {
	if !alone(t) {
		return
	}
	p := openedPID(t, self)
	fdtest.Seccomp(t, fdtest.AnswerErrno(unix.EINVAL), unix.SYS_PIDFD_SEND_SIGNAL)
	wantIs(t, p.SignalInfo(0, SignalInfo{Target: Thread}), errors.ErrUnsupported)
	wantIs(t, p.Signal(0), unix.EINVAL)
}

// A signal to the thread that leads a process is that thread's; one to the group reaches all.
func TestTarget(t *testing.T) {
	fdtest.NeedPidfd(t)
	needTargets(t)
	r := told(t, signalfd.SIGUSR1)
	p, err := OpenThread(anotherThread(t))
	p = opened(t, p, err)
	for target, code := range map[Target]signalfd.Code{Thread: signalfd.Thread, Whole: signalfd.Thread, ThreadGroup: signalfd.User} {
		check(t, p.SignalInfo(signalfd.SIGUSR1, SignalInfo{Target: target}))
		i, err := r.Read(bounded(t))
		if err != nil || i.Code != code {
			t.Error(target, i, err)
		}
	}

	cmd := fdtest.Program(context.Background(), t, "parent", "exit 0")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	in, err := cmd.StdinPipe()
	check(t, err)
	defer func() { _ = in.Close() }()
	out, err := cmd.StdoutPipe()
	check(t, err)
	gate, let, err := os.Pipe()
	check(t, err)
	defer func() { _, _ = gate.Close(), let.Close() }()
	cmd.ExtraFiles = []*os.File{gate}
	group, err := Start(cmd)
	group = opened(t, group, err)
	var pid int
	_, err = fmt.Fscan(out, &pid)
	check(t, err)
	member := openedPID(t, pid)
	check(t, group.SignalInfo(signalfd.SIGKILL, SignalInfo{Target: ProcessGroup}))
	if _, err := member.Wait(bounded(t)); err != nil {
		t.Error(err)
	}
	s, err := group.Reap(bounded(t))
	if sig, _ := s.Signal(); sig != signalfd.SIGKILL || err != nil {
		t.Error(s, err)
	}
	wantIs(t, p.SignalInfo(0, SignalInfo{Target: ProcessGroup}), os.ErrInvalid) // it leads none
}

func TestSignalRefused(t *testing.T) {
	fdtest.NeedRoot(t)
	p := ending(t, "exit 0")
	asNobody(t, func() { wantIs(t, p.Signal(signalfd.SIGTERM), unix.EPERM) })
}

func TestTargetString(t *testing.T) {
	for target, want := range map[Target]string{Whole: "whole", Thread: "thread", ThreadGroup: "thread group", ProcessGroup: "process group", 9: "Target(9)"} {
		if got := target.String(); got != want {
			t.Error(got, want)
		}
	}
}
