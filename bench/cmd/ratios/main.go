//go:build linux

// Command ratios measures the library's operations beside the raw system calls, os.File and a thread of one's own, and prints
// the ratios and their bounds.
//
//	go -C bench run ./cmd/ratios
//
// docs/BENCHMARKS.md says how to read what it prints.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"regexp"

	"github.com/fildes/fildes/bench/internal/ops"
	"github.com/fildes/fildes/bench/internal/ratio"
)

func main() {
	ops.Listen()
	ops.Block()
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// A report is all that a run tells; --json prints it.
type report struct {
	Machine machine        `json:"machine"`
	Rounds  int            `json:"rounds"`
	Results []ratio.Result `json:"results"`
	Facts   []fact         `json:"facts"`
}

// A fact is what was measured of an [ops.Fact].
type fact struct {
	ID      string   `json:"id"`
	Name    string   `json:"name"`
	Unit    string   `json:"unit,omitempty"`
	Ours    float64  `json:"ours"`
	Against string   `json:"against,omitempty"`
	Base    *float64 `json:"baseline,omitempty"`
	Bound   float64  `json:"bound,omitempty"`
	OK      bool     `json:"ok"`
}

func measured(f ops.Fact) fact {
	m := fact{ID: f.ID, Name: f.Name, Unit: f.Unit, Ours: f.Ours(), Against: f.Against, Bound: f.Bound}
	if f.Base != nil {
		base := f.Base()
		m.Base = &base
	}
	m.OK = m.Bound == 0 || m.Ours <= m.Bound
	return m
}

// run returns the exit status: 0, 1 with --check if a bound is exceeded, 2 for wrong usage or output that nobody takes.
func run(args []string, stdout, stderr io.Writer) int {
	var out printer = text{}
	flags := flag.NewFlagSet("ratios", flag.ContinueOnError)
	flags.SetOutput(stderr)
	rounds := flags.Int("rounds", 31, "measure each operation in `n` rounds")
	only := flags.String("only", "", "measure only the operations whose name matches the `regexp`")
	check := flags.Bool("check", false, "exit with 1 if a bound is exceeded")
	form := func(name, usage string, p printer) {
		flags.BoolFunc(name, usage, func(string) error { out = p; return nil })
	}
	form("json", "print all that was measured, as JSON", asJSON{})
	form("go-bench", "print each measurement as a line that benchstat reads", bench{})
	form("markdown", "print the last section of docs/BENCHMARKS.md", markdown{})
	if err := flags.Parse(args); err != nil {
		return 2
	}
	match, err := regexp.Compile(*only)
	if err != nil || *rounds < 1 || flags.NArg() > 0 {
		_, _ = fmt.Fprintln(stderr, "ratios: there must be 1 round or more, a regexp for --only, and no arguments")
		return 2
	}
	r := report{Machine: thisMachine(), Rounds: *rounds}
	put := func(s string) {
		if _, e := io.WriteString(stdout, s); e != nil {
			err = e
		}
	}
	put(out.begin(r))
	for _, op := range ops.Table {
		if match.MatchString(op.ID) || match.MatchString(op.Name+" against "+op.Against) {
			if op.Root && os.Geteuid() != 0 {
				_, _ = fmt.Fprintf(stderr, "ratios: %s is left out: only root can do it\n", op.Name)
				continue
			}
			res := ratio.Measure(op, *rounds)
			put(out.row(res))
			r.Results = append(r.Results, res)
		}
	}
	for _, f := range ops.Facts {
		if match.MatchString(f.ID) || match.MatchString(f.Name) {
			r.Facts = append(r.Facts, measured(f))
		}
	}
	put(out.end(r))
	if err != nil {
		_, _ = fmt.Fprintln(stderr, "ratios:", err)
		return 2
	}
	if *check && r.over() > 0 {
		return 1
	}
	return 0
}

func (r report) over() (n int) {
	for _, res := range r.Results {
		if !res.OK {
			n++
		}
	}
	for _, f := range r.Facts {
		if !f.OK {
			n++
		}
	}
	return n
}
