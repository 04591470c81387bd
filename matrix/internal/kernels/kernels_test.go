package kernels

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/fildes/fildes/matrix/internal/outcome"
)

var update = flag.Bool("update", false, "write testdata/KERNELS.md")

// report is doctor's on two architectures, and a few tests and two machines that are made up.
func report(t *testing.T) (r outcome.Report) {
	t.Helper()
	b, err := os.ReadFile("testdata/report.json")
	if err != nil {
		t.Fatal(err)
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil {
		t.Fatal(err)
	}
	return r
}

func write(t *testing.T, r outcome.Report) string {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, r); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestWrite(t *testing.T) {
	got := write(t, report(t))
	if *update {
		if err := os.WriteFile("testdata/KERNELS.md", []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("testdata/KERNELS.md")
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("it isn't testdata/KERNELS.md any more; if it is meant to be so, -update writes it:\n%s", got)
	}
	for l := range strings.Lines(got) {
		if n := utf8.RuneCountInString(strings.TrimSuffix(l, "\n")); n > width {
			t.Errorf("%d columns: %s", n, l)
		}
	}
}

// The order in which packages and users were run is chance.
func TestTheOrderOfTestsDoesNotMatter(t *testing.T) {
	r := report(t)
	want := write(t, r)
	for i := range r.Machines {
		slices.Reverse(r.Machines[i].Tests)
		slices.Reverse(r.Machines[i].Doctor)
		for j := range r.Machines[i].Tests {
			r.Machines[i].Tests[j].Seconds += 7
		}
	}
	if got := write(t, r); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func TestUpdateREADME(t *testing.T) {
	r := report(t)
	readme := "before\n" + beginMark + "old\n" + endMark + "after\n"
	got, err := UpdateREADME([]byte(readme), r)
	if err != nil {
		t.Fatal(err)
	}
	if want := "before\n" + testedOn(r) + "after\n"; string(got) != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
	if !strings.Contains(write(t, r), testedOn(r)) {
		t.Error("the document doesn't have the README's table")
	}
	for _, bad := range []string{"", beginMark, endMark + beginMark, readme + readme} {
		if _, err := UpdateREADME([]byte(bad), r); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

func TestSeriesAreInTheOrderOfTheirNumbers(t *testing.T) {
	all := []string{emulated, "6.12", "6.9", "5.10", "7.3", "6.1"}
	slices.SortFunc(all, older)
	if want := []string{"5.10", "6.1", "6.9", "6.12", "7.3", emulated}; !slices.Equal(all, want) {
		t.Errorf("%q, want %q", all, want)
	}
}

func TestColumn(t *testing.T) {
	for i, want := range map[int]string{0: "a", 25: "z", 26: "aa", 51: "az", 52: "ba"} {
		if got := column(i); got != want {
			t.Errorf("column %d is %q, want %q", i, got, want)
		}
	}
}
