//go:build linux

package main

import (
	"fmt"
	"io"
	"os"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/fildes/fildes/cmd/fildes/internal/doctor"
	"github.com/fildes/fildes/signalfd"
)

// checkCommand runs some of a kind's checks in this process. The doctor starts it.
const checkCommand = "__check"

func newCheck() *cobra.Command {
	return &cobra.Command{
		Use:    checkCommand + " KIND FROM",
		Hidden: true,
		Args:   cobra.ExactArgs(2),
		RunE: running(func(cmd *cobra.Command, args []string) error {
			kinds, err := doctor.Select(args[:1])
			if err != nil {
				return err
			}
			from, err := strconv.ParseUint(args[1], 10, 16)
			if err != nil {
				return fmt.Errorf("the number of a check: %w", err)
			}
			if err := signalfd.BlockAndReexec(kinds[0].Block); err != nil {
				return err
			}
			return doctor.Child(kinds[0], int(from), cmd.OutOrStdout())
		}),
	}
}

// newCopy is for a check that needs a child.
func newCopy() *cobra.Command {
	return &cobra.Command{
		Use:    doctor.CopyCommand,
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: running(func(cmd *cobra.Command, _ []string) error {
			_, err := io.Copy(cmd.OutOrStdout(), cmd.InOrStdin())
			return err
		}),
	}
}

// newExit is for a check that needs one that ends.
func newExit() *cobra.Command {
	return &cobra.Command{
		Use:    doctor.ExitCommand + " STATUS",
		Hidden: true,
		Args:   cobra.ExactArgs(1),
		RunE: running(func(_ *cobra.Command, args []string) error {
			status, err := strconv.ParseUint(args[0], 10, 8)
			if err == nil {
				os.Exit(int(status))
			}
			return fmt.Errorf("the exit status: %w", err)
		}),
	}
}
