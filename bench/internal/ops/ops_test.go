//go:build linux

package ops

import (
	"os"
	"testing"
)

func TestMain(m *testing.M) {
	Listen()
	Block()
	m.Run()
}

// BenchmarkOps measures each operation and its baseline apart. For ratios that noise can't touch, run cmd/ratios, whose
// --go-bench prints the same names.
func BenchmarkOps(b *testing.B) {
	for _, op := range Table {
		b.Run(op.ID+"/against="+op.Against, func(b *testing.B) {
			if op.Root && os.Geteuid() != 0 {
				b.Skip("only root can do it")
			}
			b.Run("side=ours", func(b *testing.B) { benchmark(b, op.Ours) })
			b.Run("side=baseline", func(b *testing.B) { benchmark(b, op.Base) })
		})
	}
}

func benchmark(b *testing.B, setup Setup) {
	b.StopTimer()
	b.ReportAllocs()
	run, done := setup()
	defer done()
	run(b.N, b)
}
