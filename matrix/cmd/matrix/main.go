// Command matrix runs the library's tests and fildes doctor on other kernels and other machines: Debian's kernels on hardware that
// qemu makes, and qemu's user emulation where Debian has no kernel.
//
//	go -C matrix run ./cmd/matrix            # all machines
//	go -C matrix run ./cmd/matrix amd64-5.10 s390x-6.1
//	go -C matrix run ./cmd/matrix --help
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

// errFailed is when all that there is to say about the failures has been said.
var errFailed = errors.New("failed")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := root().ExecuteContext(ctx); err != nil {
		if !errors.Is(err, errFailed) {
			fmt.Fprintln(os.Stderr, "matrix:", err)
		}
		stop()
		os.Exit(1) //nolint:gocritic // stop has been called
	}
}

func root() *cobra.Command {
	var o options
	c := &cobra.Command{
		Use:           "matrix [MACHINE…]",
		Short:         "Run the tests and fildes doctor on other kernels and machines",
		Long:          long,
		Args:          cobra.ArbitraryArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			return run(cmd.Context(), o, args, cmd.OutOrStdout())
		},
	}
	f := c.Flags()
	f.BoolVar(&o.quick, "quick", false, "the machines of CI")
	f.IntVarP(&o.parallel, "parallel", "j", 0, "machines at a time (default: one more than processors)")
	f.StringVar(&o.packages, "only", "", "only packages that match this regexp; no doctor")
	f.StringVar(&o.tests, "run", "", "only tests that match, as in go test")
	f.IntVar(&o.count, "count", 1, "how often each test runs")
	f.BoolVar(&o.long, "long", false, "all rounds: the tests run without -short")
	f.BoolVar(&o.race, "race", false, "with the race detector, where there is one")
	f.StringVar(&o.cover, "cover", "", "write the coverage of all machines to this file")
	f.StringVar(&o.report, "report", "", "write the results to this file, as JSON")
	f.BoolVarP(&o.verbose, "verbose", "v", false, "show all that the tests print")
	c.AddCommand(listCommand(), docsCommand(), plantCommand())
	return c
}

const long = `Run the tests of each package and fildes doctor, as root and as an ordinary
user, on other kernels and other machines.

The kernels come from Debian's packages. They are kept in a cache, which
FILDES_MATRIX_CACHE moves, and not installed. It needs a Debian system with
qemu-system, qemu-user-static, e2fsprogs and xfsprogs, but no KVM and, for the
virtual machines, no root.

A test that is skipped for a need that its machine should meet is a failure,
and so is an exception that isn't one any more.`
