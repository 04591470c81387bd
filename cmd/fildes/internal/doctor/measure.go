//go:build linux

package doctor

import (
	"fmt"
	"slices"
	"time"

	"github.com/fildes/fildes/cmd/fildes/internal/report"
)

const (
	samples     = 301                   // how many, where there is time for them
	fewest      = 11                    // and where there isn't
	measureTime = 60 * time.Millisecond // how long a row may measure
	batchTime   = 10 * time.Microsecond // reading the clock must not count
	largest     = 64                    // operations in a sample
)

// Measure runs op, and raw, the same system calls without the library, in turns, and keeps the median time of each. raw may be nil. Their
// first error ends it.
func (t *Trial) Measure(op, raw func() error) error {
	// The first run may register, allocate and fault in.
	first, err := timed(op, 1)
	if err == nil && raw != nil {
		_, err = timed(raw, 1)
	}
	if err == nil {
		first, err = timed(op, 1)
	}
	if err != nil {
		return err
	}
	batch := int(min(max(batchTime/max(first, 1), 1), largest))
	sample := func(f func() error) func() (time.Duration, error) {
		if f == nil {
			return nil
		}
		return func() (time.Duration, error) { return timed(f, batch) }
	}
	if err := t.Sample(sample(op), sample(raw)); err != nil {
		return err
	}
	t.timing.Median /= float64(batch)
	t.timing.Raw /= float64(batch)
	return nil
}

func timed(f func() error, times int) (time.Duration, error) {
	start := time.Now()
	for range times {
		if err := f(); err != nil {
			return 0, err
		}
	}
	return time.Since(start), nil
}

// Sample is Measure for operations that measure themselves: they have something to prepare.
func (t *Trial) Sample(op, raw func() (time.Duration, error)) error {
	var ops, raws []time.Duration
	for end := time.Now().Add(measureTime); len(ops) < samples && (len(ops) < fewest || time.Now().Before(end)); {
		// Each goes first half of the time.
		for _, own := range []bool{len(ops)%2 == 0, len(ops)%2 != 0} {
			if own {
				d, err := op()
				if err != nil {
					return err
				}
				ops = append(ops, d)
			} else if raw != nil {
				d, err := raw()
				if err != nil {
					return fmt.Errorf("the same system calls without the library: %w", err)
				}
				raws = append(raws, d)
			}
		}
		if err := t.ctx.Err(); err != nil {
			return err
		}
	}
	t.timing = &report.Timing{Samples: len(ops), Median: median(ops)}
	if raw != nil {
		t.timing.Raw = median(raws)
		t.timing.Ratio = t.timing.Median / max(t.timing.Raw, 1)
	}
	return nil
}

func median(d []time.Duration) float64 {
	slices.Sort(d)
	return float64(d[len(d)/2])
}
