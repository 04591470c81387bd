//go:build linux

package fanotify_test

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes/internal/fdtest"
)

const strangerEnv = "FANOTIFY_STRANGER"

var check, bounded = fdtest.Check, fdtest.Bounded

func TestMain(m *testing.M) {
	if os.Getenv(strangerEnv) != "" {
		strange()
		return
	}
	fdtest.PrivateMounts()
	fdtest.Main(m)
}

// strange opens, or executes, what it is told to, each in a goroutine of its own, and tells how that went.
func strange() {
	var mu sync.Mutex
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		id, what, _ := strings.Cut(in.Text(), " ")
		go func() {
			verb, path, _ := strings.Cut(what, " ")
			errno := act(verb, path)
			mu.Lock()
			defer mu.Unlock()
			fmt.Println(id, int(errno))
		}()
	}
}

func act(verb, path string) syscall.Errno {
	if verb == "execute" {
		errno, _ := errors.AsType[syscall.Errno](exec.Command(path).Run())
		return errno
	}
	num, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err == nil {
		if verb == "read" {
			_, err = unix.Read(num, make([]byte, 16))
		}
		_ = unix.Close(num)
	}
	if err != nil {
		return err.(syscall.Errno)
	}
	return 0
}

// A stranger is another process.
type stranger struct {
	cmd *exec.Cmd
	in  *os.File

	mu      sync.Mutex
	next    int
	waiting map[int]chan syscall.Errno
}

func newStranger(t testing.TB) *stranger {
	t.Helper()
	s := &stranger{cmd: fdtest.Self(t.Context(), t), waiting: make(map[int]chan syscall.Errno)}
	s.cmd.Env = append(os.Environ(), strangerEnv+"=1")
	s.cmd.Stderr = os.Stderr
	r, w, err := os.Pipe()
	check(t, err)
	s.cmd.Stdin, s.in = r, w
	out, err := s.cmd.StdoutPipe()
	check(t, err)
	check(t, s.cmd.Start())
	_ = r.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			id, errno, _ := strings.Cut(lines.Text(), " ")
			n, _ := strconv.Atoi(id)
			e, _ := strconv.Atoi(errno)
			s.mu.Lock()
			s.waiting[n] <- syscall.Errno(e)
			s.mu.Unlock()
		}
	}()
	t.Cleanup(func() {
		_ = w.Close()
		<-done
		_ = s.cmd.Wait()
	})
	return s
}

// do begins something; the channel gets its errno.
func (s *stranger) do(t testing.TB, verb, path string) <-chan syscall.Errno {
	t.Helper()
	c := make(chan syscall.Errno, 1)
	s.mu.Lock()
	s.next++
	id := s.next
	s.waiting[id] = c
	s.mu.Unlock()
	_, err := fmt.Fprintf(s.in, "%d %s %s\n", id, verb, path)
	check(t, err)
	return c
}

func (s *stranger) open(t testing.TB, path string) <-chan syscall.Errno { return s.do(t, "open", path) }
