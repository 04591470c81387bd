//go:build linux

package doctor

import (
	"encoding/json"
	"fmt"
	"io"
	"time"
)

// Child runs a kind's checks from the given one on and writes each row to w as a line of JSON, as soon as it is known. It ends early
// after a check that hangs, for the parent to start another child.
func Child(kind *Kind, from int, w io.Writer) error {
	out := json.NewEncoder(w)
	for i := from; i < len(kind.Checks); i++ {
		row, returned := run(kind, &kind.Checks[i])
		if err := out.Encode(row); err != nil {
			return fmt.Errorf("write a row: %w", err)
		}
		if !returned {
			return nil
		}
	}
	return nil
}

// childGrace is how much longer than a check a child may take for a row before it is killed: it has to start, and to report.
const childGrace = time.Second
