//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/fildes/fildes/cmd/fildes/internal/mq"
	"github.com/fildes/fildes/mqueue"
)

const mqLong = `mq lists, makes, feeds, empties, watches and removes POSIX message queues:
mq_overview(7). A queue has a name, such as /jobs, and keeps its messages until
they are received; it lasts until it is removed or the system goes down. Those
of the highest priority come first, and of these the oldest.

The name's slash may be left out: "jobs" is "/jobs".

The exit status is 0 when all was done, 1 when something failed, and 2 when the
command was called wrongly.`

func newMQ() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "mq",
		Short:   "Work with POSIX message queues",
		Long:    mqLong,
		Example: "  fildes mq create jobs --messages 10 --size 1024\n  ls | fildes mq send jobs\n  fildes mq recv jobs\n  fildes mq watch",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newMQList(), newMQCreate(), newMQSend(), newMQReceive(), newMQStat(), newMQRemove(), newMQWatch())
	return cmd
}

// completeQueues offers the queues that aren't there yet, where they can be listed.
func completeQueues(most int) cobra.CompletionFunc {
	return func(_ *cobra.Command, args []string, given string) ([]string, cobra.ShellCompDirective) {
		if most > 0 && len(args) >= most {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		entries, _ := mqueue.List()
		var names []string
		for _, e := range entries {
			name := e.Name
			if given != "" && !strings.HasPrefix(given, "/") {
				name = name[1:]
			}
			if !slices.ContainsFunc(args, func(arg string) bool { return mq.Name(arg) == e.Name }) {
				names = append(names, name)
			}
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}
}

// oneQueue and someQueues check arguments.
func oneQueue(_ *cobra.Command, args []string) error {
	if len(args) != 1 {
		return errors.New("which queue? One NAME is needed")
	}
	return nil
}

func someQueues(_ *cobra.Command, args []string) error {
	if len(args) == 0 {
		return errors.New("which queues? One NAME at least is needed")
	}
	return nil
}

// noteTo writes lines to standard error. The name of a queue may be a stranger's: what a terminal would obey is escaped.
func noteTo(cmd *cobra.Command) func(format string, a ...any) {
	return func(format string, a ...any) {
		_, _ = fmt.Fprintf(cmd.ErrOrStderr(), "fildes: %s\n", mq.Printable(fmt.Sprintf(format, a...)))
	}
}

// counted is "1 message", "2 messages".
func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

const mqListLong = `ls lists the queues of this IPC namespace, with

  MESSAGES  how many are in it, and how many there is room for
  SIZE      how many bytes a message may have
  BYTES     how many the messages in it have together
  NOTIFY    which process is told of a message that comes into the empty queue,
            and how: by a signal, by a socket, or not at all (none)

"?" is what isn't known: only owner and mode are, of a queue that this user may
not receive from.

Only a file system has the names: it must be mounted at /dev/mqueue, or root
lists them, who mounts it for a moment where nobody sees it. The other commands
of fildes mq need no file system.

With --json a line is an object:

  time          RFC 3339, when it was looked at
  name          and raw_name, its bytes in base64, if it isn't UTF-8
  messages, max_messages, message_size, bytes   numbers
  notify        pid, way ("signal", "socket" or "none"), signal; absent if none
  uid, owner, gid, group   and their names, if they have any
  mode          octal, a string
  used          when it was last sent to or received from, or else made
  error         why the others are absent`

func newMQList() *cobra.Command {
	var asJSON, limits bool
	cmd := &cobra.Command{
		Use:               "ls",
		Aliases:           []string{"list"},
		Short:             "List the queues",
		Long:              mqListLong,
		Example:           "  fildes mq ls\n  fildes mq ls --limits\n  fildes mq ls --json | jq -r 'select(.messages > 0).name'",
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: running(func(cmd *cobra.Command, _ []string) error {
			w, note := cmd.OutOrStdout(), noteTo(cmd)
			if limits {
				l, err := mqueue.ReadLimits()
				if err != nil {
					return err
				}
				return mq.PrintLimits(w, l, asJSON)
			}
			queues, err := mq.List()
			if err != nil {
				return unlisted(err)
			}
			if len(queues) == 0 {
				note("there are no queues")
				return nil
			}
			if asJSON {
				return mq.PrintJSON(w, queues, false)
			}
			columns, _ := terminalWidth(w)
			if err := mq.Table(w, queues, columns); err != nil {
				return err
			}
			if n := len(slices.DeleteFunc(queues, func(q mq.Queue) bool { return q.All })); n > 0 {
				note("%s can't be received from, so that not all is known: %v", counted(n, "queue"), queues[0].Err)
			}
			return nil
		}),
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print an object per line")
	cmd.Flags().BoolVar(&limits, "limits", false, "print what limits queues instead")
	return cmd
}

// unlisted says what helps.
func unlisted(err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("%w; root can list them, and queues whose names are known need no list: fildes mq stat NAME", err)
	}
	return err
}

const mqCreateLong = `create makes a queue. One that exists is left as it is; that is an error with
--exclusive, and if it isn't as asked for.

What isn't asked for is what the system gives: "fildes mq ls --limits" shows
it, and how much may be asked for.`

func newMQCreate() *cobra.Command {
	var o mqueue.Options
	var exclusive bool
	perm := "0600"
	cmd := &cobra.Command{
		Use:               "create NAME",
		Short:             "Make a queue",
		Long:              mqCreateLong,
		Example:           "  fildes mq create jobs\n  fildes mq create jobs --messages 5 --size 200 --mode 0660 --exclusive",
		ValidArgsFunction: cobra.NoFileCompletions,
		Args: func(cmd *cobra.Command, args []string) error {
			bits, err := strconv.ParseUint(perm, 8, 32)
			switch {
			case err != nil || bits > 0o777 || bits == 0:
				return fmt.Errorf("--mode %s: permissions are an octal number from 1 to 777", perm)
			case cmd.Flags().Changed("messages") && o.MaxMessages < 1:
				return fmt.Errorf("--messages %d: a queue has room for one at least", o.MaxMessages)
			case cmd.Flags().Changed("size") && o.MessageSize < 1:
				return fmt.Errorf("--size %d: a message has room for a byte at least", o.MessageSize)
			}
			o.Perm = fs.FileMode(bits)
			return oneQueue(cmd, args)
		},
		RunE: running(func(cmd *cobra.Command, args []string) error {
			name := mq.Name(args[0])
			o.Create, o.Exclusive = true, true
			q, err := mqueue.OpenReceiver(name, &o)
			if err == nil {
				return q.Close()
			}
			if exclusive || !errors.Is(err, fs.ErrExist) {
				return err
			}
			there, err := mq.Look(name)
			if err != nil {
				return err
			}
			a := there.Status
			what := fmt.Sprintf("%s exists, with room for %s of %s, and mode %04o", name, counted(a.MaxMessages, "message"), counted(a.MessageSize, "byte"), a.Mode)
			if o.MaxMessages != 0 && o.MaxMessages != a.MaxMessages || o.MessageSize != 0 && o.MessageSize != a.MessageSize || cmd.Flags().Changed("mode") && o.Perm != a.Mode {
				return errors.New(what)
			}
			noteTo(cmd)("%s", what)
			return nil
		}),
	}
	f := cmd.Flags()
	f.IntVar(&o.MaxMessages, "messages", 0, "have room for `N` messages")
	f.IntVar(&o.MessageSize, "size", 0, "have room for `BYTES` in each")
	f.StringVar(&perm, "mode", perm, "give it these `PERMISSIONS`, octal: 4 to receive, 2 to send")
	f.BoolVar(&exclusive, "exclusive", false, "fail if it exists")
	return cmd
}

const mqSendLong = `send sends each MESSAGE, each FILE, or each line of standard input, in this
order, all with the same priority. While the queue is full it waits.

Files are messages as they are, with --lines their lines are. A line's newline
isn't sent, and an empty line is an empty message. With --null, NUL takes the
newline's place. Standard input is lines, unless it's --whole; as FILE "-" it
is like the others.

It stops at the first message that can't be sent, and says which it is and how
many were sent before it. One that is too long is such a message; MESSAGEs and
FILEs are looked at before anything is sent.

The exit status is 0 when all were sent.`

func newMQSend() *cobra.Command {
	o := mq.Sending{Wait: true}
	var files []string
	var lines, whole, null, create, noWait bool
	cmd := &cobra.Command{
		Use:               "send NAME [MESSAGE...]",
		Short:             "Send messages",
		Long:              mqSendLong,
		Example:           "  fildes mq send jobs 'first job' 'second job'\n  fildes mq send jobs --priority 7 --file job.tar\n  find . -name '*.c' -print0 | fildes mq send jobs --null\n  tail -F log | fildes mq send --create lines",
		ValidArgsFunction: completeQueues(1),
		Args: func(_ *cobra.Command, args []string) error {
			switch {
			case o.Priority < 0 || o.Priority > mqueue.MaxPriority:
				return fmt.Errorf("--priority %d: priorities are from 0 to %d", o.Priority, mqueue.MaxPriority)
			case whole && (lines || null):
				return errors.New("--whole excludes --lines and --null")
			case len(args) == 0:
				return errors.New("which queue? A NAME is needed")
			case len(args) > 1 && len(files) > 0:
				return errors.New("either MESSAGEs or --file")
			case len(args) > 1 && (lines || whole || null):
				return errors.New("--lines, --whole and --null are about files and standard input; a MESSAGE is sent as it is")
			}
			return waits(o.Timeout, noWait)
		},
		RunE: running(func(cmd *cobra.Command, args []string) error {
			ctx, stop := interruptible(cmd.Context())
			defer stop()
			o.Wait = !noWait
			s, err := mqueue.OpenSender(mq.Name(args[0]), &mqueue.Options{Create: create})
			if err != nil {
				return err
			}
			defer func() { _ = s.Close() }()
			attr, err := s.Attr()
			if err != nil {
				return err
			}
			var pieces iter.Seq[mq.Piece]
			if len(args) > 1 {
				pieces, err = mq.Arguments(args[1:], attr.MessageSize)
			} else {
				end := int('\n')
				switch {
				case null:
					end = 0
				case whole || len(files) > 0 && !lines:
					end = mq.Whole
				}
				if len(files) == 0 {
					files = []string{"-"}
				}
				pieces, err = mq.Files(files, cmd.InOrStdin(), end, attr.MessageSize)
			}
			if err != nil {
				return fmt.Errorf("%w; no message was sent", err)
			}
			n, err := o.Run(ctx, s, pieces)
			switch {
			case err != nil && n == 0:
				return fmt.Errorf("%w; no message was sent", err)
			case err != nil:
				return fmt.Errorf("%w; %s sent before", err, wereSent(n))
			}
			return nil
		}),
	}
	f := cmd.Flags()
	f.IntVarP(&o.Priority, "priority", "p", 0, "send with priority `N`, from 0 to 32767")
	f.StringArrayVarP(&files, "file", "f", nil, "send `FILE`, \"-\" for standard input; may be repeated")
	f.BoolVar(&lines, "lines", false, "each line is a message")
	f.BoolVar(&whole, "whole", false, "all of a file is one message")
	f.BoolVarP(&null, "null", "0", false, "each message ends with NUL instead of a newline")
	f.BoolVar(&create, "create", false, "make the queue if it doesn't exist")
	f.DurationVar(&o.Timeout, "timeout", 0, "wait for room no longer than `TIME`, as in 1.5s")
	f.BoolVar(&noWait, "no-wait", false, "fail when the queue is full")
	return cmd
}

func wereSent(n int) string {
	if n == 1 {
		return "1 message was"
	}
	return fmt.Sprintf("%d messages were", n)
}

// waits checks how long is waited.
func waits(timeout time.Duration, noWait bool) error {
	switch {
	case timeout < 0:
		return fmt.Errorf("--timeout %v: a time is more than nothing", timeout)
	case timeout > 0 && noWait:
		return errors.New("--timeout and --no-wait exclude each other")
	}
	return nil
}

// interruptible ends the context with what asks a program to end. Another such signal ends what is stuck.
func interruptible(ctx context.Context) (context.Context, func()) {
	ctx, stop := signal.NotifyContext(ctx, ends()...)
	context.AfterFunc(ctx, stop)
	return ctx, stop
}

// ends are the signals that end a command; a hang-up only if it isn't ignored, as by nohup(1).
func ends() []os.Signal {
	if signal.Ignored(syscall.SIGHUP) {
		return []os.Signal{syscall.SIGINT, syscall.SIGTERM}
	}
	return []os.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP}
}

const mqReceiveLong = `recv takes messages out of a queue and prints them: those that are there when it
begins, or with --count so many, for which it waits, or with --follow all that
come, until Ctrl-C.

A message is printed as it is, with a newline after it, unless that is a
terminal, where messages that it would obey are quoted. With --json a line is
an object:

  time      RFC 3339, when it was received
  queue     and raw_queue, its bytes in base64, if it isn't UTF-8
  priority  a number
  data      the message; if it isn't UTF-8, raw_data, in base64

Who takes a message is the only one to have it. It is printed before the next
one is taken, and none is taken when nobody reads the output any more. One that
was taken and can't be printed goes to standard error as such an object, and
the exit status is 1.

With --timeout, and neither --count nor --follow, the first message is waited
for. The exit status is 0 when the messages asked for were printed: without
--count, --follow and --timeout an empty queue is no failure. With --follow it
is 0 after Ctrl-C and after TIME without a message.`

func newMQReceive() *cobra.Command {
	var o mq.Receiving
	var p mq.Printer
	var null, raw, noWait bool
	cmd := &cobra.Command{
		Use:               "recv NAME",
		Aliases:           []string{"receive"},
		Short:             "Take messages and print them",
		Long:              mqReceiveLong,
		Example:           "  fildes mq recv jobs\n  fildes mq recv jobs --count 1 --timeout 5s\n  fildes mq recv jobs --follow --json | jq -r .data\n  fildes mq recv jobs --count 1 --raw > job.tar",
		ValidArgsFunction: completeQueues(1),
		Args: func(cmd *cobra.Command, args []string) error {
			switch {
			case cmd.Flags().Changed("count") && o.Count < 1:
				return fmt.Errorf("--count %d: it is one message at least", o.Count)
			case o.Follow && o.Count > 0:
				return errors.New("--follow and --count exclude each other")
			case o.Follow && noWait:
				return errors.New("--follow and --no-wait exclude each other")
			case null && raw || p.JSON && (null || raw):
				return errors.New("--json, --null and --raw exclude each other")
			case p.JSON && p.Priority:
				return errors.New("--json has the priority: --show-priority is for text")
			}
			return errors.Join(waits(o.Timeout, noWait), oneQueue(cmd, args))
		},
		RunE: running(func(cmd *cobra.Command, args []string) error {
			r, err := mqueue.OpenReceiver(mq.Name(args[0]), nil)
			if err != nil {
				return err
			}
			defer func() { _ = r.Close() }()
			o.Wait, p.W, p.End = !noWait, cmd.OutOrStdout(), "\n"
			_, terminal := terminalWidth(p.W)
			p.Escape = terminal && !null && !raw
			switch {
			case null:
				p.End = "\x00"
			case raw:
				p.End = ""
			}
			return receive(cmd, r, o, &p)
		}),
	}
	f := cmd.Flags()
	f.IntVarP(&o.Count, "count", "n", 0, "take `N` messages, and wait for them")
	f.BoolVar(&o.Follow, "follow", false, "take all that come, until Ctrl-C")
	f.DurationVar(&o.Timeout, "timeout", 0, "wait for a message no longer than `TIME`, as in 1.5s")
	f.BoolVar(&noWait, "no-wait", false, "fail when there are fewer than --count")
	f.BoolVar(&p.JSON, "json", false, "print an object per line")
	f.BoolVar(&p.Priority, "show-priority", false, "print the priority and a tab before a message")
	f.BoolVarP(&null, "null", "0", false, "print NUL after a message instead of a newline")
	f.BoolVar(&raw, "raw", false, "print messages as they are, with nothing between them")
	return cmd
}

// receive takes and prints.
func receive(cmd *cobra.Command, r *mqueue.Receiver, o mq.Receiving, p *mq.Printer) error {
	// A write that nobody reads then fails, and doesn't end this process with the message that it has.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	ctx, hard, stop := twice(cmd.Context())
	defer stop()
	ready := func() error { return nil }
	if f, ok := p.W.(*os.File); ok {
		read, stop, err := mq.WhileRead(ctx, f)
		if err != nil {
			return err
		}
		defer stop()
		ctx, ready = read, func() error { return mq.StillRead(f) }
	}
	n, err := o.Run(ctx, r, ready, func(m mq.Message) error { return p.Print(hard, m) })
	switch lost, ok := errors.AsType[*mq.LostError](err); {
	case ok:
		noteTo(cmd)("%v; it is, all of it:", err)
		_, _ = cmd.ErrOrStderr().Write(lost.Message.JSON())
		return &endError{status: exitFailed}
	case errors.Is(err, mq.ErrInterrupted) && o.Count == 0 && (o.Follow || n > 0):
		return nil
	case errors.Is(err, syscall.EPIPE): // nobody reads on: it isn't said, as elsewhere
		return err
	case err != nil:
		return err
	case n == 0:
		noteTo(cmd)("%s is empty", r.Name())
	}
	return nil
}

// twice returns a context that the first signal ends, and one that the second does. More of them do nothing: what is said at the end is to be said whole.
func twice(parent context.Context) (soft, hard context.Context, stop func()) {
	soft, end := context.WithCancelCause(parent)
	hard, endHard := context.WithCancel(parent)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, ends()...)
	go func() {
		for _, cancel := range []func(){func() { end(mq.ErrInterrupted) }, endHard} {
			select {
			case <-signals:
				cancel()
			case <-hard.Done():
				return
			}
		}
	}()
	return soft, hard, func() {
		end(nil)
		endHard()
	}
}

const mqStatLong = `stat prints what is known of queues. Who is told of a message that comes into
the empty queue is shown with the command line, where /proc has it.

A queue that this user may send to, and not receive from, tells less of itself.

With --json a line is an object, as "fildes mq ls" has it; notify has the
process' command_line too, a list.`

func newMQStat() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:               "stat NAME...",
		Short:             "Print all that is known of queues",
		Long:              mqStatLong,
		Example:           "  fildes mq stat jobs\n  fildes mq stat jobs --json | jq .messages",
		Args:              someQueues,
		ValidArgsFunction: completeQueues(0),
		RunE: running(func(cmd *cobra.Command, args []string) error {
			w := cmd.OutOrStdout()
			return each(cmd, args, func(name string) error {
				q, err := mq.Look(name)
				if err != nil {
					return err
				}
				if asJSON {
					err = mq.PrintJSON(w, []mq.Queue{q}, true)
				} else {
					err = mq.Facts(w, q)
				}
				if err != nil {
					return &runError{err}
				}
				return nil
			})
		}),
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print an object per line")
	return cmd
}

// each tries all, tells what has failed, and fails if anything has. A runError ends it.
func each(cmd *cobra.Command, args []string, do func(name string) error) error {
	failed := false
	for _, arg := range args {
		err := do(mq.Name(arg))
		if _, ok := errors.AsType[*runError](err); ok {
			return err
		}
		if err != nil {
			failed = true
			noteTo(cmd)("%v", err)
		}
	}
	if failed {
		return &endError{status: exitFailed}
	}
	return nil
}

func newMQRemove() *cobra.Command {
	return &cobra.Command{
		Use:               "rm NAME...",
		Aliases:           []string{"remove", "unlink"},
		Short:             "Remove queues",
		Long:              "rm removes queues, and the messages in them. Who has one open goes on using it.\nAll are tried; the exit status is 1 if one can't be removed.",
		Example:           "  fildes mq rm jobs\n  fildes mq ls --json | jq -r .name | xargs fildes mq rm",
		Args:              someQueues,
		ValidArgsFunction: completeQueues(0),
		RunE: running(func(cmd *cobra.Command, args []string) error {
			return each(cmd, args, mqueue.Unlink)
		}),
	}
}
