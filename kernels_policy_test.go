//go:build linux

package fildes_test

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// docs/KERNELS.md is written by a run of the whole matrix, which nobody waits for with each change. So that it doesn't fall
// behind, a kind that it lacks is a failure; that no check is missing is for the command's tests to say.
func TestPolicyKernels(t *testing.T) {
	read := func(name string) string {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	document := read("docs/KERNELS.md")
	for _, kind := range kinds(t) {
		if !strings.Contains(document, "\n### "+kind+"\n") {
			t.Errorf("docs/KERNELS.md lacks %s: run the matrix", kind)
		}
	}
	table := regexp.MustCompile(`(?s)<!-- tested on: begin -->\n\|.*?<!-- tested on: end -->\n`)
	if cut := table.FindString(document); cut == "" || table.FindString(read("README.md")) != cut {
		t.Error("README.md's table isn't the one of docs/KERNELS.md: the matrix writes both")
	}
}
