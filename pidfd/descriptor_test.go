//go:build linux

package pidfd

import (
	"context"
	"errors"
	"io"
	"math"
	"os"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes/eventfd"
	"github.com/fildes/fildes/internal/fdtest"
	"github.com/fildes/fildes/internal/sys"
)

// A descriptor of another process is taken over, with its description.
func TestDescriptor(t *testing.T) {
	fdtest.NeedPidfd(t)
	counter, err := eventfd.New(&eventfd.Options{Initial: 7})
	check(t, err)
	defer func() { _ = counter.Close() }()
	give, err := counter.File()
	check(t, err)
	cmd := fdtest.Program(context.Background(), t, "cat")
	in, err := cmd.StdinPipe()
	check(t, err)
	out, err := cmd.StdoutPipe()
	check(t, err)
	cmd.ExtraFiles = []*os.File{give}
	p, err := Start(cmd)
	p = opened(t, p, err)
	check(t, give.Close())
	_, err = in.Write([]byte("x")) // it runs
	check(t, err)
	_, err = out.Read(make([]byte, 1))
	check(t, err)

	f, err := p.Descriptor(3)
	check(t, err)
	flags := flagsOf(t, f)
	if flags&unix.FD_CLOEXEC == 0 {
		t.Error(flags)
	}
	same, err := eventfd.FromFile(f)
	check(t, err)
	check(t, f.Close())
	if n, err := same.Wait(bounded(t)); n != 7 || err != nil {
		t.Error(n, err)
	}
	check(t, same.Close())
	stdin, err := p.Descriptor(0)
	check(t, err)
	check(t, stdin.Close())
	if sys.PidfdThread(0) {
		t.Error("a pipe is a thread")
	}
	for num, want := range map[int]error{-1: os.ErrInvalid, 99: unix.EBADF, math.MaxInt32: unix.EBADF} {
		_, err := p.Descriptor(num)
		wantIs(t, err, want)
	}
	check(t, in.Close())
	_, err = io.ReadAll(out)
	check(t, err)
	check(t, cmd.Wait())
	_, err = p.Descriptor(0)
	wantIs(t, err, os.ErrProcessDone)
}

// flagsOf are a descriptor's own.
func flagsOf(t testing.TB, f *os.File) (flags int) {
	t.Helper()
	raw, err := f.SyscallConn()
	check(t, err)
	check(t, raw.Control(func(n uintptr) { flags, err = unix.FcntlInt(n, unix.F_GETFD, 0) }))
	check(t, err)
	return flags
}

// linkOf is what /proc shows of a descriptor.
func linkOf(f *os.File) (link string, err error) {
	raw, err := f.SyscallConn()
	if err == nil {
		if cerr := raw.Control(func(n uintptr) { link, err = os.Readlink(sys.ProcPath(int(n))) }); cerr != nil {
			return "", cerr
		}
	}
	return link, err
}

func TestDescriptorRefused(t *testing.T) {
	fdtest.NeedRoot(t)
	p := ending(t, "exit 0")
	asNobody(t, func() {
		_, err := p.Descriptor(0)
		wantIs(t, err, unix.EPERM)
		_, err = p.Namespace(NetNamespace)
		wantIs(t, err, os.ErrPermission)
		wantIs(t, p.Setns(NetNamespace), unix.EPERM)
	})
}

// What has ended has no descriptors and no namespaces, also before it has been reaped.
func TestDescriptorEnded(t *testing.T) {
	c := ending(t, "exit 0")
	c.end()
	_, err := c.Wait(bounded(t))
	check(t, err)
	_, err = c.Descriptor(0)
	wantIs(t, err, os.ErrProcessDone)
	wantIs(t, c.Setns(NetNamespace), os.ErrProcessDone)
	for kind := range Namespace(len(namespaces)) {
		if _, err = c.Namespace(kind); !errors.Is(err, errors.ErrUnsupported) {
			wantIs(t, err, os.ErrProcessDone)
		}
	}
}

// A process can take its own.
func TestDescriptorOwn(t *testing.T) {
	r, w, err := os.Pipe()
	check(t, err)
	defer func() { _ = r.Close() }()
	p, err := Self()
	p = opened(t, p, err)
	raw, err := w.SyscallConn()
	check(t, err)
	num := -1
	check(t, raw.Control(func(n uintptr) { num = int(n) })) // as another process would say it
	f, err := p.Descriptor(num)
	check(t, err)
	check(t, w.Close())
	_, err = f.WriteString("x")
	check(t, err)
	check(t, f.Close())
	if b, err := io.ReadAll(r); string(b) != "x" || err != nil {
		t.Errorf("%q, %v", b, err)
	}
}

// The namespaces are those that /proc shows.
func TestNamespace(t *testing.T) {
	p := openedPID(t, self)
	for kind := range Namespace(len(namespaces)) {
		want, err := os.Readlink("/proc/self/ns/" + kind.String())
		if errors.Is(err, os.ErrNotExist) {
			_, err := p.Namespace(kind)
			wantIs(t, err, errors.ErrUnsupported)
			continue
		}
		check(t, err)
		f, err := p.Namespace(kind)
		check(t, err)
		got, err := linkOf(f)
		if got != want || err != nil {
			t.Errorf("%v: %s, not %s, %v", kind, got, want, err)
		}
		check(t, f.Close())
	}
	for _, kind := range []Namespace{-1, 99} {
		_, err := p.Namespace(kind)
		wantIs(t, err, os.ErrInvalid)
	}
	c := ending(t, "exit 0")
	c.end()
	_ = c.cmd.Wait()
	_, err := c.Namespace(NetNamespace)
	wantIs(t, err, os.ErrProcessDone)
}

// inNamespaces starts a program in namespaces of its own, waits for its line, and ends it with the test.
func inNamespaces(t *testing.T, flags uintptr, program ...string) *Process {
	t.Helper()
	cmd := fdtest.Program(context.Background(), t, program...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: flags}
	in, err := cmd.StdinPipe()
	check(t, err)
	out, err := cmd.StdoutPipe()
	check(t, err)
	p, err := Start(cmd)
	p = opened(t, p, err)
	t.Cleanup(func() {
		check(t, in.Close())
		check(t, cmd.Wait())
	})
	_, err = out.Read(make([]byte, 1))
	check(t, err)
	return p
}

// A thread moves into the namespaces of a child.
func TestSetns(t *testing.T) {
	fdtest.NeedPidfd(t)
	fdtest.NeedRoot(t)
	p := inNamespaces(t, unix.CLONE_NEWUTS|unix.CLONE_NEWNS|unix.CLONE_NEWNET, "host", "inner")
	before, err := os.Hostname()
	check(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // for good
		if err := p.Setns(UTSNamespace, MountNamespace, NetNamespace); err != nil {
			t.Error(err)
			return
		}
		for _, kind := range []Namespace{UTSNamespace, MountNamespace, NetNamespace} {
			mine, err := os.Readlink("/proc/thread-self/ns/" + kind.String())
			f, err2 := p.Namespace(kind)
			if err != nil || err2 != nil {
				t.Error(err, err2)
				return
			}
			theirs, err := linkOf(f)
			if mine != theirs || err != nil {
				t.Errorf("%v: %s, not %s, %v", kind, mine, theirs, err)
			}
			_ = f.Close()
		}
		if name, err := os.Hostname(); strings.TrimSpace(name) != "inner" || err != nil {
			t.Error(name, err)
		}
	}()
	<-done
	if after, err := os.Hostname(); after != before || err != nil {
		t.Error(after, err)
	}
	for _, kinds := range [][]Namespace{nil, {PIDForChildrenNamespace}, {99}} {
		wantIs(t, p.Setns(kinds...), os.ErrInvalid)
	}
	wantIs(t, p.Setns(UserNamespace), unix.EINVAL)
}

// A thread moves into each kind alone, and into all at once. Time namespaces aren't for programs of several threads, nor are those of users.
func TestSetnsEach(t *testing.T) {
	fdtest.NeedPidfd(t)
	fdtest.NeedRoot(t)
	p := inNamespaces(t, unix.CLONE_NEWUTS|unix.CLONE_NEWNS|unix.CLONE_NEWNET|unix.CLONE_NEWIPC|unix.CLONE_NEWCGROUP|unix.CLONE_NEWPID, "greet")
	all := []Namespace{CgroupNamespace, IPCNamespace, MountNamespace, NetNamespace, PIDNamespace, UTSNamespace}
	moves := [][]Namespace{all}
	for _, kind := range all {
		moves = append(moves, []Namespace{kind})
	}
	for _, kinds := range moves {
		done := make(chan struct{})
		go func() {
			defer close(done)
			runtime.LockOSThread() // for good
			if err := p.Setns(kinds...); err != nil {
				t.Errorf("%v: %v", kinds, err)
				return
			}
			for _, kind := range all {
				theirs, err := namespaceName(p, kind)
				mine := kind
				if kind == PIDNamespace {
					mine = PIDForChildrenNamespace
				}
				own, err2 := os.Readlink("/proc/thread-self/ns/" + mine.String())
				if same := own == theirs; same != slices.Contains(kinds, kind) || err != nil || err2 != nil {
					t.Errorf("%v: %v is %s, theirs is %s, %v, %v", kinds, kind, own, theirs, err, err2)
				}
			}
		}()
		<-done
	}
	if _, err := os.Stat("/proc/self/ns/time"); err == nil {
		wantIs(t, p.Setns(TimeNamespace), unix.EUSERS)
		wantIs(t, p.Setns(UTSNamespace, TimeNamespace), unix.EUSERS) // all or none
		if mine, err := os.Readlink("/proc/thread-self/ns/uts"); err != nil {
			t.Error(err)
		} else if theirs, err := namespaceName(p, UTSNamespace); mine == theirs || err != nil {
			t.Error(mine, err)
		}
	}
}

// namespaceName is what /proc shows of a namespace.
func namespaceName(p *Process, kind Namespace) (string, error) {
	f, err := p.Namespace(kind)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	return linkOf(f)
}

// What older kernels answer of a process that has ended is told as what newer ones do: before Linux 6.9 it had no descriptors, and /proc, which is asked before 6.11, has no namespaces of it.
func TestEndedWithout(t *testing.T) {
	if !alone(t) {
		return
	}
	c, live := ending(t, "exit 0"), openedPID(t, self)
	c.end()
	_, err := c.Wait(bounded(t))
	check(t, err)
	fdtest.Seccomp(t, fdtest.AnswerErrno(unix.ENOTTY), unix.SYS_IOCTL)
	for kind := range Namespace(len(namespaces)) {
		_, err = c.Namespace(kind)
		if _, none := os.Lstat("/proc/self/ns/" + kind.String()); none != nil {
			wantIs(t, err, errors.ErrUnsupported)
			continue
		}
		wantIs(t, err, os.ErrProcessDone)
	}
	f, err := live.Namespace(NetNamespace)
	check(t, err)
	check(t, f.Close())
	fdtest.Seccomp(t, fdtest.AnswerErrno(unix.EBADF), unix.SYS_PIDFD_GETFD)
	_, err = c.Descriptor(0)
	wantIs(t, err, os.ErrProcessDone)
	_, err = live.Descriptor(0)
	wantIs(t, err, unix.EBADF)
}
