//go:build linux

package fdtest

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
)

const (
	childEnv = "FDTEST_CHILD"
	execEnv  = "FDTEST_EXEC" // the command that runs this binary where the kernel can't: an emulator, with its options
)

// Self is a command that runs this test binary again.
func Self(ctx context.Context, t testing.TB, args ...string) *exec.Cmd {
	t.Helper()
	emulator := strings.Fields(os.Getenv(execEnv))
	if len(emulator) == 0 {
		return exec.CommandContext(ctx, "/proc/self/exe", args...)
	}
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return exec.CommandContext(ctx, emulator[0], append(append(emulator[1:], path), args...)...)
}

// InChild is for a test that changes its process, or may kill it. In the test's own process it runs the test again in a child, returns the
// child's output, false, and how the child ended; in the child it returns true.
func InChild(t testing.TB, env ...string) (out string, child bool, err error) {
	t.Helper()
	if os.Getenv(childEnv) == t.Name() {
		return "", true, nil
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*Bound)
	defer cancel()
	pattern := "^" + strings.ReplaceAll(t.Name(), "/", "$/^") + "$"
	cmd := Self(ctx, t, "-test.run", pattern, "-test.count=1", "-test.v")
	cmd.Env = append(append(os.Environ(), childEnv+"="+t.Name()), env...)
	b, err := cmd.CombinedOutput()
	return string(b), false, err
}
