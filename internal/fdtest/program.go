//go:build linux

package fdtest

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes/internal/sys"
)

// ProgramEnv is what makes this binary a program, with its arguments, a line each.
const ProgramEnv = "FDTEST_PROGRAM"

// Program is a command for a test that needs a child: this test binary, which [Main] makes do what the first argument says. (A guest of the matrix has no other programs.)
//
//	true              exits at once
//	hang              doesn't
//	cat [FILE…]       writes the files, or its standard input, to its standard output
//	greet             writes a line, and then does as cat
//	end HOW           reads its standard input to the end, and then ends: HOW is "exit N" or "signal N"
//	parent HOW        starts "end HOW", whose input is its descriptor 3, writes its process ID, and waits for it when its own input has ended
//	host NAME         sets the host's name, says so with a line, and reads its input to the end
func Program(ctx context.Context, t testing.TB, args ...string) *exec.Cmd {
	t.Helper()
	cmd := Self(ctx, t)
	cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0", ProgramEnv+"="+strings.Join(args, "\n")) // else it takes a second to end
	return cmd
}

// beProgram does what Program says, if this is one.
func beProgram() {
	text := os.Getenv(ProgramEnv)
	if text == "" {
		return
	}
	args := strings.Split(text, "\n")
	err := os.Unsetenv(ProgramEnv)
	switch {
	case err != nil:
	case args[0] == "true":
	case args[0] == "hang":
		_ = unix.Pause()
	case args[0] == "cat":
		err = cat(args[1:])
	case args[0] == "greet":
		fmt.Println()
		err = cat(nil)
	case args[0] == "end":
		err = end(args[1])
	case args[0] == "parent":
		err = parent(args[1])
	case args[0] == "host":
		if err = unix.Sethostname([]byte(args[1])); err == nil {
			fmt.Println()
			_, err = io.Copy(io.Discard, os.Stdin)
		}
	default:
		err = fmt.Errorf("there is no program %q", args)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(99)
	}
	os.Exit(0)
}

func cat(paths []string) error {
	if len(paths) == 0 {
		_, err := io.Copy(os.Stdout, os.Stdin)
		return err
	}
	for _, path := range paths {
		b, err := os.ReadFile(path)
		if err == nil {
			_, err = os.Stdout.Write(b)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func end(how string) error {
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		return err
	}
	kind, number, _ := strings.Cut(how, " ")
	n, err := strconv.Atoi(number)
	if err != nil {
		return err
	}
	if kind == "exit" {
		os.Exit(n)
	}
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return err
	}
	if unix.Signal(n) != unix.SIGKILL {
		if err := sys.DefaultSignal(n); err != nil {
			return err
		}
	}
	if err := unix.Kill(os.Getpid(), unix.Signal(n)); err != nil {
		return err
	}
	return unix.Pause()
}

func parent(how string) error {
	words, err := selfWords()
	if err != nil {
		return err
	}
	cmd := exec.Command(words[0], words[1:]...)
	cmd.Env = append(os.Environ(), ProgramEnv+"=end\n"+how)
	cmd.Stdin = os.NewFile(3, "gate")
	if err := cmd.Start(); err != nil {
		return err
	}
	fmt.Println(cmd.Process.Pid)
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		return err
	}
	_ = cmd.Wait()
	return nil
}
