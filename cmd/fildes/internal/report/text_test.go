//go:build linux

package report

import (
	"slices"
	"strings"
	"testing"
)

func TestDuration(t *testing.T) {
	for _, c := range []struct {
		ns   float64
		want string
	}{
		{0, "0.00 ns"}, {7.25, "7.25 ns"}, {43.21, "43.2 ns"}, {432.1, "432 ns"}, {999.4, "999 ns"}, {999.6, "1.00 µs"}, {9994, "9.99 µs"},
		{9996, "10.0 µs"}, {99_940, "99.9 µs"}, {99_960, "100 µs"}, {1_160_000, "1.16 ms"}, {2.5e9, "2.50 s"},
	} {
		got := duration(c.ns)
		if got != c.want || width(got) > timeWidth {
			t.Errorf("%v is %q, want %q", c.ns, got, c.want)
		}
	}
}

func TestWrap(t *testing.T) {
	got := wrap(strings.Fields("one two three extraordinarily four"), 9)
	if want := []string{"one two", "three", "extraordinarily", "four"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if got := wrap([]string{"\x1b[32mfour\x1b[0m", "four"}, 9); len(got) != 1 {
		t.Errorf("colours take room: %q", got)
	}
}

func TestReasonsCantMoveTheCursor(t *testing.T) {
	var b strings.Builder
	p := Printer{W: &b, Width: 80}
	if err := p.Row(Row{Kind: "fd", What: "try", Result: Failed, Reason: "a\x1b[2Jb\nc\x00"}); err != nil {
		t.Fatal(err)
	}
	if s := b.String(); strings.ContainsAny(s, "\x1b\x00") || !strings.Contains(s, "a?[2Jb c?\n") || !strings.Contains(s, "FAILED") {
		t.Errorf("%q", s)
	}
}
