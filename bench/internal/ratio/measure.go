//go:build linux

// Package ratio measures operations and their baselines in turn, so that whatever else the machine does meets both.
package ratio

import (
	"math"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes/bench/internal/ops"
)

// A Result is what was measured of one operation. Times are in nanoseconds per operation.
type Result struct {
	ID      string `json:"id"`
	Name    string `json:"operation"`
	Against string `json:"against"`

	Iterations int       `json:"iterations"` // of one measurement
	Ours       []float64 `json:"ours_ns"`    // of each round
	Base       []float64 `json:"baseline_ns"`
	Again      []float64 `json:"baseline_again_ns"`

	Ratio   Spread  `json:"ratio"`   // of ours to the baseline
	Control Spread  `json:"control"` // of the baseline to itself
	Bound   float64 `json:"bound,omitempty"`

	Allocs      float64 `json:"allocs"` // of ours, per operation
	AllocsBound float64 `json:"allocs_bound"`
	OK          bool    `json:"ok"`
}

// A round measures each side in short slices, in turn, and takes the median of a side's slices: what other processes do to one of
// them doesn't show, and what the processor does for longer meets all sides.
const (
	defaultSlice = 300 * time.Microsecond
	roundTime    = 10 * time.Millisecond // of one side
)

// Measure measures an operation in rounds. In each it makes all objects anew, so that the place where one of them happens to lie
// doesn't decide, and measures ours, the baseline, and once more the baseline on objects of its own, in an order that changes.
func Measure(op ops.Op, rounds int) Result {
	r := Result{
		ID: op.ID, Name: op.Name, Against: op.Against, Bound: op.Bound, AllocsBound: op.Allocs,
		Iterations: calibrate(op), Allocs: allocations(op),
	}
	for i := range rounds {
		ns := round(op, r.Iterations, i)
		r.Ours, r.Base, r.Again = append(r.Ours, ns[0]), append(r.Base, ns[1]), append(r.Again, ns[2])
	}
	r.Ratio, r.Control = SpreadOf(quotients(r.Ours, r.Base)), SpreadOf(quotients(r.Again, r.Base))
	r.OK = (r.Bound == 0 || r.Ratio.Median <= r.Bound) && r.Allocs <= r.AllocsBound
	return r
}

// orders are all orders of three: each side comes as often first as last, and after each other.
var orders = [][3]int{{0, 1, 2}, {2, 1, 0}, {1, 0, 2}, {2, 0, 1}, {1, 2, 0}, {0, 2, 1}}

func round(op ops.Op, n, first int) (ns [3]float64) {
	ours, doneOurs := op.Ours()
	defer doneOurs()
	base, doneBase := op.Base()
	defer doneBase()
	again, doneAgain := op.Base()
	defer doneAgain()
	runs := [3]ops.Run{ours, base, again}
	runtime.GC() // else the rubbish of the setups is collected during a measurement
	var slices [3][]float64
	for k := range slicesOf(op) {
		for _, i := range orders[(first+k)%len(orders)] {
			runs[i](n/8+1, &stopwatch{}) // warm
			slices[i] = append(slices[i], timed(op, runs[i], n))
		}
	}
	for i := range ns {
		ns[i] = Median(slices[i])
	}
	return ns
}

func slicesOf(op ops.Op) int {
	if op.Slices != 0 {
		return op.Slices
	}
	return max(1, int(roundTime/sliceOf(op)))
}

func sliceOf(op ops.Op) time.Duration {
	if op.Slice != 0 {
		return op.Slice
	}
	return defaultSlice
}

func timed(op ops.Op, run ops.Run, n int) float64 {
	s := stopwatch{cpu: op.CPU}
	run(n, &s)
	return float64(s.sum) / float64(n)
}

// calibrate finds how many iterations fill a slice, on the average of both sides, which do equally many.
func calibrate(op ops.Op) int {
	ours, doneOurs := op.Ours()
	defer doneOurs()
	base, doneBase := op.Base()
	defer doneBase()
	if op.Long {
		return 1
	}
	for n := 64; ; {
		per := (timed(op, ours, n) + timed(op, base, n)) / 2
		want := int(float64(sliceOf(op)) / per)
		if want <= 2*n {
			return max(want, 64) // as many as the timers that are armed at once
		}
		n = min(want, 8*n)
	}
}

// allocations counts the allocations of an operation, the partner's included. What the runtime allocates meanwhile is kept out by
// taking the least of several counts.
func allocations(op ops.Op) float64 {
	n := 1024
	if op.Long {
		n = 1
	}
	run, done := op.Ours()
	defer done()
	least := math.Inf(1)
	for range 4 { // the first warms
		var m mallocs
		run(n, &m)
		least = min(least, float64(m.sum)/float64(n))
	}
	return math.Round(least*10) / 10 // starting the partner is a few allocations per run
}

// A stopwatch measures the time that passes or, with cpu, what all processors spend on this program.
type stopwatch struct {
	cpu        bool
	start, sum time.Duration
}

func (s *stopwatch) StartTimer() { s.start = s.now() }
func (s *stopwatch) StopTimer()  { s.sum += s.now() - s.start }

var began = time.Now()

func (s *stopwatch) now() time.Duration {
	if !s.cpu {
		return time.Since(began)
	}
	var t unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &t) // it can't fail
	return time.Duration(t.Nano())
}

type mallocs struct{ start, sum uint64 }

func (m *mallocs) StartTimer() { m.start = count() }
func (m *mallocs) StopTimer()  { m.sum += count() - m.start }

func count() uint64 {
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return s.Mallocs
}
