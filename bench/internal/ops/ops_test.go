//go:build linux

package ops

import "testing"

// BenchmarkOps measures each operation and its baseline apart. For ratios that noise can't touch, run cmd/ratios, whose
// --go-bench prints the same names.
func BenchmarkOps(b *testing.B) {
	for _, op := range Table {
		b.Run(op.ID+"/against="+op.Against, func(b *testing.B) {
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
