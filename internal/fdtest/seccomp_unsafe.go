//go:build linux

package fdtest

import (
	"fmt"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Answers of a seccomp filter.
const (
	AnswerSIGSYS = unix.SECCOMP_RET_TRAP
	answerErrno  = unix.SECCOMP_RET_ERRNO
)

// AnswerErrno is a filter's answer that fails the call.
func AnswerErrno(e unix.Errno) uint32 { return answerErrno | uint32(e) }

// Seccomp installs a filter, for all threads of this process and for good, that gives the answer to the system calls with these numbers.
// It belongs into a child: see [InChild].
func Seccomp(t testing.TB, answer uint32, calls ...uintptr) {
	t.Helper()
	Need(t, "seccomp", seccomp(answer, calls))
}

func seccomp(answer uint32, calls []uintptr) string {
	prog := []unix.SockFilter{{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0}} // seccomp_data.nr
	for i, nr := range calls {
		prog = append(prog, unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jt: uint8(len(calls) - i), K: uint32(nr)})
	}
	prog = append(prog,
		unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
		unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: answer})
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Sprintf("PR_SET_NO_NEW_PRIVS: %v", err)
	}
	fprog := unix.SockFprog{Len: uint16(len(prog)), Filter: &prog[0]}
	_, _, e := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&fprog)))
	if e != 0 {
		return fmt.Sprintf("this kernel has no seccomp filters: %v", e)
	}
	return ""
}
