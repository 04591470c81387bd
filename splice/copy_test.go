//go:build linux

package splice

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes/internal/fdtest"
	"github.com/fildes/fildes/internal/sys"
)

// sources are ends that give data and then end; destinations those that take it, with what they have got.
var sources = map[string]func(t testing.TB, data []byte) syscall.Conn{
	"file": func(t testing.TB, data []byte) syscall.Conn { return regular(t, data) },
}

var destinations = map[string]func(t testing.TB, n int) (dst syscall.Conn, got func() []byte){
	"file": func(t testing.TB, _ int) (syscall.Conn, func() []byte) { return contentOf(t, regular(t, nil)) },
	"appending": func(t testing.TB, _ int) (syscall.Conn, func() []byte) {
		f, err := os.OpenFile(regular(t, nil).Name(), os.O_WRONLY|os.O_APPEND, 0)
		check(t, err)
		t.Cleanup(func() { f.Close() })
		return contentOf(t, f)
	},
}

func contentOf(t testing.TB, f *os.File) (syscall.Conn, func() []byte) {
	return f, func() []byte {
		b, err := os.ReadFile(f.Name())
		check(t, err)
		return b
	}
}

// The lines are in both tables.
var _ = func() bool {
	for name, line := range lines {
		sources[name] = func(t testing.TB, data []byte) syscall.Conn {
			r, w := line(t)
			go func() {
				_, _ = w.Write(data)
				_ = w.(io.Closer).Close()
			}()
			return r
		}
		destinations[name] = func(t testing.TB, n int) (syscall.Conn, func() []byte) {
			r, w := line(t)
			c := make(chan []byte, 1)
			go func() {
				p := make([]byte, n)
				k, _ := io.ReadFull(r, p)
				c <- p[:k]
			}()
			return w, func() []byte { return <-c }
		}
	}
	return true
}()

func wayBetween(from, to string) Way {
	pipe := func(s string) bool { return s == "os.Pipe" || s == "FD" }
	switch {
	case to == "appending":
		return ReadWrite
	case from == "file" && to == "file":
		return CopiedInRange
	case pipe(from) || pipe(to):
		return Direct
	case from == "file":
		return SentFile
	}
	return ThroughPipe
}

func TestCopy(t *testing.T) {
	data := pattern(fdtest.Rounds(4<<20) + 123)
	for from, source := range sources {
		for to, destination := range destinations {
			t.Run(from+" to "+to, func(t *testing.T) {
				dst, got := destination(t, len(data))
				c, err := Copy(t.Context(), dst, source(t, data))
				check(t, err)
				want(t, "the count", c.Bytes, int64(len(data)))
				want(t, "the way", c.Way, wayBetween(from, to))
				want(t, "what wasn't sent", len(c.Unsent), 0)
				sameBytes(t, "what arrived", got(), data)
			})
		}
	}
}

func TestCopyNothing(t *testing.T) {
	for from, source := range sources {
		dst, _ := destinations["file"](t, 0)
		c, err := Copy(t.Context(), dst, source(t, nil))
		check(t, err)
		if c.Bytes != 0 || c.Way != Nothing {
			t.Errorf("from %s: %+v", from, c)
		}
	}
}

// Files whose size the kernel doesn't know are copied all the same.
func TestCopyProc(t *testing.T) {
	expected, err := os.ReadFile("/proc/version")
	if err != nil {
		fdtest.Need(t, "proc", err.Error())
	}
	for to, destination := range destinations {
		t.Run(to, func(t *testing.T) {
			src, err := os.Open("/proc/version")
			check(t, err)
			defer src.Close()
			dst, got := destination(t, len(expected))
			c, err := Copy(t.Context(), dst, src)
			check(t, err)
			want(t, "the count", c.Bytes, int64(len(expected)))
			t.Log(c.Way)
			sameBytes(t, "the copy", got(), expected)
		})
	}
}

// tmpfs to disk: the kernel refuses copy_file_range between types of file systems.
func TestCopyAcross(t *testing.T) {
	src, err := os.CreateTemp("/dev/shm", "fildes")
	if err != nil {
		fdtest.Need(t, "shm", err.Error())
	}
	t.Cleanup(func() { _ = os.Remove(src.Name()) })
	defer src.Close()
	data := pattern(1 << 20)
	_, err = src.WriteAt(data, 0)
	check(t, err)
	dst, got := destinations["file"](t, 0)
	c, err := Copy(t.Context(), dst, src)
	check(t, err)
	sameBytes(t, "the copy", got(), data)
	t.Log(c.Way)
}

// Every way is refused in turn, with every errno, and the next one is taken.
func TestLadder(t *testing.T) {
	type rung struct {
		from, to string
		ways     []Way // after each refused call
	}
	calls := []struct {
		name    string
		numbers []uintptr
	}{{"copy_file_range", []uintptr{unix.SYS_COPY_FILE_RANGE}}, {"sendfile", []uintptr{unix.SYS_SENDFILE, sys.SendfileCall}}, {"splice", []uintptr{unix.SYS_SPLICE}}}
	rungs := []rung{
		{"file", "file", []Way{SentFile, ReadWrite, ReadWrite}},
		{"file", "TCP", []Way{SentFile, ReadWrite, ReadWrite}},
		{"file", "os.Pipe", []Way{Direct, Direct, ReadWrite}},
		{"TCP", "Unix", []Way{ThroughPipe, ThroughPipe, ReadWrite}},
		{"FD", "TCP", []Way{Direct, Direct, ReadWrite}},
		{"Unix", "file", []Way{ThroughPipe, ThroughPipe, ReadWrite}},
	}
	for _, errno := range []unix.Errno{unix.EINVAL, unix.ENOSYS, unix.EOPNOTSUPP, unix.EXDEV, unix.EPERM, unix.EIO, unix.ETXTBSY} {
		t.Run(strings.ReplaceAll(errno.Error(), "/", " "), func(t *testing.T) {
			t.Parallel()
			out, child, err := fdtest.InChild(t)
			if !child {
				if err != nil {
					t.Fatalf("%v\n%s", err, out)
				}
				if strings.Contains(out, "--- SKIP") {
					fdtest.Need(t, "seccomp", out)
				}
				return
			}
			data := pattern(300000)
			for i, call := range calls {
				fdtest.Seccomp(t, fdtest.AnswerErrno(errno), call.numbers...)
				for _, r := range rungs {
					dst, got := destinations[r.to](t, len(data))
					c, err := Copy(t.Context(), dst, sources[r.from](t, data))
					if err != nil {
						t.Fatalf("without %s, from %s to %s: %v", call.name, r.from, r.to, err)
					}
					want(t, fmt.Sprintf("without %s, from %s to %s, the way", call.name, r.from, r.to), c.Way, r.ways[i])
					sameBytes(t, r.from+" to "+r.to, got(), data)
				}
			}
			if errno == unix.ENOSYS {
				_, err := Splice(t.Context(), regular(t, nil), regular(t, nil), 1, nil)
				wantErr(t, "splice", err, errors.ErrUnsupported)
			}
		})
	}
}

// What may not be written is refused, whatever the way; what may only not be written is read.
func TestCopySealed(t *testing.T) {
	data := pattern(1 << 20)
	sealed := func(content []byte) *os.File {
		n, err := unix.MemfdCreate("sealed", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
		check(t, err)
		f := os.NewFile(uintptr(n), "sealed")
		t.Cleanup(func() { f.Close() })
		_, err = f.WriteAt(content, 0)
		check(t, err)
		_, err = unix.FcntlInt(uintptr(n), unix.F_ADD_SEALS, unix.F_SEAL_WRITE|unix.F_SEAL_GROW|unix.F_SEAL_SHRINK)
		check(t, err)
		return f
	}
	for to, destination := range destinations {
		dst, got := destination(t, len(data))
		c, err := Copy(t.Context(), dst, sealed(data))
		check(t, err)
		want(t, to, c.Bytes, int64(len(data)))
		sameBytes(t, to, got(), data)
	}
	for from, source := range sources {
		c, err := Copy(t.Context(), sealed(nil), source(t, data))
		wantErr(t, from, err, unix.EPERM)
		want(t, from, c.Bytes, 0)
	}
}

// Bytes that left the source and couldn't be delivered are the caller's.
func TestCopyUnsent(t *testing.T) {
	data := pattern(20 << 20)
	for _, to := range []string{"TCP", "Unix"} {
		t.Run(to, func(t *testing.T) {
			a, b := unixPair(t)
			go func() { _, _ = b.Write(data) }()
			r, w := lines[to](t)
			ctx, cancel := context.WithCancel(t.Context())
			var c Copied
			result := waiting(t, func() (err error) { c, err = Copy(ctx, w, a); return err })
			for end := time.Now().Add(fdtest.Bound); ; time.Sleep(time.Millisecond) { // it may be waiting for the source still
				n := 0
				c, err := r.(syscall.Conn).SyscallConn()
				check(t, err)
				check(t, c.Control(func(num uintptr) { n, err = sys.Unread(int(num)) }))
				check(t, err)
				if n > 0 {
					break
				}
				if time.Now().After(end) {
					t.Fatal("nothing has arrived")
				}
			}
			cancel()
			wantErr(t, "cancelled", result(), context.Canceled)
			t.Logf("%d sent, %d unsent", c.Bytes, len(c.Unsent))
			want(t, "the way", c.Way, ThroughPipe)
			check(t, w.(io.Closer).Close())
			arrived, err := io.ReadAll(r)
			check(t, err)
			sameBytes(t, "what was sent", arrived, data[:c.Bytes])
			rest := readN(t, a, len(data)-len(arrived)-len(c.Unsent))
			sameBytes(t, "all together", bytes.Join([][]byte{arrived, c.Unsent, rest}, nil), data)
		})
	}
	t.Run("nobody reads", func(t *testing.T) {
		a, b := unixPair(t)
		_, err := b.Write(data[:1000])
		check(t, err)
		c, d := unixPair(t)
		check(t, d.Close())
		got, err := Copy(t.Context(), c, a)
		wantErr(t, "the copy", err, unix.EPIPE)
		sameBytes(t, "what wasn't sent", got.Unsent, data[:1000])
	})
	t.Run("reading and writing", func(t *testing.T) {
		r, w := osPipe(t)
		_, err := w.Write(data[:1000])
		check(t, err)
		full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
		if err != nil {
			fdtest.Need(t, "dev", err.Error())
		}
		defer full.Close()
		got, err := Copy(t.Context(), full, r)
		wantErr(t, "the copy", err, unix.ENOSPC)
		t.Log(err, len(got.Unsent))
		left := 0
		if got.Unsent == nil { // splice refused before it took anything
			left = 1000
			sameBytes(t, "what is left", readN(t, r, 1000), data[:1000])
		}
		want(t, "what there is", len(got.Unsent)+left, 1000)
	})
}

// A copy into what nobody reads takes no CPU while it waits.
func TestFullCostsNothing(t *testing.T) {
	full := map[string]func(t *testing.T) syscall.Conn{
		"os.Pipe":       func(t *testing.T) syscall.Conn { _, w := osPipe(t); return w },
		"FD":            func(t *testing.T) syscall.Conn { _, w := ourPipe(t); return w },
		"blocking pipe": func(t *testing.T) syscall.Conn { _, w := blockingPipe(t); return w },
		"TCP":           func(t *testing.T) syscall.Conn { a, _ := tcpPair(t); return a },
		"blocking socket": func(t *testing.T) syscall.Conn {
			p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
			check(t, err)
			a, b := os.NewFile(uintptr(p[0]), "a"), os.NewFile(uintptr(p[1]), "b")
			t.Cleanup(func() { a.Close(); b.Close() })
			return a
		},
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	results := map[string]func() error{}
	var sources sync.WaitGroup
	for name, destination := range full {
		a, b := unixPair(t)
		sources.Go(func() { _, _ = b.Write(make([]byte, 16<<20)) })
		dst := destination(t)
		results[name] = waiting(t, func() error {
			_, err := Copy(ctx, dst, a)
			return errors.Join(err, a.Close())
		})
	}
	fdtest.Idle(t, restTime())
	cancel()
	for name, result := range results {
		wantErr(t, "cancelled, to "+name, result(), context.Canceled)
	}
	sources.Wait()
}

// A pipe with bytes in it is never used again, and those that are idle go away.
func TestPool(t *testing.T) {
	waitIdle(t)
	p := getSpare()
	if p == nil {
		t.Fatal("there is no pipe to be had")
	}
	r, w := osPipe(t)
	_, err := w.WriteString("secret")
	check(t, err)
	a, err := newEnd(r, 0)
	check(t, err)
	check(t, a.lend(func(n int) error { _, err := p.fill(n, 100); return err }))
	putSpare(p)
	wantErr(t, "the pipe that wasn't empty", p.r.Check(), os.ErrClosed)
	q := getSpare()
	if q == p {
		t.Error("a pipe with bytes in it was used again")
	}
	putSpare(q)
	if again := getSpare(); again != q {
		t.Error("an empty pipe wasn't used again")
	}
	putSpare(q)
	waitIdle(t)
	// No more than the budget allows.
	var ps []*spare
	for p := getSpare(); p != nil; p = getSpare() {
		ps = append(ps, p)
		if pool.pages > pool.budget {
			t.Fatalf("%d pages, of %d", pool.pages, pool.budget)
		}
		if len(ps) > 10000 {
			t.Fatal("there is no bound")
		}
	}
	t.Logf("%d pipes, %d pages of %d", len(ps), pool.pages, pool.budget)
	// Without one, a copy goes through memory.
	src, dst := sources["TCP"](t, []byte("hello")), regular(t, nil)
	c, err := Copy(t.Context(), dst, src)
	check(t, err)
	want(t, "the way", c.Way, ReadWrite)
	for _, p := range ps {
		putSpare(p)
	}
	if n := len(pool.idle); n > mostIdle {
		t.Errorf("%d pipes are kept", n)
	}
	waitIdle(t)
}

func waitIdle(t *testing.T) {
	t.Helper()
	for end := time.Now().Add(fdtest.Bound); ; time.Sleep(10 * time.Millisecond) {
		pool.Lock()
		n := pool.pages
		pool.Unlock()
		if n == 0 {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("the pool keeps %d pages", n)
		}
	}
}

func TestWayString(t *testing.T) {
	want(t, "a way", SentFile.String(), "sendfile")
	want(t, "a way that isn't one", Way(99).String(), "Way(99)")
}
