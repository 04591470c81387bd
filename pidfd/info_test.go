//go:build linux

package pidfd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes/internal/fdtest"
	"github.com/fildes/fildes/internal/sys"
	"github.com/fildes/fildes/signalfd"
)

func TestInfo(t *testing.T) {
	c := ending(t, "exit 3")
	i, err := c.Info()
	check(t, err)
	uid, gid := uint32(os.Getuid()), uint32(os.Getgid())
	if !i.Fields.Has(IDs|Credentials) || i.PID != c.cmd.Process.Pid || i.ThreadGroup != i.PID || i.Parent != self || i.User != (IDSet{uid, uid, uid, uid}) || i.Group != (IDSet{gid, gid, gid, gid}) {
		t.Errorf("%+v", i)
	}
	if i.Fields.Has(Exit) || i.State.Known() {
		t.Errorf("%+v", i)
	}
	check(t, c.Process.engine().Control(func(num int) error { // by either way the same
		other, err := procInfo(num)
		got := i
		got.Fields, got.CgroupID, got.Core = other.Fields, 0, 0
		if other != got {
			t.Errorf("/proc says %+v", other)
		}
		return err
	}))
	if i.Fields.Has(Cgroup) {
		me, err := openedPID(t, self).Info()
		if err != nil || me.CgroupID != i.CgroupID {
			t.Errorf("%+v, %v", me, err)
		}
	}
	c.end()
	_ = c.cmd.Wait()
	i, err = c.Info()
	if knowsExit(t) {
		if err != nil || !i.Fields.Has(Exit) || i.State.ExitCode() != 3 {
			t.Errorf("%+v, %v", i, err)
		}
	} else {
		wantIs(t, err, os.ErrProcessDone)
	}
	check(t, c.Process.engine().Control(func(num int) error {
		_, err := procInfo(num)
		wantIs(t, err, unix.ESRCH)
		return nil
	}))
}

// Of a process that lives the kernel says, where it says it, that its memory would be dumped for its user.
func TestInfoCore(t *testing.T) {
	c := ending(t, "exit 0")
	i, err := c.Info()
	check(t, err)
	if i.Fields.Has(CoreDump) && i.Core != CoreAsUser {
		t.Errorf("%v: %v", i.Fields, i.Core)
	}
}

// A process of another pid namespace has no number here, and can be waited for.
func TestNamespaceOfAnother(t *testing.T) {
	fdtest.NeedPidfd(t)
	fdtest.NeedRoot(t)
	if os.Getenv("FILDES_PIDFD_TEST_INNER") == "" {
		outer := openedPID(t, self)
		f, err := outer.Inherit()
		check(t, err)
		defer func() { _ = f.Close() }()
		c := ending(t, "exit 3")
		raw, err := sys.PidfdOpen(c.cmd.Process.Pid, false, false)
		check(t, err)
		reaped := os.NewFile(uintptr(raw), "reaped")
		defer func() { _ = reaped.Close() }()
		c.end()
		_ = c.cmd.Wait()
		cmd := fdtest.Self(t.Context(), t, "-test.run=^TestNamespaceOfAnother$", "-test.v")
		cmd.Env = append(os.Environ(), "FILDES_PIDFD_TEST_INNER=1")
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWPID}
		cmd.ExtraFiles = []*os.File{f, reaped}
		out, err := cmd.CombinedOutput()
		if err != nil || !bytes.Contains(out, []byte("PASS: TestNamespaceOfAnother")) {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	for num, gone := range map[int]bool{3: false, 4: true} {
		p := newProcess(num, false, true)
		defer func() { check(t, p.Close()) }()
		if !noInfo(sys.PidfdInfo(numberOf(t, openedPID(t, self)), new(unix.PidfdInfo))) { // else it's as /proc counts, which is the outer one's
			_, err := p.Info()
			wantIs(t, err, unix.EREMOTE)
			_, err = p.PID()
			wantIs(t, err, unix.EREMOTE)
		}
		wantIs(t, p.Signal(0), unix.EINVAL)
		if s, ended, err := p.TryWait(); ended != gone || s.Known() || err != nil { // nor is how it has ended
			t.Error(s, ended, err)
		}
	}
	if os.Getpid() != 1 {
		t.Error("it isn't in a namespace of its own")
	}
}

func TestSame(t *testing.T) {
	a, b := openedPID(t, self), openedPID(t, self)
	c := ending(t, "exit 0")
	for _, x := range []struct {
		p, q *Process
		want bool
	}{{a, b, true}, {a, a, true}, {a, c.Process, false}, {c.Process, a, false}} {
		if got, err := x.p.Same(x.q); got != x.want || err != nil {
			t.Error(got, err)
		}
		check(t, x.p.engine().Control(func(m int) error {
			return x.q.engine().Control(func(n int) error {
				if got, err := sameNumber(m, n); got != x.want || err != nil {
					t.Error("by number:", got, err)
				}
				return nil
			})
		}))
	}
	again := openedPID(t, c.cmd.Process.Pid)
	x, err := c.ID()
	if _, ok, _ := sys.PidfdID(numberOf(t, a)); !ok {
		if err == nil {
			t.Error("there is a number")
		}
		return
	}
	y, _ := a.ID()
	if x == y || err != nil {
		t.Error(x, y, err)
	}
	c.end()
	_ = c.cmd.Wait()
	if z, err := again.ID(); z != x || err != nil { // for ever
		t.Error(z, err)
	}
	if same, err := again.Same(c.Process); !same || err != nil {
		t.Error(same, err)
	}
	check(t, again.engine().Control(func(n int) error {
		_, err := sameNumber(n, n)
		wantIs(t, err, unix.ESRCH)
		return nil
	}))
	_, err = a.Same(nil)
	wantIs(t, err, os.ErrInvalid)
}

func numberOf(t testing.TB, p *Process) (num int) {
	t.Helper()
	check(t, p.engine().Control(func(n int) error { num = n; return nil }))
	return num
}

func TestStrings(t *testing.T) {
	for _, c := range []struct {
		got  fmt.Stringer
		want string
	}{
		{IDs | Exit | 1<<40, "PID|EXIT|0x10000000000"}, {Fields(0), "0"}, {CoreDumped | CoreAsRoot, "DUMPED|ROOT"}, {Core(16), "0x10"},
		{NetNamespace, "net"}, {Namespace(99), "Namespace(99)"}, {Namespace(-1), "Namespace(-1)"}, {State{}, "not ended"}, {State{ended: true}, "ended, it isn't known how"},
		{State{ended: true, known: true, status: 0x8b}, "signal SIGSEGV, core dumped"}, {State{ended: true, known: true, status: 0x0200}, "exit status 2"},
	} {
		if got := c.got.String(); got != c.want {
			t.Errorf("%q, not %q", got, c.want)
		}
	}
}

// What is printed can be read.
func TestTexts(t *testing.T) {
	for f := range Fields(1 << 8) {
		text, err := f.MarshalText()
		check(t, err)
		var g Fields
		if err := g.UnmarshalText(text); err != nil || g != f {
			t.Errorf("%s: %v, %v", text, g, err)
		}
		c, d := Core(f), Core(0)
		text, err = c.MarshalText()
		check(t, err)
		if err := d.UnmarshalText(text); err != nil || d != c {
			t.Errorf("%s: %v, %v", text, d, err)
		}
	}
	if new(Fields).UnmarshalText([]byte("x")) == nil || new(Core).UnmarshalText([]byte("0x100000000")) == nil {
		t.Error("nonsense was read")
	}
}

// A core dump that was made is told.
func TestStateOfChild(t *testing.T) {
	for want, c := range map[syscall.WaitStatus]signalfd.Child{
		0x0700: {Code: signalfd.Exited, Status: 7}, 0xff00: {Code: signalfd.Exited, Status: 255}, 0x09: {Code: signalfd.Killed, Status: 9}, 0x8b: {Code: signalfd.Dumped, Status: 11},
	} {
		if got := statusOf(c); got != want {
			t.Errorf("%+v: %#x, not %#x", c, got, want)
		}
	}
}

var zombie = "12 (a) Z (b) Z 1" + strings.Repeat(" 0", 47) + " 1792\n"

// FuzzParseStat compares with one that takes the line apart from behind.
func FuzzParseStat(f *testing.F) {
	f.Add([]byte(zombie))
	f.Add([]byte(strings.Replace(zombie, ") Z 1", ") S 1", 1)))
	f.Add([]byte("1 (x) Z"))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, ok := parseStat(b)
		var want int
		slow := false
		if name := strings.LastIndex(string(b), ") "); name >= 0 && !strings.Contains(string(b[name+1:]), ")") {
			fields := strings.Fields(string(b[name+2:]))
			if len(fields) >= 50 && (fields[0] == "Z" || fields[0] == "X") {
				var rest string
				n, err := fmt.Sscanf(fields[49]+" .", "%d %s", &want, &rest)
				slow = n == 2 && err == nil && rest == "." && !strings.ContainsAny(fields[49], "_xXoObB")
			}
		}
		if ok != slow || ok && int(got) != int(syscall.WaitStatus(want)) {
			t.Errorf("%q: %v, %v; %v, %v", b, got, ok, want, slow)
		}
	})
}

func TestParseStat(t *testing.T) {
	if got, ok := parseStat([]byte(zombie)); !ok || got.ExitStatus() != 7 {
		t.Error(got, ok)
	}
}

// FuzzParseProcStatus looks for what crashes, and for what is believed though it isn't there.
func FuzzParseProcStatus(f *testing.F) {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte("Pid:\t1\nTgid:\t1\nPPid:\t0\nUid:\t1 2 3 4\nGid:\t5 6 7 8\n"))
	f.Add([]byte("Uid:\t1 2 3\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		i, err := parseProcStatus(b)
		if err == nil && (!bytes.Contains(b, []byte("Uid")) || !i.Fields.Has(IDs|Credentials)) {
			t.Errorf("%q: %+v", b, i)
		}
	})
}

// How a child of other namespaces has ended is known once it has been reaped, and not before.
func TestInfoIsolated(t *testing.T) {
	exits := knowsExit(t)
	for want, end := range map[string]func(child) error{
		"exit status 100": func(c child) error { c.end(); return nil },
		"signal SIGKILL":  func(c child) error { return c.Signal(signalfd.SIGKILL) },
	} {
		t.Run(want, func(t *testing.T) {
			c := isolated(t, "exit 100")
			for range 2 { // while it lives, and when it has ended
				i, err := c.Info()
				if err != nil || !i.Fields.Has(IDs|Credentials) || i.Fields.Has(Exit) || i.PID != c.cmd.Process.Pid || i.User.Real != uint32(os.Getuid()) {
					t.Errorf("%+v, %v", i, err)
				}
				if pid, err := c.PID(); pid != i.PID || err != nil {
					t.Error(pid, err)
				}
				check(t, end(c))
				s, err := c.Wait(bounded(t))
				if s.String() != want || err != nil {
					t.Error(s, err)
				}
			}
			_ = c.cmd.Wait()
			_, err := c.PID()
			wantIs(t, err, os.ErrProcessDone)
			i, err := c.Info()
			if !exits {
				wantIs(t, err, os.ErrProcessDone)
				return
			}
			if err != nil || i.Fields&(IDs|Credentials|Exit) != Exit || i.State.String() != want {
				t.Errorf("%+v, %v", i, err)
			}
		})
	}
}

// isolated is ending in a user and a pid namespace of its own.
func isolated(t testing.TB, how string) child {
	t.Helper()
	fdtest.NeedPidfd(t)
	if os.Getenv("FDTEST_EXEC") != "" {
		fdtest.Need(t, "user_namespaces", "an emulator starts no child in one")
	}
	cmd := fdtest.Program(context.Background(), t, "end", how)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWUSER | unix.CLONE_NEWPID}
	in, err := cmd.StdinPipe()
	check(t, err)
	p, err := Start(cmd)
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSPC) {
		fdtest.Need(t, "user_namespaces", err.Error())
	}
	check(t, err)
	t.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		_ = p.Close()
	})
	return child{p, cmd, func() { _ = in.Close() }}
}

// A number that is another process's now doesn't make it the same one.
func TestNumberGivenAgain(t *testing.T) {
	fdtest.NeedRoot(t)
	const last = "/proc/sys/kernel/ns_last_pid" // the next process's is the one after it
	if _, err := os.Stat(last); err != nil {
		fdtest.Need(t, "ns_last_pid", err.Error())
	}
	for range 100 {
		old := ending(t, "exit 5")
		pid := old.cmd.Process.Pid
		old.end()
		_ = old.cmd.Wait()
		check(t, os.WriteFile(last, []byte(strconv.Itoa(pid-1)), 0))
		c := ending(t, "exit 6")
		if c.cmd.Process.Pid != pid { // something else was faster
			continue
		}
		wantIs(t, old.Signal(signalfd.SIGKILL), os.ErrProcessDone)
		wantIs(t, old.SignalInfo(signalfd.SIGKILL, SignalInfo{Value: &signalfd.Value{}}), os.ErrProcessDone)
		for _, call := range []func() error{
			func() error { _, err := old.PID(); return err },
			func() error { _, err := old.Inherit(); return err },
			func() error { _, err := old.Descriptor(0); return err },
			func() error { _, err := old.Namespace(NetNamespace); return err },
			func() error { return old.Setns(NetNamespace) },
			func() error { _, err := procInfo(numberOf(t, old.Process)); return err },
			func() error { _, err := sameNumber(numberOf(t, old.Process), numberOf(t, c.Process)); return err },
		} {
			wantIs(t, call(), unix.ESRCH)
		}
		if same, err := old.Same(c.Process); same || err != nil && !errors.Is(err, os.ErrProcessDone) {
			t.Error(same, err)
		}
		if same, err := c.Same(openedPID(t, pid)); !same || err != nil {
			t.Error(same, err)
		}
		x, err := old.ID()
		if y, err2 := c.ID(); err == nil && (x == y || err2 != nil) {
			t.Error(x, y, err2)
		}
		s, err := old.Reap(bounded(t))
		if err != nil || s.Known() && s.ExitCode() != 5 {
			t.Error(s, err)
		}
		if s, ended, err := c.TryWait(); ended || err != nil {
			t.Error(s, ended, err)
		}
		return
	}
	t.Error("no number was given again")
}
