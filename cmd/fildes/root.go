//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/fildes/fildes/signalfd"
)

// Exit statuses.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

// errUnwell says that a check has failed; the report has said which.
var errUnwell = errors.New("a check has failed")

// A runError is an error of running a command, not of calling it.
type runError struct{ err error }

func (e *runError) Error() string { return e.err.Error() }
func (e *runError) Unwrap() error { return e.err }

// An endError is a command that ends with another's status.
type endError struct {
	status int
	signal signalfd.Signal // that has ended the other, if one did
	err    error           // what is to be said of it, if there is anything
}

func (e *endError) Error() string { return fmt.Sprint(e.err) }
func (e *endError) Unwrap() error { return e.err }

// run is the program without its process, unless that ends by a signal.
func run(args []string, stdout, stderr io.Writer) int {
	root := newRoot()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	called, err := root.ExecuteContextC(context.Background())
	if err == nil {
		return exitOK
	}
	if end, ok := errors.AsType[*endError](err); ok {
		if end.err != nil {
			_, _ = fmt.Fprintf(stderr, "fildes: %v\n", end.err)
		}
		if end.signal != 0 {
			dieBy(end.signal)
		}
		return end.status
	}
	if _, ok := errors.AsType[*runError](err); ok {
		// Nobody reads on: "fildes doctor | head" isn't an error.
		if !errors.Is(err, errUnwell) && !errors.Is(err, syscall.EPIPE) {
			_, _ = fmt.Fprintf(stderr, "fildes: %v\n", err)
		}
		return exitFailed
	}
	_, _ = fmt.Fprintf(stderr, "fildes: %v\nRun '%s --help' for usage.\n", err, called.CommandPath())
	return exitUsage
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "fildes",
		Short: "Put Linux file descriptors to work",
		Long: `fildes goes with the Go module github.com/fildes/fildes, which gives each kind
of Linux file descriptor a safe, typed API that waits in goroutines.

"fildes doctor" tries every kind on the running kernel and says what works,
what doesn't, and why. "fildes watch" prints what happens to files, "fildes
signals" who sends signals to a command, and "fildes mq" works with message
queues.`,
		Example:       "  fildes doctor\n  fildes doctor timerfd epoll --json\n  fildes watch --recursive .\n  fildes signals -- make test",
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetUsageTemplate(strings.NewReplacer(
		".LocalFlags.FlagUsages", ".LocalFlags.FlagUsagesWrapped 80",
		".InheritedFlags.FlagUsages", ".InheritedFlags.FlagUsagesWrapped 80",
	).Replace(root.UsageTemplate()))
	root.AddCommand(newDoctor(), newWatch(), newSignals(), newMQ(), newVersion(), newCheck(), newCopy(), newExit())
	return root
}

// running marks the error of a command that was called correctly.
func running(f func(cmd *cobra.Command, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		if err := f(cmd, args); err != nil {
			return &runError{err}
		}
		return nil
	}
}
