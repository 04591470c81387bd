package main

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/fildes/fildes/matrix/internal/outcome"
)

// A printer keeps what the machines have to say apart, line by line.
type printer struct {
	mu sync.Mutex
	w  io.Writer
	o  options
}

func (p *printer) note(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, _ = fmt.Fprintf(p.w, format+"\n", args...)
}

func (p *printer) raw(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, _ = io.WriteString(p.w, text)
}

// job is a line when a program has ended.
func (p *printer) job(s *session, j *job, tests []outcome.Test, of outcome.Machine) {
	n := count(tests)
	word := "ok"
	if len(outcome.Judge(tests, of.Lacks, of.Exceptions, false)) > 0 {
		word = "FAIL"
	}
	p.note("%-4s %-14s %-4s %-24s %4d passed %3d skipped %6.1f s", word, s.m.Name, j.user, j.name(), n[outcome.Pass], n[outcome.Skip], j.end.Elapsed.Seconds())
}

// count counts tests; packages aren't.
func count(tests []outcome.Test) map[outcome.Result]int {
	n := make(map[outcome.Result]int)
	for _, t := range tests {
		if t.Name != "" || t.Result == outcome.Fail {
			n[t.Result]++
		}
	}
	return n
}

// machine says how a machine did.
func (p *printer) machine(s *session, r *result, problems []outcome.Problem, err error, took time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := count(r.machine.Tests)
	word := "ok  "
	if !r.ok {
		word = "FAIL"
	}
	_, _ = fmt.Fprintf(p.w, "%s %s: Linux %s, %d passed, %d skipped, %d failed, %v\n", word, s.m.Name, r.machine.Kernel,
		n[outcome.Pass], n[outcome.Skip], n[outcome.Fail], took.Round(100*time.Millisecond))
	for _, q := range problems {
		_, _ = fmt.Fprintf(p.w, "     %v\n", q)
		if q.Output != "" {
			_, _ = fmt.Fprintf(p.w, "        %s\n", strings.ReplaceAll(strings.TrimSpace(q.Output), "\n", "\n        "))
		}
	}
	if err != nil {
		if log := strings.TrimSpace(s.log.String()); log != "" {
			_, _ = fmt.Fprintf(p.w, "     the kernel's log:\n        %s\n", strings.ReplaceAll(log, "\n", "\n        "))
		}
		if j := s.current(); j != nil && j.end == nil {
			_, _ = fmt.Fprintf(p.w, "     while it ran %s as %s:\n        %s\n", j.name(), j.user, strings.ReplaceAll(j.output.String(), "\n", "\n        "))
		}
		_, _ = fmt.Fprintf(p.w, "     %v\n", err)
	}
}
