//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/fildes/fildes/cmd/fildes/internal/watch"
	"github.com/fildes/fildes/inotify"
)

const watchLong = `watch prints what happens to each PATH, and if it is a directory, to its
entries, a line per event, until it is interrupted. With --recursive the
directories below are watched too, those that are made or moved there
meanwhile included.

EVENTS is a list of

  Access Modify Attrib CloseWrite CloseNoWrite Open MovedFrom MovedTo Create
  Delete DeleteSelf MoveSelf
  Close (CloseWrite, CloseNoWrite), Moved (MovedFrom, MovedTo), AllEvents

joined with commas. A line is an event, with IsDir if it is about a directory,
and a path; a rename is one line with both:

  Create            src/new.go
  Renamed           src/new.go -> src/good.go

"Overflow" says that events were lost, because more were waiting than the
sysctl fs.inotify.max_queued_events allows. With --recursive all that is there
follows, as Create. "Unwatched" says which directory can't be watched, and why.

Files are watched by inotify, which anybody may use. Where it has not enough
watches for --recursive, and as CAP_SYS_ADMIN and CAP_DAC_READ_SEARCH are held,
fanotify goes on: a line says so, and "Overflow" if that is in the middle; what
happens just then may be told twice. --fanotify has it from the start: one mark
for a whole file system, however many directories it has, and the process
that did it in JSON; equal events are joined; what this program does isn't
told. --filesystem reports all that happens on the file systems of the PATHs,
through whatever mount, in containers too.

Names are escaped for a terminal, and written as they are elsewhere; with -0
everywhere, and lines end with NUL. With --format json a line is an object:

  time    RFC 3339, when the event was read
  events  names, as above; a rename has MovedFrom and MovedTo
  path    and from, a rename's old path
  raw_path, raw_from   the bytes, in base64, of a path that isn't UTF-8
  pid     with --fanotify and --filesystem, the process that did it
  found   true: found by looking into a directory that is new, or after Overflow
  overflow, error

The exit status is 0 when it was interrupted, 1 when nothing is left to watch or
something failed, and 2 when the command was called wrongly.`

// formats are the values of --format.
var formats = []string{"text", "json"}

func newWatch() *cobra.Command {
	var o watch.Options
	var events, format string
	var null, byFanotify, filesystem bool
	cmd := &cobra.Command{
		Use:     "watch PATH...",
		Short:   "Print what happens to files and directories",
		Long:    watchLong,
		Example: "  fildes watch --recursive .\n  fildes watch --events CloseWrite,MovedTo /srv/incoming\n  fildes watch --recursive --format json /etc | jq -r .path\n  fildes watch --filesystem --events CloseWrite /",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return errors.New("which PATH? One at least is to be watched")
			}
			if events != "" {
				if err := o.Mask.UnmarshalText([]byte(strings.ReplaceAll(events, ",", "|"))); err != nil {
					return fmt.Errorf("--events: %w", err)
				}
				if o.Mask == 0 || o.Mask&^inotify.AllEvents != 0 {
					return fmt.Errorf("--events: %v can't be asked for", o.Mask&^inotify.AllEvents)
				}
			}
			switch {
			case filesystem:
				o.Mechanism = watch.Filesystem
			case byFanotify:
				o.Mechanism = watch.Fanotify
			}
			switch {
			case !slices.Contains(formats, format):
				return fmt.Errorf("unknown value %q of --format: it is one of %s", format, strings.Join(formats, ", "))
			case format == "json" && null:
				return errors.New("--format json and --null exclude each other: JSON has no raw names")
			}
			return nil
		},
		RunE: running(func(cmd *cobra.Command, args []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM)
			defer stop()
			context.AfterFunc(ctx, stop) // another Ctrl-C ends what is stuck
			o.Paths = args
			p := watch.NewPrinter(cmd.OutOrStdout())
			_, terminal := terminalWidth(cmd.OutOrStdout())
			p.JSON, p.NUL, p.Escape = format == "json", null, terminal && !null
			note := func(format string, a ...any) error {
				_, err := fmt.Fprintf(cmd.ErrOrStderr(), "fildes: "+format+"\n", a...)
				return err
			}
			var start time.Time
			err := watch.Run(ctx, o, func(how string) error {
				if start.IsZero() {
					start = time.Now()
				}
				return note("watching %s; Ctrl-C ends it", how)
			}, p.Print)
			if start.IsZero() {
				return err
			}
			lost := "none lost"
			if p.Overflows > 0 {
				lost = fmt.Sprintf("others lost %d times", p.Overflows)
			}
			if p.Failures > 0 {
				lost += fmt.Sprintf("; %d directories not watched", p.Failures)
			}
			_ = note("%d events in %v; %s", p.Events, time.Since(start).Round(time.Millisecond), lost)
			return err
		}),
	}
	f := cmd.Flags()
	f.BoolVarP(&o.Recursive, "recursive", "r", false, "watch the directories below too")
	f.StringVarP(&events, "events", "e", "", "report these `EVENTS` only (default: what changes files)")
	f.StringVar(&format, "format", "text", "print lines as `FORMAT`: text or json")
	f.BoolVarP(&null, "null", "0", false, "end lines with NUL, and write names as they are")
	f.BoolVar(&byFanotify, "fanotify", false, "watch by fanotify, which tells who did it")
	f.BoolVar(&filesystem, "filesystem", false, "watch the whole file systems that the PATHs are in")
	_ = cmd.RegisterFlagCompletionFunc("format", cobra.FixedCompletions(formats, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}
