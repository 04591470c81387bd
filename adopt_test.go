//go:build linux

package fildes_test

import (
	"errors"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes"
	"github.com/fildes/fildes/internal/fdtest"
)

func statusFlags(t testing.TB, fd int) int {
	t.Helper()
	n, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	check(t, err)
	return n &^ largeFile()
}

// largeFile is O_LARGEFILE, which open sets and pipe2 doesn't. Its value differs, and package unix has 0 where open needs no telling.
var largeFile = sync.OnceValue(func() int {
	root, err := unix.Open("/", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		panic(err)
	}
	defer unix.Close(root)
	n, err := unix.FcntlInt(uintptr(root), unix.F_GETFL, 0)
	if err != nil {
		panic(err)
	}
	return n
})

func dup(t testing.TB, fd int) int {
	t.Helper()
	n, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	check(t, err)
	t.Cleanup(func() { _ = unix.Close(n) })
	return n
}

func control(t testing.TB, f *fildes.FD, op func(fd int) error) {
	t.Helper()
	check(t, f.Control(op))
}

// blockingPipe returns a pipe as a shell would hand it on: blocking, not close-on-exec.
func blockingPipe(t testing.TB) (r, w int) {
	t.Helper()
	var p [2]int
	check(t, unix.Pipe2(p[:], 0))
	return p[0], p[1]
}

func TestAdoptLeavesOthersTheirFlags(t *testing.T) {
	fdtest.Need(t, "proc", missingProc())
	fifo := filepath.Join(t.TempDir(), "fifo")
	check(t, unix.Mkfifo(fifo, 0o600))
	keep, err := unix.Open(fifo, unix.O_RDWR|unix.O_CLOEXEC, 0)
	check(t, err)
	defer unix.Close(keep)
	master, terminal := ptyPair(t)
	defer unix.Close(master)
	r, w := blockingPipe(t)
	fifoEnd, err := unix.Open(fifo, unix.O_RDONLY|unix.O_APPEND, 0)
	check(t, err)
	for name, n := range map[string]int{"pipe, read end": r, "pipe, write end": w, "FIFO": fifoEnd, "terminal": terminal} {
		t.Run(name, func(t *testing.T) {
			shared := dup(t, n)
			before := statusFlags(t, shared)
			f, err := fildes.Adopt(n, name)
			check(t, err)
			defer func() { check(t, f.Close()) }()
			if after := statusFlags(t, shared); after != before {
				t.Errorf("the flags of those who share it went from %#x to %#x", before, after)
			}
			control(t, f, func(fd int) error {
				if fd != n {
					t.Errorf("the number went from %d to %d", n, fd)
				}
				if got, want := statusFlags(t, fd), before|unix.O_NONBLOCK; got != want {
					t.Errorf("the flags are %#x, not %#x", got, want)
				}
				return nil
			})
		})
	}
}

func missingProc() string {
	if _, err := os.Stat("/proc/self/fd"); err != nil {
		return err.Error()
	}
	return ""
}

// ptyPair returns both sides of a pseudo-terminal, blocking.
func ptyPair(t testing.TB) (master, terminal int) {
	t.Helper()
	master, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		fdtest.Need(t, "pty", "opening /dev/ptmx: "+err.Error())
	}
	check(t, unix.IoctlSetPointerInt(master, unix.TIOCSPTLCK, 0))
	n, err := unix.IoctlGetUint32(master, unix.TIOCGPTN)
	check(t, err)
	terminal, err = unix.Open("/dev/pts/"+strconv.Itoa(int(n)), unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		_ = unix.Close(master)
		fdtest.Need(t, "pty", "opening the terminal: "+err.Error())
	}
	return master, terminal
}

// Opening the path of a master in /proc makes another pseudo-terminal.
func TestAdoptKeepsTheMaster(t *testing.T) {
	master, terminal := ptyPair(t)
	defer unix.Close(terminal)
	want, err := unix.IoctlGetUint32(master, unix.TIOCGPTN)
	check(t, err)
	f, err := fildes.Adopt(master, "master")
	check(t, err)
	defer f.Close()
	control(t, f, func(fd int) error {
		got, err := unix.IoctlGetUint32(fd, unix.TIOCGPTN)
		if got != want {
			t.Errorf("pseudo-terminal %d became %d", want, got)
		}
		return err
	})
	_, err = unix.Write(terminal, []byte("x"))
	check(t, err)
	var b [8]byte
	n, err := f.ReadContext(t.Context(), b[:])
	if string(b[:n]) != "x" || err != nil {
		t.Errorf("%q, %v", b[:n], err)
	}
}

// A regular file that was opened anew would start at offset 0.
func TestAdoptKeepsTheOffset(t *testing.T) {
	path := filepath.Join(t.TempDir(), "out")
	shell, err := os.Create(path)
	check(t, err)
	defer shell.Close()
	_, err = shell.WriteString("first\n")
	check(t, err)
	f, err := fildes.FromFile(shell)
	check(t, err)
	control(t, f, func(fd int) error {
		if statusFlags(t, fd)&unix.O_NONBLOCK != 0 {
			t.Error("O_NONBLOCK was set for everybody, to no end")
		}
		return nil
	})
	_, err = f.Write([]byte("second\n"))
	check(t, err)
	_, err = shell.WriteString("third\n")
	check(t, err)
	if err := f.SetDeadline(time.Now()); !errors.Is(err, os.ErrNoDeadline) {
		t.Errorf("SetDeadline on a regular file: %v", err)
	}
	control(t, f, func(fd int) error {
		if statusFlags(t, fd)&unix.O_NONBLOCK != 0 {
			t.Error("SetDeadline, which failed, has set O_NONBLOCK")
		}
		return nil
	})
	fifo := filepath.Join(t.TempDir(), "fifo")
	check(t, unix.Mkfifo(fifo, 0o600))
	for _, name := range []string{"/", fifo} {
		n, err := unix.Open(name, unix.O_PATH|unix.O_CLOEXEC, 0)
		check(t, err)
		only, err := fildes.Adopt(n, name)
		check(t, err)
		if err := only.SetDeadline(time.Now()); !errors.Is(err, os.ErrNoDeadline) {
			t.Errorf("SetDeadline on a path: %v", err)
		}
		check(t, only.Close())
	}
	check(t, f.Close())
	b, err := os.ReadFile(path)
	check(t, err)
	if string(b) != "first\nsecond\nthird\n" {
		t.Errorf("%q", b)
	}
}

func TestUnpollable(t *testing.T) {
	n, err := unix.Open("/dev/zero", unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	check(t, err)
	f, err := fildes.Adopt(n, "/dev/zero")
	check(t, err)
	defer f.Close()
	var b [16]byte
	if n, err := f.Read(b[:]); n != 16 || err != nil {
		t.Error(n, err)
	}
	if n, err := f.Write(b[:]); n != 16 || err != nil {
		t.Error(n, err)
	}
	for _, set := range []func(time.Time) error{f.SetDeadline, f.SetReadDeadline, f.SetWriteDeadline} {
		if err := set(time.Now().Add(time.Hour)); !errors.Is(err, os.ErrNoDeadline) {
			t.Error(err)
		}
	}
	runs := 0
	err = f.WaitRead(t.Context(), func(int) error { runs++; return unix.EAGAIN })
	if err != unix.EAGAIN || runs == 0 {
		t.Errorf("a wait for what can't be polled: %v after %d runs", err, runs)
	}
	if n, err := f.Read(b[:]); n != 16 || err != nil {
		t.Error(n, err)
	}
}

// What can't be opened anew is made non-blocking as it is.
func TestAdoptSocket(t *testing.T) {
	p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	check(t, err)
	defer unix.Close(p[1])
	f, err := fildes.Adopt(p[0], "socket")
	check(t, err)
	defer f.Close()
	control(t, f, func(fd int) error {
		if statusFlags(t, fd)&unix.O_NONBLOCK == 0 {
			t.Error("a socket is still blocking")
		}
		return nil
	})
}

func TestAdoptWriterWithoutReader(t *testing.T) {
	r, w := blockingPipe(t)
	check(t, unix.Close(r))
	f, err := fildes.Adopt(w, "pipe")
	check(t, err)
	defer f.Close()
	if _, err := f.Write([]byte("x")); !errors.Is(err, unix.EPIPE) {
		t.Error(err)
	}
}

func TestAdoptTakesOwnershipWhenItFails(t *testing.T) {
	for _, n := range []int{-1, 1 << 20} {
		f, err := fildes.Adopt(n, "nothing")
		if f != nil || !errors.Is(err, unix.EBADF) {
			t.Errorf("Adopt(%d): %v, %v", n, f, err)
		}
	}
	// Without a free number a pipe isn't opened anew, which isn't a failure; the limit on descriptors isn't either.
	r, w := blockingPipe(t)
	defer unix.Close(w)
	var was unix.Rlimit
	check(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &was))
	low := was
	low.Cur = uint64(r)
	check(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &low))
	f, err := fildes.Adopt(r, "pipe")
	check(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &was))
	check(t, err)
	check(t, f.Close())
	if _, err := unix.FcntlInt(uintptr(r), unix.F_GETFD, 0); err != unix.EBADF {
		t.Errorf("the number is still open: %v", err)
	}
	// A number beyond the limit can't be put anywhere by dup3.
	r, w2 := blockingPipe(t)
	defer unix.Close(w2)
	high, err := unix.FcntlInt(uintptr(r), unix.F_DUPFD, 200)
	check(t, err)
	check(t, unix.Close(r))
	low.Cur = 100
	check(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &low))
	f, err = fildes.Adopt(high, "pipe")
	check(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &was))
	check(t, err)
	control(t, f, func(fd int) error {
		if fd != high || statusFlags(t, fd)&unix.O_NONBLOCK == 0 {
			t.Errorf("number %d with flags %#x", fd, statusFlags(t, fd))
		}
		return nil
	})
	check(t, f.Close())
}

// The path of a descriptor of /dev/tty leads to what is the controlling terminal now.
func TestAdoptKeepsTheTerminal(t *testing.T) {
	out, child, err := fdtest.InChild(t)
	if !child {
		if _, why, ok := strings.Cut(out, "needs pty: "); ok {
			fdtest.Need(t, "pty", strings.SplitN(why, "\n", 2)[0])
		}
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	if _, err := unix.Setsid(); err != nil { // a leader already, of a session that is the test's own
		t.Log(err)
	}
	runtime.LockOSThread()
	signal.Ignore(unix.SIGHUP)
	masterA, a := ptyPair(t)
	masterB, b := ptyPair(t)
	check(t, unix.IoctlSetInt(a, unix.TIOCSCTTY, 0))
	tty, err := unix.Open("/dev/tty", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NOCTTY, 0)
	check(t, err)
	check(t, unix.IoctlSetInt(a, unix.TIOCNOTTY, 0))
	check(t, unix.IoctlSetInt(b, unix.TIOCSCTTY, 0))
	f, err := fildes.Adopt(tty, "/dev/tty")
	check(t, err)
	_, err = f.Write([]byte("x"))
	check(t, err)
	check(t, f.Close())
	for name, m := range map[string]int{"the first": masterA, "the second": masterB} {
		check(t, unix.SetNonblock(m, true))
		var buf [8]byte
		n, err := unix.Read(m, buf[:])
		if got := err == nil && string(buf[:n]) == "x"; got != (name == "the first") {
			t.Errorf("%s terminal got %q, %v", name, buf[:max(n, 0)], err)
		}
	}
	for _, n := range []int{masterA, a, masterB, b} {
		_ = unix.Close(n)
	}
}

func TestFromFileOfClosed(t *testing.T) {
	r, w, err := os.Pipe()
	check(t, err)
	check(t, r.Close())
	check(t, w.Close())
	if _, err := fildes.FromFile(r); !errors.Is(err, os.ErrClosed) {
		t.Error(err)
	}
	if _, err := fildes.FromFile(nil); !errors.Is(err, os.ErrInvalid) {
		t.Error(err)
	}
}

func TestInherit(t *testing.T) {
	fdtest.Need(t, "proc", missingProc())
	r, w := blockingPipe(t)
	fr, err := fildes.Adopt(r, "pipe")
	check(t, err)
	defer fr.Close()
	fw, err := fildes.Adopt(w, "pipe")
	check(t, err)
	defer fw.Close()
	in, err := fr.Inherit()
	check(t, err)
	defer in.Close()
	out, err := fw.Inherit()
	check(t, err)
	defer out.Close()
	for _, f := range []*os.File{in, out} {
		raw, err := f.SyscallConn()
		check(t, err)
		check(t, raw.Control(func(fd uintptr) {
			if statusFlags(t, int(fd))&unix.O_NONBLOCK != 0 {
				t.Error("a child would get a non-blocking descriptor")
			}
			if fl, _ := unix.FcntlInt(fd, unix.F_GETFD, 0); fl&unix.FD_CLOEXEC == 0 {
				t.Error("not close-on-exec")
			}
		}))
	}
	control(t, fr, func(fd int) error {
		if statusFlags(t, fd)&unix.O_NONBLOCK == 0 {
			t.Error("Inherit made the FD itself blocking")
		}
		return nil
	})
	_, err = out.WriteString("x")
	check(t, err)
	var b [8]byte
	if n, err := fr.Read(b[:]); string(b[:n]) != "x" || err != nil {
		t.Errorf("%q, %v", b[:n], err)
	}

	file, err := os.Create(filepath.Join(t.TempDir(), "file"))
	check(t, err)
	defer file.Close()
	f, err := fildes.FromFile(file)
	check(t, err)
	defer f.Close()
	_, err = f.Write([]byte("one "))
	check(t, err)
	child, err := f.Inherit()
	check(t, err)
	_, err = child.WriteString("two")
	check(t, err)
	check(t, child.Close())
	if b, err := os.ReadFile(file.Name()); string(b) != "one two" || err != nil {
		t.Errorf("%q, %v", b, err)
	}

	p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	check(t, err)
	defer unix.Close(p[1])
	s, err := fildes.Adopt(p[0], "socket")
	check(t, err)
	defer s.Close()
	if _, err := s.Inherit(); !errors.Is(err, errors.ErrUnsupported) || !strings.Contains(err.Error(), "opened anew") {
		t.Error(err)
	}
}

// What the poller answers after Close matches nothing in os; it must here.
func TestSyscallConnAfterClose(t *testing.T) {
	e, err := pipeEnds(t, false)
	check(t, err)
	raw, err := e.SyscallConn()
	check(t, err)
	c := fdtest.Go(t, func() error { return raw.Read(func(uintptr) bool { return false }) }).Parked()
	check(t, e.Close())
	for name, err := range map[string]error{
		"waiting Read": c.Err(),
		"Read":         raw.Read(func(uintptr) bool { return true }),
		"Write":        raw.Write(func(uintptr) bool { return true }),
		"Control":      raw.Control(func(uintptr) { t.Error("ran") }),
	} {
		if !errors.Is(err, os.ErrClosed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
