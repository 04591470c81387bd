//go:build linux && 386

package sys

import (
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

const filterEnv = "FILDES_TEST_FILTER_ERRNO"

// A seccomp filter that was written before timerfd_settime64 answers it with EPERM or ENOSYS. A filter stays for the life of a process,
// so that a child is tested.
func TestTimerFiltered(t *testing.T) {
	if v := os.Getenv(filterEnv); v != "" {
		errno, err := strconv.Atoi(v)
		if err != nil {
			t.Fatal(err)
		}
		underFilter(t, syscall.Errno(errno))
		return
	}
	for _, e := range []syscall.Errno{syscall.ENOSYS, syscall.EPERM} {
		t.Run(unix.ErrnoName(e), func(t *testing.T) {
			cmd := exec.Command("/proc/self/exe", "-test.run=^TestTimerFiltered$", "-test.v")
			cmd.Env = append(os.Environ(), filterEnv+"="+strconv.Itoa(int(e)))
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			t.Logf("%s", out)
		})
	}
}

func underFilter(t *testing.T, answer syscall.Errno) {
	refuse(t, answer, unix.SYS_TIMERFD_SETTIME64, unix.SYS_TIMERFD_GETTIME64)
	n := testTimer(t)
	var s Itimerspec
	if e := RawTimerSet(n, 0, &s, nil); e != answer {
		t.Fatalf("the filter doesn't filter: %v", e)
	}
	for _, first := range []func() syscall.Errno{
		func() syscall.Errno { return TimerGet(n, &s) },
		func() syscall.Errno { return TimerSet(n, 0, &s, nil) },
	} {
		noTime64.Store(false)
		if e := first(); e != 0 {
			t.Errorf("the first call: %v", e)
		}
		if !noTime64.Load() {
			t.Error("the refusal isn't remembered")
		}
		exerciseTimer(t, n)
		if e := TimerSet(n, 0, &tooFar, nil); e != syscall.EOVERFLOW {
			t.Errorf("set for 2^31 s: %v", e)
		}
	}
	noTime64.Store(false)
	exerciseTimer(t, n)
}

// refuse installs a seccomp filter in all threads.
func refuse(t *testing.T, answer syscall.Errno, calls ...uint32) {
	t.Helper()
	const load, equal, ret = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, unix.BPF_RET | unix.BPF_K
	allow := unix.SockFilter{Code: ret, K: unix.SECCOMP_RET_ALLOW}
	f := []unix.SockFilter{
		{Code: load, K: 4}, // seccomp_data.arch
		{Code: equal, K: unix.AUDIT_ARCH_I386, Jt: 1},
		allow,
		{Code: load, K: 0}, // seccomp_data.nr
	}
	for i, c := range calls {
		f = append(f, unix.SockFilter{Code: equal, K: c, Jt: uint8(len(calls) - i)})
	}
	f = append(f, allow, unix.SockFilter{Code: ret, K: unix.SECCOMP_RET_ERRNO | uint32(answer)})

	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		t.Fatal(err)
	}
	prog := unix.SockFprog{Len: uint16(len(f)), Filter: &f[0]}
	_, _, e := syscall.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&prog)))
	if e == syscall.ENOSYS || e == syscall.EINVAL {
		t.Skip("needs seccomp: CONFIG_SECCOMP_FILTER")
	}
	if e != 0 {
		t.Fatal(e)
	}
}
