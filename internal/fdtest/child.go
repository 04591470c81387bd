//go:build linux

package fdtest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"regexp"
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
	words, err := selfWords()
	if err != nil {
		t.Fatal(err)
	}
	return exec.CommandContext(ctx, words[0], append(words[1:], args...)...)
}

// selfWords begin a command that runs this binary.
func selfWords() ([]string, error) {
	emulator := strings.Fields(os.Getenv(execEnv))
	if len(emulator) == 0 {
		return []string{"/proc/self/exe"}, nil
	}
	path, err := os.Executable()
	return append(emulator, path), err
}

// NeedExec skips the test where this binary can't call execve(2) with itself: it is emulated.
func NeedExec(t testing.TB) {
	t.Helper()
	if os.Getenv(execEnv) != "" {
		Need(t, "exec", "a kernel that runs this binary: an emulator does")
	}
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
	pattern := "^" + strings.ReplaceAll(regexp.QuoteMeta(t.Name()), "/", "$/^") + "$"
	cmd := Self(ctx, t, "-test.run", pattern, "-test.count=1", "-test.v", fmt.Sprint("-test.short=", testing.Short()))
	cmd.Env = append(append(os.Environ(), childEnv+"="+t.Name()), env...)
	b, err := cmd.CombinedOutput()
	return string(b), false, err
}
