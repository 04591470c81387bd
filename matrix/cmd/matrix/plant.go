package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/fildes/fildes/matrix/internal/outcome"
)

// A fault is a mistake that one of the machines is there to catch.
type fault struct {
	name, what       string
	file, right, not string
	machine          string // empty: the layouts, which a C compiler knows
	pkg              string
	test             string // that fails
}

var faults = []fault{
	{
		name: "layout", what: "the fields of a structure are swapped",
		file:  "internal/sys/timerfd_unsafe.go",
		right: "type Itimerspec struct{ Interval, Value Timespec }",
		not:   "type Itimerspec struct{ Value, Interval Timespec }",
		pkg:   "internal/sys", test: "TestLayout",
	},
	{
		name: "order", what: "bytes are read as a little-endian machine has them",
		file:  "internal/sys/word_unsafe.go",
		right: "\treturn e\n}\n\n// RawWriteWord",
		not: "\tb := (*[8]byte)(unsafe.Pointer(p))\n" +
			"\t*p = uint64(b[0]) | uint64(b[1])<<8 | uint64(b[2])<<16 | uint64(b[3])<<24 |\n" +
			"\t\tuint64(b[4])<<32 | uint64(b[5])<<40 | uint64(b[6])<<48 | uint64(b[7])<<56\n" +
			"\treturn e\n}\n\n// RawWriteWord",
		machine: "s390x-6.1", pkg: "eventfd", test: "TestCounter",
	},
	{
		name: "time-386", what: "a call with 32-bit times gets 64-bit ones",
		file:    "internal/sys/timerfd_32.go",
		right:   "unix.SYS_TIMERFD_SETTIME64",
		not:     "unix.SYS_TIMERFD_SETTIME",
		machine: "386-6.1", pkg: "timerfd", test: "TestRemaining",
	},
	{
		name: "time-arm", what: "the same, on another 32-bit machine",
		file:    "internal/sys/timerfd_32.go",
		right:   "unix.SYS_TIMERFD_SETTIME64",
		not:     "unix.SYS_TIMERFD_SETTIME",
		machine: "arm-6.1", pkg: "timerfd", test: "TestRemaining",
	},
	{
		name: "page", what: "a page has 4,096 bytes",
		file:    "conform_test.go",
		right:   "unix.Getpagesize()",
		not:     "4096",
		machine: "ppc64le-6.1", pkg: "fildes", test: "TestConformWriting",
	},
	{
		name: "feature", what: "every kernel has epoll_pwait2, of Linux 5.11",
		file:  "internal/sys/epoll_unsafe.go",
		right: "\tk, _, e := syscall.Syscall6(unix.SYS_EPOLL_PWAIT, uintptr(epfd), uintptr(unsafe.Pointer(first)), uintptr(n), 0, 0, 0)",
		not: "\tvar now Timespec\n" +
			"\tk, _, e := syscall.Syscall6(unix.SYS_EPOLL_PWAIT2, uintptr(epfd), uintptr(unsafe.Pointer(first)), uintptr(n), uintptr(unsafe.Pointer(&now)), 0, 0)",
		machine: "amd64-5.10", pkg: "epoll", test: "TestLevelEdgeAndOneShot",
	},
}

func plantCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "plant [FAULT…]",
		Short: "Plant faults in copies, and see that they are caught",
		Long:  "Plant faults in copies of the checkout, and see that the machine that is there\nto catch each does.\n\n" + describeFaults(),
		RunE: func(cmd *cobra.Command, args []string) error {
			for _, name := range args {
				if !slices.ContainsFunc(faults, func(f fault) bool { return f.name == name }) {
					return fmt.Errorf("there is no fault %q", name)
				}
			}
			root, err := checkout(cmd.Context())
			if err != nil {
				return err
			}
			w := cmd.OutOrStdout()
			missed := 0
			for _, f := range faults {
				if len(args) > 0 && !slices.Contains(args, f.name) {
					continue
				}
				by, err := f.plant(cmd.Context(), root)
				if cmd.Context().Err() != nil {
					return context.Cause(cmd.Context())
				}
				if err != nil {
					missed++
					_, _ = fmt.Fprintf(w, "MISSED  %-9s %s: %v\n", f.name, f.what, err)
					continue
				}
				_, _ = fmt.Fprintf(w, "caught  %-9s %s: by %s\n", f.name, f.what, by)
			}
			if missed > 0 {
				return errFailed
			}
			return nil
		},
	}
}

func describeFaults() string {
	var b strings.Builder
	for _, f := range faults {
		_, _ = fmt.Fprintf(&b, "  %-9s %s\n", f.name, f.what)
	}
	return b.String()
}

// plant makes the mistake in a copy of the checkout and returns which test of its machine noticed.
func (f fault) plant(ctx context.Context, root string) (by string, err error) {
	dir, err := os.MkdirTemp("", "fildes-plant-")
	if err != nil {
		return "", err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if err := copyCheckout(ctx, root, dir); err != nil {
		return "", err
	}
	file := filepath.Join(dir, f.file)
	b, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	if bytes.Count(b, []byte(f.right)) != 1 {
		return "", fmt.Errorf("%s has changed: the place for the fault isn't there once", f.file)
	}
	if err := os.WriteFile(file, bytes.Replace(b, []byte(f.right), []byte(f.not), 1), 0o644); err != nil {
		return "", err
	}
	tests, out, err := f.run(ctx, dir)
	if err != nil {
		return "", err
	}
	for _, t := range tests {
		if t.Result == outcome.Fail && outcome.Short(t.Package) == f.pkg && strings.HasPrefix(t.Name, f.test) {
			where := "the C compiler"
			if f.machine != "" {
				where = f.machine
			}
			return fmt.Sprintf("%s, %s %s", where, f.pkg, t.Name), nil
		}
	}
	return "", fmt.Errorf("%s of %s didn't fail\n%s", f.test, f.pkg, out)
}

func (f fault) run(ctx context.Context, dir string) ([]outcome.Test, []byte, error) {
	pkg := module + "/" + f.pkg
	if f.pkg == "fildes" {
		pkg = module
	}
	if f.machine == "" {
		cmd := exec.CommandContext(ctx, "go", "test", "-json", "-run", f.test, pkg)
		cmd.Dir = dir
		out, _ := cmd.Output() // it is to fail
		tests, err := outcome.Reader{Run: "here"}.Read(bytes.NewReader(out))
		return tests, out, err
	}
	report := filepath.Join(dir, "report.json")
	self, err := os.Executable()
	if err != nil {
		return nil, nil, err
	}
	cmd := exec.CommandContext(ctx, self, "--report", report, "--only", "^"+pkg+"$", "--run", "^"+f.test, f.machine)
	cmd.Dir = filepath.Join(dir, "matrix")
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 30 * time.Second
	out, _ := cmd.CombinedOutput() // likewise
	b, err := os.ReadFile(report)
	if err != nil {
		return nil, nil, fmt.Errorf("%w\n%s", err, out)
	}
	var r outcome.Report
	if err := json.Unmarshal(b, &r); err != nil {
		return nil, nil, err
	}
	return r.Machines[0].Tests, out, nil
}

// copyCheckout copies what git knows or would take.
func copyCheckout(ctx context.Context, root, dir string) error {
	cmd := exec.CommandContext(ctx, "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	cmd.Dir = root
	names, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("git ls-files: %w", err)
	}
	for name := range strings.SplitSeq(strings.TrimSuffix(string(names), "\x00"), "\x00") {
		to := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		if err := copyFile(to, filepath.Join(root, name)); err != nil && !os.IsNotExist(err) { // deleted, and not yet committed
			return err
		}
	}
	return nil
}

func copyFile(to, from string) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	if e := out.Close(); err == nil {
		err = e
	}
	return err
}
