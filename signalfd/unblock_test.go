//go:build linux

package signalfd

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/fildes/fildes/internal/fdtest"
	"github.com/fildes/fildes/internal/sys"
)

// Children have blocked what their parent has, but for those that Unblock prepares.
func TestUnblock(t *testing.T) {
	fdtest.NeedExec(t)
	if !blocking(t, Blockable()) {
		return
	}
	exe, err := os.Executable()
	check(t, err)
	r := newReceiverOf(t, RT(1), SIGUSR1)
	for _, unblocked := range []bool{false, true} {
		cmd := fdtest.Program(t.Context(), t, "cat", "proc/self/status", "/proc/self/environ")
		cmd.Path = exe
		cmd.Env = append(cmd.Env, "A=b")
		cmd.Dir = "/"
		if unblocked {
			check(t, Unblock(cmd))
		}
		check(t, Queue(os.Getpid(), RT(1), Value{Int: 4}))
		out, err := cmd.Output()
		check(t, err)
		set, err := blockedIn(out)
		if err != nil || set.Has(RT(1)) == unblocked || unblocked && set != (Set{}) || !bytes.Contains(out, []byte("\x00A=b\x00")) || bytes.Contains(out, []byte(execEnv)) {
			t.Errorf("%v, %v\n%s", set, err, out)
		}
		if i, err := r.Read(bounded(t)); err != nil || i.Signal != RT(1) {
			t.Error(i, err)
		}
	}
}

func TestUnblockErrors(t *testing.T) {
	fdtest.NeedExec(t)
	wantIs(t, Unblock(nil), os.ErrInvalid)
	wantIs(t, Unblock(&exec.Cmd{}), os.ErrInvalid)
	wantIs(t, Unblock(exec.Command("no-such-command")), exec.ErrNotFound)
	wantIs(t, Unblock(exec.Command("/proc/self/exe")), os.ErrInvalid)
	twice := &exec.Cmd{Path: "/bin/x"}
	check(t, Unblock(twice))
	if len(twice.Args) != 1 || twice.Args[0] != "/bin/x" {
		t.Error(twice.Args)
	}
	wantIs(t, Unblock(twice), os.ErrInvalid)
	through.Store(false)
	wantIs(t, Unblock(exec.Command("/bin/x")), os.ErrInvalid)
	through.Store(true)
	for path, want := range map[string]int{"/nonexistent": 127, "/proc/self/status": 126} {
		cmd := exec.Command(path)
		check(t, Unblock(cmd))
		out, err := cmd.CombinedOutput()
		if e, ok := errors.AsType[*exec.ExitError](err); !ok || e.ExitCode() != want || !strings.Contains(string(out), path+":") {
			t.Errorf("%s: %v\n%s", path, err, out)
		}
	}
}

// A signal that comes while the command is on its way has the effect that it would have.
func TestUnblockKilled(t *testing.T) {
	fdtest.NeedExec(t)
	if !blocking(t, Blockable()) {
		return
	}
	cmd := fdtest.Program(t.Context(), t, "hang")
	exe, err := os.Executable()
	check(t, err)
	cmd.Path = exe
	check(t, Unblock(cmd))
	check(t, cmd.Start())
	check(t, Queue(cmd.Process.Pid, RT(1), Value{}))
	err = cmd.Wait()
	e, ok := errors.AsType[*exec.ExitError](err)
	if !ok || !strings.Contains(e.String(), "signal") {
		t.Error(err)
	}
}

// A setuid program doesn't become what the environment says.
func TestUnblockSecure(t *testing.T) {
	fdtest.NeedExec(t)
	fdtest.NeedRoot(t)
	exe, err := os.ReadFile("/proc/self/exe")
	check(t, err)
	path := t.TempDir() + "/suid"
	check(t, os.WriteFile(path, exe, 0o700))
	check(t, os.Chmod(path, 0o4755|os.ModeSetuid))
	for dir := path; dir != "/" && dir != os.TempDir(); dir = filepath.Dir(dir) {
		check(t, os.Chmod(filepath.Dir(dir), 0o755))
	}
	cmd := exec.Command(path)
	cmd.Env = []string{fdtest.ProgramEnv + "=cat\n/proc/self/status", execEnv + "=/nonexistent"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := cmd.CombinedOutput()
	if value, _ := sys.InfoField(out, "Uid"); err != nil || string(value) != "65534\t0\t0\t0" {
		t.Errorf("%v: %q\n%s", err, value, out)
	}
}
