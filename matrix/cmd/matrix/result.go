package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/fildes/fildes/matrix/internal/machine"
	"github.com/fildes/fildes/matrix/internal/outcome"
)

// A result is what became of a machine.
type result struct {
	machine  outcome.Machine
	profiles [][]byte
	ok       bool
}

// result runs a machine, shows what there is to see, and judges.
func (s *session) result(ctx context.Context, p *printer) *result {
	r := &result{machine: outcome.Machine{
		Name: s.m.Name, GOARCH: s.m.GOARCH, Emulated: s.m.Emulated(), Fixtures: s.m.Fixtures,
		Lacks: s.m.Lacks(), Exceptions: machine.ExceptionsOf(s.m),
	}}
	begin := time.Now()
	err := os.MkdirAll(s.dir, 0o755)
	execute := s.boot
	if s.m.Emulated() {
		execute = s.emulate
	}
	if err == nil {
		err = execute(ctx, func(j *job) {
			if e := s.take(ctx, j, r, p); e != nil {
				err = errors.Join(err, e)
			}
		}, func(why error) { p.note("%s is started again: %v", s.m.Name, why) })
	}
	r.machine.Kernel, r.machine.PageSize = s.up.Release, s.up.Page
	for _, d := range r.machine.Doctor {
		r.machine.BigEndian = d.Host.ByteOrder == "big"
		r.machine.Kernel = d.Host.Kernel
	}
	if err == nil {
		for _, j := range s.jobs {
			if j.end == nil {
				err = errors.Join(err, fmt.Errorf("%s as %s never ended", j.name(), j.user))
			}
		}
	}
	if err == nil && len(r.machine.Tests) == 0 {
		err = errors.New("no test was run: is there one of that name?")
	}
	problems := outcome.Judge(r.machine.Tests, r.machine.Lacks, r.machine.Exceptions, s.o.whole() && err == nil)
	for _, q := range problems {
		r.machine.Problems = append(r.machine.Problems, q.String())
	}
	if err != nil {
		r.machine.Problems = append(r.machine.Problems, err.Error())
	}
	r.ok = len(r.machine.Problems) == 0
	p.machine(s, r, problems, err, time.Since(begin))
	_ = os.RemoveAll(s.dir)
	return r
}

func (j *job) name() string {
	if j.pkg == "" {
		return "doctor"
	}
	return outcome.Short(j.pkg)
}

// take reads what a job has printed.
func (s *session) take(ctx context.Context, j *job, r *result, p *printer) error {
	run := s.m.Name + " " + j.user
	var exit error
	if j.end.Error != "" {
		exit = errors.New(j.end.Error)
	}
	var tests []outcome.Test
	text := strings.ReplaceAll(j.output.String(), "\r\n", "\n")
	if j.pkg == "" {
		d, err := outcome.ReadDoctor(j.user, []byte(text))
		if err != nil {
			return fmt.Errorf("%w\n%s", errors.Join(err, exit), text)
		}
		tests = d.Tests(run)
		if exit != nil && !slices.ContainsFunc(tests, func(t outcome.Test) bool { return t.Result == outcome.Fail }) {
			return fmt.Errorf("fildes doctor as %s: all is well, and yet: %w", j.user, exit)
		}
		r.machine.Doctor = append(r.machine.Doctor, d)
	} else {
		out, in := io.Pipe()
		cmd := exec.CommandContext(ctx, "go", "tool", "test2json", "-t", "-p", j.pkg)
		cmd.Stdin, cmd.Stdout = strings.NewReader(text), in
		go func() { in.CloseWithError(cmd.Run()) }()
		var err error
		tests, err = outcome.Reader{Run: run, User: j.user, Package: j.pkg, Exit: exit}.Read(out)
		if err != nil {
			return err
		}
		if j.run.Collect != "" {
			if j.end.Size != len(j.content) {
				return fmt.Errorf("the coverage of %s as %s has %d bytes, and %d arrived", j.name(), j.user, j.end.Size, len(j.content))
			}
			r.profiles = append(r.profiles, slices.Clone(j.content))
		}
	}
	r.machine.Tests = append(r.machine.Tests, tests...)
	p.job(s, j, tests, r.machine)
	if s.o.verbose {
		p.raw(text)
	}
	return nil
}
