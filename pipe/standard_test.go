//go:build linux

package pipe_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes/internal/fdtest"
	"github.com/fildes/fildes/pipe"
)

// roleEnv makes this program a child of a test, with a role instead of tests; pathEnv is a file for it.
const (
	roleEnv = "PIPE_TEST_ROLE"
	pathEnv = "PIPE_TEST_PATH"
)

// play is the child. What it has to say goes to descriptor 2.
func play(role string) int {
	fatal := func(err error) int {
		fmt.Fprintln(os.Stderr, role+":", err)
		return 1
	}
	switch role {
	case "copy":
		in, err := pipe.Stdin()
		if err != nil {
			return fatal(err)
		}
		out, err := pipe.Stdout()
		if err != nil {
			return fatal(err)
		}
		if _, err = io.Copy(out, in); err != nil {
			return fatal(err)
		}
	case "wait": // and leave everything as it was
		in, err := pipe.Stdin()
		if err != nil {
			return fatal(err)
		}
		out, err := pipe.Stdout()
		if err != nil {
			return fatal(err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
		defer cancel()
		if _, err := in.ReadContext(ctx, make([]byte, 1)); !errors.Is(err, context.DeadlineExceeded) {
			return fatal(fmt.Errorf("a read of nothing: %w", err))
		}
		if err := errors.Join(in.SetReadDeadline(time.Now()), out.SetWriteDeadline(time.Now().Add(time.Hour))); err != nil {
			return fatal(err)
		}
		if _, err := in.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			return fatal(fmt.Errorf("a read after the deadline: %w", err))
		}
		for n := range 3 {
			if flags, err := unix.FcntlInt(uintptr(n), unix.F_GETFL, 0); err != nil || flags&unix.O_NONBLOCK != 0 {
				return fatal(fmt.Errorf("descriptor %d has become non-blocking: %w", n, err))
			}
		}
		if err := errors.Join(in.Close(), out.Close()); err != nil {
			return fatal(err)
		}
		if _, err := os.Stdout.WriteString("still here"); err != nil {
			return fatal(err)
		}
	case "write":
		out, err := pipe.Stdout()
		if err != nil {
			return fatal(err)
		}
		for i := range 3 {
			_, _ = fmt.Fprintf(out, "ours %d\n", i)
			_, _ = fmt.Printf("os's %d\n", i)
		}
	case "null":
		in, err := pipe.Stdin()
		if err != nil {
			return fatal(err)
		}
		if _, err := in.Read(make([]byte, 1)); err != io.EOF {
			return fatal(err)
		}
		if err := in.SetReadDeadline(time.Now()); !errors.Is(err, os.ErrNoDeadline) {
			return fatal(err)
		}
	case "broken", "broken-vectored", "tolerant":
		out, err := pipe.Stdout()
		if err != nil {
			return fatal(err)
		}
		if role == "tolerant" {
			if err := out.ExitOnBroken(false); err != nil {
				return fatal(err)
			}
		}
		if role == "broken-vectored" {
			_, err = out.WriteVectored(context.Background(), [][]byte{[]byte("x"), []byte("y")})
		} else {
			_, err = out.Write([]byte("x"))
		}
		if errors.Is(err, syscall.EPIPE) {
			return 3
		}
		return fatal(err)
	case "refused":
		_, err := pipe.Stdin()
		switch {
		case errors.Is(err, errors.ErrUnsupported):
			return 4
		case errors.Is(err, syscall.EACCES):
			return 5
		case errors.Is(err, syscall.EBUSY):
			return 6
		}
		return fatal(err)
	case "reads a FIFO", "writes a FIFO": // opening it waits
		flags, in, out := os.O_RDONLY, 3, 1
		if role == "writes a FIFO" {
			flags, in, out = os.O_WRONLY, 0, 3
		}
		n, err := unix.Open(os.Getenv(pathEnv), flags, 0)
		if err == nil && n != 3 {
			err = unix.Dup3(n, 3, 0)
		}
		if err != nil {
			return fatal(err)
		}
		for b := make([]byte, 100); ; {
			n, err := unix.Read(in, b)
			if n <= 0 && err == nil {
				return 0
			}
			if err == nil {
				_, err = unix.Write(out, b[:n])
			}
			if err != nil {
				return fatal(err)
			}
		}
	case "pretends": // that it waits for a reader, again and again
		for end := time.Now().Add(pretendTime); time.Now().Before(end); {
			if err := pretend(os.Getenv(pathEnv)); err != nil {
				return fatal(err)
			}
		}
	case "closed":
		if err := unix.Close(0); err != nil {
			return fatal(err)
		}
		if _, err := pipe.Stdin(); !errors.Is(err, syscall.EBADF) {
			return fatal(err)
		}
	}
	return 0
}

func child(t *testing.T, role string) *exec.Cmd {
	cmd := fdtest.Self(bounded(t), t)
	cmd.Env = append(os.Environ(), roleEnv+"="+role)
	cmd.Stderr = new(strings.Builder)
	return cmd
}

func ends(t *testing.T, cmd *exec.Cmd, want string) {
	t.Helper()
	err := cmd.Run()
	got := "exit status 0"
	if e, ok := errors.AsType[*exec.ExitError](err); ok {
		got = e.Error()
	} else {
		check(t, err)
	}
	if got != want {
		t.Fatalf("the child ended with %q, want %q\n%s", got, want, cmd.Stderr)
	}
}

const success = "exit status 0"

// A regular file goes on where the shell has it, and what os.Stdout writes beside stays in order.
func TestStdoutIsAFile(t *testing.T) {
	for _, flags := range []int{os.O_WRONLY, os.O_WRONLY | os.O_APPEND} { // > and >>
		path := filepath.Join(t.TempDir(), "out")
		check(t, os.WriteFile(path, []byte("before\n"), 0o600))
		f, err := os.OpenFile(path, flags, 0)
		check(t, err)
		if flags&os.O_APPEND == 0 {
			_, err = f.Seek(0, io.SeekEnd)
			check(t, err)
		}
		for range 2 {
			cmd := child(t, "write")
			cmd.Stdout = f
			ends(t, cmd, success)
		}
		check(t, f.Close())
		got, err := os.ReadFile(path)
		check(t, err)
		once := "ours 0\nos's 0\nours 1\nos's 1\nours 2\nos's 2\n"
		if string(got) != "before\n"+once+once {
			t.Errorf("%q", got)
		}
	}
}

func TestStdinToStdout(t *testing.T) {
	data := strings.Repeat("all of it ", 50000)
	file := filepath.Join(t.TempDir(), "in")
	check(t, os.WriteFile(file, []byte(data), 0o600))
	f, err := os.Open(file)
	check(t, err)
	defer f.Close()
	for name, in := range map[string]io.Reader{"pipe": strings.NewReader(data), "file": f} {
		cmd := child(t, "copy")
		var out strings.Builder
		cmd.Stdin, cmd.Stdout = in, &out
		ends(t, cmd, success)
		if out.String() != data {
			t.Errorf("%s: %d bytes of %d", name, out.Len(), len(data))
		}
	}
}

// Neither a wait nor a deadline makes the streams that others have non-blocking.
func TestStreamsStayBlocking(t *testing.T) {
	for _, kind := range []string{"pipe", "FIFO", "terminal"} {
		t.Run(kind, func(t *testing.T) {
			var in, keep, out *os.File
			var err error
			switch kind {
			case "pipe":
				in, keep, err = os.Pipe()
			case "FIFO":
				in, err = os.OpenFile(fifo(t), os.O_RDWR, 0)
			case "terminal":
				keep, in = terminal(t)
			}
			check(t, err)
			defer in.Close()
			defer keep.Close()
			cmd := child(t, "wait")
			var b strings.Builder
			cmd.Stdin = in
			if kind == "terminal" {
				out = in
				cmd.Stdout = out
			} else {
				cmd.Stdout = &b
			}
			ends(t, cmd, success)
			if kind == "terminal" {
				return
			}
			if b.String() != "still here" {
				t.Errorf("%q", b.String())
			}
		})
	}
}

// terminal returns the two sides of a pseudo-terminal, the second blocking.
func terminal(t *testing.T) (master, line *os.File) {
	t.Helper()
	reason := ""
	n, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		reason = err.Error()
	}
	fdtest.Need(t, "pty", reason)
	check(t, unix.IoctlSetPointerInt(n, unix.TIOCSPTLCK, 0))
	number, err := unix.IoctlGetUint32(n, unix.TIOCGPTN)
	check(t, err)
	m, err := unix.Open(fmt.Sprintf("/dev/pts/%d", number), unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	check(t, err)
	return os.NewFile(uintptr(n), "master"), os.NewFile(uintptr(m), "line")
}

func TestBrokenStdout(t *testing.T) {
	for role, want := range map[string]string{"broken": "signal: broken pipe", "broken-vectored": "signal: broken pipe", "tolerant": "exit status 3"} {
		r, w, err := os.Pipe()
		check(t, err)
		check(t, r.Close())
		cmd := child(t, role)
		cmd.Stdout = w
		ends(t, cmd, want)
		check(t, w.Close())
	}
	_, w := newPipe(t, nil)
	wantIs(t, w.ExitOnBroken(false), os.ErrInvalid)
}

func TestStdinRefused(t *testing.T) {
	p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	check(t, err)
	a, b := os.NewFile(uintptr(p[0]), "socket"), os.NewFile(uintptr(p[1]), "socket")
	defer a.Close()
	defer b.Close()
	cmd := child(t, "refused")
	cmd.Stdin = a
	ends(t, cmd, "exit status 4")
	ends(t, child(t, "null"), success)
	ends(t, child(t, "closed"), success)
}

// A pipe that belongs to another user can't be opened anew.
func TestStdinOfAnotherUser(t *testing.T) {
	fdtest.NeedRoot(t)
	r, w, err := os.Pipe()
	check(t, err)
	defer r.Close()
	defer w.Close()
	cmd := child(t, "refused")
	cmd.Stdin = r
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	ends(t, cmd, "exit status 5")
}

// Nor can a terminal that somebody keeps for himself, but by root.
func TestStdinExclusive(t *testing.T) {
	master, line := terminal(t)
	defer master.Close()
	defer line.Close()
	cmd := child(t, "refused")
	cmd.Stdin = line
	if os.Geteuid() == 0 {
		check(t, line.Chown(65534, 65534))
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	}
	c, err := line.SyscallConn()
	check(t, err)
	check(t, c.Control(func(num uintptr) { err = unix.IoctlSetInt(int(num), unix.TIOCEXCL, 0) }))
	check(t, err)
	ends(t, cmd, "exit status 6")
}

// A child gets blocking ends, ours stay as they are: with cat, and with a Go program.
func TestInherit(t *testing.T) {
	for name, start := range map[string]func(t *testing.T) *exec.Cmd{
		"cat": func(t *testing.T) *exec.Cmd {
			reason := ""
			path, err := exec.LookPath("cat")
			if err != nil {
				reason = err.Error()
			}
			fdtest.Need(t, "programs", reason)
			return exec.CommandContext(bounded(t), path)
		},
		"Go": func(t *testing.T) *exec.Cmd { return child(t, "copy") },
	} {
		t.Run(name, func(t *testing.T) {
			in, w := newPipe(t, nil)
			r, out := newPipe(t, nil)
			cmd := start(t)
			childIn, err := in.Inherit()
			check(t, err)
			childOut, err := out.Inherit()
			check(t, err)
			cmd.Stdin, cmd.Stdout = childIn, childOut
			// While the child has blocking ones, ours don't block.
			ctx, cancel := context.WithCancel(t.Context())
			c := fdtest.Go(t, func() error { return second(in.ReadContext(ctx, make([]byte, 1))) }).Parked()
			cancel()
			wantIs(t, c.Err(), context.Canceled)
			check(t, cmd.Start())
			check(t, errors.Join(childIn.Close(), childOut.Close(), in.Close(), out.Close()))
			for _, s := range []string{"one", "two"} {
				_, err := w.Write([]byte(s))
				check(t, err)
				wantRead(t, r, s)
			}
			check(t, w.Close())
			if _, err := r.ReadContext(bounded(t), make([]byte, 1)); err != io.EOF {
				t.Error(err)
			}
			check(t, cmd.Wait())
		})
	}
}
