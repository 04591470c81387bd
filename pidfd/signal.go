//go:build linux

package pidfd

import (
	"errors"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes"
	"github.com/fildes/fildes/internal/sys"
	"github.com/fildes/fildes/signalfd"
)

// A Target is whom a signal is for.
type Target int

// The targets. All but Whole need Linux 6.9.
const (
	// Whole is what the Process is: a process, or of [OpenThread] the thread.
	Whole Target = iota
	// Thread (PIDFD_SIGNAL_THREAD) is the one thread, which of a process is the one that leads it.
	Thread
	// ThreadGroup (PIDFD_SIGNAL_THREAD_GROUP) is the process, also of a thread.
	ThreadGroup
	// ProcessGroup (PIDFD_SIGNAL_PROCESS_GROUP) is each process of the process group that the process leads; one that leads none is refused with [os.ErrInvalid].
	ProcessGroup
)

// String is a word.
func (t Target) String() string {
	switch t {
	case Whole:
		return "whole"
	case Thread:
		return "thread"
	case ThreadGroup:
		return "thread group"
	case ProcessGroup:
		return "process group"
	}
	return "Target(" + strconv.Itoa(int(t)) + ")"
}

// flags are those of pidfd_send_signal(2).
func (t Target) flags() uint {
	if t == Whole {
		return 0
	}
	return 1 << (t - Thread)
}

// A SignalInfo says more of a signal that is sent.
type SignalInfo struct {
	// Target is whom it is for.
	Target Target
	// Value is attached, if it isn't nil, as sigqueue(3) does: of it the Pointer is sent if it isn't 0, else Int.
	Value *signalfd.Value
}

// Signal sends a signal, as kill(2) does, to the process and never to another that has got its number: pidfd_send_signal(2). Signal 0 sends nothing and says whether one could.
//
// It fails with [os.ErrProcessDone] (ESRCH) when the process has been reaped, with EPERM if this process may not signal it (CAP_KILL), and with EINVAL if it is in a pid namespace that this one doesn't see. A child that has ended and
// hasn't been reaped takes signals, without effect.
func (p *Process) Signal(sig signalfd.Signal) error {
	return fail("signal", p.send(sig, SignalInfo{}))
}

// SignalInfo is [Process.Signal] with a value, or to another target. With a value it fails with EAGAIN when as many signals wait as RLIMIT_SIGPENDING allows the receiver's user.
func (p *Process) SignalInfo(sig signalfd.Signal, info SignalInfo) error {
	return fail("signal-info", p.send(sig, info))
}

func (p *Process) send(sig signalfd.Signal, info SignalInfo) error {
	return p.engine().Control(func(num int) error {
		if err := info.check(sig); err != nil {
			return err
		}
		return send(num, sig, info)
	})
}

func send(num int, sig signalfd.Signal, info SignalInfo) error {
	var err error
	if v := info.Value; v == nil {
		err = sys.PidfdSendSignal(num, int(sig), nil, info.Target.flags())
	} else {
		raw := sys.QueuedInfo(int(sig), v.Int, v.Pointer)
		err = sys.PidfdSendSignal(num, int(sig), &raw, info.Target.flags())
	}
	if info.Target == ProcessGroup && errors.Is(err, unix.ESRCH) && !gone(num) {
		return invalid("the process leads no process group")
	}
	if info.Target != Whole && errors.Is(err, unix.EINVAL) && !targets() {
		return &fildes.UnsupportedError{Feature: "pidfd_send_signal to a " + info.Target.String(), Since: "6.9", Err: err}
	}
	return err
}

func (i SignalInfo) check(sig signalfd.Signal) error {
	switch {
	case sig < 0 || sig > signalfd.Last:
		return invalid("there is no such signal here: " + sig.String())
	case i.Target < Whole || i.Target > ProcessGroup:
		return invalid("there is no such target: " + i.Target.String())
	case i.Value != nil && i.Value.Pointer>>32 != 0 && ^uintptr(0)>>63 == 0:
		return invalid("a pointer has 32 bits here")
	}
	return nil
}

// targets says whether the kernel knows any.
func targets() bool {
	num, err := sys.PidfdOpen(os.Getpid(), false, false)
	if err != nil {
		return true // as far as is known
	}
	defer func() { _ = sys.Close(num) }()
	return sys.PidfdSendSignal(num, 0, nil, ThreadGroup.flags()) == nil
}

// Raise sends a signal to this process, or with Thread to the thread that the goroutine is locked to (runtime.LockOSThread), as raise(3) does, without a descriptor: pidfd_send_signal(2), PIDFD_SELF. Before Linux 6.14 it is kill(2), tgkill(2),
// rt_sigqueueinfo(2) or rt_tgsigqueueinfo(2). ProcessGroup is refused with [os.ErrInvalid].
func Raise(sig signalfd.Signal, info SignalInfo) error {
	return fail("raise", raise(sig, info))
}

func raise(sig signalfd.Signal, info SignalInfo) error {
	if err := info.check(sig); err != nil {
		return err
	}
	to, self := info.Target, unix.PIDFD_SELF_PROCESS
	switch to {
	case Thread:
		self = unix.PIDFD_SELF_THREAD
	case ProcessGroup:
		return invalid("a process doesn't raise signals of its process group: kill(2) with 0 sends them")
	case Whole, ThreadGroup:
	}
	info.Target = Whole
	err := send(self, sig, info)
	if !errors.Is(err, unix.EBADF) && !errors.Is(err, unix.ENOSYS) && !errors.Is(err, unix.EPERM) { // the last two are a filter's
		return err
	}
	pid, tid, v := os.Getpid(), unix.Gettid(), info.Value
	switch {
	case to == Thread && v == nil:
		return sys.Named("tgkill", unix.Tgkill(pid, tid, unix.Signal(sig)))
	case to == Thread:
		return signalfd.QueueThread(pid, tid, sig, *v)
	case v == nil:
		return sys.Named("kill", unix.Kill(pid, unix.Signal(sig)))
	}
	return signalfd.Queue(pid, sig, *v)
}
