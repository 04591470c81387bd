//go:build linux

package sys

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// SignalInfoSize (SI_MAX_SIZE) is that of a siginfo_t.
const SignalInfoSize = 128

// QueueSignal sends a signal with what the sender says of it: rt_sigqueueinfo(2).
func QueueSignal(pid, signal int, info *[SignalInfoSize]byte) error {
	_, _, e := syscall.RawSyscall6(unix.SYS_RT_SIGQUEUEINFO, uintptr(pid), uintptr(signal), uintptr(unsafe.Pointer(info)), 0, 0, 0)
	return Error("rt_sigqueueinfo", e)
}

// QueueThreadSignal is QueueSignal to a thread: rt_tgsigqueueinfo(2).
func QueueThreadSignal(pid, tid, signal int, info *[SignalInfoSize]byte) error {
	_, _, e := syscall.RawSyscall6(unix.SYS_RT_TGSIGQUEUEINFO, uintptr(pid), uintptr(tid), uintptr(signal), uintptr(unsafe.Pointer(info)), 0, 0)
	return Error("rt_tgsigqueueinfo", e)
}

// PidfdSendSignal sends a signal to what a pidfd means, with what the sender says of it if info isn't nil: pidfd_send_signal(2).
func PidfdSendSignal(num, signal int, info *[SignalInfoSize]byte, flags uint) error {
	_, _, e := syscall.RawSyscall6(unix.SYS_PIDFD_SEND_SIGNAL, uintptr(num), uintptr(signal), uintptr(unsafe.Pointer(info)), uintptr(flags), 0, 0)
	return Error("pidfd_send_signal", e)
}

// WaitPidfd asks for the end of a child, without waiting: waitid(2). It returns an info without a signal if the child lives. If keep is set, the child can be asked for again.
func WaitPidfd(num int, info *[SignalInfoSize]byte, usage *unix.Rusage, keep bool) Errno {
	options := unix.WEXITED | unix.WNOHANG | unix.WALL
	if keep {
		options |= unix.WNOWAIT
	}
	for {
		_, _, e := syscall.RawSyscall6(unix.SYS_WAITID, unix.P_PIDFD, uintptr(num), uintptr(unsafe.Pointer(info)), uintptr(options), uintptr(unsafe.Pointer(usage)), 0)
		if e != syscall.EINTR {
			return e
		}
	}
}
