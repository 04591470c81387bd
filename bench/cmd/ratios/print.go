//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"runtime"

	"github.com/fildes/fildes/bench/internal/ratio"
)

// A printer prints each row as soon as it is measured.
type printer interface {
	begin(w io.Writer, r report)
	row(w io.Writer, res ratio.Result)
	end(w io.Writer, r report)
}

// text is a table of 80 columns.
type text struct{}

func (text) begin(w io.Writer, r report) {
	fmt.Fprintf(w, "%s; %s; ns, medians of %d rounds\n\n", r.Machine.Kernel, r.Machine.Go, r.Rounds)
	fmt.Fprintf(w, "%-22s %-7s %5s %5s %5s %-11s %5s %5s %7s\n",
		"operation", "against", "ours", "base", "ratio", "quartiles", "A/A", "bound", "allocs")
}

func (text) row(w io.Writer, res ratio.Result) {
	bound, verdict := "", "ok"
	if res.Bound > 0 {
		bound = fmt.Sprintf("%.2f", res.Bound)
	}
	if !res.OK {
		verdict = "OVER"
	}
	fmt.Fprintf(w, "%-22s %-7s %5.0f %5.0f %5.3f %.3f-%.3f %5.3f %5s %-4s %2g\n",
		res.Name, res.Against, ratio.Median(res.Ours), ratio.Median(res.Base),
		res.Ratio.Median, res.Ratio.Q1, res.Ratio.Q3, res.Control.Median, bound, verdict, res.Allocs)
}

func (text) end(w io.Writer, r report) {
	if n := r.over(); n > 0 {
		fmt.Fprintf(w, "\nover the bound: %d of %d\n", n, len(r.Results))
	}
}

// markdown is the end of docs/BENCHMARKS.md.
type markdown struct{ text }

func (m markdown) begin(w io.Writer, r report) {
	fmt.Fprintf(w, "\n%s, %d cores.\n\n```text\n", r.Machine.CPU, r.Machine.Cores)
	m.text.begin(w, r)
}

func (m markdown) end(w io.Writer, r report) {
	m.text.end(w, r)
	fmt.Fprintln(w, "```")
}

// bench prints a line for each round and side in the format of `go test -bench`, which benchstat reads.
type bench struct{}

func (bench) begin(w io.Writer, r report) {
	fmt.Fprintf(w, "goos: %s\ngoarch: %s\npkg: github.com/fildes/fildes/bench/internal/ops\ncpu: %s\n",
		runtime.GOOS, runtime.GOARCH, r.Machine.CPU)
}

func (bench) row(w io.Writer, res ratio.Result) {
	for i := range res.Ours {
		name := fmt.Sprintf("BenchmarkOps/%s/against=%s/side=", res.ID, res.Against)
		procs := runtime.GOMAXPROCS(0)
		fmt.Fprintf(w, "%sours-%d\t%d\t%.1f ns/op\t%g allocs/op\n", name, procs, res.Iterations, res.Ours[i], res.Allocs)
		fmt.Fprintf(w, "%sbaseline-%d\t%d\t%.1f ns/op\n", name, procs, res.Iterations, res.Base[i])
	}
}

func (bench) end(io.Writer, report) {}

// asJSON prints the whole report at the end.
type asJSON struct{}

func (asJSON) begin(io.Writer, report)     {}
func (asJSON) row(io.Writer, ratio.Result) {}
func (asJSON) end(w io.Writer, r report) {
	e := json.NewEncoder(w)
	e.SetIndent("", "\t")
	_ = e.Encode(r) // the writer is standard output
}
