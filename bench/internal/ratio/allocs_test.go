//go:build linux && !race

package ratio

import (
	"os"
	"testing"

	"github.com/fildes/fildes/bench/internal/ops"
)

// Unlike times, allocations can be checked on a busy machine. (Under the race detector sync.Pool forgets on purpose.)
func TestMain(m *testing.M) {
	ops.Listen()
	ops.Block()
	m.Run()
}

func TestAllocations(t *testing.T) {
	for _, op := range ops.Table {
		if op.Root && os.Geteuid() != 0 {
			continue
		}
		if got := allocations(op); got > op.Allocs {
			t.Errorf("%s allocates %g times per operation, want %g at most", op.ID, got, op.Allocs)
		}
	}
}
