//go:build linux

package fdtest

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
)

const childEnv = "FDTEST_CHILD"

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
	cmd := exec.CommandContext(ctx, "/proc/self/exe", "-test.run", pattern, "-test.count=1", "-test.v")
	cmd.Env = append(append(os.Environ(), childEnv+"="+t.Name()), env...)
	b, err := cmd.CombinedOutput()
	return string(b), false, err
}
