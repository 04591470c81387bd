//go:build linux

package pidfd

import (
	"errors"
	"math"
	"os"
	"os/exec"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes"
	"github.com/fildes/fildes/internal/fd"
	"github.com/fildes/fildes/internal/sys"
)

// A Process is one process, or thread, for ever: its number may belong to another one day, a Process never does.
//
// All methods may be called by several goroutines at once. The zero Process and a nil *Process refuse every operation with [os.ErrInvalid], a closed one with [os.ErrClosed]. A Process must not be copied.
// One that is forgotten without Close is closed by the garbage collector, some time later. Neither does anything to the process.
type Process struct {
	fd     fd.FD
	thread bool

	mu     sync.Mutex
	reaped *State // by this handle
	child  bool   // it was one, when it was asked for
}

// Open makes a Process of the process with a number, as this process's pid namespace counts: pidfd_open(2).
//
// The number may belong to another process than the one that was meant, unless that is a child which nobody has waited for yet: compare what [Process.Info] says afterwards. A number that no process has is refused with
// [os.ErrProcessDone] (ESRCH), one of a thread that doesn't lead its process with [os.ErrInvalid].
func Open(pid int) (*Process, error) {
	p, err := open(pid, false)
	return p, fail("open", err)
}

// OpenThread makes a Process of one thread: pidfd_open(2), PIDFD_THREAD. It ends when the thread does, and of the thread that leads a process, since Linux 6.15, when the process does. Linux 6.9.
func OpenThread(tid int) (*Process, error) {
	p, err := open(tid, true)
	return p, fail("open-thread", err)
}

// Self is this process.
func Self() (*Process, error) {
	p, err := open(os.Getpid(), false)
	return p, fail("self", err)
}

func open(pid int, thread bool) (*Process, error) {
	if pid <= 0 || pid > math.MaxInt32 {
		return nil, errNumber
	}
	num, err := sys.PidfdOpen(pid, thread, true)
	if err != nil {
		return nil, explainOpen(pid, thread, err)
	}
	return newProcess(num, thread, false), nil
}

var errNumber error = invalid("processes have numbers from 1 to 2147483647")

func newProcess(num int, thread, others bool) *Process {
	p := &Process{thread: thread}
	p.fd.Init(num, others)
	if others {
		p.fd.WaitApart() // which leaves its O_NONBLOCK alone
	}
	return p
}

// FromProcess makes a Process of a process that os knows. p stays the caller's. It fails with [os.ErrProcessDone] when p has been waited for, and with another error when it has been released.
//
// Where os has no pidfd of it, which is where the kernel or a seccomp filter refuses one of the calls that os tries, it is [Open] of its number.
func FromProcess(p *os.Process) (*Process, error) {
	if p == nil {
		return nil, fail("from-process", os.ErrInvalid)
	}
	num := -1
	var own error
	err := p.WithHandle(func(handle uintptr) { num, own = sys.Dup(int(handle)) })
	switch {
	case errors.Is(err, os.ErrNoHandle):
		q, err := open(p.Pid, false)
		return q, fail("from-process", err)
	case err == nil:
		err = own
	}
	if err != nil {
		return nil, fail("from-process", err)
	}
	return adopt(num), nil
}

// FromFile makes a Process of a duplicate of f's descriptor: of a pidfd that was inherited, that a socket told (SO_PEERPIDFD, SCM_PIDFD) or an event of fanotify. f stays the caller's.
//
// Anything but a pidfd is refused with [os.ErrInvalid]. To tell, /proc must be mounted.
func FromFile(f *os.File) (*Process, error) {
	num, err := fd.FromFile(f)
	if err != nil {
		return nil, fail("from-file", err)
	}
	if err := fd.CheckAnonymous(num, "[pidfd]"); err != nil {
		_ = sys.Close(num)
		return nil, fail("from-file", err)
	}
	return adopt(num), nil
}

// adopt makes a Process of a descriptor whose description others may have, too. O_NONBLOCK, which Go's poller needs, would make their waitid(2) fail with EAGAIN, os.Process.Wait's too. So the process is opened anew,
// where it can be.
func adopt(num int) *Process {
	thread := sys.PidfdThread(num)
	if own, err := reopen(num, thread, true); err == nil {
		_ = sys.Close(num)
		return newProcess(own, thread, false)
	}
	return newProcess(num, thread, true)
}

// reopen makes another description of the same process.
func reopen(num int, thread, nonblock bool) (int, error) {
	pid, err := pidOf(num)
	if err != nil {
		return -1, err
	}
	own, err := sys.PidfdOpen(pid, thread, nonblock)
	if err != nil {
		return -1, err
	}
	if same, err := sameProcess(num, own); err != nil || !same {
		_ = sys.Close(own)
		return -1, errors.Join(err, os.ErrProcessDone)
	}
	return own, nil
}

// Start starts a command as [exec.Cmd.Start] does and makes a Process of it, which no failure leaves behind unknown: the kernel makes both at once. (Where it can't but has pidfds, a command whose Process can't be made is killed. Where it has none nothing is started.)
//
// The command is the caller's still, who calls its Wait once [Process.Wait] has returned: then it takes no thread, and returns as soon as all that the command has written is copied. Processes that this one starts
// have the signals of a [signalfd.New] blocked: see [signalfd.Unblock].
func Start(cmd *exec.Cmd) (*Process, error) {
	p, err := start(cmd)
	return p, fail("start", err)
}

func start(cmd *exec.Cmd) (*Process, error) {
	if cmd == nil {
		return nil, os.ErrInvalid
	}
	before := cmd.SysProcAttr
	defer func() { cmd.SysProcAttr = before }()
	attr := syscall.SysProcAttr{}
	if before != nil {
		attr = *before
	}
	num := -1
	if clonesPidfd() {
		attr.PidFD = &num
		cmd.SysProcAttr = &attr
	} else if own, err := open(os.Getpid(), false); err != nil {
		return nil, err
	} else if err := own.Close(); err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	if num < 0 {
		p, err := FromProcess(cmd.Process)
		if err != nil {
			_, _ = cmd.Process.Kill(), cmd.Wait()
		}
		return p, err
	}
	if before != nil && before.PidFD != nil {
		n, err := sys.Dup(num)
		if err != nil {
			n = -1 // as where the kernel can't
		}
		*before.PidFD = n
	}
	return adopt(num), nil
}

// clonesPidfd says whether clone(2) gives pidfds. os has tried it if it has handles.
var clonesPidfd = sync.OnceValue(func() bool {
	p, err := os.FindProcess(os.Getpid())
	if err != nil {
		return false
	}
	defer func() { _ = p.Release() }()
	return p.WithHandle(func(uintptr) {}) == nil
})

// Close ends the Process: close(2). It wakes whoever waits, who then fails with [os.ErrClosed], and returns when the number is free. A second Close returns [os.ErrClosed]. The process itself goes on, and if it is a child, is
// there to be reaped.
func (p *Process) Close() error { return fail("close", p.engine().Close()) }

// SyscallConn lends the descriptor out: see [fildes.FD.SyscallConn].
func (p *Process) SyscallConn() (syscall.RawConn, error) {
	c, err := p.engine().SyscallConn(fail)
	return c, fail("syscall-conn", err)
}

// File returns a duplicate of the descriptor; it shares the description, and so O_NONBLOCK, with which waitid(2) doesn't wait but fails with EAGAIN: see [fildes.FD.File].
func (p *Process) File() (*os.File, error) {
	f, err := p.engine().File("pidfd")
	return f, fail("file", err)
}

// Inherit returns a file for a child process: a description of its own of the same process, with which waitid(2) waits: pidfd_open(2). It fails with [os.ErrProcessDone] when the process has been reaped.
func (p *Process) Inherit() (file *os.File, err error) {
	err = p.engine().Control(func(num int) error {
		own, err := reopen(num, p.thread, false)
		if err == nil {
			file = os.NewFile(uintptr(own), "pidfd")
		}
		return err
	})
	return file, fail("inherit", err)
}

// Release ends the Process without closing the descriptor, and returns its number: see [fildes.FD.Release].
func (p *Process) Release() (int, error) {
	n, err := p.engine().Release()
	return n, fail("release", err)
}

func (p *Process) engine() *fd.FD {
	if p == nil {
		return nil
	}
	return &p.fd
}

type invalid string

func (e invalid) Error() string { return string(e) }
func (invalid) Unwrap() error   { return os.ErrInvalid }

// A doneError is that the process has been reaped.
type doneError struct{ err error }

func (e doneError) Error() string   { return e.err.Error() }
func (e doneError) Unwrap() []error { return []error{e.err, os.ErrProcessDone} }

// fail makes the error of a method; it returns nil for nil.
//
//go:noinline
func fail(op string, err error) error {
	if err == nil {
		return nil
	}
	if e, ok := err.(*fildes.OpError); ok && e.Kind == "pidfd" {
		return err
	}
	if errors.Is(err, unix.ESRCH) && !errors.Is(err, os.ErrProcessDone) {
		err = doneError{err}
	}
	return fildes.NewOpError("pidfd", op, "", err)
}

// explainOpen says what pidfd_open(2) means.
func explainOpen(pid int, thread bool, err error) error {
	switch {
	case errors.Is(err, unix.ENOSYS):
		return &fildes.UnsupportedError{Feature: "pidfd_open", Since: "5.3", Err: err}
	case thread && errors.Is(err, unix.EINVAL):
		return &fildes.UnsupportedError{Feature: "PIDFD_THREAD", Since: "6.9", Err: err}
	case !thread && (errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOENT)): // EINVAL before Linux 6.15
		if e := unix.Kill(pid, 0); e != unix.ESRCH {
			return invalid("this is a thread, and not the one that leads its process: OpenThread takes it")
		}
		return doneError{err}
	}
	return err
}
