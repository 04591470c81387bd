package main

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/fildes/fildes/matrix/internal/build"
	"github.com/fildes/fildes/matrix/internal/machine"
)

type options struct {
	only                           *regexp.Regexp // of packages
	quick, race, verbose, long     bool
	parallel, count                int
	packages, tests, cover, report string
}

// whole says whether all that a machine's tables speak of runs.
func (o options) whole() bool { return o.packages == "" && o.tests == "" }

func (o options) atATime() int {
	if o.parallel > 0 {
		return o.parallel
	}
	return runtime.NumCPU() + 1 // tests wait, too
}

// machines returns those named, or all.
func (o options) machines(names []string) ([]machine.Machine, error) {
	var ms []machine.Machine
	for _, m := range machine.Table {
		mayRace := !o.race || build.CanRace(m.GOARCH)
		if len(names) == 0 && (!o.quick || m.Quick) && mayRace || slices.Contains(names, m.Name) {
			ms = append(ms, m)
		}
	}
	for _, n := range names {
		if !slices.ContainsFunc(ms, func(m machine.Machine) bool { return m.Name == n }) {
			return nil, fmt.Errorf("there is no machine %q; matrix list has them", n)
		}
	}
	return ms, nil
}

func listCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the machines",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			for _, m := range machine.Table {
				what := "Debian " + m.Kernel.Suite + ", " + m.Kernel.Arch
				if m.Emulated() {
					what = m.Emulator + ", this machine's kernel"
				}
				if m.Quick {
					what += "; in CI"
				}
				if _, err := fmt.Fprintf(cmd.OutOrStdout(), "%-14s %s\n", m.Name, what); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

// check refuses what can't be run, before anything is built, and returns the options ready for use.
func (o options) check(names []string) (options, error) {
	switch {
	case o.count < 1:
		return o, fmt.Errorf("--count %d: nothing would run", o.count)
	case o.quick && len(names) > 0:
		return o, errors.New("--quick names the machines itself")
	}
	var err error
	if o.only, err = regexp.Compile(o.packages); err != nil {
		return o, fmt.Errorf("--only: %w", err)
	}
	for pattern := range strings.SplitSeq(o.tests, "/") {
		if _, err := regexp.Compile(pattern); err != nil {
			return o, fmt.Errorf("--run: %w", err)
		}
	}
	for _, file := range []string{o.report, o.cover} {
		if file == "" {
			continue
		}
		f, err := os.Create(file)
		if err == nil {
			err = f.Close()
		}
		if err != nil {
			return o, err
		}
	}
	return o, nil
}

// selects says whether a package is to run.
func (o options) selects(pkg string) bool { return o.only.MatchString(pkg) }
