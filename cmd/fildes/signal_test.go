//go:build linux

package main_test

import (
	"bufio"
	"bytes"
	"errors"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

func TestInterrupt(t *testing.T) {
	cmd := exec.Command(program, "doctor")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	// The header comes before the checks, which take a multiple of the time that a signal does.
	in := bufio.NewReader(out)
	if _, err := in.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	err = cmd.Wait()
	exit, ok := errors.AsType[*exec.ExitError](err)
	if !ok {
		t.Fatalf("an interrupted doctor ends with %v", err)
	}
	if status := exit.Sys().(syscall.WaitStatus); !status.Signaled() || status.Signal() != syscall.SIGINT {
		t.Errorf("an interrupted doctor ends with %v", exit)
	}
}

func TestNobodyReads(t *testing.T) {
	for _, args := range []string{"doctor", "doctor --json", "version"} {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(program, strings.Fields(args)...)
		cmd.Stdout = w
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		err = cmd.Run()
		_ = w.Close()
		exit, ok := errors.AsType[*exec.ExitError](err)
		if !ok || stderr.Len() > 0 {
			t.Errorf("fildes %s: %v, stderr %q", args, err, &stderr)
			continue
		}
		if status := exit.Sys().(syscall.WaitStatus); !status.Signaled() || status.Signal() != syscall.SIGPIPE {
			t.Errorf("fildes %s ends with %v", args, exit)
		}
	}
}

func TestFullDevice(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("needs /dev/full:", err)
	}
	defer func() { _ = full.Close() }()
	cmd := exec.Command(program, "doctor", "eventfd")
	cmd.Stdout = full
	if o := finish(t, cmd).want(t, 1); !strings.Contains(o.stderr, "no space left on device") {
		t.Errorf("stderr: %q", o.stderr)
	}
}
