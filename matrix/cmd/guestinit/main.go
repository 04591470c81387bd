//go:build linux

// Command guestinit is the first process of a guest: it makes the machine ready, runs what the plan says, tells the runner over
// the console, and switches the machine off.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes/matrix/internal/guest"
)

func main() {
	if os.Getpid() != 1 {
		fmt.Fprintln(os.Stderr, "guestinit: this is the first process of a virtual machine, and would switch this one off; see docs/MATRIX.md")
		os.Exit(2)
	}
	err := do(os.Stdout)
	down := guest.Frame{Kind: guest.Down}
	if err == nil {
		err = untainted()
	}
	if err != nil {
		down.Error = err.Error()
	}
	_ = guest.Write(os.Stdout, down)
	drain()
	_ = unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
	select {} // the kernel panics when the first process ends
}

func do(console io.Writer) error {
	raw()
	if err := mountAll(); err != nil {
		return err
	}
	b, err := os.ReadFile(guest.PlanFile)
	if err != nil {
		return err
	}
	var plan guest.Plan
	if err := json.Unmarshal(b, &plan); err != nil {
		return fmt.Errorf("%s: %w", guest.PlanFile, err)
	}
	for _, m := range plan.Modules {
		if err := load(m); err != nil {
			return err
		}
	}
	if err := linkUp("lo"); err != nil {
		return err
	}
	// Programs raise their own; what opens all that it may needs its time.
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: 1024, Max: 2048}); err != nil {
		return fmt.Errorf("RLIMIT_NOFILE: %w", err)
	}
	if err := mountLate(); err != nil {
		return err
	}
	var uts unix.Utsname
	if err := unix.Uname(&uts); err != nil {
		return err
	}
	up := guest.Frame{Kind: guest.Up, Release: unix.ByteSliceToString(uts.Release[:]), Page: os.Getpagesize()}
	if err := guest.Write(console, up); err != nil {
		return err
	}
	for i, r := range plan.Runs {
		if err := run(console, i, r, plan.Env); err != nil {
			return err
		}
	}
	return nil
}

// untainted says whether the kernel has complained about itself: with a bug or an oops, or with a warning.
func untainted() error {
	b, err := os.ReadFile("/proc/sys/kernel/tainted")
	if err != nil {
		return err
	}
	bits, err := strconv.ParseUint(strings.TrimSpace(string(b)), 10, 64)
	if err == nil && bits&(died|warned) != 0 {
		err = fmt.Errorf("the kernel is tainted (%#x): it had an oops or a warning", bits)
	}
	return err
}

// Of /proc/sys/kernel/tainted.
const (
	died   = 1 << 7
	warned = 1 << 9
)

// raw keeps the console from changing what is written.
func raw() {
	t, err := unix.IoctlGetTermios(1, unix.TCGETS)
	if err != nil {
		return
	}
	t.Oflag &^= unix.OPOST
	_ = unix.IoctlSetTermios(1, unix.TCSETS, t)
}

// drain waits until the console has sent everything.
func drain() { _ = unix.IoctlSetInt(1, unix.TCSBRK, 1) }

func load(m guest.Module) error {
	f, err := os.Open(m.File)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	if err := finit(f, m.Params); err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("finit_module %s %s: %w", m.File, m.Params, err)
	}
	return nil
}

func finit(f *os.File, params string) (err error) {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	return errors.Join(raw.Control(func(n uintptr) { err = unix.FinitModule(int(n), params, 0) }), err)
}

func linkUp(name string) error {
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(s) }()
	req, err := unix.NewIfreq(name)
	if err != nil {
		return err
	}
	req.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	if err := unix.IoctlIfreq(s, unix.SIOCSIFFLAGS, req); err != nil {
		return fmt.Errorf("%s up: %w", name, err)
	}
	return nil
}

// run runs one program and says how it ended. Its error is about the console: what goes wrong with the program is for the runner
// to judge.
func run(console io.Writer, i int, r guest.Run, env []string) error {
	if err := guest.Write(console, guest.Frame{Kind: guest.Begin, Run: i}); err != nil {
		return err
	}
	home := fmt.Sprintf("/tmp/home-%d", r.UID)
	if err := os.MkdirAll(home, 0o700); err != nil {
		return err
	}
	if err := os.Chown(home, r.UID, r.UID); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), r.Timeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, r.Args[0], r.Args[1:]...)
	cmd.Dir = r.Dir
	cmd.Env = append([]string{"HOME=" + home, "TMPDIR=" + home, "PATH=/usr/bin:/bin", "GOTRACEBACK=all"}, env...)
	out := &forward{w: console}
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Setsid:     true,
		Credential: &syscall.Credential{Uid: uint32(r.UID), Gid: uint32(r.UID), Groups: []uint32{}},
	}
	cmd.WaitDelay = 5 * time.Second // for children that outlive it and hold its output
	begin := time.Now()
	end := guest.Frame{Kind: guest.End, Run: i}
	err := cmd.Run()
	if cmd.Process != nil {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // what it has left running
	}
	end.Elapsed = time.Since(begin)
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		end.Error = fmt.Sprintf("killed after %v", r.Timeout)
	case errors.As(err, &exit):
		end.Error = exit.String()
	case err != nil:
		end.Error = err.Error()
	}
	if out.err != nil {
		return out.err
	}
	if r.Collect != "" {
		content, err := os.ReadFile(r.Collect)
		if err == nil {
			end.Size = len(content)
			err = guest.WriteFile(console, i, content)
			_ = os.Remove(r.Collect)
		}
		if err != nil && end.Error == "" {
			end.Error = err.Error()
		}
	}
	return guest.Write(console, end)
}

// forward passes on what a program prints, and never fails to it.
type forward struct {
	w   io.Writer
	err error
}

func (f *forward) Write(p []byte) (int, error) {
	if f.err == nil {
		_, f.err = f.w.Write(p)
	}
	return len(p), nil
}

// mountAll mounts what every program may expect. A kernel that lacks one of the optional file systems leaves its place empty.
func mountAll() error {
	for _, m := range []struct {
		kind, at, data string
		flags          uintptr
		optional       bool
	}{
		{"devtmpfs", "/dev", "", unix.MS_NOSUID, false},
		{"proc", "/proc", "", 0, false},
		{"sysfs", "/sys", "", 0, false},
		{"devpts", "/dev/pts", "ptmxmode=0666,mode=0620,gid=5", 0, false},
		{"tmpfs", "/dev/shm", "mode=1777", 0, false},
		{"mqueue", "/dev/mqueue", "", 0, true},
		{"tmpfs", "/tmp", "mode=1777", 0, false},
		{"tmpfs", "/run", "mode=0755", 0, false},
		{"cgroup2", "/sys/fs/cgroup", "", 0, true},
		{"tracefs", "/sys/kernel/tracing", "", 0, true},
	} {
		if err := os.MkdirAll(m.at, 0o755); err != nil {
			if m.optional { // sysfs makes the directory if the kernel has the file system
				continue
			}
			return err
		}
		if err := unix.Mount(m.kind, m.at, m.kind, m.flags, m.data); err != nil && !m.optional {
			return fmt.Errorf("mount %s on %s: %w", m.kind, m.at, err)
		}
	}
	for link, to := range map[string]string{"/dev/fd": "/proc/self/fd", "/dev/stdin": "fd/0", "/dev/stdout": "fd/1", "/dev/stderr": "fd/2"} {
		if err := os.Symlink(to, link); err != nil && !errors.Is(err, os.ErrExist) {
			return err
		}
	}
	return os.Chmod("/dev/ptmx", 0o666)
}

// mountLate mounts what modules bring.
func mountLate() error {
	b, err := os.ReadFile("/proc/filesystems")
	if err != nil {
		return err
	}
	if !strings.Contains(string(b), "configfs") {
		return nil
	}
	if err := unix.Mount("configfs", "/sys/kernel/config", "configfs", 0, ""); err != nil && !errors.Is(err, unix.EBUSY) {
		return fmt.Errorf("mount configfs on %s: %w", runtime.GOARCH, err)
	}
	return nil
}
