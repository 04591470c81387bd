//go:build linux

package signalfd

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"sync/atomic"
	"syscall"

	"github.com/fildes/fildes/internal/sys"
)

const (
	// reexecEnv says that the process was started anew.
	reexecEnv = "FILDES_SIGNALFD_BLOCKED"
	// execEnv says which program the process is to become.
	execEnv = "FILDES_SIGNALFD_EXEC"

	selfPath = "/proc/self/exe"
)

// BlockAndReexec has signals blocked on each thread of the process, for [New]. It returns nil if they are, and else starts the program anew in this process, with the signals blocked: execve(2). So it is
// called at the beginning of main, before anything is done that isn't to be done twice. The signals must be of [Blockable].
//
// Arguments, environment, process ID, descriptors that aren't close-on-exec, and signals that wait already stay as they are. What the process starts has the signals blocked too, but for what [Unblock]
// prepares. os/signal.Notify unblocks them on one thread, and must not be called for them.
func BlockAndReexec(set Set) error {
	return fail("block", blockAndReexec(set))
}

func blockAndReexec(set Set) error {
	through.Store(true)
	if sys.Secure() { // who started it may be anybody
		if err := errors.Join(os.Unsetenv(execEnv), os.Unsetenv(reexecEnv)); err != nil {
			return err
		}
	}
	if path := os.Getenv(execEnv); path != "" {
		become(path)
	}
	if rest := set.Difference(Blockable()); rest != (Set{}) {
		return invalid("Go's runtime unblocks these on each thread that it starts: " + rest.String())
	}
	now, err := blocked()
	if err != nil {
		return err
	}
	if set.Difference(now) == (Set{}) {
		return os.Unsetenv(reexecEnv) // a child may be another program that does this
	}
	if _, again := os.LookupEnv(reexecEnv); again {
		_ = os.Unsetenv(reexecEnv)
		return fmt.Errorf("they were blocked when the program was started anew, and these aren't any more: %v: call it before os/signal.Notify", set.Difference(now))
	}
	path, err := os.Executable()
	if err != nil {
		return err
	}
	if !sameFile(path, selfPath) { // it was replaced
		path = selfPath
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	undo, err := sys.BlockSignals(signalSet(set))
	if err != nil {
		return err
	}
	defer undo()
	err = syscall.Exec(path, os.Args, append(os.Environ(), reexecEnv+"=1"))
	return sys.Named("execve", err)
}

// through says that BlockAndReexec is called, in which a command of Unblock becomes what it is to be.
var through atomic.Bool

// Unblock prepares a command so that it starts with no signal blocked, while this process has those of [New] blocked, which its children inherit. It changes Path and Env: this program is started once more, and becomes
// the command in [BlockAndReexec], which must be called at the beginning of main, with whatever set: else Unblock is refused with [os.ErrInvalid].
//
// It is called when all is final, just before Start. It costs the start of a Go program, a few milliseconds, and the init functions of this one. Signals that are blocked wait until the command is there. Others that reach it in these milliseconds are Go's
// runtime's: it ignores SIGUSR1, say, and dies of SIGTERM; so block all of [Blockable] to lose none. What was ignored isn't any more.
//
// The command needs /proc, and the right to execute this program, with the user and root directory that it is given. A Path that can't be executed shows as exit code 126 or 127 instead of an error of Start. A tracer (SysProcAttr.Ptrace) sees
// this program first. A program with the rights of another user than its parent's (setuid, file capabilities) is started, and does nothing of this: its environment isn't to be trusted.
func Unblock(cmd *exec.Cmd) error {
	if cmd == nil {
		return fail("unblock", os.ErrInvalid)
	}
	if cmd.Err != nil {
		return fail("unblock", cmd.Err)
	}
	if cmd.Path == "" {
		return fail("unblock", invalid("the command has no Path"))
	}
	if !through.Load() {
		return fail("unblock", invalid("the command is started through BlockAndReexec, which the beginning of main doesn't call"))
	}
	if cmd.Path == selfPath {
		return fail("unblock", invalid("the command is prepared already, or is this program: start it by its own path"))
	}
	if len(cmd.Args) == 0 {
		cmd.Args = []string{cmd.Path}
	}
	cmd.Env = append(cmd.Environ(), execEnv+"="+cmd.Path)
	cmd.Path = selfPath
	return nil
}

// become executes a program with no signal blocked. From when one is unblocked until then, it has the kernel's default action, as in the program.
func become(path string) {
	runtime.LockOSThread()
	_ = os.Unsetenv(execEnv)
	for sig := range All().Signals() {
		if sys.Handled(int(sig)) {
			_ = sys.DefaultSignal(int(sig))
		}
	}
	_ = sys.UnblockSignals(signalSet(All()))
	err := syscall.Exec(path, os.Args, os.Environ())
	fmt.Fprintln(os.Stderr, fail("unblock", &os.PathError{Op: "execve", Path: path, Err: err}))
	if err == syscall.ENOENT {
		os.Exit(127)
	}
	os.Exit(126)
}

func sameFile(a, b string) bool {
	x, err := os.Stat(a)
	if err != nil {
		return false
	}
	y, err := os.Stat(b)
	return err == nil && os.SameFile(x, y)
}
