package machine

import (
	"slices"
	"testing"

	"github.com/fildes/fildes/internal/fdtest/fixture"
)

func TestTable(t *testing.T) {
	var words []string
	for _, f := range fixture.Table {
		words = append(words, f.Word)
	}
	names := make(map[string]bool)
	for _, m := range Table {
		if names[m.Name] {
			t.Errorf("there are two machines %s", m.Name)
		}
		names[m.Name] = true
		if m.Emulated() == (len(m.System) > 0) {
			t.Errorf("%s is both or neither of virtual and emulated", m.Name)
		}
		if m.Emulated() && len(ExceptionsOf(m)) == 0 || !m.Emulated() && len(ExceptionsOf(m)) > 0 {
			t.Errorf("%s has %d exceptions", m.Name, len(ExceptionsOf(m)))
		}
		for _, w := range m.Fixtures {
			if !slices.Contains(words, w) {
				t.Errorf("%s has a fixture %s that isn't one", m.Name, w)
			}
		}
	}
}
