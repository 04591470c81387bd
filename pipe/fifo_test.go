//go:build linux

package pipe_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes/internal/fdtest"
	"github.com/fildes/fildes/pipe"
)

func TestMakeFIFO(t *testing.T) {
	old := unix.Umask(0o077)
	defer unix.Umask(old)
	dir := t.TempDir()
	d, err := os.Open(dir)
	check(t, err)
	defer d.Close()
	for _, perm := range []fs.FileMode{0o600, 0o666, 0o620, 0o777, 0o200, 0} {
		name := fmt.Sprintf("%o", perm)
		check(t, pipe.MakeFIFO(filepath.Join(dir, name), perm))
		check(t, pipe.MakeFIFOAt(d, name+"at", perm))
		for _, n := range []string{name, name + "at"} {
			info, err := os.Lstat(filepath.Join(dir, n))
			check(t, err)
			if info.Mode() != fs.ModeNamedPipe|perm {
				t.Errorf("%v, want %v", info.Mode(), perm)
			}
		}
	}
	wantIs(t, pipe.MakeFIFO(filepath.Join(dir, "600"), 0o600), fs.ErrExist)
	wantIs(t, pipe.MakeFIFO(filepath.Join(dir, "a/b"), 0o600), fs.ErrNotExist)
	wantIs(t, pipe.MakeFIFO(filepath.Join(dir, "c"), fs.ModeSetuid|0o600), os.ErrInvalid)
	wantIs(t, pipe.MakeFIFOAt(nil, "c", 0o600), os.ErrInvalid)
	check(t, d.Close())
	wantIs(t, pipe.MakeFIFOAt(d, "c", 0o600), os.ErrClosed)
}

func opened[H io.Closer](t testing.TB, h H, err error) H {
	t.Helper()
	check(t, err)
	t.Cleanup(func() { _ = h.Close() })
	return h
}

// opening opens in another goroutine, and returns when that waits.
func openingReader(t *testing.T, ctx context.Context, path string, opts *pipe.OpenOptions) (*fdtest.Caller, **pipe.Reader) {
	r := new(*pipe.Reader)
	return fdtest.Go(t, func() (err error) { *r, err = pipe.OpenReader(ctx, path, opts); return err }).Parked(), r
}

func openingWriter(t *testing.T, ctx context.Context, path string, opts *pipe.OpenOptions) (*fdtest.Caller, **pipe.Writer) {
	w := new(*pipe.Writer)
	return fdtest.Go(t, func() (err error) { *w, err = pipe.OpenWriter(ctx, path, opts); return err }).Parked(), w
}

func TestOpenMeets(t *testing.T) {
	for _, readerFirst := range []bool{true, false} {
		path := fifo(t)
		var r *pipe.Reader
		var w *pipe.Writer
		if readerFirst {
			c, p := openingReader(t, t.Context(), path, nil)
			w = opened2(t)(pipe.OpenWriter(bounded(t), path, nil))
			check(t, c.Err())
			r = opened(t, *p, nil)
		} else {
			c, p := openingWriter(t, t.Context(), path, nil)
			r = opened(t, must2(t)(pipe.OpenReader(bounded(t), path, nil)), nil)
			check(t, c.Err())
			w = opened(t, *p, nil)
		}
		_, err := w.Write([]byte("through"))
		check(t, err)
		wantRead(t, r, "through")
		if r.Name() != path || w.Name() != path {
			t.Error(r.Name(), w.Name())
		}
		check(t, w.Close())
		if _, err := r.Read(make([]byte, 1)); err != io.EOF {
			t.Error(err)
		}
	}
}

func opened2(t *testing.T) func(*pipe.Writer, error) *pipe.Writer {
	return func(w *pipe.Writer, err error) *pipe.Writer { return opened(t, w, err) }
}

func must2(t *testing.T) func(*pipe.Reader, error) *pipe.Reader {
	return func(r *pipe.Reader, err error) *pipe.Reader { check(t, err); return r }
}

// The other side opens in a way that waits, as a shell does: before we open and after.
func TestOpenMeetsAProcess(t *testing.T) {
	process := func(role, path string) *exec.Cmd {
		cmd := child(t, role)
		cmd.Env = append(cmd.Env, pathEnv+"="+path)
		return cmd
	}
	for _, first := range []bool{true, false} {
		path := fifo(t)
		cat := process("reads a FIFO", path)
		var out strings.Builder
		cat.Stdout = &out
		var w *pipe.Writer
		open := func() (err error) { w, err = pipe.OpenWriter(t.Context(), path, nil); return err }
		var c *fdtest.Caller
		if first {
			c = fdtest.Go(t, open).Parked()
		}
		check(t, cat.Start())
		if !first {
			c = fdtest.Go(t, open)
		}
		check(t, c.Err())
		_, err := w.Write([]byte("to a process"))
		check(t, err)
		check(t, w.Close())
		check(t, cat.Wait())
		if out.String() != "to a process" {
			t.Errorf("%q", out.String())
		}

		echo := process("writes a FIFO", path)
		echo.Stdin = strings.NewReader("from a process")
		var r *pipe.Reader
		open = func() (err error) { r, err = pipe.OpenReader(t.Context(), path, nil); return err }
		if first {
			c = fdtest.Go(t, open).Parked()
		}
		check(t, echo.Start())
		if !first {
			c = fdtest.Go(t, open)
		}
		check(t, c.Err())
		got, err := io.ReadAll(r)
		check(t, err)
		check(t, r.Close())
		check(t, echo.Wait())
		if string(got) != "from a process" {
			t.Errorf("%q", got)
		}
	}
}

// A writer who has come and gone ends the wait too, whether it has left something or not.
func TestCameAndWent(t *testing.T) {
	for _, left := range []string{"", "left"} {
		path := fifo(t)
		c, p := openingReader(t, t.Context(), path, nil)
		n, err := unix.Open(path, unix.O_WRONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		check(t, err)
		_, err = unix.Write(n, []byte(left))
		check(t, err)
		check(t, unix.Close(n))
		check(t, c.Err())
		got, err := io.ReadAll(*p)
		if string(got) != left || err != nil {
			t.Error(got, err)
		}
		check(t, (*p).Close())
	}
}

// And so does a reader, as in open(2), which then leaves a pipe that nobody reads.
func TestReaderCameAndWent(t *testing.T) {
	for range fdtest.Rounds(50) {
		path := fifo(t)
		c, p := openingWriter(t, t.Context(), path, nil)
		n, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		check(t, err)
		check(t, unix.Close(n))
		check(t, c.Err())
		_, err = (*p).Write([]byte("x"))
		wantIs(t, err, syscall.EPIPE)
		check(t, (*p).Close())
	}
}

// Several writers that wait, each of which is a reader for a moment, don't take one another for one.
func TestWritersDontMeet(t *testing.T) {
	path := fifo(t)
	ctx, cancel := context.WithCancel(t.Context())
	var cs []*fdtest.Caller
	for range 10 {
		c, _ := openingWriter(t, ctx, path, nil)
		cs = append(cs, c)
	}
	for _, c := range cs {
		if c.Done() {
			t.Fatal("a writer was opened without a reader")
		}
	}
	cancel()
	for _, c := range cs {
		wantIs(t, c.Err(), context.Canceled)
	}
}

func TestOpenObeysContext(t *testing.T) {
	path := fifo(t)
	before := fdtest.Descriptors()
	cause := errors.New("the cause")
	for range 3 {
		ctx, cancel := context.WithCancelCause(t.Context())
		other, end := context.WithCancel(t.Context())
		r, _ := openingReader(t, ctx, fifo(t), nil)
		w, _ := openingWriter(t, ctx, path, nil)
		last, _ := openingReader(t, other, fifo(t), nil)
		cancel(cause)
		wantIs(t, r.Err(), context.Canceled, cause)
		wantIs(t, w.Err(), context.Canceled, cause)
		last.Parked()
		end()
		wantIs(t, last.Err(), context.Canceled)
		for _, open := range []func(context.Context) error{
			func(ctx context.Context) error { return second(pipe.OpenReader(ctx, path, nil)) },
			func(ctx context.Context) error { return second(pipe.OpenWriter(ctx, path, nil)) },
		} {
			wantIs(t, open(ctx), context.Canceled, cause)
			wantIs(t, open(nil), os.ErrInvalid)
		}
	}
	for end := time.Now().Add(fdtest.Bound); ; time.Sleep(time.Millisecond) {
		after := fdtest.Descriptors()
		maps.DeleteFunc(after, func(n int, link string) bool { return before[n] == link })
		if len(after) == 0 {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("left behind: %v", after)
		}
	}
}

func TestNoWait(t *testing.T) {
	path := fifo(t)
	_, err := pipe.OpenWriter(t.Context(), path, &pipe.OpenOptions{NoWait: true})
	wantIs(t, err, pipe.ErrNoReader, syscall.ENXIO)
	r := opened(t, must2(t)(pipe.OpenReader(t.Context(), path, &pipe.OpenOptions{NoWait: true})), nil)
	if _, err := r.Read(make([]byte, 1)); err != io.EOF {
		t.Error(err)
	}
	w := opened2(t)(pipe.OpenWriter(t.Context(), path, &pipe.OpenOptions{NoWait: true}))
	_, err = w.Write([]byte("x"))
	check(t, err)
	wantRead(t, r, "x")
}

// A reader that survives doesn't see its clients go, and waits for the next one without spinning.
func TestSurvivingReader(t *testing.T) {
	path := fifo(t)
	r := opened(t, must2(t)(pipe.OpenReader(t.Context(), path, &pipe.OpenOptions{Survive: true})), nil)
	for range 3 {
		c := fdtest.Go(t, func() error { wantRead(t, r, "client"); return nil }).Parked()
		w := opened2(t)(pipe.OpenWriter(bounded(t), path, nil))
		_, err := w.Write([]byte("client"))
		check(t, err)
		check(t, w.Close())
		check(t, c.Err())
	}
	ctx, cancel := context.WithCancel(t.Context())
	c := fdtest.Go(t, func() error { return second(r.ReadContext(ctx, make([]byte, 1))) }).Parked()
	cancel()
	wantIs(t, c.Err(), context.Canceled)
}

// A writer that survives opens without a reader, fills the FIFO and then waits.
func TestSurvivingWriter(t *testing.T) {
	path := fifo(t)
	w := opened2(t)(pipe.OpenWriter(t.Context(), path, &pipe.OpenOptions{Survive: true}))
	n, err := w.Size()
	check(t, err)
	_, err = w.Write(make([]byte, n))
	check(t, err)
	check(t, w.SetWriteDeadline(time.Now().Add(time.Millisecond)))
	_, err = w.Write([]byte("x"))
	wantIs(t, err, os.ErrDeadlineExceeded)
	r := opened(t, must2(t)(pipe.OpenReader(t.Context(), path, nil)), nil)
	_, err = io.ReadFull(r, make([]byte, n))
	check(t, err)
	check(t, r.Close())
	check(t, w.SetWriteDeadline(time.Time{}))
	_, err = w.Write([]byte("nobody reads"))
	check(t, err)
}

func TestNotAFIFO(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	check(t, os.WriteFile(file, []byte("content"), 0o600))
	link := filepath.Join(dir, "link")
	check(t, os.Symlink(file, link))
	for _, path := range []string{file, link, dir, "/dev/null", "/dev/tty"} {
		for _, opts := range []*pipe.OpenOptions{nil, {NoWait: true}, {Survive: true}, {Create: true, RemoveOnClose: true}} {
			_, err := pipe.OpenReader(t.Context(), path, opts)
			wantIs(t, err, os.ErrInvalid)
			_, err = pipe.OpenWriter(t.Context(), path, opts)
			wantIs(t, err, os.ErrInvalid)
		}
	}
	if b, err := os.ReadFile(file); string(b) != "content" {
		t.Errorf("%q, %v", b, err)
	}
	// A link to a FIFO is one.
	path := fifo(t)
	check(t, os.Symlink(path, filepath.Join(dir, "good")))
	opened(t, must2(t)(pipe.OpenReader(t.Context(), filepath.Join(dir, "good"), &pipe.OpenOptions{NoWait: true})), nil)
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

func TestRemoveOnClose(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	opts := &pipe.OpenOptions{Create: true, Perm: 0o640, RemoveOnClose: true, Survive: true}
	open := func() *pipe.Reader { return must2(t)(pipe.OpenReader(t.Context(), "fifo", opts)) }
	// Made here, also after a change of the directory.
	r := open()
	info, err := os.Lstat("fifo")
	check(t, err)
	if info.Mode() != fs.ModeNamedPipe|0o640 {
		t.Error(info.Mode())
	}
	t.Chdir("/")
	check(t, r.Close())
	t.Chdir(dir)
	if exists("fifo") {
		t.Error("it is still there")
	}
	// Removed by somebody already.
	r = open()
	check(t, os.Remove("fifo"))
	check(t, r.Close())
	// Another one is in its place: a FIFO, a file.
	r = open()
	check(t, os.Rename("fifo", "old"))
	check(t, pipe.MakeFIFO("fifo", 0o600))
	check(t, r.Close())
	if !exists("fifo") {
		t.Error("a stranger was removed")
	}
	// There before.
	r = open()
	check(t, r.Close())
	if !exists("fifo") {
		t.Error("it was there before")
	}
	check(t, os.Remove("fifo"))
	// Released.
	r = open()
	n, err := r.Release()
	check(t, err)
	check(t, unix.Close(n))
	wantIs(t, r.Close(), os.ErrClosed)
	if !exists("fifo") {
		t.Error("Release has removed it")
	}
	check(t, os.Remove("fifo"))
	// An open that fails.
	ctx, cancel := context.WithCancel(t.Context())
	c, _ := openingWriter(t, ctx, "fifo", &pipe.OpenOptions{Create: true, RemoveOnClose: true})
	cancel()
	wantIs(t, c.Err(), context.Canceled)
	_, err = pipe.OpenWriter(t.Context(), "fifo", &pipe.OpenOptions{Create: true, RemoveOnClose: true, NoWait: true})
	wantIs(t, err, pipe.ErrNoReader)
	if exists("fifo") {
		t.Error("it is still there")
	}
	_, err = pipe.OpenReader(t.Context(), "fifo", &pipe.OpenOptions{RemoveOnClose: true})
	wantIs(t, err, os.ErrInvalid)
}

func TestPacketFIFO(t *testing.T) {
	path := fifo(t)
	r := opened(t, must2(t)(pipe.OpenReader(t.Context(), path, &pipe.OpenOptions{NoWait: true, Packet: true})), nil)
	w := opened2(t)(pipe.OpenWriter(t.Context(), path, &pipe.OpenOptions{Packet: true}))
	for range 2 {
		_, err := w.Write([]byte("packet"))
		check(t, err)
	}
	n, err := r.Read(make([]byte, 3))
	wantIs(t, err, io.ErrShortBuffer)
	if n != 3 {
		t.Error(n)
	}
	wantRead(t, r, "packet")
}

// An ordinary user may write to a FIFO that he can't read: then the wait is a timed one.
func TestWriteOnly(t *testing.T) {
	fdtest.NeedUser(t)
	path := filepath.Join(t.TempDir(), "fifo")
	check(t, pipe.MakeFIFO(path, 0o200))
	c, p := openingWriter(t, t.Context(), path, nil)
	check(t, os.Chmod(path, 0o600))
	r := opened(t, must2(t)(pipe.OpenReader(t.Context(), path, &pipe.OpenOptions{NoWait: true})), nil)
	check(t, c.Err())
	w := opened(t, *p, nil)
	_, err := w.Write([]byte("x"))
	check(t, err)
	wantRead(t, r, "x")
	check(t, os.Chmod(path, 0o200))
	_, err = pipe.OpenReader(t.Context(), path, nil)
	wantIs(t, err, os.ErrPermission)
}

// Where inotify has no instance left for the user, the wait is a timed one.
func TestNoInotify(t *testing.T) {
	var instances []int
	defer func() {
		for _, n := range instances {
			_ = unix.Close(n)
		}
	}()
	for {
		n, err := unix.InotifyInit1(unix.IN_CLOEXEC)
		if err != nil {
			break
		}
		instances = append(instances, n)
		if len(instances) > 5000 {
			t.Skip("this user may have more than 5,000 inotify instances")
		}
	}
	path := fifo(t)
	r, p := openingReader(t, t.Context(), path, nil)
	w := opened2(t)(pipe.OpenWriter(bounded(t), path, nil))
	check(t, r.Err())
	check(t, w.Close())
	check(t, (*p).Close())
	c, q := openingWriter(t, t.Context(), path, nil)
	opened(t, must2(t)(pipe.OpenReader(bounded(t), path, nil)), nil)
	check(t, c.Err())
	check(t, (*q).Close())
	ctx, cancel := context.WithCancel(t.Context())
	r, _ = openingReader(t, ctx, fifo(t), nil)
	cancel()
	wantIs(t, r.Err(), context.Canceled)
}

func threads(t testing.TB) int {
	t.Helper()
	dir, err := os.ReadDir("/proc/self/task")
	check(t, err)
	return len(dir)
}

// openForReading counts the files of a directory that this process has open for reading, and not only as places.
func openForReading(dir string) (n int) {
	for num, link := range fdtest.Descriptors() {
		if filepath.Dir(link) == dir {
			flags, err := unix.FcntlInt(uintptr(num), unix.F_GETFL, 0)
			if err == nil && flags&(unix.O_PATH|unix.O_ACCMODE) == unix.O_RDONLY {
				n++
			}
		}
	}
	return n
}

// Ten thousand opens that wait cost goroutines, not threads, and one inotify instance; each ends with its own writer.
func TestManyWait(t *testing.T) {
	out, child, err := fdtest.InChild(t)
	if !child {
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		t.Log(out)
		return
	}
	n := 10000
	if testing.Short() {
		n = 500
	}
	var l unix.Rlimit
	check(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &l))
	l.Cur = l.Max
	check(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &l))
	if l.Max < uint64(n+100) {
		fdtest.Need(t, "nofile", fmt.Sprintf("RLIMIT_NOFILE can't be more than %d", l.Max))
	}
	path := paths(t)
	var names []string
	for range n {
		names = append(names, path())
		check(t, pipe.MakeFIFO(names[len(names)-1], 0o600))
	}
	ctx := bounded(t)
	readers := make([]*pipe.Reader, n)
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { readers[i], errs[i] = pipe.OpenReader(ctx, names[i], nil) })
	}
	for end := time.Now().Add(fdtest.Bound); openForReading(filepath.Dir(names[0])) < n; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("not all of them wait")
		}
	}
	runtime.Gosched()
	if got := threads(t); got >= 20 {
		t.Errorf("%d threads", got)
	}
	instances := 0
	for _, link := range fdtest.Descriptors() {
		if strings.Contains(link, "inotify") {
			instances++
		}
	}
	if instances != 1 {
		t.Errorf("%d inotify instances", instances)
	}
	start := time.Now()
	for i := range n {
		wg.Go(func() {
			w, err := pipe.OpenWriter(ctx, names[i], &pipe.OpenOptions{NoWait: true})
			if err == nil {
				err = w.Close()
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	t.Logf("%d writers in %v, %d threads", n, time.Since(start), threads(t))
	for i, r := range readers {
		check(t, errs[i])
		check(t, r.Close())
	}
	if got := threads(t); got >= 20 {
		t.Errorf("%d threads", got)
	}
}

// A peer is noticed soon, and waiting costs no processor time.
func TestNoticedSoon(t *testing.T) {
	path := fifo(t)
	best := time.Hour
	for range 20 {
		c, p := openingReader(t, t.Context(), path, nil)
		start := time.Now()
		n, err := unix.Open(path, unix.O_WRONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		check(t, err)
		check(t, c.Err())
		best = min(best, time.Since(start))
		check(t, unix.Close(n))
		check(t, (*p).Close())
	}
	t.Logf("a reader: %v", best)
	if best > 20*time.Millisecond {
		t.Errorf("the writer was noticed after %v", best)
	}
	best = time.Hour
	for range 20 {
		c, p := openingWriter(t, t.Context(), path, nil)
		start := time.Now()
		n, err := unix.Open(path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		check(t, err)
		check(t, c.Err())
		best = min(best, time.Since(start))
		check(t, unix.Close(n))
		check(t, (*p).Close())
	}
	t.Logf("a writer: %v", best)
	if best > 20*time.Millisecond {
		t.Errorf("the reader was noticed after %v", best)
	}
}

const pretendTime = time.Second

// pretend waits for a reader for so short that there is none.
func pretend(path string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Millisecond)
	defer cancel()
	w, err := pipe.OpenWriter(ctx, path, nil)
	if err == nil {
		return errors.Join(errors.New("a writer was opened without a reader"), w.Close())
	}
	if !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	w, err = pipe.OpenWriter(context.Background(), path, &pipe.OpenOptions{NoWait: true})
	if err == nil {
		return errors.Join(errors.New("a writer was opened without waiting, and without a reader"), w.Close())
	}
	if !errors.Is(err, pipe.ErrNoReader) {
		return err
	}
	return nil
}

// Writers of two processes don't take one another for a reader either.
func TestWritersOfTwoProcessesDontMeet(t *testing.T) {
	path := fifo(t)
	var cs []*fdtest.Caller
	for range 2 {
		cmd := child(t, "pretends")
		cmd.Env = append(cmd.Env, pathEnv+"="+path)
		cs = append(cs, fdtest.Go(t, func() error {
			if err := cmd.Run(); err != nil {
				return fmt.Errorf("%w: %v", err, cmd.Stderr)
			}
			return nil
		}))
	}
	for _, c := range cs {
		check(t, c.Err())
	}
}

// Two who open and close at once meet all the same: each has seen the other, however short.
func TestOpenAndLeave(t *testing.T) {
	path := fifo(t)
	for range fdtest.Rounds(2000) {
		c := fdtest.Go(t, func() error {
			r, err := pipe.OpenReader(bounded(t), path, nil)
			if err != nil {
				return err
			}
			return r.Close()
		})
		w, err := pipe.OpenWriter(bounded(t), path, nil)
		check(t, err)
		check(t, w.Close())
		check(t, c.Err())
	}
}

// Somebody who keeps the name that those who ask claim only delays them.
func TestClaimedForGood(t *testing.T) {
	path := fifo(t)
	var st unix.Stat_t
	check(t, unix.Stat(path, &st))
	n, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	check(t, err)
	dev := uint64(st.Dev) //nolint:unconvert // it has 32 bits on some
	check(t, unix.Bind(n, &unix.SockaddrUnix{Name: fmt.Sprintf("@fildes/fifo/%d:%d/%d", unix.Major(dev), unix.Minor(dev), st.Ino)}))
	start := time.Now()
	r := must2(t)(pipe.OpenReader(t.Context(), path, &pipe.OpenOptions{NoWait: true}))
	defer r.Close()
	var ps []**pipe.Writer
	var cs []*fdtest.Caller
	for range 20 { // more than may be in the kernel
		c, p := openingWriter(t, t.Context(), path, nil)
		cs, ps = append(cs, c), append(ps, p)
	}
	begin := time.Now()
	check(t, must2(t)(pipe.OpenReader(t.Context(), fifo(t), &pipe.OpenOptions{NoWait: true})).Close())
	if waited := time.Since(begin); waited > 500*time.Millisecond {
		t.Errorf("another FIFO waited too: %v", waited)
	}
	check(t, cs[0].Err())
	if waited := time.Since(start); waited < 500*time.Millisecond || waited > 10*time.Second {
		t.Errorf("the open took %v", waited)
	}
	check(t, unix.Close(n))
	for i, c := range cs {
		check(t, c.Err())
		check(t, (*ps[i]).Close())
	}
}

// Nor does one that waits take for a reader who makes a Writer of a broken end.
func TestWriterFromFileIsNoReader(t *testing.T) {
	path := fifo(t)
	r := must2(t)(pipe.OpenReader(t.Context(), path, &pipe.OpenOptions{NoWait: true}))
	f, err := os.OpenFile(path, os.O_WRONLY|unix.O_NONBLOCK, 0)
	check(t, err)
	defer f.Close()
	check(t, r.Close())
	ctx, cancel := context.WithCancel(t.Context())
	c, _ := openingWriter(t, ctx, path, nil)
	w := opened2(t)(pipe.WriterFromFile(f))
	_, err = w.Write([]byte("x"))
	wantIs(t, err, syscall.EPIPE)
	time.Sleep(20 * time.Millisecond)
	c.Parked()
	cancel()
	wantIs(t, c.Err(), context.Canceled)
}

// At the limit on descriptors an open fails, or waits as long as its context lets it, and leaves nothing behind.
func TestOpenAtTheLimit(t *testing.T) {
	out, child, err := fdtest.InChild(t, "FDTEST_COLD=1")
	if !child {
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	check(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 40, Max: 40}))
	time.Sleep(time.Microsecond) // the first timer of a program starts Go's poller, or ends the program
	dir := t.TempDir()
	opens := map[string]func(ctx context.Context, path string, o *pipe.OpenOptions) error{
		"reader": func(ctx context.Context, path string, o *pipe.OpenOptions) error {
			return second(pipe.OpenReader(ctx, path, o))
		},
		"writer": func(ctx context.Context, path string, o *pipe.OpenOptions) error {
			return second(pipe.OpenWriter(ctx, path, o))
		},
	}
	for free := range 8 {
		for name, open := range opens {
			var spare []int
			for {
				n, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
				if err != nil {
					break
				}
				spare = append(spare, n)
			}
			for range min(free, len(spare)) {
				check(t, unix.Close(spare[len(spare)-1]))
				spare = spare[:len(spare)-1]
			}
			path := filepath.Join(dir, fmt.Sprint(name, free))
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
			err := open(ctx, path, &pipe.OpenOptions{Create: true, RemoveOnClose: true})
			cancel()
			for _, n := range spare {
				check(t, unix.Close(n))
			}
			if !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, syscall.EMFILE) {
				t.Errorf("%s with %d descriptors: %v", name, free, err)
			}
			if free > 4 && errors.Is(err, syscall.EMFILE) {
				t.Errorf("%s didn't wait with %d descriptors: %v", name, free, err)
			}
			if _, err := os.Lstat(path); err == nil {
				t.Errorf("%s with %d descriptors left its FIFO behind", name, free)
			}
		}
	}
}
