package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/fildes/fildes/matrix/internal/kernels"
	"github.com/fildes/fildes/matrix/internal/outcome"
)

func docsCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "docs REPORT",
		Short: "Write docs/KERNELS.md and the README's table from a report",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			b, err := os.ReadFile(args[0])
			if err != nil {
				return err
			}
			var r outcome.Report
			if err := json.Unmarshal(b, &r); err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			if !r.Whole {
				return fmt.Errorf("%s isn't about all that there is: run matrix --report without machines, --only and --run", args[0])
			}
			for _, m := range r.Machines {
				if len(m.Problems) > 0 {
					return fmt.Errorf("%s isn't in order: %s", m.Name, m.Problems[0])
				}
			}
			root, err := checkout(cmd.Context())
			if err != nil {
				return err
			}
			return writeDocs(root, r)
		},
	}
}

func writeDocs(root string, r outcome.Report) error {
	var doc bytes.Buffer
	if err := kernels.Write(&doc, r); err != nil {
		return err
	}
	readme := filepath.Join(root, "README.md")
	old, err := os.ReadFile(readme)
	if err != nil {
		return err
	}
	updated, err := kernels.UpdateREADME(old, r)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(root, "docs", "KERNELS.md"), doc.Bytes(), 0o644); err != nil {
		return err
	}
	return os.WriteFile(readme, updated, 0o644)
}
