//go:build linux

package main_test

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes/cmd/fildes/internal/report"
)

// policyVariable makes the test program answer a system call in some way and execute its arguments.
const policyVariable = "FILDES_TEST_SECCOMP"

// policies are the ways.
var policies = map[string]struct{ call, answer uint32 }{
	"kill": {unix.SYS_TIMERFD_CREATE, unix.SECCOMP_RET_KILL_PROCESS},
	"trap": {unix.SYS_TIMERFD_CREATE, unix.SECCOMP_RET_TRAP},
	"lack": {unix.SYS_TIMERFD_CREATE, unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)},
	"deny": {unix.SYS_TIMERFD_CREATE, unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)},
	"fail": {unix.SYS_TIMERFD_CREATE, unix.SECCOMP_RET_ERRNO | uint32(unix.EIO)},
	"none": {unix.SYS_PIDFD_OPEN, unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)},
	"full": {unix.SYS_INOTIFY_ADD_WATCH, unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSPC)},
}

// execUnder returns only if it fails.
func execUnder(policy string, args []string) error {
	runtime.LockOSThread() // the filter is the thread's
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("prctl: %w", err)
	}
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0}, // seccomp_data.nr
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: policies[policy].call, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: policies[policy].answer},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	if _, _, e := syscall.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, 0, uintptr(unsafe.Pointer(&program))); e != 0 {
		return fmt.Errorf("seccomp: %w", e)
	}
	if err := os.Unsetenv(policyVariable); err != nil {
		return err
	}
	return syscall.Exec(args[0], args, os.Environ())
}

func TestSeccomp(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		policy string
		status int
		result report.Result
		text   string
	}{
		{"kill", 0, report.Denied, "killed by SIGSYS: a seccomp filter"},
		{"trap", 0, report.Denied, "killed by SIGSYS: a seccomp filter"},
		{"deny", 0, report.Denied, "a seccomp filter or a security module forbids it"},
		{"lack", 0, report.Unsupported, "timerfd_create"},
		{"fail", 1, report.Failed, "timerfd_create: input/output error"},
	} {
		t.Run(c.policy, func(t *testing.T) {
			cmd := exec.Command(self, program, "doctor", "--json")
			cmd.Env = append(os.Environ(), policyVariable+"="+c.policy)
			o := finish(t, cmd)
			if strings.Contains(o.stderr, "seccomp: ") {
				t.Skip("needs seccomp filters: ", o.stderr)
			}
			r := o.want(t, c.status).report(t)
			if r.Host.Seccomp != "filter" {
				t.Errorf("seccomp is %q", r.Host.Seccomp)
			}
			for _, row := range r.Rows {
				switch {
				case row.Kind != "timerfd":
					if row.Result != report.OK {
						t.Errorf("row: %+v", row)
					}
				case row.Result != c.result:
					t.Errorf("row: %+v, want %s", row, c.result)
				case row.Check == "monotonic" && !strings.Contains(row.Reason, c.text):
					t.Errorf("row: %+v, want %q", row, c.text)
				}
			}
			cmd = exec.Command(self, program, "doctor", "timerfd")
			cmd.Env = append(os.Environ(), policyVariable+"="+c.policy)
			narrow(t, finish(t, cmd).want(t, c.status).stdout, 80)
		})
	}
}
