package kernels

import (
	"bytes"
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"

	"github.com/fildes/fildes/matrix/internal/outcome"
)

// What stands between the marks is the same in the document and in the README.
const (
	beginMark = "<!-- tested on: begin -->\n"
	endMark   = "<!-- tested on: end -->\n"
)

// UpdateREADME puts the table in the place of the one between the marks.
func UpdateREADME(readme []byte, r outcome.Report) ([]byte, error) {
	before, rest, ok := bytes.Cut(readme, []byte(beginMark))
	_, after, closed := bytes.Cut(rest, []byte(endMark))
	if !ok || !closed || bytes.Contains(after, []byte(beginMark)) {
		return nil, fmt.Errorf("the README doesn't have one %q and then %q", beginMark, endMark)
	}
	return slices.Concat(before, []byte(testedOn(r)), after), nil
}

var release = regexp.MustCompile(`^(\d+)\.(\d+)`)

const emulated = "qemu-user"

// series is a kernel without its point version.
func series(m outcome.Machine) string {
	if m.Emulated {
		return emulated
	}
	return release.FindString(m.Kernel)
}

// older compares series: 6.9 is older than 6.12, and qemu-user is last.
func older(a, b string) int {
	number := func(s string, i int) int {
		if m := release.FindStringSubmatch(s); m != nil {
			n, _ := strconv.Atoi(m[i])
			return n
		}
		return 1 << 30
	}
	return cmp.Or(cmp.Compare(number(a, 1), number(b, 1)), cmp.Compare(number(a, 2), number(b, 2)))
}

// testedOn is the table of architectures and kernels, with the marks.
func testedOn(r outcome.Report) string {
	var arches, kernels []string
	cells := make(map[[2]string]string)
	for _, m := range r.Machines {
		s := series(m)
		if !slices.Contains(arches, m.GOARCH) {
			arches = append(arches, m.GOARCH)
		}
		if !slices.Contains(kernels, s) {
			kernels = append(kernels, s)
		}
		switch cell := [2]string{m.GOARCH, s}; {
		case len(m.Problems) > 0:
			cells[cell] = "✗"
		case cells[cell] == "":
			cells[cell] = "✓"
		}
	}
	slices.SortStableFunc(kernels, older)
	t := table{append([]string{""}, kernels...)}
	for _, arch := range arches {
		row := []string{arch}
		for _, k := range kernels {
			row = append(row, cells[[2]string{arch, k}])
		}
		t = append(t, row)
	}
	return beginMark + t.String() + endMark
}
