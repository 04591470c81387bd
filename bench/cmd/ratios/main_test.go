//go:build linux

package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/fildes/fildes/bench/internal/ratio"
)

func runs(t *testing.T, want int, args ...string) string {
	t.Helper()
	var stdout, stderr bytes.Buffer
	if got := run(args, &stdout, &stderr); got != want {
		t.Fatalf("run(%q) = %d, want %d; it said %s", args, got, want, &stderr)
	}
	return stdout.String()
}

func TestTable(t *testing.T) {
	for _, form := range []string{"", "--markdown"} {
		args := []string{"--rounds=1", "--only=^TimerArm$|parking"}
		if form != "" {
			args = append(args, form)
		}
		out := runs(t, 0, args...)
		for _, want := range []string{"operation", "\nTimer Arm ", "\nPoller Wait, parking "} {
			if !strings.Contains(out, want) {
				t.Errorf("%q prints no %q:\n%s", args, want, out)
			}
		}
		for line := range strings.Lines(out) {
			if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > 80 {
				t.Errorf("%d columns: %s", n, line)
			}
		}
	}
}

func TestJSON(t *testing.T) {
	var r report
	if err := json.Unmarshal([]byte(runs(t, 0, "--json", "--rounds=2", "--only=TimerArm")), &r); err != nil {
		t.Fatal(err)
	}
	if len(r.Results) != 1 || len(r.Results[0].Ours) != 2 || r.Results[0].Ratio.Median <= 0 || r.Machine.Go == "" {
		t.Errorf("%+v", r)
	}
}

func TestGoBench(t *testing.T) {
	out := runs(t, 0, "--go-bench", "--rounds=3", "--only=TimerArm")
	for _, side := range []string{"ours", "baseline"} {
		if n := strings.Count(out, "BenchmarkOps/TimerArm/against=raw/side="+side); n != 3 {
			t.Errorf("%d lines of side %s, want 3:\n%s", n, side, out)
		}
	}
}

func TestCheck(t *testing.T) {
	r := report{Results: []ratio.Result{{OK: true}, {OK: false}}}
	if r.over() != 1 {
		t.Errorf("over() = %d, want 1", r.over())
	}
}

func TestUsage(t *testing.T) {
	runs(t, 2, "--rounds=0")
	runs(t, 2, "--only=(")
	runs(t, 2, "more")
	runs(t, 2, "--nonsense")
}
