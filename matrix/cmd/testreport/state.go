package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/fildes/fildes/matrix/internal/outcome"
)

// state is what is remembered from one run to the next.
type state struct {
	Passed, Failed, Skipped int
	Skips                   []skip
}

type skip struct{ Run, Package, Test, Reason string }

func (s *state) add(tests []outcome.Test) {
	for _, t := range tests {
		if t.Name == "" {
			continue // a package
		}
		switch t.Result {
		case outcome.Pass:
			s.Passed++
		case outcome.Fail:
			s.Failed++
		case outcome.Skip:
			s.Skipped++
			s.Skips = append(s.Skips, skip{t.Run, t.Package, t.Name, t.Reason})
		}
	}
}

// print writes the table: a row for what was skipped for the same reason in the same runs.
func (s *state) print(w io.Writer) {
	runs := make(map[skip][]string)
	for _, k := range s.Skips {
		run := k.Run
		k.Run = ""
		if !slices.Contains(runs[k], run) {
			runs[k] = append(runs[k], run)
		}
	}
	rows := make(map[skip][]string) // the tests of a row
	for k, in := range runs {
		row := skip{Run: strings.Join(in, "; "), Package: k.Package, Reason: k.Reason}
		rows[row] = append(rows[row], k.Test)
	}
	for _, k := range slices.SortedFunc(maps.Keys(rows), func(a, b skip) int {
		return cmp.Or(strings.Compare(a.Package, b.Package), strings.Compare(a.Reason, b.Reason), strings.Compare(a.Run, b.Run))
	}) {
		slices.Sort(rows[k])
		_, _ = fmt.Fprintf(w, "%s: %s\n    in the tests %s\n    of %s\n", k.Package, k.Reason, k.Run, strings.Join(rows[k], ", "))
	}
	if len(rows) == 0 {
		_, _ = fmt.Fprintln(w, "nothing was skipped")
	}
	_, _ = fmt.Fprintf(w, "\n%d passed, %d failed, %d skipped\n", s.Passed, s.Failed, s.Skipped)
}
