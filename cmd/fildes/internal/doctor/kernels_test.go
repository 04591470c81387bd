//go:build linux

package doctor

import (
	"os"
	"strings"
	"testing"
)

// What a kernel does is documented for each check, or a run of the matrix is missing.
func TestKernelsHasEveryCheck(t *testing.T) {
	text, err := os.ReadFile("../../../../docs/KERNELS.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range Kinds {
		_, section, _ := strings.Cut(string(text), "\n### "+k.Name+"\n")
		section, _, _ = strings.Cut(section, "\n### ")
		for _, c := range k.Checks {
			if !strings.Contains(section, "\n| "+c.Name+" ") {
				t.Errorf("docs/KERNELS.md lacks %s %s: run the matrix", k.Name, c.Name)
			}
		}
	}
}
