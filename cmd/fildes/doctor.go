//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/fildes/fildes/cmd/fildes/internal/doctor"
	"github.com/fildes/fildes/cmd/fildes/internal/host"
	"github.com/fildes/fildes/cmd/fildes/internal/report"
)

const doctorLong = `doctor tries each KIND of descriptor, or all of them, on the running kernel:
every row is a real round trip through the module's public API. A row is

  ok           it works
  unsupported  the kernel lacks it: the row names the feature or system call
  denied       this process may not: the row names the capability, or seccomp
  FAILED       it should work and doesn't: the row says why

TIME is the median of up to 301 runs. "× RAW" is its ratio to the same system
calls made directly on a descriptor of their own, measured in turns with it.

Nothing on the system is changed, every row is bounded in time, and what kills
a process costs a row only: the checks run in processes of their own.

The kinds:
%s
With --json the report is one JSON object:

  schema   1; it changes when a field changes its meaning or goes away
  host     kernel, machine, go, goos, goarch, gomaxprocs, uid, euid;
           seccomp: "off", "strict", "filter" or "unknown";
           capabilities: name to true (effective) or false;
           limits: name to value, a string ("1024", "unlimited")
  rows     in order, each with
           kind, check, what: strings; kind and check are stable names
           result: "ok", "unsupported", "denied" or "failed"
           missing: the feature, capability or the like, where it is known
           reason: why the result isn't "ok"
           samples: how many times it was timed; absent if it wasn't
           ns, raw_ns: medians in nanoseconds; ratio: ns/raw_ns; raw_ns and
           ratio are absent where no system calls do the same
  summary  ok, unsupported, denied, failed: how many rows

The exit status is 0 when no row FAILED (unsupported and denied rows are no
failures), 1 when one did, and 2 when the command was called wrongly.`

// colors are the values of --color.
var colors = []string{"auto", "always", "never"}

func newDoctor() *cobra.Command {
	var asJSON bool
	var color string
	var kinds strings.Builder
	for _, k := range doctor.Kinds {
		fmt.Fprintf(&kinds, "  %-8s  %s\n", k.Name, k.About)
	}
	cmd := &cobra.Command{
		Use:     "doctor [KIND...]",
		Short:   "Try each kind of descriptor on the running kernel",
		Long:    fmt.Sprintf(doctorLong, kinds.String()),
		Example: "  fildes doctor\n  fildes doctor eventfd\n  fildes doctor --json | jq '.rows[] | select(.result != \"ok\")'",
		Args: func(_ *cobra.Command, args []string) error {
			if _, err := doctor.Select(args); err != nil {
				return err
			}
			if !slices.Contains(colors, color) {
				return fmt.Errorf("unknown value %q of --color: it is one of %s", color, strings.Join(colors, ", "))
			}
			return nil
		},
		ValidArgsFunction: completeKinds,
		RunE: running(func(cmd *cobra.Command, args []string) error {
			kinds, err := doctor.Select(args)
			if err != nil {
				return err
			}
			return examine(cmd.OutOrStdout(), kinds, asJSON, color)
		}),
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object instead of a table")
	cmd.Flags().StringVar(&color, "color", "auto", "use colours: `WHEN` is auto (on a terminal, unless NO_COLOR is set), always or never")
	_ = cmd.RegisterFlagCompletionFunc("color", cobra.FixedCompletions(colors, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

// completeKinds offers the kinds that aren't there yet.
func completeKinds(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	var names []string
	for _, k := range doctor.Kinds {
		if !slices.Contains(args, k.Name) {
			names = append(names, cobra.CompletionWithDesc(k.Name, k.About))
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// examine runs the checks and writes the report.
func examine(w io.Writer, kinds []*doctor.Kind, asJSON bool, color string) error {
	// A child dies with the thread that started it: this one lives as long as the process.
	runtime.LockOSThread()
	d := &doctor.Doctor{Command: func(kind, from string) *exec.Cmd { return doctor.Self(checkCommand, kind, from) }}
	r := report.Report{Schema: report.Schema, Host: host.Read(doctor.Capabilities(), doctor.Sysctls()), Rows: []report.Row{}}
	p := printer(w, color)
	if !asJSON {
		if err := p.Host(r.Host); err != nil {
			return err
		}
	}
	for _, k := range kinds {
		err := d.Examine(k, func(row report.Row) error {
			r.Rows = append(r.Rows, row)
			r.Summary.Add(row.Result)
			if asJSON {
				return nil
			}
			return p.Row(row)
		})
		if err != nil {
			return err
		}
	}
	if err := finish(w, p, &r, asJSON); err != nil {
		return err
	}
	if r.Summary.Failed > 0 {
		return errUnwell
	}
	return nil
}

func finish(w io.Writer, p *report.Printer, r *report.Report, asJSON bool) error {
	if !asJSON {
		return p.Summary(r.Summary)
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(r)
}

// printer fits the report to where it goes.
func printer(w io.Writer, color string) *report.Printer {
	const narrowest, usual, widest = 60, 80, 100
	p := &report.Printer{W: w, Width: usual, Color: color == "always"}
	columns, terminal := terminalWidth(w)
	if !terminal {
		return p
	}
	if columns > 0 {
		p.Width = min(max(columns, narrowest), widest)
	}
	if color == "auto" {
		p.Color = os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
	}
	return p
}

// terminalWidth says whether w is a terminal, and how wide; zero is unknown.
func terminalWidth(w io.Writer) (columns int, terminal bool) {
	f, ok := w.(*os.File)
	if !ok {
		return 0, false
	}
	c, err := f.SyscallConn()
	if err != nil {
		return 0, false
	}
	_ = c.Control(func(fd uintptr) { // fails only when it is closed
		if terminal = term.IsTerminal(int(fd)); terminal {
			columns, _, _ = term.GetSize(int(fd))
		}
	})
	return columns, terminal
}
