package main

import (
	"fmt"
	"regexp"
	"runtime"
	"slices"

	"github.com/spf13/cobra"

	"github.com/fildes/fildes/matrix/internal/machine"
)

type options struct {
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
	return runtime.NumCPU()
}

// machines returns those named, or all.
func (o options) machines(names []string) ([]machine.Machine, error) {
	var ms []machine.Machine
	for _, m := range machine.Table {
		if len(names) == 0 && (!o.quick || m.Quick) || slices.Contains(names, m.Name) {
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

// selects says whether a package is to run.
func (o options) selects(pkg string) bool {
	return o.packages == "" || regexp.MustCompile(o.packages).MatchString(pkg)
}
