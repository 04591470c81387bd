package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"

	"golang.org/x/tools/cover"
)

// mergeProfiles writes one profile of all: a statement counts as often as it ran on any machine.
func mergeProfiles(file string, profiles [][]byte) error {
	if len(profiles) == 0 {
		return errors.New("no machine has left a coverage profile")
	}
	const mode = "mode: atomic\n"
	var all bytes.Buffer
	all.WriteString(mode)
	for _, p := range profiles {
		all.Write(bytes.TrimPrefix(p, []byte(mode)))
	}
	merged, err := cover.ParseProfilesFromReader(&all)
	if err != nil {
		return fmt.Errorf("merging coverage: %w", err)
	}
	var out bytes.Buffer
	out.WriteString(mode)
	for _, p := range merged {
		for _, b := range p.Blocks {
			_, _ = fmt.Fprintf(&out, "%s:%d.%d,%d.%d %d %d\n", p.FileName, b.StartLine, b.StartCol, b.EndLine, b.EndCol, b.NumStmt, b.Count)
		}
	}
	return os.WriteFile(file, out.Bytes(), 0o644)
}
