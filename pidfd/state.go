//go:build linux

package pidfd

import (
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes/signalfd"
)

// A State is how a process has ended. The zero State is one that hasn't.
type State struct {
	status syscall.WaitStatus
	ended  bool
	known  bool
	used   bool // usage is known
	usage  unix.Rusage
}

// Known says whether more is known than that the process has ended: see [Process.Wait].
func (s State) Known() bool { return s.known }

// WaitStatus is the State as wait(2) encodes it.
func (s State) WaitStatus() (status syscall.WaitStatus, ok bool) { return s.status, s.known }

// ExitCode is what the process has exited with, and -1 if a signal has ended it or nothing is known.
func (s State) ExitCode() int {
	if !s.known || !s.status.Exited() {
		return -1
	}
	return s.status.ExitStatus()
}

// Success says whether the process is known to have exited with 0.
func (s State) Success() bool { return s.ExitCode() == 0 }

// Signal is the signal that has ended the process, if one did.
func (s State) Signal() (sig signalfd.Signal, ok bool) {
	if !s.known || !s.status.Signaled() {
		return 0, false
	}
	return signalfd.Signal(s.status.Signal()), true
}

// CoreDumped says whether there is a core dump.
func (s State) CoreDumped() bool { return s.known && s.status.CoreDump() }

// Usage is what a child has used, with its own children that it has waited for: getrusage(2). Of others it isn't known.
func (s State) Usage() (usage unix.Rusage, ok bool) {
	return s.usage, s.used
}

// UserTime is the processor time of Usage outside of the kernel.
func (s State) UserTime() time.Duration {
	return time.Duration(s.usage.Utime.Nano())
}

// SystemTime is the processor time of Usage in the kernel.
func (s State) SystemTime() time.Duration {
	return time.Duration(s.usage.Stime.Nano())
}

// String is "exit status 1", "signal SIGKILL", "signal SIGSEGV, core dumped", "ended, it isn't known how", or of the zero State "not ended".
func (s State) String() string {
	sig, killed := s.Signal()
	switch {
	case !s.ended:
		return "not ended"
	case !s.known:
		return "ended, it isn't known how"
	case !killed:
		return "exit status " + strconv.Itoa(s.ExitCode())
	case s.CoreDumped():
		return "signal " + sig.String() + ", core dumped"
	}
	return "signal " + sig.String()
}

// statusOf encodes what waitid(2) says as wait(2) does.
func statusOf(c signalfd.Child) syscall.WaitStatus {
	switch c.Code {
	case signalfd.Killed:
		return syscall.WaitStatus(c.Status & 0x7f)
	case signalfd.Dumped:
		return syscall.WaitStatus(c.Status&0x7f | 0x80)
	}
	return syscall.WaitStatus(c.Status & 0xff << 8)
}
