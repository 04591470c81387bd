//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/fildes/fildes/cmd/fildes/internal/signals"
	"github.com/fildes/fildes/pidfd"
	"github.com/fildes/fildes/signalfd"
)

const signalsLong = `signals runs COMMAND and prints each signal that reaches fildes, which stands in
COMMAND's place: who has sent it, and with what value. It forwards the signal to
COMMAND, and ends as COMMAND does. Who keeps killing this?

  12:03:04.123 SIGTERM from 4711 (root) systemctl stop nginx
  12:03:04.123 SIGRTMIN+1 value 42 from 815 (ann, claimed) ./sender
  12:03:04.123 SIGINT from the terminal, not forwarded: the command has it too

A line is the time, the signal, the process and its real user, and its command
line. (gone) is a process that had ended before it could be looked up, [name]
one that has no command line, and (hidden) one that /proc doesn't show. The
kernel vouches for process and user; what sigqueue(3) sends is "claimed": its
sender may have written anything.

Lines go to standard error, with arguments quoted where they have spaces or what
a terminal would obey. With --json a line is an object:

  time      RFC 3339, when the signal was read
  signal    its name; code, why it was sent, as "SI_USER"
  origin    "kernel", "user" (of whom the kernel tells) or "claimed"
  pid, uid  of the sender, if there is one; pid is 0 if it has no number here
  user      its name
  command_line   of the sender, a list; cut: true if it's longer
  raw_command_line   the same in base64, if it isn't UTF-8
  name, gone, hidden   as [name], (gone), (hidden) above
  value     that came with the signal; pointer, the same as a pointer
  forwarded true, or false; why not
  lost      so many signals were lost, and there are no other fields

Forwarded is all but what COMMAND has already: what the terminal sends to the
process group, which COMMAND is in unless it leaves it, and what COMMAND has
sent itself. Nobody can tell kill(2) to the process group, as shells use it for
%1: that COMMAND gets twice. What can't be caught, as SIGKILL, or what Go needs
for itself, as SIGSEGV and SIGURG, can't be seen.

When COMMAND is stopped, fildes is too, so that the shell has its terminal.

The exit status is COMMAND's, and if a signal has ended it, fildes ends by the
same one. It is 127 if COMMAND isn't found, 126 if it can't be executed, 1 if
signals can't be received here, and 2 when fildes was called wrongly.`

// Exit statuses of what runs a command, as shells have them.
const (
	exitCannotRun = 126
	exitNotFound  = 127
)

func newSignals() *cobra.Command {
	var asJSON, numbers bool
	var output string
	cmd := &cobra.Command{
		Use:     "signals [flags] -- COMMAND [ARG...]",
		Short:   "Run a command and print who sends signals to it",
		Long:    signalsLong,
		Example: "  fildes signals -- make test\n  fildes signals --output /var/log/who.log -- nginx -g 'daemon off;'\n  fildes signals --json -- ./server 2>&1 >/dev/null | jq .command_line",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return errors.New("which COMMAND is to be run?")
			}
			return nil
		},
		DisableFlagsInUseLine: true,
		RunE: running(func(cmd *cobra.Command, args []string) error {
			note := func(format string, a ...any) {
				_, _ = fmt.Fprintf(cmd.ErrOrStderr(), "fildes: "+format+"\n", a...)
			}
			w := cmd.ErrOrStderr()
			if output != "" {
				f, err := os.OpenFile(output, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o666)
				if err != nil {
					return err
				}
				defer func() {
					if err := f.Close(); err != nil {
						note("%v", err)
					}
				}()
				w = f
			}
			return runCommand(args, !numbers, told(&signals.Printer{W: w, JSON: asJSON, Number: numbers}, note))
		}),
	}
	f := cmd.Flags()
	f.SetInterspersed(false) // what comes after COMMAND is its own
	f.BoolVar(&asJSON, "json", false, "print an object per line")
	f.StringVarP(&output, "output", "o", "", "append the lines to `FILE` instead of printing them to standard error")
	f.BoolVar(&numbers, "pid-only", false, "print numbers only: look nobody up, in /proc or among the users")
	return cmd
}

// told prints until that fails. The command goes on: it is worth more than what is said of it.
func told(p *signals.Printer, note func(format string, a ...any)) func(signals.Record) {
	var failed error
	return func(r signals.Record) {
		if failed != nil {
			return
		}
		if failed = p.Print(r); failed != nil {
			note("no more signals are printed: %v", failed)
		}
	}
}

// runCommand returns an endError, or what has failed here.
func runCommand(args []string, look bool, emit func(signals.Record)) error {
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	state, err := signals.Run(cmd, look, emit)
	if failed, ok := errors.AsType[*signals.StartError](err); ok {
		status := exitNotFound
		if failed.Found {
			status = exitCannotRun
		}
		return &endError{status: status, err: fmt.Errorf("%q: %w", args[0], failed)}
	}
	if err != nil {
		return err
	}
	end := &endError{status: state.ExitCode()}
	end.signal, _ = state.Signal()
	return end
}

// dieBy ends this process by a signal. It leaves no core dump: the command has, of itself.
func dieBy(sig signalfd.Signal) {
	_ = unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{})
	_ = unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0) // nor one that is handed to a program, whatever the limit is
	if sig == signalfd.SIGKILL {
		_ = pidfd.Raise(sig, pidfd.SignalInfo{})
	}
	signalfd.Reraise(signalfd.Info{Signal: sig})
}
