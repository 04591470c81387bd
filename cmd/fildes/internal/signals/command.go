//go:build linux

package signals

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes/pidfd"
	"github.com/fildes/fildes/signalfd"
)

// A StartError is why a command could not be started.
type StartError struct {
	Found bool // there is such a file
	Err   error
}

func (e *StartError) Error() string { return e.Err.Error() }
func (e *StartError) Unwrap() error { return e.Err }

// A command is a child that nobody has waited for, so that its number is its own.
type command struct {
	*pidfd.Process
	cmd *exec.Cmd
	pid int
}

func start(cmd *exec.Cmd) (*command, error) {
	if errors.Is(cmd.Err, exec.ErrDot) { // PATH has this directory, and shells take it
		cmd.Err = nil
	}
	p, err := pidfd.Start(cmd)
	switch {
	case err == nil:
		return &command{p, cmd, cmd.Process.Pid}, nil
	case cmd.Process != nil: // without a pidfd
		(&command{nil, cmd, cmd.Process.Pid}).kill()
		return nil, err
	}
	if _, ok := errors.AsType[*os.SyscallError](err); ok { // there are no pidfds
		return nil, err
	}
	name := cmd.Args[0]
	_, inPath := errors.AsType[*exec.Error](err)
	switch {
	case inPath && errors.Is(err, exec.ErrNotFound) && foundInPath(name):
		err = fs.ErrPermission
	case name == "", inPath && errors.Is(err, exec.ErrNotFound), errors.Is(err, fs.ErrNotExist) && !exists(cmd.Path):
		return nil, &StartError{Err: errors.New("command not found")}
	case errors.Is(err, fs.ErrNotExist):
		err = errors.New("its interpreter isn't found")
	}
	return nil, &StartError{Found: true, Err: cause(err)}
}

// cause is what err says without the names of what has met it.
func cause(err error) error {
	for next := errors.Unwrap(err); next != nil; next = errors.Unwrap(err) {
		err = next
	}
	return err
}

// foundInPath says whether there is a file of that name, which isn't executable.
func foundInPath(name string) bool {
	if strings.Contains(name, "/") {
		return false
	}
	for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
		if info, err := os.Stat(filepath.Join(dir, name)); err == nil && info.Mode().IsRegular() {
			return true
		}
	}
	return false
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

var (
	// ofTerminal are signals that the kernel sends to process groups.
	ofTerminal = signalfd.SetOf(signalfd.SIGHUP, signalfd.SIGINT, signalfd.SIGQUIT, signalfd.SIGTSTP, signalfd.SIGTTIN, signalfd.SIGTTOU, signalfd.SIGWINCH, signalfd.SIGCONT)
	// ofLeader are those of them that a terminal's hang-up sends to the leader of its session only.
	ofLeader = signalfd.SetOf(signalfd.SIGHUP, signalfd.SIGCONT)
	// ofUse are about who uses the terminal, so that others have nothing to do with them.
	ofUse = signalfd.SetOf(signalfd.SIGTTIN, signalfd.SIGTTOU)
	// ofProcess are what the kernel tells a process of its own doing.
	ofProcess = signalfd.SetOf(signalfd.SIGXCPU, signalfd.SIGSYS)
)

// forward sends a signal on, or says why it doesn't.
func (c *command) forward(i signalfd.Info) (kept string) {
	if kept := c.keep(i); kept != "" {
		return kept
	}
	var info pidfd.SignalInfo
	if v, ok := i.Value(); ok {
		info.Value = &v
	}
	err := c.SignalInfo(i.Signal, info)
	switch {
	case errors.Is(err, os.ErrProcessDone):
		return "the command has ended"
	case err != nil:
		return cause(err).Error()
	}
	return ""
}

// keep says why a signal isn't for the command.
func (c *command) keep(i signalfd.Info) string {
	pid, _, _ := i.Sender()
	switch {
	case i.Origin() == signalfd.FromUser && pid == c.pid: // to its process group, or to its parent
		return "the command has sent it"
	case i.Origin() != signalfd.FromKernel:
		return ""
	case ofProcess.Has(i.Signal):
		return "it is about fildes itself"
	case i.Code != signalfd.Kernel || !ofTerminal.Has(i.Signal):
		return "" // such as SIGALRM, of an alarm that was set before this program was executed
	case ofLeader.Has(i.Signal) && leads():
		return ""
	case c.inGroup():
		return "the command has it too"
	case ofUse.Has(i.Signal):
		return "it is about another process group than the command's"
	}
	return ""
}

// leads says whether this process leads its session.
func leads() bool {
	sid, err := unix.Getsid(0)
	return err == nil && sid == os.Getpid()
}

// inGroup says whether the command is in the process group of this process, where it began.
func (c *command) inGroup() bool {
	group, err := unix.Getpgid(c.pid)
	return err == nil && group == unix.Getpgrp()
}

// stopped says whether the command is stopped, once for each time.
func (c *command) stopped() bool {
	var info unix.Siginfo
	err := unix.Waitid(unix.P_PID, c.pid, &info, unix.WSTOPPED|unix.WNOHANG, nil)
	return err == nil && info.Signo != 0
}

// reap frees what is left of the command, which has ended.
func (c *command) reap() {
	_ = c.cmd.Wait() // the state is known
	if c.Process != nil {
		_ = c.Close()
	}
}

func (c *command) kill() {
	_ = c.cmd.Process.Kill()
	c.reap()
}
