//go:build linux

package pidfd

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes/internal/flags"
	"github.com/fildes/fildes/internal/sys"
	"github.com/fildes/fildes/signalfd"
)

// Fields says which parts of an [Info] the kernel has filled in.
type Fields uint64

// The fields.
const (
	IDs            Fields = unix.PIDFD_INFO_PID      // PIDFD_INFO_PID: PID, ThreadGroup, Parent
	Credentials    Fields = unix.PIDFD_INFO_CREDS    // PIDFD_INFO_CREDS: User, Group
	Cgroup         Fields = unix.PIDFD_INFO_CGROUPID // PIDFD_INFO_CGROUPID: CgroupID. Linux 6.13.
	Exit           Fields = unix.PIDFD_INFO_EXIT     // PIDFD_INFO_EXIT: State, of what has been reaped. Linux 6.15.
	CoreDump       Fields = unix.PIDFD_INFO_COREDUMP // PIDFD_INFO_COREDUMP: Core. Linux 6.16.
	CoreDumpSignal Fields = 1 << 6                   // PIDFD_INFO_COREDUMP_SIGNAL: CoreSignal. Linux 6.19.

	supportedMask Fields = 1 << 5 // PIDFD_INFO_SUPPORTED_MASK
)

var fieldNames = []flags.Name{
	{Bits: uint64(IDs), Text: "PID"}, {Bits: uint64(Credentials), Text: "CREDS"}, {Bits: uint64(Cgroup), Text: "CGROUPID"}, {Bits: uint64(Exit), Text: "EXIT"},
	{Bits: uint64(CoreDump), Text: "COREDUMP"}, {Bits: uint64(supportedMask), Text: "SUPPORTED_MASK"}, {Bits: uint64(CoreDumpSignal), Text: "COREDUMP_SIGNAL"},
}

// Has says whether all bits of g are set.
func (f Fields) Has(g Fields) bool { return f&g == g }

// String is the names of the bits joined with "|", those without a name last as a number, and "0" if there are none.
func (f Fields) String() string { return flags.Format(uint64(f), fieldNames) }

// MarshalText returns what String does.
func (f Fields) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

// UnmarshalText accepts what String gives, in any order.
func (f *Fields) UnmarshalText(text []byte) error {
	v, err := flags.Parse(string(text), fieldNames)
	if err != nil {
		return fmt.Errorf("pidfd: fields: %w", err)
	}
	*f = Fields(v)
	return nil
}

// IDSet are the four IDs of a user or a group that a process has: credentials(7).
type IDSet struct {
	Real       uint32 // who started it
	Effective  uint32 // whose rights it has
	Saved      uint32 // whose rights it can take again
	FileSystem uint32 // whose rights it has to files: usually those of Effective
}

// An Info is what the kernel says of a process. It was true when it was asked.
type Info struct {
	// Fields says which of the others are valid.
	Fields Fields
	// PID and ThreadGroup are the thread's number, which of a process is that of the thread that leads it, and the process's. Parent is the parent's, 0 if this pid namespace doesn't have it.
	PID, ThreadGroup, Parent int
	// User and Group are counted as this process's user namespace does.
	User, Group IDSet
	// CgroupID is the inode of the cgroup's directory in the version 2 hierarchy; of what has been reaped, of the one where it was last.
	CgroupID uint64
	// State is how it has ended.
	State State
	// Core says for whom the memory of a process that lives would be dumped, and if it has crashed and core(5)'s core_pattern names a socket, what became of it.
	Core Core
	// CoreSignal is the signal of the crash.
	CoreSignal signalfd.Signal
}

// Core says what became of a crashed process's memory.
type Core uint32

// The bits.
const (
	CoreDumped  Core = unix.PIDFD_COREDUMPED    // PIDFD_COREDUMPED: it has crashed
	CoreSkipped Core = unix.PIDFD_COREDUMP_SKIP // PIDFD_COREDUMP_SKIP: and nothing was dumped
	CoreAsUser  Core = unix.PIDFD_COREDUMP_USER // PIDFD_COREDUMP_USER: and it was dumped for its user
	CoreAsRoot  Core = unix.PIDFD_COREDUMP_ROOT // PIDFD_COREDUMP_ROOT: and it was dumped for root only
)

var coreNames = []flags.Name{
	{Bits: uint64(CoreDumped), Text: "DUMPED"}, {Bits: uint64(CoreSkipped), Text: "SKIP"}, {Bits: uint64(CoreAsUser), Text: "USER"}, {Bits: uint64(CoreAsRoot), Text: "ROOT"},
}

// Has says whether all bits of d are set.
func (c Core) Has(d Core) bool { return c&d == d }

// String is the names of the bits joined with "|", those without a name last as a number, and "0" if there are none.
func (c Core) String() string { return flags.Format(uint64(c), coreNames) }

// MarshalText returns what String does.
func (c Core) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText accepts what String gives, in any order.
func (c *Core) UnmarshalText(text []byte) error {
	v, err := flags.Parse(string(text), coreNames)
	if err == nil && v>>32 != 0 {
		err = fmt.Errorf("%#x has more than 32 bits", v)
	}
	if err != nil {
		return fmt.Errorf("pidfd: core: %w", err)
	}
	*c = Core(v)
	return nil
}

// Info asks for all that the kernel says of the process: ioctl(2), PIDFD_GET_INFO. Before Linux 6.13 it is what /proc/PID/status says, which must be mounted: the IDs and credentials.
//
// It fails with [os.ErrProcessDone] (ESRCH) when the process has been reaped, unless the kernel knows how it has ended (Linux 6.15), and with EREMOTE when this pid namespace doesn't have it.
func (p *Process) Info() (info Info, err error) {
	err = p.engine().Control(func(num int) error {
		info, err = infoOf(num)
		return err
	})
	return info, fail("info", err)
}

func infoOf(num int) (Info, error) {
	k := unix.PidfdInfo{Mask: uint64(IDs | Credentials | Cgroup | Exit | CoreDump)}
	err := sys.PidfdInfo(num, &k)
	if noInfo(err) {
		return procInfo(num)
	}
	if err != nil {
		return Info{}, remote(num, err)
	}
	return decode(&k), nil
}

// noInfo says whether the kernel doesn't know PIDFD_GET_INFO.
func noInfo(err error) bool {
	return errors.Is(err, unix.ENOTTY) || errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS)
}

func decode(k *unix.PidfdInfo) Info {
	i := Info{
		Fields: Fields(k.Mask), PID: int(k.Pid), ThreadGroup: int(k.Tgid), Parent: int(k.Ppid),
		User: IDSet{k.Ruid, k.Euid, k.Suid, k.Fsuid}, Group: IDSet{k.Rgid, k.Egid, k.Sgid, k.Fsgid},
		CgroupID: k.Cgroupid, Core: Core(k.Coredump_mask), CoreSignal: signalfd.Signal(k.Coredump_signal),
	}
	if i.Fields.Has(Exit) {
		i.State = State{ended: true, known: true, status: syscall.WaitStatus(k.Exit_code)}
	}
	return i
}

// remote says of a process that isn't seen here what the kernel says since Linux 7.0; before, it said that there is none.
func remote(num int, err error) error {
	if errors.Is(err, unix.ESRCH) && !gone(num) {
		return sys.Error("ioctl", unix.EREMOTE)
	}
	return err
}

// seenPID is the number that /proc has for a process that is there.
func seenPID(num int) (int, error) {
	pid, err := procPID(num)
	switch {
	case err != nil:
		return 0, err
	case pid == 0:
		return 0, sys.Error("ioctl", unix.EREMOTE)
	case pid < 0:
		return 0, sys.Error("ioctl", unix.ESRCH)
	}
	return pid, nil
}

// procInfo is what /proc says, if the number is the process's before and afterwards.
func procInfo(num int) (Info, error) {
	pid, err := seenPID(num)
	if err != nil {
		return Info{}, err
	}
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	switch again, e := procPID(num); {
	case e != nil:
		return Info{}, e
	case again != pid:
		return Info{}, sys.Error("ioctl", unix.ESRCH)
	case err != nil:
		return Info{}, err
	}
	return parseProcStatus(text)
}

func parseProcStatus(text []byte) (Info, error) {
	i := Info{Fields: IDs | Credentials}
	for name, to := range map[string][]*uint32{
		"Uid": {&i.User.Real, &i.User.Effective, &i.User.Saved, &i.User.FileSystem},
		"Gid": {&i.Group.Real, &i.Group.Effective, &i.Group.Saved, &i.Group.FileSystem},
	} {
		values, err := numbers(text, name, len(to))
		if err != nil {
			return Info{}, err
		}
		for k, v := range values {
			*to[k] = uint32(v)
		}
	}
	for name, to := range map[string]*int{"Pid": &i.PID, "Tgid": &i.ThreadGroup, "PPid": &i.Parent} {
		values, err := numbers(text, name, 1)
		if err != nil {
			return Info{}, err
		}
		*to = int(values[0])
	}
	return i, nil
}

func numbers(text []byte, name string, n int) ([]uint64, error) {
	value, _ := sys.InfoField(text, name)
	fields := bytes.Fields(value)
	if len(fields) != n {
		return nil, fmt.Errorf("/proc says %q of %s: %w", value, name, os.ErrInvalid)
	}
	out := make([]uint64, n)
	for i, f := range fields {
		v, err := strconv.ParseUint(string(f), 10, 32)
		if err != nil {
			return nil, fmt.Errorf("/proc says %q of %s: %w", value, name, err)
		}
		out[i] = v
	}
	return out, nil
}

// PID is the process's number, or the thread's, as this process's pid namespace counts: for people, and for what takes nothing else. As soon as the process has been reaped the number may be given to another one.
//
// It fails with [os.ErrProcessDone] when that has happened, and with EREMOTE when this pid namespace doesn't have the process. Before Linux 6.13 it is as the pid namespace of /proc counts, which must be mounted.
func (p *Process) PID() (pid int, err error) {
	err = p.engine().Control(func(num int) error {
		pid, err = pidOf(num)
		return err
	})
	return pid, fail("pid", err)
}

func pidOf(num int) (int, error) {
	info := unix.PidfdInfo{Mask: unix.PIDFD_INFO_PID}
	err := sys.PidfdInfo(num, &info)
	if err == nil {
		return int(info.Pid), nil
	}
	if !noInfo(err) {
		return 0, remote(num, err)
	}
	return seenPID(num)
}

// ID is a number that no other process has had or will have until the machine is restarted: the inode of the pidfd. Linux 6.9. On 32-bit kernels it repeats after 4 billion processes.
func (p *Process) ID() (id uint64, err error) {
	err = p.engine().Control(func(num int) error {
		var ok bool
		if id, ok, err = sys.PidfdID(num); err == nil && !ok {
			err = errNoID
		}
		return err
	})
	return id, fail("id", err)
}
