//go:build linux

package doctor

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/fildes/fildes/cmd/fildes/internal/report"
)

// A Doctor runs the checks of kinds in processes of their own, so that what kills a process (a seccomp filter, mostly) costs a
// row and not the report.
type Doctor struct {
	// Command makes the command that runs [Child] with the two arguments.
	Command func(kind, from string) *exec.Cmd

	end time.Time // no check starts later
}

// Examine runs the checks of a kind and hands each row to emit, whose error ends it.
func (d *Doctor) Examine(kind *Kind, emit func(report.Row) error) error {
	if d.end.IsZero() {
		d.end = time.Now().Add(allTime)
	}
	end := time.Now().Add(kindTime)
	if end.After(d.end) {
		end = d.end
	}
	for next := 0; next < len(kind.Checks); {
		c := &kind.Checks[next]
		if time.Now().After(end) {
			if err := emit(lost(kind, c, report.Failed, "not run: the checks before it have taken too long")); err != nil {
				return err
			}
			next++
			continue
		}
		rows, death, err := d.child(kind, next, emit)
		if err != nil {
			return err
		}
		next += rows
		if errors.Is(death, errNoChild) {
			// No other process may be had; so nothing protects this one.
			for ; next < len(kind.Checks); next++ {
				row, _ := run(kind, &kind.Checks[next])
				if err := emit(row); err != nil {
					return err
				}
			}
			return nil
		}
		if death == nil && rows == 0 {
			death = errors.New("the process that ran the check ended without a word")
		}
		if death != nil && next < len(kind.Checks) {
			result := report.Failed
			if errors.Is(death, errForbidden) {
				result = report.Denied
			}
			if err := emit(lost(kind, &kind.Checks[next], result, death.Error())); err != nil {
				return err
			}
			next++
		}
	}
	return nil
}

// lost is the row of a check that couldn't report.
func lost(kind *Kind, c *Check, result report.Result, reason string) report.Row {
	return report.Row{Kind: kind.Name, Check: c.Name, What: c.What, Result: result, Reason: reason}
}

var (
	errNoChild   = errors.New("no process can be started")
	errForbidden = errors.New("killed by SIGSYS: a seccomp filter forbids one of its system calls")
)

// child runs one process, emits its rows, and says how many there were and what the process died of, if it did.
func (d *Doctor) child(kind *Kind, from int, emit func(report.Row) error) (rows int, death, err error) {
	cmd := d.Command(kind.Name, strconv.Itoa(from))
	var complaint head
	cmd.Stderr = &complaint
	cmd.WaitDelay = childGrace // a stray grandchild may hold the pipe
	out, err := cmd.StdoutPipe()
	if err != nil {
		return 0, errNoChild, nil
	}
	if err := cmd.Start(); err != nil {
		return 0, errNoChild, nil
	}
	const bound = rowTime + rowGrace + childGrace
	hung := make(chan struct{})
	watch := time.AfterFunc(bound, func() {
		close(hung)
		_ = cmd.Process.Kill()
	})
	in := bufio.NewScanner(out)
	for in.Scan() {
		if !watch.Reset(bound) {
			break // killed
		}
		var row report.Row
		if json.Unmarshal(in.Bytes(), &row) != nil || from+rows >= len(kind.Checks) || row.Check != kind.Checks[from+rows].Name {
			continue
		}
		if err = emit(row); err != nil {
			break
		}
		rows++
	}
	if err != nil {
		_ = cmd.Process.Kill()
	}
	// Its output has ended, and it must too.
	ended := cmd.Wait()
	watch.Stop()
	select {
	case <-hung:
		return rows, fmt.Errorf("hangs: no answer in %v", bound), err
	default:
	}
	return rows, cause(ended, complaint.Bytes()), err
}

// cause says what a process died of.
func cause(ended error, complaint []byte) error {
	exit, ok := errors.AsType[*exec.ExitError](ended)
	if !ok {
		return ended
	}
	status, _ := exit.Sys().(syscall.WaitStatus)
	// A filter that traps instead of killing makes the Go runtime complain and exit.
	if status.Signaled() && status.Signal() == syscall.SIGSYS || bytes.Contains(complaint, []byte("SIGSYS: bad system call")) {
		return errForbidden
	}
	for line := range strings.Lines(string(complaint)) {
		if line = strings.TrimSpace(line); line != "" {
			return fmt.Errorf("the process that ran the check died (%w): %s", exit, line)
		}
	}
	return fmt.Errorf("the process that ran the check died: %w", exit)
}

// Self makes a command that runs this program.
func Self(args ...string) *exec.Cmd {
	path := "/proc/self/exe" // also when the file has been replaced, or can't be reached any more
	if _, err := os.Stat(path); err != nil {
		path = os.Args[0]
	}
	cmd := exec.Command(path, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.Env = append(os.Environ(), "GOTRACEBACK=none")
	return cmd
}

// head keeps the first of what is written.
type head struct{ bytes.Buffer }

const headSize = 4096

func (h *head) Write(p []byte) (int, error) {
	if room := headSize - h.Len(); room > 0 {
		_, _ = h.Buffer.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}
