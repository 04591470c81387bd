//go:build linux

package doctor

import (
	"errors"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/fildes/fildes"
	"github.com/fildes/fildes/cmd/fildes/internal/host"
	"github.com/fildes/fildes/cmd/fildes/internal/report"
)

// bad are kinds whose checks misbehave, each before one that doesn't.
var bad = map[string]*Kind{
	"raise": badKind("raise", die(syscall.SIGSYS)),
	"kill":  badKind("kill", die(syscall.SIGKILL)),
	"panic": badKind("panic", func(*Trial) error { panic("at the disco") }),
	"exit":  badKind("exit", func(*Trial) error { os.Exit(0); return nil }),
	"heed": badKind("heed", func(t *Trial) error {
		t.Step("wait for nothing")
		<-t.Context().Done()
		return t.Context().Err()
	}),
	"hang": badKind("hang", func(t *Trial) error {
		t.Step("wait for ever")
		select {}
	}),
	"stop": badKind("stop", die(syscall.SIGSTOP)),
}

func badKind(name string, f func(*Trial) error) *Kind {
	return &Kind{Name: name, Checks: []Check{
		{Name: "good", Run: func(*Trial) error { return nil }},
		{Name: "bad", Run: f},
		{Name: "last", Run: func(*Trial) error { return nil }},
	}}
}

// die sends this process a signal and waits for it to arrive.
func die(sig syscall.Signal) func(*Trial) error {
	return func(*Trial) error {
		if err := syscall.Kill(os.Getpid(), sig); err != nil {
			return err
		}
		select {}
	}
}

const childVariable = "FILDES_TEST_CHILD"

func TestMain(m *testing.M) {
	if kind := os.Getenv(childVariable); kind != "" {
		from, err := strconv.Atoi(os.Args[1])
		if err == nil {
			err = Child(bad[kind], from, os.Stdout)
		}
		if err != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func TestADeadChildCostsARow(t *testing.T) {
	for _, c := range []struct {
		kind   string
		result report.Result
		text   string
	}{
		{"raise", report.Denied, "SIGSYS"},
		{"kill", report.Failed, "signal: killed"},
		{"panic", report.Failed, "panic: at the disco"},
		{"exit", report.Failed, "without a word"},
		{"heed", report.Failed, "wait for nothing"},
		{"hang", report.Failed, "heeds no context, in this step: wait for ever"},
		{"stop", report.Failed, "hangs: no answer"},
	} {
		t.Run(c.kind, func(t *testing.T) {
			t.Parallel()
			d := &Doctor{Command: func(kind, from string) *exec.Cmd {
				cmd := Self(from)
				cmd.SysProcAttr = nil // the thread that starts it may end
				cmd.Env = append(cmd.Env, childVariable+"="+kind)
				return cmd
			}}
			var rows []report.Row
			if err := d.Examine(bad[c.kind], func(r report.Row) error {
				rows = append(rows, r)
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			if len(rows) != 3 || rows[0].Result != report.OK || rows[2].Result != report.OK {
				t.Fatalf("rows: %+v", rows)
			}
			if r := rows[1]; r.Check != "bad" || r.Result != c.result || !strings.Contains(r.Reason, c.text) {
				t.Errorf("row: %+v, want %s, %q", r, c.result, c.text)
			}
		})
	}
}

func TestWithoutChildren(t *testing.T) {
	d := &Doctor{Command: func(string, string) *exec.Cmd { return exec.Command("/nonexistent") }}
	var rows []report.Row
	if err := d.Examine(&eventfdKind, func(r report.Row) error {
		rows = append(rows, r)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if len(rows) != len(eventfdKind.Checks) || rows[0].Result != report.OK {
		t.Errorf("rows: %+v", rows)
	}
}

func TestEmitEndsIt(t *testing.T) {
	full := errors.New("full")
	d := &Doctor{Command: func(kind, from string) *exec.Cmd {
		cmd := Self(from)
		cmd.SysProcAttr = nil
		cmd.Env = append(cmd.Env, childVariable+"="+kind)
		return cmd
	}}
	if err := d.Examine(bad["stop"], func(report.Row) error { return full }); !errors.Is(err, full) {
		t.Errorf("error: %v", err)
	}
}

func TestJudge(t *testing.T) {
	const absent host.Capability = 63 // nobody has it
	for _, c := range []struct {
		err     error
		needs   host.Capability
		result  report.Result
		missing string
		reason  string
	}{
		{nil, absent, report.OK, "", ""},
		{&fildes.UnsupportedError{Feature: "a field", Since: "6.5"}, nothing, report.Unsupported, "a field (Linux 6.5)", "a field is not"},
		{fildes.NewOpError("x", "new", "", os.NewSyscallError("newcall", syscall.ENOSYS)), nothing, report.Unsupported, "newcall", "newcall"},
		{os.NewSyscallError("call", syscall.EPERM), absent, report.Denied, "CAP_63", "needs CAP_63: call"},
		{os.NewSyscallError("call", syscall.EACCES), nothing, report.Denied, "", "security module forbids it: call"},
		{os.NewSyscallError("call", syscall.EIO), absent, report.Failed, "", "call: input/output error"},
	} {
		var row report.Row
		judge(&row, c.needs, c.err)
		if row.Result != c.result || row.Missing != c.missing || !strings.Contains(row.Reason, c.reason) {
			t.Errorf("%v: %+v, want %+v", c.err, row, c)
		}
	}
}
