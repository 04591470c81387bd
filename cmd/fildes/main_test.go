//go:build linux

package main_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"unicode/utf8"

	"github.com/fildes/fildes/cmd/fildes/internal/report"
)

// program is the built program.
var program string

func TestMain(m *testing.M) {
	if policy := os.Getenv(policyVariable); policy != "" {
		fmt.Fprintln(os.Stderr, execUnder(policy, os.Args[1:]))
		os.Exit(125)
	}
	if os.Getenv(receiveVariable) != "" {
		os.Exit(receive())
	}
	os.Exit(buildAndRun(m))
}

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "fildes-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if err := os.Chmod(dir, 0o755); err != nil { // other users run it too
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	program = filepath.Join(dir, "fildes")
	build := exec.Command("go", "build", "-o", program, ".")
	build.Stdout, build.Stderr = os.Stderr, os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "go build:", err)
		return 1
	}
	return m.Run()
}

// outcome is how the program ended.
type outcome struct {
	stdout, stderr string
	state          *os.ProcessState
}

func finish(t *testing.T, cmd *exec.Cmd) outcome {
	t.Helper()
	var stdout, stderr bytes.Buffer
	if cmd.Stdout == nil {
		cmd.Stdout = &stdout
	}
	cmd.Stderr = &stderr
	err := cmd.Run()
	if _, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
		t.Fatal(err)
	}
	return outcome{stdout.String(), stderr.String(), cmd.ProcessState}
}

func fildes(t *testing.T, args ...string) outcome {
	t.Helper()
	return finish(t, exec.Command(program, args...))
}

func (o outcome) want(t *testing.T, status int) outcome {
	t.Helper()
	if got := o.state.ExitCode(); got != status {
		t.Errorf("exit status %d (%v), want %d\nstdout:\n%s\nstderr:\n%s", got, o.state, status, o.stdout, o.stderr)
	}
	return o
}

// report decodes the JSON form, which must have no other fields than the documented ones.
func (o outcome) report(t *testing.T) report.Report {
	t.Helper()
	var r report.Report
	d := json.NewDecoder(strings.NewReader(o.stdout))
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil {
		t.Fatalf("decode the report: %v\n%s", err, o.stdout)
	}
	if d.More() {
		t.Error("there is more than one object")
	}
	return r
}

func row(t *testing.T, r report.Report, kind, check string) report.Row {
	t.Helper()
	i := slices.IndexFunc(r.Rows, func(row report.Row) bool { return row.Kind == kind && row.Check == check })
	if i < 0 {
		t.Fatalf("there is no row %s %s: %v", kind, check, r.Rows)
	}
	return r.Rows[i]
}

// narrow checks that no line is wider than n columns.
func narrow(t *testing.T, text string, n int) {
	t.Helper()
	for line := range strings.Lines(text) {
		if line = strings.TrimRight(line, "\r\n"); utf8.RuneCountInString(line) > n {
			t.Errorf("%d columns instead of %d: %q", utf8.RuneCountInString(line), n, line)
		}
	}
}

func TestDoctor(t *testing.T) {
	o := fildes(t, "doctor").want(t, 0)
	narrow(t, o.stdout, 80)
	for _, text := range []string{"kernel ", "user ", "capabilities ", "CAP_WAKE_ALARM ", "RLIMIT_NOFILE ", "fs.file-max ", "GOMAXPROCS ",
		"\nfd ", "\neventfd ", "\ntimerfd ", "\nepoll ", " 0 failed."} {
		if !strings.Contains(o.stdout, text) {
			t.Errorf("the report doesn't have %q:\n%s", text, o.stdout)
		}
	}
	if strings.Contains(o.stdout, "\x1b") {
		t.Errorf("colours in a pipe:\n%q", o.stdout)
	}
	if o.stderr != "" {
		t.Errorf("stderr: %s", o.stderr)
	}
}

func TestSomeKinds(t *testing.T) {
	o := fildes(t, "doctor", "epoll", "eventfd", "epoll").want(t, 0)
	if strings.Contains(o.stdout, "timerfd") || strings.Count(o.stdout, "\nepoll ") != 1 ||
		strings.Index(o.stdout, "\nepoll ") > strings.Index(o.stdout, "\neventfd ") {
		t.Errorf("not epoll and eventfd:\n%s", o.stdout)
	}
}

func TestJSON(t *testing.T) {
	r := fildes(t, "doctor", "--json").want(t, 0).report(t)
	if r.Schema != report.Schema {
		t.Errorf("schema %d", r.Schema)
	}
	if r.Host.Kernel == "" || r.Host.Machine == "" || r.Host.UID != os.Getuid() || r.Host.GOMAXPROCS < 1 || r.Host.Limits["RLIMIT_NOFILE"] == "" {
		t.Errorf("host: %+v", r.Host)
	}
	if out, err := exec.Command("getconf", "PAGESIZE").Output(); err == nil && strings.TrimSpace(string(out)) != strconv.Itoa(r.Host.PageSize) {
		t.Errorf("a page has %d bytes, and getconf says %s", r.Host.PageSize, out)
	}
	// EI_DATA of the program's own header.
	if elf, err := os.ReadFile(program); err != nil || map[byte]string{1: "little", 2: "big"}[elf[5]] != r.Host.ByteOrder {
		t.Errorf("byte order %q: %v", r.Host.ByteOrder, err)
	}
	if _, ok := r.Host.Capabilities["CAP_WAKE_ALARM"]; !ok {
		t.Errorf("capabilities: %v", r.Host.Capabilities)
	}
	var s report.Summary
	seen := make(map[string]bool)
	for _, row := range r.Rows {
		s.Add(row.Result)
		if name := row.Kind + " " + row.Check; seen[name] {
			t.Errorf("two rows are called %s", name)
		} else {
			seen[name] = true
		}
		if utf8.RuneCountInString(row.What) > 40 {
			t.Errorf("%q doesn't fit into its column at 80 columns", row.What)
		}
		ok := row.Result == report.OK
		if ok != (row.Reason == "") || ok != (row.Timing != nil) || ok && (row.Samples < 1 || row.Median <= 0) {
			t.Errorf("row: %+v", row)
		}
		if row.Timing != nil && (row.Raw > 0) != (row.Ratio > 0) {
			t.Errorf("row: %+v", row)
		}
	}
	if s != r.Summary {
		t.Errorf("summary %+v, want %+v", r.Summary, s)
	}
	if row(t, r, "eventfd", "add-wait").Ratio == 0 {
		t.Error("eventfd add-wait has no ratio")
	}
}

func TestUsage(t *testing.T) {
	for _, c := range []struct{ args, text string }{
		{"doctor nosuchkind", `unknown kind "nosuchkind": the kinds are fd, eventfd, timerfd, epoll`},
		{"doctor fd nosuchkind --json", `unknown kind "nosuchkind"`},
		{"doctor --nosuchflag", "unknown flag: --nosuchflag"},
		{"doctor --color=sometimes", "auto, always, never"},
		{"nosuchcommand", `unknown command "nosuchcommand"`},
		{"version now", `unknown command "now"`},
	} {
		o := fildes(t, strings.Fields(c.args)...).want(t, 2)
		if o.stdout != "" || !strings.Contains(o.stderr, c.text) || !strings.HasPrefix(o.stderr, "fildes: ") {
			t.Errorf("fildes %s:\nstdout: %s\nstderr: %s\nwant %q", c.args, o.stdout, o.stderr, c.text)
		}
	}
}

func TestHelp(t *testing.T) {
	for _, args := range []string{"", "--help", "help doctor", "doctor --help", "signals --help", "version --help"} {
		o := fildes(t, strings.Fields(args)...).want(t, 0)
		narrow(t, o.stdout, 80)
		if !strings.Contains(o.stdout, "Usage:") || !strings.Contains(o.stdout, "Examples:") || strings.Contains(o.stdout, "__") {
			t.Errorf("fildes %s:\n%s", args, o.stdout)
		}
	}
}

func TestVersion(t *testing.T) {
	o := fildes(t, "version").want(t, 0)
	if !regexp.MustCompile(`(?s)^fildes +\S+.*\nmodule +github\.com/fildes/fildes \S+.*\ngo +go1\.\S+ linux/\S+\nkernel +Linux \S+ \S+\n$`).MatchString(o.stdout) {
		t.Errorf("version:\n%s", o.stdout)
	}
}

func TestCompletion(t *testing.T) {
	if o := fildes(t, "completion", "bash").want(t, 0); !strings.Contains(o.stdout, "__start_fildes") {
		t.Errorf("bash:\n%s", o.stdout)
	}
	o := fildes(t, "__complete", "doctor", "epoll", "").want(t, 0)
	if !strings.Contains(o.stdout, "eventfd\t") || strings.Contains(o.stdout, "epoll\t") || strings.Contains(o.stdout, "__check") {
		t.Errorf("kinds:\n%s", o.stdout)
	}
	if o := fildes(t, "__complete", "doctor", "--color", "").want(t, 0); !strings.Contains(o.stdout, "never\n") {
		t.Errorf("colours:\n%s", o.stdout)
	}
	if o := fildes(t, "__complete", "signals", "--").want(t, 0); !strings.Contains(o.stdout, "--pid-only\t") {
		t.Errorf("flags:\n%s", o.stdout)
	}
}

func TestColorAlways(t *testing.T) {
	if o := fildes(t, "doctor", "eventfd", "--color=always").want(t, 0); !strings.Contains(o.stdout, "\x1b[32mok\x1b[0m") {
		t.Errorf("no colours:\n%q", o.stdout)
	}
}

func TestOrdinaryUser(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root, to become somebody else")
	}
	cmd := exec.Command(program, "doctor", "--json")
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	r := finish(t, cmd).want(t, 0).report(t)
	if r.Host.UID != 65534 || r.Host.Capabilities["CAP_WAKE_ALARM"] {
		t.Errorf("host: %+v", r.Host)
	}
	alarm := row(t, r, "timerfd", "boottime-alarm")
	if alarm.Result != report.Denied || alarm.Missing != "CAP_WAKE_ALARM" || !strings.Contains(alarm.Reason, "needs CAP_WAKE_ALARM") {
		t.Errorf("an alarm without the capability: %+v", alarm)
	}
	if plain := row(t, r, "timerfd", "boottime"); plain.Result != report.OK {
		t.Errorf("a timer without a capability: %+v", plain)
	}
}
