//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"runtime"
	"strings"

	"github.com/fildes/fildes/bench/internal/ratio"
)

// A printer prints each row as soon as it is measured.
type printer interface {
	begin(r report) string
	row(res ratio.Result) string
	end(r report) string
}

// text is a table of 80 columns.
type text struct{}

func (text) begin(r report) string {
	return fmt.Sprintf("%s; %s; ns, medians of %d rounds\n\n", r.Machine.Kernel, r.Machine.Go, r.Rounds) +
		fmt.Sprintf("%-22s %-7s %5s %5s %5s %-11s %5s %5s %7s\n",
			"operation", "against", "ours", "base", "ratio", "quartiles", "A/A", "bound", "allocs")
}

func (text) row(res ratio.Result) string {
	bound, verdict := "", "ok"
	if res.Bound > 0 {
		bound = fmt.Sprintf("%.2f", res.Bound)
	}
	if !res.OK {
		verdict = "OVER"
	}
	return fmt.Sprintf("%-22s %-7s %5s %5s %5.3f %.3f-%.3f %5.3f %5s %-4s %2g\n",
		res.Name, res.Against, nanoseconds(ratio.Median(res.Ours)), nanoseconds(ratio.Median(res.Base)),
		res.Ratio.Median, res.Ratio.Q1, res.Ratio.Q3, res.Control.Median, bound, verdict, res.Allocs)
}

// nanoseconds has five columns, whatever the time.
func nanoseconds(t float64) string {
	if t < 99999.5 {
		return fmt.Sprintf("%.0f", t)
	}
	if t /= 1000; t < 9999.5 {
		return fmt.Sprintf("%.0fk", t)
	}
	return fmt.Sprintf("%.0fM", min(t/1000, 9999))
}

func (text) end(r report) string {
	var b strings.Builder
	for i, f := range r.Facts {
		if i == 0 && len(r.Results) > 0 {
			b.WriteByte('\n')
		}
		fmt.Fprintf(&b, "%-30s %8.6g %-5s", f.Name, f.Ours, f.Unit)
		if f.Base != nil {
			fmt.Fprintf(&b, "  %s: %.6g", f.Against, *f.Base)
		}
		if f.Bound > 0 {
			fmt.Fprintf(&b, "  bound: %g", f.Bound)
		}
		if !f.OK {
			b.WriteString("  OVER")
		}
		b.WriteByte('\n')
	}
	if n := r.over(); n > 0 {
		fmt.Fprintf(&b, "\nover the bound: %d of %d\n", n, len(r.Results)+len(r.Facts))
	}
	return b.String()
}

// markdown is the end of docs/BENCHMARKS.md.
type markdown struct{ text }

func (m markdown) begin(r report) string {
	return fmt.Sprintf("\n%s, %d cores.\n\n```text\n", r.Machine.CPU, r.Machine.Cores) + m.text.begin(r)
}

func (m markdown) end(r report) string {
	return m.text.end(r) + "```\n"
}

// bench prints a line for each round and side in the format of `go test -bench`, which benchstat reads.
type bench struct{}

func (bench) begin(r report) string {
	return fmt.Sprintf("goos: %s\ngoarch: %s\npkg: github.com/fildes/fildes/bench/internal/ops\ncpu: %s\n",
		runtime.GOOS, runtime.GOARCH, r.Machine.CPU)
}

func (bench) row(res ratio.Result) string {
	var lines strings.Builder
	for i := range res.Ours {
		name := fmt.Sprintf("BenchmarkOps/%s/against=%s/side=", res.ID, res.Against)
		procs := runtime.GOMAXPROCS(0)
		fmt.Fprintf(&lines, "%sours-%d\t%d\t%.1f ns/op\t%g allocs/op\n", name, procs, res.Iterations, res.Ours[i], res.Allocs)
		fmt.Fprintf(&lines, "%sbaseline-%d\t%d\t%.1f ns/op\n", name, procs, res.Iterations, res.Base[i])
	}
	return lines.String()
}

func (bench) end(report) string { return "" }

// asJSON prints the whole report at the end.
type asJSON struct{}

func (asJSON) begin(report) string     { return "" }
func (asJSON) row(ratio.Result) string { return "" }
func (asJSON) end(r report) string {
	text, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		panic(err) // numbers and strings
	}
	return string(text) + "\n"
}
