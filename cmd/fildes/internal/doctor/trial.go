//go:build linux

package doctor

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/fildes/fildes/cmd/fildes/internal/report"
)

// Bounds. A row normally takes some tens of milliseconds.
const (
	rowTime  = 2 * time.Second        // for one check
	rowGrace = 500 * time.Millisecond // for one that doesn't heed its context
	kindTime = 5 * time.Second        // for starting the checks of a kind
	allTime  = 20 * time.Second       // and for those of all kinds
)

// A Trial is one run of a check.
type Trial struct {
	ctx     context.Context
	step    atomic.Pointer[string]
	cleanup []func()
	timing  *report.Timing
}

// Context ends when the check has had its time.
func (t *Trial) Context() context.Context { return t.ctx }

// Step says what is done from now on, for the message of a check that hangs.
func (t *Trial) Step(what string) { t.step.Store(&what) }

// Cleanup runs f after the check, before those that were given earlier.
func (t *Trial) Cleanup(f func()) { t.cleanup = append(t.cleanup, f) }

// run runs the check, for at most rowTime and rowGrace, and says whether it has returned.
func run(kind *Kind, c *Check) (row report.Row, returned bool) {
	ctx, cancel := context.WithTimeout(context.Background(), rowTime)
	defer cancel()
	t := &Trial{ctx: ctx}
	t.Step("start")
	done := make(chan error, 1)
	go func() { done <- t.run(c) }()
	row = report.Row{Kind: kind.Name, Check: c.Name, What: c.What}
	select {
	case err := <-done:
		if err != nil && ctx.Err() != nil {
			err = fmt.Errorf("gave up after %v, in this step: %s: %w", rowTime, *t.step.Load(), err)
		}
		if err == nil {
			row.Timing = t.timing
		}
		judge(&row, c.Needs, err)
		return row, true
	case <-time.After(rowTime + rowGrace):
		judge(&row, nothing, fmt.Errorf("hangs, and heeds no context, in this step: %s", *t.step.Load()))
		return row, false
	}
}

// run is the check and its cleanup, which may hang too.
func (t *Trial) run(c *Check) error {
	defer func() {
		for _, f := range slices.Backward(t.cleanup) {
			f()
		}
	}()
	start := time.Now()
	err := c.Run(t)
	if err == nil && t.timing == nil { // what it does is done once
		t.timing = &report.Timing{Samples: 1, Median: float64(time.Since(start))}
	}
	return err
}
