//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/fildes/fildes/cmd/fildes/internal/mq"
	"github.com/fildes/fildes/pidfd"
	"github.com/fildes/fildes/signalfd"
)

const mqWatchLong = `watch looks at queues again and again, and shows how many messages are in them,
until it is interrupted: at those of the NAMEs, or at all that can be listed, of
which some may come and go. It takes no message, keeps no queue that is removed,
and leaves alone who is told of messages.

On a terminal each queue has a bar, and a peak: the most messages that were
seen. When it ends, the last of it stays. Elsewhere, and on a terminal that is
dumb, a line is the time, messages and room for them, bytes, and the name.

With --json a line is an object, as "fildes mq ls" has it. Of a queue that
isn't there any more it has error.

The exit status is 0 when it was interrupted or has looked N times, 1 when one
of the NAMEs isn't there at first or something failed, and 2 when the command
was called wrongly.`

func newMQWatch() *cobra.Command {
	var o mq.Watching
	var asJSON bool
	cmd := &cobra.Command{
		Use:               "watch [NAME...]",
		Short:             "Show how full queues are, over time",
		Long:              mqWatchLong,
		Example:           "  fildes mq watch\n  fildes mq watch jobs --interval 100ms\n  fildes mq watch jobs --json --count 60 > minute.json",
		ValidArgsFunction: completeQueues(0),
		Args: func(cmd *cobra.Command, args []string) error {
			switch {
			case o.Interval <= 0:
				return fmt.Errorf("--interval %v: a time is more than nothing", o.Interval)
			case cmd.Flags().Changed("count") && o.Count < 1:
				return fmt.Errorf("--count %d: it is one look at least", o.Count)
			}
			for _, arg := range args {
				o.Names = append(o.Names, mq.Name(arg))
			}
			return nil
		},
		RunE: running(func(cmd *cobra.Command, _ []string) error {
			ctx, stop := interruptible(cmd.Context())
			defer stop()
			w := cmd.OutOrStdout()
			var err error
			_, terminal := terminalWidth(w)
			switch {
			case asJSON:
				err = o.Run(ctx, nil, func(queues []mq.Queue) error { return mq.PrintJSON(w, queues, false) })
			case terminal && os.Getenv("TERM") != "dumb":
				err = live(ctx, o, w)
			default:
				err = o.Run(ctx, nil, func(queues []mq.Queue) error { return mq.PrintLines(w, queues) })
			}
			if len(o.Names) == 0 {
				err = unlisted(err)
			}
			return err
		}),
	}
	f := cmd.Flags()
	f.DurationVar(&o.Interval, "interval", time.Second, "look again after `TIME`")
	f.IntVar(&o.Count, "count", 0, "look `N` times, then end")
	f.BoolVar(&asJSON, "json", false, "print an object per line")
	return cmd
}

// live shows queues on a terminal, which it gives back when it ends and while it's stopped.
func live(ctx context.Context, o mq.Watching, w io.Writer) (err error) {
	s := &mq.Screen{W: w, Size: func() (int, int) { return terminalSize(w) }, Color: os.Getenv("NO_COLOR") == "", Interval: o.Interval}
	entered := false
	defer func() {
		if entered {
			err = errors.Join(err, s.Leave(), s.Last())
		}
	}()
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGWINCH, syscall.SIGTSTP)
	defer signal.Stop(signals)
	refresh := make(chan func() error)
	ended, end := context.WithCancel(ctx)
	defer end()
	go func() {
		for {
			select {
			case <-ended.Done():
				return
			case sig := <-signals:
				do := s.Redraw
				if sig == syscall.SIGTSTP {
					do = func() error { return suspend(s) }
				}
				select {
				case refresh <- do:
				case <-ended.Done():
					return
				}
			}
		}
	}()
	return o.Run(ctx, refresh, func(queues []mq.Queue) error {
		if !entered { // what fails at first is said on the first screen
			if err := s.Enter(); err != nil {
				return err
			}
			entered = true
		}
		return s.Show(queues)
	})
}

// suspend stops this process, with the terminal as it was.
func suspend(s *mq.Screen) error {
	if err := s.Leave(); err != nil {
		return err
	}
	// Go's runtime ignores SIGTSTP once it has been asked for. SIGTTOU does the same: it stops, unless nobody is there who could let this process go on.
	runtime.LockOSThread()
	_ = pidfd.Raise(signalfd.SIGTTOU, pidfd.SignalInfo{Target: pidfd.Thread}) // of this thread, so that it's over when this returns
	runtime.UnlockOSThread()
	if err := s.Enter(); err != nil {
		return err
	}
	return s.Redraw()
}

// terminalSize is zero where it isn't known.
func terminalSize(w io.Writer) (columns, rows int) {
	f, ok := w.(*os.File)
	if !ok {
		return 0, 0
	}
	c, err := f.SyscallConn()
	if err != nil {
		return 0, 0
	}
	_ = c.Control(func(fd uintptr) { columns, rows, _ = term.GetSize(int(fd)) })
	return columns, rows
}
