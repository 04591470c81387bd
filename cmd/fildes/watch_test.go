//go:build linux

package main_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/fildes/fildes/fanotify"
	"github.com/fildes/fildes/internal/fdtest"
)

// watching is a running "fildes watch".
type watching struct {
	cmd    *exec.Cmd
	out    *bufio.Reader
	notes  *bufio.Reader
	t      *testing.T
	closed bool
}

// watch starts the program and returns when it watches.
func watch(t *testing.T, args ...string) *watching {
	t.Helper()
	how := "inotify"
	if slices.Contains(args, "--fanotify") || slices.Contains(args, "--filesystem") {
		how = "fanotify"
	}
	return watchBy(t, exec.Command(program, append([]string{"watch"}, args...)...), how)
}

func watchBy(t *testing.T, cmd *exec.Cmd, how string) *watching {
	t.Helper()
	w := &watching{cmd: cmd, t: t}
	out, err := w.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	notes, err := w.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := w.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = w.cmd.Process.Kill()
		if !w.closed {
			_ = w.cmd.Wait()
		}
	})
	w.out, w.notes = bufio.NewReader(out), bufio.NewReader(notes)
	if line := w.note(); !strings.HasPrefix(line, "fildes: watching ") || !strings.HasSuffix(line, "by "+how+"; Ctrl-C ends it") {
		t.Fatalf("it begins with %q", line)
	}
	return w
}

func (w *watching) note() string {
	w.t.Helper()
	line, err := w.notes.ReadString('\n')
	if err != nil {
		w.t.Fatalf("%v after %q", err, line)
	}
	return strings.TrimSuffix(line, "\n")
}

func (w *watching) line(end byte) string {
	w.t.Helper()
	line, err := w.out.ReadString(end)
	if err != nil {
		w.t.Fatalf("%v after %q", err, line)
	}
	return line[:len(line)-1]
}

// end reads the rest and returns the status.
func (w *watching) end() (rest string, status int) {
	w.t.Helper()
	b, err := io.ReadAll(w.out)
	if err != nil {
		w.t.Fatal(err)
	}
	notes, err := io.ReadAll(w.notes)
	if err != nil {
		w.t.Fatal(err)
	}
	w.closed = true
	err = w.cmd.Wait()
	if exit, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
		w.t.Fatal(err)
	} else if ok {
		status = exit.ExitCode()
	}
	return string(b) + "|" + string(notes), status
}

func try(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

func TestWatch(t *testing.T) {
	dir := t.TempDir()
	w := watch(t, "--recursive", "--events", "Create,Moved,Delete", dir)
	for _, step := range []struct {
		err  func() error
		want []string
	}{
		{func() error { return os.MkdirAll(filepath.Join(dir, "a", "b"), 0o700) }, []string{"Create|IsDir      DIR/a", "Create|IsDir      DIR/a/b"}},
		{func() error { return os.Rename(filepath.Join(dir, "a"), filepath.Join(dir, "c")) }, []string{"Renamed|IsDir     DIR/a -> DIR/c"}},
		{func() error { return os.Mkdir(filepath.Join(dir, "c", "b", "d"), 0o700) }, []string{"Create|IsDir      DIR/c/b/d"}},
	} {
		try(t, step.err())
		for _, want := range step.want {
			if got := strings.ReplaceAll(w.line('\n'), dir, "DIR"); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		}
	}
	try(t, w.cmd.Process.Signal(syscall.SIGINT))
	rest, status := w.end()
	if status != 0 || !strings.HasPrefix(rest, "|fildes: 4 events in ") || !strings.Contains(rest, "; none lost\n") {
		t.Errorf("it ends with %d, %q", status, rest)
	}
}

// needFanotify skips what the kernel or the user doesn't have. Events are of other processes, so that this one is a stranger.
func needFanotify(t *testing.T, scope fanotify.Scope) {
	t.Helper()
	g, err := fanotify.New(&fanotify.Options{Report: fanotify.ReportDirFIDName})
	if err == nil {
		err = g.Mark(scope, t.TempDir(), fanotify.Create, 0)
		_ = g.Close()
	}
	switch {
	case err == nil:
	case errors.Is(err, os.ErrPermission) && os.Geteuid() != 0:
		fdtest.Need(t, "sys_admin", err.Error())
	case errors.Is(err, errors.ErrUnsupported), errors.Is(err, syscall.ENODEV), errors.Is(err, syscall.EOPNOTSUPP):
		fdtest.Need(t, "fanotify", err.Error())
	default:
		t.Fatal(err)
	}
}

func TestWatchFanotify(t *testing.T) {
	needFanotify(t, fanotify.Inode)
	dir := t.TempDir()
	w := watch(t, "--fanotify", "--events", "Create,Delete", dir)
	try(t, os.Mkdir(filepath.Join(dir, "a"), 0o700))
	if got, want := w.line('\n'), "Create|IsDir      "+filepath.Join(dir, "a"); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	try(t, os.Mkdir(filepath.Join(dir, "a", "below"), 0o700), os.Remove(filepath.Join(dir, "a", "below")), os.Remove(filepath.Join(dir, "a")))
	if got, want := w.line('\n'), "Delete|IsDir      "+filepath.Join(dir, "a"); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	try(t, w.cmd.Process.Signal(syscall.SIGINT))
	if rest, status := w.end(); status != 0 || !strings.Contains(rest, "2 events in ") {
		t.Errorf("it ends with %d, %q", status, rest)
	}
}

func TestWatchFilesystem(t *testing.T) {
	needFanotify(t, fanotify.Filesystem)
	dir := t.TempDir()
	w := watch(t, "--fanotify", "--recursive", "--format", "json", "--events", "Create,Moved", dir)
	all := watch(t, "--filesystem", "--events", "Create", dir)
	deep := filepath.Join(dir, "a", "b")
	try(t, os.MkdirAll(deep, 0o700), os.Rename(deep, filepath.Join(dir, "c")), os.Mkdir(filepath.Join(dir, "c", "d"), 0o700))
	for _, want := range []string{"a", "a/b", "c", "c/d"} {
		var got struct {
			Events []string
			Path   string
			From   string
			PID    int
		}
		try(t, json.Unmarshal([]byte(w.line('\n')), &got))
		if got.Path == deep && slices.Equal(got.Events, []string{"MovedFrom", "IsDir"}) { // a kernel without FAN_RENAME
			try(t, json.Unmarshal([]byte(w.line('\n')), &got))
		}
		if filepath.Base(got.Path) != filepath.Base(want) || got.PID != os.Getpid() || !strings.HasPrefix(got.Path, dir+"/") {
			t.Errorf("%+v, want %s", got, want)
		}
	}
	for seen := 0; seen < 3; {
		if strings.Contains(all.line('\n'), dir) {
			seen++
		}
	}
}

func TestWatchNames(t *testing.T) {
	dir := t.TempDir()
	name := "a\n\xff\x1b[31m"
	w := watch(t, "-0", "-e", "Create", dir)
	try(t, os.Mkdir(filepath.Join(dir, name), 0o700))
	if got, want := w.line(0), "Create|IsDir      "+filepath.Join(dir, name); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	w = watch(t, "--format", "json", dir)
	try(t, os.Rename(filepath.Join(dir, name), filepath.Join(dir, "plain")))
	var got struct {
		Events  []string
		Path    string
		From    string
		RawFrom []byte `json:"raw_from"`
	}
	try(t, json.Unmarshal([]byte(w.line('\n')), &got))
	if !slices.Equal(got.Events, []string{"MovedFrom", "MovedTo", "IsDir"}) || got.Path != filepath.Join(dir, "plain") || !bytes.Equal(got.RawFrom, []byte(filepath.Join(dir, name))) {
		t.Errorf("%+v", got)
	}
}

func TestWatchNothingLeft(t *testing.T) {
	for _, recursive := range []string{"--recursive", "--recursive=false"} {
		dir := filepath.Join(t.TempDir(), "dir")
		try(t, os.Mkdir(dir, 0o700))
		w := watch(t, recursive, dir)
		try(t, os.Remove(dir))
		rest, status := w.end()
		if status != 1 || !strings.Contains(rest, "DeleteSelf") || !strings.HasSuffix(rest, "fildes: nothing is left to watch\n") {
			t.Errorf("it ends with %d, %q", status, rest)
		}
	}
}

func TestWatchUsage(t *testing.T) {
	for args, want := range map[string]string{
		"":                      "which PATH?",
		"--events Foo .":        `unknown flag "Foo"`,
		"--events IsDir .":      "IsDir can't be asked for",
		"--format xml .":        "it is one of text, json",
		"--format json -0 .":    "exclude each other",
		"--no-such-flag .":      "unknown flag",
		"--recursive /nowhere1": "",
	} {
		status := 2
		if want == "" {
			status, want = 1, "fildes: inotify: add /nowhere1: openat: no such file or directory"
		}
		if o := fildes(t, append([]string{"watch"}, strings.Fields(args)...)...).want(t, status); !strings.Contains(o.stderr, want) {
			t.Errorf("%s: %q lacks %q", args, o.stderr, want)
		}
	}
	narrow(t, fildes(t, "watch", "--help").want(t, 0).stdout, 80)
}

// Where there are no watches, fanotify watches.
func TestWatchWithoutWatches(t *testing.T) {
	needFanotify(t, fanotify.Filesystem)
	self, err := os.Executable()
	try(t, err)
	dir := t.TempDir()
	cmd := exec.Command(self, program, "watch", "--recursive", "--events", "Create", dir)
	cmd.Env = append(os.Environ(), policyVariable+"=full")
	w := watchBy(t, cmd, "fanotify, because fs.inotify.max_user_watches is reached")
	try(t, os.WriteFile(filepath.Join(dir, "a"), nil, 0o600))
	if line := w.line('\n'); strings.Join(strings.Fields(line), " ") != "Create "+dir+"/a" {
		t.Errorf("%q", line)
	}
	try(t, w.cmd.Process.Signal(syscall.SIGINT))
	if rest, status := w.end(); status != 0 || !strings.Contains(rest, "1 events") {
		t.Errorf("%q, %d", rest, status)
	}
}
