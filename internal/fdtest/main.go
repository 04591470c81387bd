//go:build linux

package fdtest

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes/internal/sys"
)

const (
	listEnv = "FDTEST_LIST_DESCRIPTORS"
	coldEnv = "FDTEST_COLD" // a test wants a process in which Go's poller hasn't started
)

// leaked is the exit status that says so, whether a test has failed as well or not.
const leaked = 3

// Main is TestMain: it is what [Program] starts, or runs the tests and fails the package when they leave a descriptor or a goroutine behind, but for descriptors that are kept for ever, on purpose.
func Main(m *testing.M, kept ...func() []int) {
	beProgram()
	if os.Getenv(listEnv) != "" {
		for n, link := range Descriptors() {
			fmt.Println(n, link)
		}
		os.Exit(0)
	}
	if os.Getenv(coldEnv) == "" {
		warmUp()
	}
	before := Descriptors()
	code := m.Run()
	if os.Getenv(coldEnv) != "" {
		os.Exit(code)
	}
	if err := leaks(before, kept); err != nil {
		fmt.Fprintln(os.Stderr, "fdtest:", err)
		code = leaked
	}
	os.Exit(code)
}

// warmUp opens what the runtime and the race hooks open once: Go's poller, and /dev/null in race builds.
func warmUp() {
	if r, w, err := os.Pipe(); err == nil {
		_ = r.SetDeadline(time.Now())
		_ = r.Close()
		_ = w.Close()
	}
	if n, e := sys.EventFD(1, false); e == 0 {
		var v uint64
		sys.RawReadWord(n, &v)
		_ = sys.Close(n)
	}
}

// Descriptors returns the open descriptors of this process and what they refer to.
func Descriptors() map[int]string {
	found := make(map[int]string)
	dir, err := os.ReadDir("/proc/self/fd")
	if err != nil { // no /proc: try them all
		for n := range 1024 {
			if _, err := unix.FcntlInt(uintptr(n), unix.F_GETFD, 0); err == nil {
				found[n] = "open"
			}
		}
		return found
	}
	for _, e := range dir {
		n, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if link, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil {
			found[n] = link // the directory itself is closed by now, and has none
		}
	}
	return found
}

// leaks waits for what is on its way out, and then says what is left.
func leaks(before map[int]string, kept []func() []int) error {
	var msg string
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		msg = ""
		after := Descriptors()
		for _, n := range slices.Sorted(maps.Keys(after)) {
			if link := after[n]; before[n] != link && !slices.ContainsFunc(kept, func(f func() []int) bool { return slices.Contains(f(), n) }) {
				msg += fmt.Sprintf("descriptor %d (%s) was left behind\n", n, link)
			}
		}
		for _, g := range Goroutines() {
			if !g.expected() {
				msg += "a goroutine was left behind:\n" + g.Stack + "\n\n"
			}
		}
		if msg == "" {
			return nil
		}
	}
	return fmt.Errorf("%s", strings.TrimSpace(msg))
}

// childDescriptors runs this test binary as a child and returns the descriptors that it was started with.
func childDescriptors(t testing.TB) map[int]string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), Bound)
	defer cancel()
	cmd := Self(ctx, t, "-test.run=^$")
	cmd.Env = append(os.Environ(), listEnv+"=1")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("listing a child's descriptors: %v", err)
	}
	found := make(map[int]string)
	for line := range strings.Lines(string(out)) {
		num, link, ok := strings.Cut(strings.TrimSpace(line), " ")
		if n, err := strconv.Atoi(num); ok && err == nil {
			found[n] = link
		}
	}
	if len(found) == 0 {
		t.Fatalf("the child listed no descriptors: %q; does the package's TestMain call fdtest.Main?", out)
	}
	return found
}
