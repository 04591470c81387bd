//go:build linux

package ratio

import "testing"

func TestSpread(t *testing.T) {
	for _, c := range []struct {
		in   []float64
		want Spread
	}{
		{[]float64{7}, Spread{7, 7, 7}},
		{[]float64{4, 2}, Spread{2.5, 3, 3.5}},
		{[]float64{5, 1, 4, 2, 3}, Spread{2, 3, 4}},
	} {
		if got := SpreadOf(c.in); got != c.want {
			t.Errorf("SpreadOf(%v) = %v, want %v", c.in, got, c.want)
		}
	}
}
