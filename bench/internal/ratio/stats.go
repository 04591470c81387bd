//go:build linux

package ratio

import "slices"

// A Spread is the median and the quartiles of some values.
type Spread struct {
	Q1     float64 `json:"q1"`
	Median float64 `json:"median"`
	Q3     float64 `json:"q3"`
}

// SpreadOf sorts a copy of vs, of which there must be one at least.
func SpreadOf(vs []float64) Spread {
	vs = slices.Sorted(slices.Values(vs))
	return Spread{quantile(vs, 0.25), quantile(vs, 0.5), quantile(vs, 0.75)}
}

// Median is the median of vs, of which there must be one at least.
func Median(vs []float64) float64 { return SpreadOf(vs).Median }

// quantile is between the two values that are next to it.
func quantile(sorted []float64, q float64) float64 {
	at := q * float64(len(sorted)-1)
	i := int(at)
	if i+1 == len(sorted) {
		return sorted[i]
	}
	return sorted[i] + (at-float64(i))*(sorted[i+1]-sorted[i])
}

func quotients(a, b []float64) []float64 {
	q := make([]float64, len(a))
	for i := range a {
		q[i] = a[i] / b[i]
	}
	return q
}
