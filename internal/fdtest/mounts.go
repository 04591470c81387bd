//go:build linux

package fdtest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

const mountsEnv = "FDTEST_PRIVATE_MOUNTS"

// PrivateMounts is for TestMain, before Main: where it may, it runs the test binary again in a mount namespace of its own, so that what tests mount ends with it, however it ends.
func PrivateMounts() {
	if os.Getenv(mountsEnv) != "" || os.Geteuid() != 0 || os.Getenv(execEnv) != "" {
		return
	}
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Args[0] = os.Args[0]
	cmd.Env = append(os.Environ(), mountsEnv+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: unix.CLONE_NEWNS, Pdeathsig: unix.SIGKILL}
	err := cmd.Start()
	if errors.Is(err, unix.EPERM) {
		return
	}
	if err == nil {
		err = cmd.Wait()
	}
	if ee, ok := errors.AsType[*exec.ExitError](err); ok && ee.Exited() {
		os.Exit(ee.ExitCode())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "fdtest:", err)
		os.Exit(leaked)
	}
	os.Exit(0)
}

// Tmpfs returns a directory where a tmpfs is mounted, in the namespace of PrivateMounts.
func Tmpfs(t testing.TB) string {
	t.Helper()
	reason := ""
	if os.Getenv(mountsEnv) == "" {
		reason = "mounting needs root, a mount namespace, and a TestMain that calls PrivateMounts"
	}
	Need(t, "mounts", reason)
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=64m"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.UMOUNT_NOFOLLOW); err != nil && !errors.Is(err, unix.EINVAL) {
			t.Errorf("unmounting %s: %v", dir, err)
			_ = unix.Unmount(dir, unix.MNT_DETACH)
		}
	})
	return dir
}
