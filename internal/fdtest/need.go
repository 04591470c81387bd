//go:build linux

package fdtest

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// Need skips the test because the machine lacks something, which is named by a short word ("proc", "seccomp") and explained by
// reason; an empty reason means that it is there. The environment variable FDTEST_MUST lists words, separated by commas, whose absence
// is a failure instead ("all" is each of them).
func Need(t testing.TB, word, reason string) {
	t.Helper()
	if reason == "" {
		return
	}
	must := strings.Split(os.Getenv("FDTEST_MUST"), ",")
	if slices.Contains(must, word) || slices.Contains(must, "all") {
		t.Fatalf("FDTEST_MUST has %s, but: %s", word, reason)
	}
	t.Skipf("needs %s: %s", word, reason)
}

// NeedRoot is Need for user 0.
func NeedRoot(t testing.TB) {
	t.Helper()
	reason := ""
	if uid := os.Geteuid(); uid != 0 {
		reason = fmt.Sprintf("the effective user is %d, not root", uid)
	}
	Need(t, "root", reason)
}

// NeedUser is Need for a user other than 0.
func NeedUser(t testing.TB) {
	t.Helper()
	reason := ""
	if os.Geteuid() == 0 {
		reason = "the effective user is root"
	}
	Need(t, "user", reason)
}

// NeedCap is Need for an effective capability, such as unix.CAP_SYS_TIME with the word "sys_time".
func NeedCap(t testing.TB, capability int, word string) {
	t.Helper()
	reason := ""
	if !HasCap(capability) {
		reason = fmt.Sprintf("the process doesn't have CAP_%s", strings.ToUpper(word))
	}
	Need(t, word, reason)
}

// HasCap says whether the capability is effective.
func HasCap(capability int) bool {
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if unix.Capget(&hdr, &data[0]) != nil {
		return false
	}
	return data[capability/32].Effective&(1<<(capability%32)) != 0
}

// NeedPidfd skips the test where this binary is emulated.
func NeedPidfd(t testing.TB) {
	t.Helper()
	if os.Getenv(execEnv) != "" {
		Need(t, "pidfd", "pidfds as the kernel has them: an emulator doesn't know their ioctls, nor how to clone with one, and hands their flags on as they are")
	}
}

// NeedProgram is Need for a program of the machine, whose path it returns.
func NeedProgram(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		Need(t, "programs", err.Error())
	}
	return path
}
