//go:build linux

package main_test

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes/signalfd"
)

// traceOnTerminal starts the program as the leader of a session on a terminal, of which it returns the other end.
func traceOnTerminal(t *testing.T, how string) (*traced, *os.File) {
	t.Helper()
	self, err := os.Executable()
	try(t, err)
	master, terminal := openTerminal(t)
	cmd := exec.Command(program, "signals", "--pid-only", self)
	cmd.Env = receiving(how)
	cmd.Stdin = terminal
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	c := traceBy(t, cmd)
	try(t, terminal.Close())
	return c.ready(), master
}

// What the terminal sends reaches the command once: by itself, or forwarded if it has left the process group.
func TestSignalsTerminal(t *testing.T) {
	needTaps(t)
	for how, code := range map[string]string{"stay": "SI_KERNEL", "leave": "SI_USER"} {
		c, master := traceOnTerminal(t, how)
		for _, key := range []struct {
			press func()
			sig   signalfd.Signal
		}{
			{func() { _, _ = master.WriteString("\x03") }, signalfd.SIGINT},
			{func() { _, _ = master.WriteString("\x1c") }, signalfd.SIGQUIT},
			{func() { _, _ = master.WriteString("\x1a") }, signalfd.SIGTSTP},
			{func() {
				control(t, master, func(fd int) error {
					return unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Col: 90, Row: 50})
				})
			}, signalfd.SIGWINCH},
		} {
			key.press()
			told := key.sig.String() + " from the terminal"
			if how == "stay" {
				told += ", not forwarded: the command has it too"
			}
			c.want(told, fmt.Sprintf("%v %s 0 0", key.sig, code))
			c.send(signalfd.SIGUSR1) // comes next, so that there was one only
			if line := c.got(); line != "SIGUSR1 SI_USER 0 0" {
				t.Errorf("%s: %v: %q", how, key.sig, line)
			}
			_ = c.told()
		}
		// A hang-up is for the leader of the session.
		try(t, master.Close())
		rest, status := c.end()
		got, told, _ := strings.Cut(rest, "|")
		// Who reads the terminal ends with it, perhaps before; and SIGCONT comes too.
		if how == "leave" && (!strings.Contains(got, "SIGHUP SI_USER 0 0\n") || !strings.Contains(told, "SIGHUP from the kernel (SI_KERNEL)\n")) || status != 0 || strings.Contains(told, "has it too") {
			t.Errorf("%s: %#x, %q", how, status, rest)
		}
	}
}
