//go:build linux

package signalfd

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes/internal/fdtest"
)

// receiverEnv says that the process is the receiver in namespaces of its own.
const receiverEnv = "SIGNALFD_RECEIVER"

// said marks the lines that are for the test.
const said = "said: "

// tell receives in namespaces of its own, and says what until its input ends.
func tell(t *testing.T) {
	r := notify(t, Notify, SIGUSR1, RT(6))
	check(t, Queue(os.Getpid(), RT(6), Value{Int: 1}))
	ctx, cancel := context.WithCancel(t.Context())
	c := fdtest.Go(t, func() error {
		defer cancel()
		_, err := io.Copy(io.Discard, os.Stdin)
		return err
	})
	for i, err := range r.Events(ctx) {
		if err != nil {
			break
		}
		pid, uid, _ := i.Sender()
		fmt.Printf("%s%v %v %d %d\n", said, i.Signal, i.Code, pid, uid)
	}
	check(t, c.Err())
}

// Whoever sends is named as the receiver's namespaces do: not at all, where it isn't seen from there.
func TestNamespaces(t *testing.T) {
	if os.Getenv(receiverEnv) == t.Name() {
		tell(t)
		return
	}
	fdtest.NeedRoot(t)
	if os.Getenv("FDTEST_EXEC") != "" {
		fdtest.Need(t, "pid_namespaces", "an emulator starts no child in one")
	}
	const user = 65533 // not the overflow user
	own := &syscall.SysProcAttr{
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: user, Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: user, Size: 1}},
		Credential:  &syscall.Credential{NoSetGroups: true},
	}
	self := os.Getpid()
	for _, c := range []struct {
		name                   string
		flags                  uintptr
		attr                   *syscall.SysProcAttr
		pid, uid, inner, outer int // the test as the child sees it, and the child as itself and the test see it
	}{
		{"pid", unix.CLONE_NEWPID, new(syscall.SysProcAttr), 0, 0, 1, 0},
		{"user", unix.CLONE_NEWUSER, own, self, 65534, 0, user},
		{"both", unix.CLONE_NEWUSER | unix.CLONE_NEWPID, own, 0, 65534, 1, user},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := notify(t, Notify, SIGCHLD)
			ctx, cancel := context.WithTimeout(t.Context(), fdtest.Bound)
			defer cancel()
			cmd := fdtest.Self(ctx, t, "-test.run", "^TestNamespaces$", "-test.count=1")
			cmd.Env = append(os.Environ(), receiverEnv+"=TestNamespaces")
			cmd.SysProcAttr = c.attr
			cmd.SysProcAttr.Cloneflags = c.flags
			cmd.Stderr = os.Stderr
			in, err := cmd.StdinPipe()
			check(t, err)
			out, err := cmd.StdoutPipe()
			check(t, err)
			if err := cmd.Start(); err != nil {
				fdtest.Need(t, "pid_namespaces", err.Error())
			}
			lines := bufio.NewScanner(out)
			want := func(format string, args ...any) {
				t.Helper()
				want := said + fmt.Sprintf(format, args...)
				for lines.Scan() {
					if got := lines.Text(); strings.HasPrefix(got, said) {
						if got != want {
							t.Errorf("%q, not %q", got, want)
						}
						return
					}
				}
				t.Errorf("the child has ended: %v", lines.Err())
			}
			inner := c.inner
			if inner == 0 {
				inner = cmd.Process.Pid
			}
			want("SIGRTMIN+6 SI_QUEUE %d 0", inner)
			check(t, syscall.Kill(cmd.Process.Pid, syscall.SIGUSR1))
			want("SIGUSR1 SI_USER %d %d", c.pid, c.uid)
			check(t, Queue(cmd.Process.Pid, RT(6), Value{Int: 2}))
			want("SIGRTMIN+6 SI_QUEUE %d %d", c.pid, c.uid)
			check(t, in.Close())
			_, _ = io.Copy(io.Discard, out)
			i := next(t, r)
			if got, ok := i.Child(); !ok || got.PID != cmd.Process.Pid || int(got.UID) != c.outer || got.Code != Exited || got.Status != 0 {
				t.Errorf("%v, of process %d", i, cmd.Process.Pid)
			}
			check(t, cmd.Wait())
		})
	}
}
