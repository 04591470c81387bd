//go:build linux

package pidfd

import (
	"errors"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes"
	"github.com/fildes/fildes/internal/sys"
)

// A Namespace is a kind of namespace: namespaces(7).
type Namespace int

// The kinds.
const (
	CgroupNamespace Namespace = iota
	IPCNamespace
	MountNamespace
	NetNamespace
	PIDNamespace
	PIDForChildrenNamespace // of the processes that it will start
	TimeNamespace
	TimeForChildrenNamespace // of the processes that it will start
	UserNamespace
	UTSNamespace
)

var namespaces = [...]struct {
	name    string // in /proc/PID/ns
	request uint
	clone   int
}{
	{"cgroup", unix.PIDFD_GET_CGROUP_NAMESPACE, unix.CLONE_NEWCGROUP},
	{"ipc", unix.PIDFD_GET_IPC_NAMESPACE, unix.CLONE_NEWIPC},
	{"mnt", unix.PIDFD_GET_MNT_NAMESPACE, unix.CLONE_NEWNS},
	{"net", unix.PIDFD_GET_NET_NAMESPACE, unix.CLONE_NEWNET},
	{"pid", unix.PIDFD_GET_PID_NAMESPACE, unix.CLONE_NEWPID},
	{"pid_for_children", unix.PIDFD_GET_PID_FOR_CHILDREN_NAMESPACE, 0},
	{"time", unix.PIDFD_GET_TIME_NAMESPACE, unix.CLONE_NEWTIME},
	{"time_for_children", unix.PIDFD_GET_TIME_FOR_CHILDREN_NAMESPACE, 0},
	{"user", unix.PIDFD_GET_USER_NAMESPACE, unix.CLONE_NEWUSER},
	{"uts", unix.PIDFD_GET_UTS_NAMESPACE, unix.CLONE_NEWUTS},
}

func (n Namespace) known() bool { return n >= 0 && int(n) < len(namespaces) }

// String is the name that it has in /proc/PID/ns.
func (n Namespace) String() string {
	if !n.known() {
		return "Namespace(" + strconv.Itoa(int(n)) + ")"
	}
	return namespaces[n].name
}

// Namespace opens a namespace of the process: ioctl(2), PIDFD_GET_*_NAMESPACE. The file is the caller's, as if /proc/PID/ns had been opened, which it is before Linux 6.11. While it is open, so is the namespace.
//
// It takes the right to read the process's state (ptrace(2), PTRACE_MODE_READ_FSCREDS), else it fails with EACCES. It fails with [os.ErrProcessDone] (ESRCH) when the process has ended, and with an error
// that matches [errors.ErrUnsupported] where the kernel has no such namespaces.
func (p *Process) Namespace(kind Namespace) (file *os.File, err error) {
	err = p.engine().Control(func(num int) error {
		file, err = namespaceOf(num, kind)
		return err
	})
	return file, fail("namespace", err)
}

func namespaceOf(num int, kind Namespace) (*os.File, error) {
	if !kind.known() {
		return nil, errKind
	}
	n, err := sys.PidfdNamespace(num, namespaces[kind].request)
	switch {
	case err == nil:
		return os.NewFile(uintptr(n), kind.String()), nil
	case errors.Is(err, unix.EOPNOTSUPP):
		return nil, &fildes.UnsupportedError{Feature: "a namespace of the kind " + kind.String(), Err: err}
	case !noInfo(err):
		return nil, err
	}
	pid, err := seenPID(num)
	if err != nil {
		return nil, err
	}
	f, err := os.Open("/proc/" + strconv.Itoa(pid) + "/ns/" + kind.String())
	again, e := procPID(num)
	ended, _, e2 := sys.PidfdEnded(num)
	_, none := os.Lstat("/proc/self/ns/" + kind.String())
	switch {
	case errors.Is(none, os.ErrNotExist):
		e = &fildes.UnsupportedError{Feature: "a namespace of the kind " + kind.String(), Err: none}
	case e != nil:
	case e2 != nil:
		e = e2
	case again != pid || ended || errors.Is(err, os.ErrNotExist): // that's also a thread that leads others and has ended
		e = sys.Error("open", unix.ESRCH)
	default:
		return f, err
	}
	_ = f.Close() // which may be nil
	return nil, e
}

// Setns moves the thread into namespaces of the process, all or none: setns(2). The goroutine must be locked to its thread (runtime.LockOSThread) and never be unlocked, so that no other goroutine gets into them: the
// thread ends with it. That goes for a Setns that has failed, too: a mount namespace takes unsharing first.
//
// A PID namespace is that of the processes that the thread will start. A mount namespace makes the thread's working directory and umask its own and then its root. A program of several threads, which each in Go is, can't move into a user namespace (EINVAL)
// or a time namespace (EUSERS), and the kinds for children can't be moved into by name ([os.ErrInvalid]). It takes CAP_SYS_ADMIN. It fails with [os.ErrProcessDone] (ESRCH) when the process has ended. Linux 5.8.
func (p *Process) Setns(kinds ...Namespace) error {
	return fail("setns", p.engine().Control(func(num int) error {
		flags := 0
		for _, kind := range kinds {
			if !kind.known() || namespaces[kind].clone == 0 {
				return errKind
			}
			flags |= namespaces[kind].clone
		}
		if flags == 0 {
			return errKind
		}
		if flags&unix.CLONE_NEWNS != 0 && !gone(num) {
			if err := sys.UnshareFS(); err != nil {
				return err
			}
		}
		return sys.SetNamespaces(num, flags)
	}))
}

var errKind error = invalid("there must be namespaces, of the kinds that there are")
