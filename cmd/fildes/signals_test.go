//go:build linux

package main_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes/internal/fdtest"
	"github.com/fildes/fildes/pidfd"
	"github.com/fildes/fildes/signalfd"
)

// traced is a running "fildes signals", and what it and its command print.
type traced struct {
	cmd   *exec.Cmd
	pid   int
	in    io.Closer // its end ends a command that receives
	out   *bufio.Reader
	notes *bufio.Reader
	t     *testing.T
}

// trace starts the program.
func trace(t *testing.T, args ...string) *traced {
	t.Helper()
	return traceBy(t, exec.Command(program, append([]string{"signals"}, args...)...))
}

// traceReceiver starts the program with a command that receives, and returns when that does.
func traceReceiver(t *testing.T, flags ...string) *traced {
	t.Helper()
	self, err := os.Executable()
	try(t, err)
	cmd := exec.Command(program, slices.Concat([]string{"signals"}, flags, []string{"--", self})...)
	cmd.Env = receiving("stay")
	return traceBy(t, cmd).ready()
}

func traceBy(t *testing.T, cmd *exec.Cmd) *traced {
	t.Helper()
	c := &traced{cmd: cmd, t: t}
	if cmd.Stdin == nil {
		in, err := cmd.StdinPipe()
		try(t, err)
		c.in = in
	}
	out, err := cmd.StdoutPipe()
	try(t, err)
	notes, err := cmd.StderrPipe()
	try(t, err)
	try(t, cmd.Start())
	c.pid, c.out, c.notes = cmd.Process.Pid, bufio.NewReader(out), bufio.NewReader(notes)
	kill := context.AfterFunc(bounded(t), func() { _ = cmd.Process.Kill() })
	t.Cleanup(func() {
		kill()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return c
}

func bounded(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), fdtest.Bound)
	t.Cleanup(cancel)
	return ctx
}

func (c *traced) ready() *traced {
	c.t.Helper()
	if line := c.got(); line != "ready" {
		c.t.Fatalf("the command begins with %q", line)
	}
	return c
}

func (c *traced) line(r *bufio.Reader) string {
	c.t.Helper()
	line, err := r.ReadString('\n')
	if err != nil {
		c.t.Fatalf("%v after %q", err, line)
	}
	return strings.TrimSuffix(line, "\n")
}

// got is the next line of the command, told that of the program, without its time.
func (c *traced) got() string { c.t.Helper(); return c.line(c.out) }

func (c *traced) told() string {
	c.t.Helper()
	line := c.line(c.notes)
	if !clock.MatchString(line) {
		c.t.Errorf("%q has no time", line)
	}
	return clock.ReplaceAllString(line, "")
}

var clock = regexp.MustCompile(`^\d\d:\d\d:\d\d\.\d{3} `)

func (c *traced) send(sig signalfd.Signal) {
	c.t.Helper()
	try(c.t, unix.Kill(c.pid, unix.Signal(sig)))
}

// want checks a line of each.
func (c *traced) want(told, got string) {
	c.t.Helper()
	if line := c.told(); line != told {
		c.t.Errorf("it tells %q, not %q", line, told)
	}
	if line := c.got(); line != got {
		c.t.Errorf("the command gets %q, not %q", line, got)
	}
}

// end lets a command that receives end, and returns what is left and how the program ends.
func (c *traced) end() (rest string, status syscall.WaitStatus) {
	c.t.Helper()
	if c.in != nil {
		_ = c.in.Close()
	}
	out, err := io.ReadAll(c.out)
	try(c.t, err)
	notes, err := io.ReadAll(c.notes)
	try(c.t, err)
	err = c.cmd.Wait()
	if _, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
		c.t.Fatal(err)
	}
	return string(out) + "|" + string(notes), c.cmd.ProcessState.Sys().(syscall.WaitStatus)
}

func (c *traced) endWell() {
	c.t.Helper()
	if rest, status := c.end(); rest != "|" || status != 0 {
		c.t.Errorf("it ends with %#x, %q", status, rest)
	}
}

// stopped returns when the program is.
func (c *traced) stopped() {
	c.t.Helper()
	var info unix.Siginfo
	err := error(unix.EINTR)
	for errors.Is(err, unix.EINTR) {
		err = unix.Waitid(unix.P_PID, c.pid, &info, unix.WSTOPPED|unix.WEXITED|unix.WNOWAIT, nil)
	}
	try(c.t, err)
	if code := signalfd.ChildCode(info.Code); code != signalfd.Stopped {
		c.t.Fatalf("it isn't stopped: %v", code)
	}
}

// me is how this process is told of.
func me(t *testing.T, claimed string) string {
	t.Helper()
	return fmt.Sprintf("from %d (%s%s)", os.Getpid(), userName(t), claimed)
}

func userName(t *testing.T) string {
	t.Helper()
	u, err := user.Current()
	if err != nil {
		return fmt.Sprintf("user %d", os.Getuid())
	}
	return u.Username
}

// needTaps skips where signals can't be received, and checks what is said there.
func needTaps(t *testing.T) {
	t.Helper()
	if runtime.GOARCH == "ppc64" {
		if o := fildes(t, "signals", "echo", "hello").want(t, 1); o.stdout != "" || !strings.Contains(o.stderr, "signal handlers on ppc64") {
			t.Errorf("%q, %q", o.stdout, o.stderr)
		}
		t.Skip("needs signal handlers, which this architecture hasn't got")
	}
}

func TestSignals(t *testing.T) {
	needTaps(t)
	c := traceReceiver(t)
	args := strings.Join(os.Args, " ")
	for sig := range signalfd.All().Difference(signalfd.Reserved()).Signals() {
		c.send(sig)
		c.want(sig.String()+" "+me(t, "")+" "+args, sig.String()+" SI_USER 0 0")
	}
	c.endWell()
}

// A signal that comes as soon as signals are received, before the command is there or afterwards, isn't lost.
func TestSignalsEarly(t *testing.T) {
	needTaps(t)
	for range 20 {
		c := trace(t, "--pid-only", "sleep", "1000")
		for ctx := bounded(t); !catches(t, c.pid, signalfd.SIGTSTP); { // which Go leaves alone, and which comes after SIGUSR1
			try(t, ctx.Err())
		}
		c.send(signalfd.SIGUSR1)
		if line := c.told(); line != fmt.Sprintf("SIGUSR1 from %d (user %d)", os.Getpid(), os.Getuid()) {
			t.Errorf("%q", line)
		}
		if _, status := c.end(); status != syscall.WaitStatus(unix.SIGUSR1) {
			t.Errorf("%#x", status)
		}
	}
}

// catches says whether a process has a handler for a signal.
func catches(t *testing.T, pid int, sig signalfd.Signal) bool {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	try(t, err)
	_, rest, _ := strings.Cut(string(status), "\nSigCgt:\t")
	mask, _, _ := strings.Cut(rest, "\n")
	low, err := strconv.ParseUint(mask[max(len(mask)-16, 0):], 16, 64)
	try(t, err)
	return low>>(sig-1)&1 != 0
}

func TestSignalsValue(t *testing.T) {
	needTaps(t)
	c := traceReceiver(t, "--pid-only")
	who := fmt.Sprintf("from %d (user %d, claimed)", os.Getpid(), os.Getuid())
	for _, sig := range []signalfd.Signal{signalfd.SIGUSR1, signalfd.RT(3)} {
		try(t, signalfd.Queue(c.pid, sig, signalfd.Value{Int: 42}))
		line, got := c.told(), c.got()
		if line != fmt.Sprintf("%v value 42 %s", sig, who) || !strings.HasPrefix(got, sig.String()+" SI_QUEUE 42 ") {
			t.Errorf("%q, %q", line, got)
		}
	}
	if strconv.IntSize == 64 {
		try(t, signalfd.Queue(c.pid, signalfd.SIGUSR2, signalfd.Value{Pointer: 0x1234_0000_0007}))
		line, got := c.told(), c.got()
		if !strings.Contains(line, "(0x123400000007) "+who) || !strings.HasSuffix(got, fmt.Sprint(" ", uint64(0x1234_0000_0007))) {
			t.Errorf("%q, %q", line, got)
		}
	}
	c.endWell()
}

func TestSignalsForged(t *testing.T) {
	needTaps(t)
	c := traceReceiver(t, "--pid-only")
	try(t, forge(c.pid, signalfd.SIGTERM, 1))
	c.want("SIGTERM value 0 from 1 (user 0, claimed)", "SIGTERM SI_QUEUE 0 0")
	c.endWell()
}

// told is a line in JSON.
type told struct {
	Time      string
	Lost      int
	Signal    signalfd.Signal
	Code      string
	Origin    string
	PID       *int
	UID       *uint32
	User      string
	Args      []string `json:"command_line"`
	RawArgs   [][]byte `json:"raw_command_line"`
	Cut       bool
	Name      string
	Gone      bool
	Hidden    bool
	Value     *int32
	Pointer   string
	Forwarded *bool
	Why       string
}

func (c *traced) toldJSON() (got told) {
	c.t.Helper()
	d := json.NewDecoder(strings.NewReader(c.line(c.notes)))
	d.DisallowUnknownFields()
	try(c.t, d.Decode(&got))
	return got
}

func TestSignalsJSON(t *testing.T) {
	needTaps(t)
	c := traceReceiver(t, "--json")
	c.send(signalfd.SIGTERM)
	got := c.toldJSON()
	if got.Signal != signalfd.SIGTERM || got.Code != "SI_USER" || got.Origin != "user" || *got.PID != os.Getpid() || *got.UID != uint32(os.Getuid()) || !slices.Equal(got.Args, os.Args) ||
		got.User != userName(t) || got.Value != nil || !*got.Forwarded || got.Why != "" || got.Cut || got.Gone || got.Hidden || got.Name != "" {
		t.Errorf("%+v", got)
	}
	try(t, signalfd.Queue(c.pid, signalfd.SIGUSR1, signalfd.Value{Int: -7}))
	if got := c.toldJSON(); got.Origin != "claimed" || got.Code != "SI_QUEUE" || *got.Value != -7 || !strings.HasPrefix(got.Pointer, "0x") {
		t.Errorf("%+v", got)
	}
	c = traceReceiver(t, "--json", "--pid-only")
	c.send(signalfd.SIGTERM)
	if got := c.toldJSON(); *got.PID != os.Getpid() || got.User != "" || got.Args != nil || got.Gone {
		t.Errorf("%+v", got)
	}
}

// A sender may call itself what it likes.
func TestSignalsEscape(t *testing.T) {
	needTaps(t)
	c, j := traceReceiver(t), traceReceiver(t, "--json")
	name := "\x1b[31m\n12:00:00.000 SIGKILL\u202e\xff"
	cmd := exec.Command("sh", "-c", "kill -USR1 $1 $2; read _", name, strconv.Itoa(c.pid), strconv.Itoa(j.pid))
	in, err := cmd.StdinPipe()
	try(t, err, cmd.Start())
	line, got := c.told(), j.toldJSON()
	_ = in.Close()
	_ = cmd.Wait()
	if want := fmt.Sprintf(`SIGUSR1 from %d (%s) sh -c "kill -USR1 $1 $2; read _" "\x1b[31m\n12:00:00.000 SIGKILL\u202e\xff" %d %d`, cmd.Process.Pid, userName(t), c.pid, j.pid); line != want {
		t.Errorf("%q, not %q", line, want)
	}
	if len(got.RawArgs) != len(cmd.Args) || string(got.RawArgs[3]) != name || got.Args[3] != strings.ToValidUTF8(name, "\uFFFD") {
		t.Errorf("%+v", got)
	}
}

// A sender that has ended is said to be gone, and has a name until it's reaped.
func TestSignalsGone(t *testing.T) {
	needTaps(t)
	c := traceReceiver(t)
	for _, reaped := range []bool{true, false} {
		c.send(signalfd.SIGSTOP)
		c.stopped()
		cmd := exec.Command("sh", "-c", "kill -USR1 "+strconv.Itoa(c.pid))
		p, err := pidfd.Start(cmd)
		try(t, err)
		_, err = p.Wait(bounded(t))
		try(t, err, p.Close())
		want := "[sh]"
		if reaped {
			want = "(gone)"
			try(t, cmd.Wait())
		}
		c.send(signalfd.SIGCONT)
		lines := []string{c.told(), c.told()} // one thread may be faster than the other
		slices.Sort(lines)
		if want := fmt.Sprintf("SIGUSR1 from %d (%s) %s", cmd.Process.Pid, userName(t), want); !strings.HasPrefix(lines[0], "SIGCONT from ") || lines[1] != want {
			t.Errorf("%q, not %q", lines, want)
		}
		if !reaped {
			try(t, cmd.Wait())
		}
	}
}

func TestSignalsLongCommand(t *testing.T) {
	needTaps(t)
	c := traceReceiver(t)
	cmd := exec.Command("sh", "-c", "kill -USR1 $1; read _", "sh", strconv.Itoa(c.pid), strings.Repeat("x", 10_000))
	in, err := cmd.StdinPipe()
	try(t, err, cmd.Start())
	if line := c.told(); len(line) > 4300 || !strings.HasSuffix(line, "xxx …") {
		t.Errorf("%d: %q", len(line), line)
	}
	_ = in.Close()
	_ = cmd.Wait()
}

// What the command has sent itself it isn't sent again: kill(2) to its process group would never end.
func TestSignalsOwn(t *testing.T) {
	needTaps(t)
	c := trace(t, "sh", "-c", "kill -USR1 $PPID; read _")
	if line := c.told(); !regexp.MustCompile(`^SIGUSR1 from \d+ \(\S+\), not forwarded: the command has sent it; sh -c "kill`).MatchString(line) {
		t.Errorf("%q", line)
	}
	_, _ = c.end()
}

func TestSignalsStorm(t *testing.T) {
	needTaps(t)
	const n = 1000
	c := traceReceiver(t, "--json")
	ctx := bounded(t)
	for i := range n {
		err := signalfd.Queue(c.pid, signalfd.RT(1), signalfd.Value{Int: int32(i)})
		for errors.Is(err, syscall.EAGAIN) && ctx.Err() == nil { // RLIMIT_SIGPENDING
			err = signalfd.Queue(c.pid, signalfd.RT(1), signalfd.Value{Int: int32(i)})
		}
		try(t, err)
	}
	var printed, received []int
	for range n {
		got := c.toldJSON()
		if got.Value == nil || !*got.Forwarded {
			t.Fatalf("%+v", got)
		}
		printed = append(printed, int(*got.Value))
	}
	for range n {
		var sig, code string
		var value, pointer int
		_, err := fmt.Sscan(c.got(), &sig, &code, &value, &pointer)
		try(t, err)
		received = append(received, value)
	}
	for _, values := range [][]int{printed, received} {
		slices.Sort(values)
		for i, v := range values {
			if v != i {
				t.Fatalf("%d is there instead of %d", v, i)
			}
		}
	}
	c.endWell()
}

func TestSignalsStatus(t *testing.T) {
	needTaps(t)
	for script, want := range map[string]syscall.WaitStatus{
		"exit 0":                             0,
		"exit 7":                             7 << 8,
		"exit 255":                           255 << 8,
		"ulimit -c unlimited; kill -KILL $$": syscall.WaitStatus(unix.SIGKILL),
		"kill -TERM $$":                      syscall.WaitStatus(unix.SIGTERM),
		"kill -PIPE $$":                      syscall.WaitStatus(unix.SIGPIPE),
		"kill -ALRM $$":                      syscall.WaitStatus(unix.SIGALRM), // SIGHUP may be ignored
		"ulimit -c 0; kill -SEGV $$":         syscall.WaitStatus(unix.SIGSEGV),
		"ulimit -c 0; kill -QUIT $$":         syscall.WaitStatus(unix.SIGQUIT),
	} {
		cmd := exec.Command(program, "signals", "--", "sh", "-c", script)
		cmd.Dir = t.TempDir()
		o := finish(t, cmd)
		if got := o.state.Sys().(syscall.WaitStatus); got != want || o.stdout != "" || o.stderr != "" {
			t.Errorf("%s: %#x, not %#x\n%s%s", script, got, want, o.stdout, o.stderr)
		}
	}
	// A signal that is forwarded ends both.
	c := trace(t, "sh", "-c", "echo ready; read _").ready()
	c.send(signalfd.SIGTERM)
	if line := c.told(); !strings.HasPrefix(line, "SIGTERM "+me(t, "")) {
		t.Errorf("%q", line)
	}
	if rest, status := c.end(); status != syscall.WaitStatus(unix.SIGTERM) || rest != "|" {
		t.Errorf("%#x, %q", status, rest)
	}
}

func TestSignalsCannotRun(t *testing.T) {
	needTaps(t)
	dir := t.TempDir()
	plain, script := filepath.Join(dir, "plain"), filepath.Join(dir, "script")
	try(t, os.WriteFile(plain, nil, 0o600), os.WriteFile(script, []byte("#!/nowhere/sh\n"), 0o700))
	for _, c := range []struct {
		command string
		status  int
		text    string
	}{
		{"fildes-no-such-command", 127, "command not found"},
		{"/nowhere/command", 127, "command not found"},
		{"", 127, "command not found"},
		{plain, 126, "permission denied"},
		{"plain", 126, "permission denied"},
		{dir, 126, "permission denied"},
		{script, 126, "its interpreter isn't found"},
	} {
		cmd := exec.Command(program, "signals", "--", c.command)
		cmd.Env = []string{"PATH=/bin:" + dir}
		if o := finish(t, cmd).want(t, c.status); o.stderr != fmt.Sprintf("fildes: %q: %s\n", c.command, c.text) {
			t.Errorf("%q: %q", c.command, o.stderr)
		}
	}
}

func TestSignalsUsage(t *testing.T) {
	for args, want := range map[string]string{
		"":                    "which COMMAND",
		"--json":              "which COMMAND",
		"--no-such-flag true": "unknown flag",
	} {
		if o := fildes(t, append([]string{"signals"}, strings.Fields(args)...)...).want(t, 2); !strings.Contains(o.stderr, want) {
			t.Errorf("%s: %q lacks %q", args, o.stderr, want)
		}
	}
	if o := fildes(t, "signals", "-o", "/nowhere/file", "echo", "hello").want(t, 1); o.stdout != "" || !strings.Contains(o.stderr, "/nowhere/file") {
		t.Errorf("%q, %q", o.stdout, o.stderr)
	}
	// The flags after COMMAND are its own.
	needTaps(t)
	if o := fildes(t, "signals", "echo", "--json").want(t, 0); o.stdout != "--json\n" {
		t.Errorf("%q", o.stdout)
	}
}

func TestSignalsOutput(t *testing.T) {
	needTaps(t)
	file := filepath.Join(t.TempDir(), "out")
	try(t, os.WriteFile(file, []byte("before\n"), 0o600))
	c := traceReceiver(t, "--output", file, "--pid-only")
	c.send(signalfd.SIGHUP)
	_ = c.got()
	c.endWell()
	got, err := os.ReadFile(file)
	try(t, err)
	if !regexp.MustCompile(`^before\n[0-9:.]+ SIGHUP from \d+ \(user \d+\)\n$`).Match(got) {
		t.Errorf("%q", got)
	}
}

// The command goes on when nothing can be told any more.
func TestSignalsNobodyReads(t *testing.T) {
	needTaps(t)
	c := traceReceiver(t, "--output", "/dev/full")
	c.send(signalfd.SIGHUP)
	if line := c.line(c.notes); line != "fildes: no more signals are printed: write /dev/full: no space left on device" {
		t.Errorf("%q", line)
	}
	if got := c.got(); got != "SIGHUP SI_USER 0 0" {
		t.Errorf("%q", got)
	}
	c.send(signalfd.SIGINT)
	if got := c.got(); got != "SIGINT SI_USER 0 0" {
		t.Errorf("%q", got)
	}
	c.endWell()

	self, err := os.Executable()
	try(t, err)
	r, w, err := os.Pipe()
	try(t, err, r.Close())
	cmd := exec.Command(program, "signals", self)
	cmd.Env = receiving("stay")
	cmd.Stderr = w
	in, err := cmd.StdinPipe()
	try(t, err)
	out, err := cmd.StdoutPipe()
	try(t, err, cmd.Start(), w.Close())
	lines := bufio.NewReader(out)
	for _, want := range []string{"ready\n", "SIGHUP SI_USER 0 0\n", "SIGHUP SI_USER 0 0\n"} {
		if got, err := lines.ReadString('\n'); got != want || err != nil {
			t.Errorf("%q, not %q: %v", got, want, err)
		}
		try(t, cmd.Process.Signal(syscall.SIGHUP)) // the last is for nobody
	}
	try(t, in.Close())
	_, _ = io.Copy(io.Discard, lines)
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

// The command starts as it would without fildes: with no signal blocked or ignored that wasn't before, and no more descriptors.
func TestSignalsInheritance(t *testing.T) {
	needTaps(t)
	const show = "grep -E '^Sig(Blk|Ign|Pnd)' /proc/self/status; ls /proc/$$/fd"
	for _, before := range []string{"", "trap '' HUP INT TSTP TTOU; "} {
		want, err := exec.Command("sh", "-c", before+`exec sh -c "$0"`, show).Output()
		try(t, err)
		got, err := exec.Command("sh", "-c", before+`exec "$1" signals sh -c "$0"`, show, program).Output()
		try(t, err)
		if string(got) != string(want) {
			t.Errorf("%q: it starts with\n%sinstead of\n%s", before, got, want)
		}
	}
	// They are told of, all the same.
	self, err := os.Executable()
	try(t, err)
	cmd := exec.Command("sh", "-c", `trap '' HUP; exec "$0" signals --pid-only "$1"`, program, self)
	cmd.Env = receiving("stay")
	c := traceBy(t, cmd).ready()
	for _, sig := range []signalfd.Signal{signalfd.SIGUSR1, signalfd.SIGHUP} { // the first says that all are taken
		c.send(sig)
		c.want(fmt.Sprintf("%v from %d (user %d)", sig, os.Getpid(), os.Getuid()), sig.String()+" SI_USER 0 0")
	}
	c.endWell()
}

// When the command is stopped, the program is, and SIGCONT lets both go on.
func TestSignalsStop(t *testing.T) {
	needTaps(t)
	for _, stop := range []string{"STOP", "TSTP"} {
		cmd := exec.Command(program, "signals", "--", "sh", "-c", "kill -"+stop+" $$; echo on; exit 3")
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // as a shell does
		c := traceBy(t, cmd)
		c.stopped()
		c.send(signalfd.SIGCONT)
		rest, status := c.end()
		if status != 3<<8 || !strings.HasPrefix(rest, "on\n|") || !strings.Contains(rest, "SIGCONT "+me(t, "")) || strings.Contains(rest, "SIGCHLD") {
			t.Errorf("%#x, %q", status, rest)
		}
	}
}

// Where no shell is, nothing would let the program go on.
func TestSignalsStopWithoutShell(t *testing.T) {
	needTaps(t)
	cmd := exec.Command(program, "signals", "--", "sh", "-c", "echo $$; kill -STOP $$; exit 3")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	c := traceBy(t, cmd)
	pid, err := strconv.Atoi(c.got())
	try(t, err)
	for ctx := bounded(t); ; runtime.Gosched() {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		try(t, err, ctx.Err())
		if strings.Contains(string(stat), ") T ") {
			break
		}
	}
	c.send(signalfd.SIGUSR1)
	_ = c.told()
	c.send(signalfd.SIGUSR2) // after what stopped the command
	_ = c.told()
	try(t, unix.Kill(pid, unix.SIGCONT))
	if rest, status := c.end(); status != syscall.WaitStatus(unix.SIGUSR1) && status != syscall.WaitStatus(unix.SIGUSR2) {
		t.Errorf("%#x, %q", status, rest)
	}
}

// Where there are no pidfds the command isn't started.
func TestSignalsWithoutPidfds(t *testing.T) {
	self, err := os.Executable()
	try(t, err)
	path := filepath.Join(t.TempDir(), "started")
	cmd := exec.Command(self, program, "signals", "--", "touch", path)
	cmd.Env = append(os.Environ(), policyVariable+"=none")
	o := finish(t, cmd)
	if strings.Contains(o.stderr, "seccomp: ") {
		t.Skip("needs seccomp filters: ", o.stderr)
	}
	if o.want(t, 1); !strings.Contains(o.stderr, "pidfd_open") {
		t.Errorf("%q", o.stderr)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("it was started")
	}
}
