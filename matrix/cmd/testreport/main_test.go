package main

import (
	"path/filepath"
	"strings"
	"testing"
)

const run = `{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"pass","Package":"p","Test":"TestA"}
{"Action":"run","Package":"p","Test":"TestB"}
{"Action":"output","Package":"p","Test":"TestB","Output":"    b_test.go:3: needs proc: there is none\n"}
{"Action":"skip","Package":"p","Test":"TestB"}
{"Action":"output","Package":"p","Output":"PASS\n"}
{"Action":"pass","Package":"p","Elapsed":0.5}
`

func TestTwoRunsAndTheirSummary(t *testing.T) {
	file := filepath.Join(t.TempDir(), "state")
	var out strings.Builder
	if err := read(strings.NewReader(run), &out, "as root", "user,proc", file); err != nil || out.String() != "ok  \tp\t0.500s\n" {
		t.Errorf("%q, %v", &out, err)
	}
	err := read(strings.NewReader(run), &out, "386", "user", file)
	if want := "386: skipped, though the machine must have it:\np TestB: needs proc: there is none"; err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
	out.Reset()
	want := "p: needs proc: there is none\n    in the tests as root; 386\n    of TestB\n\n2 passed, 0 failed, 2 skipped\n"
	if err := summarize(&out, file); err != nil || out.String() != want {
		t.Errorf("%q, %v", &out, err)
	}
}

func TestAFailure(t *testing.T) {
	text := strings.NewReplacer(`"pass","Package":"p","Test"`, `"fail","Package":"p","Test"`, "PASS", "FAIL").Replace(run)
	var out strings.Builder
	err := read(strings.NewReader(text), &out, "as root", "proc", filepath.Join(t.TempDir(), "state"))
	if err == nil || err.Error() != "as root: 1 tests or packages failed" {
		t.Error(err)
	}
}
