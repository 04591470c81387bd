//go:build linux

package splice

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes"
	"github.com/fildes/fildes/internal/fdtest"
	"github.com/fildes/fildes/internal/fdtest/fixture"
)

type stream interface {
	syscall.Conn
	io.ReadWriter
}

type readEnd interface {
	syscall.Conn
	io.Reader
}

type writeEnd interface {
	syscall.Conn
	io.Writer
	SetWriteDeadline(t time.Time) error
}

// lines are connections of each kind: what is written to one end comes out of the other.
var lines = map[string]func(t testing.TB) (readEnd, writeEnd){
	"os.Pipe": func(t testing.TB) (readEnd, writeEnd) { r, w := osPipe(t); return r, w },
	"FD":      func(t testing.TB) (readEnd, writeEnd) { r, w := ourPipe(t); return r, w },
	"TCP":     func(t testing.TB) (readEnd, writeEnd) { a, b := tcpPair(t); return a, b },
	"Unix":    func(t testing.TB) (readEnd, writeEnd) { a, b := unixPair(t); return a, b },
}

var _ stream = (*os.File)(nil)

func TestSplice(t *testing.T) {
	for from, source := range lines {
		for to, destination := range lines {
			if pipe := func(s string) bool { return s == "os.Pipe" || s == "FD" }; !pipe(from) && !pipe(to) {
				continue
			}
			t.Run(from+" to "+to, func(t *testing.T) {
				srcR, srcW := source(t)
				dstR, dstW := destination(t)
				data := pattern(fdtest.Rounds(5 << 20))
				go func() { _, _ = srcW.Write(data) }()
				got := make(chan []byte)
				go func() { got <- readN(t, dstR, len(data)) }()
				n, err := Splice(t.Context(), dstW, srcR, int64(len(data)), nil)
				check(t, err)
				want(t, "the count", n, int64(len(data)))
				sameBytes(t, "what arrived", <-got, data)
				check(t, srcW.(io.Closer).Close())
				n, err = Splice(background(), dstW, srcR, 10, nil)
				want(t, "the count at the end", n, 0)
				want(t, "the error at the end", err, io.EOF)
			})
		}
	}
}

// topUp splices until nothing more fits: before Linux 6.5 a Unix socket takes more by splice than it does by write. It returns how much it was.
func topUp(t *testing.T, w syscall.Conn) (n int) {
	t.Helper()
	in, feed := osPipe(t)
	for idle := 0; idle < 2; {
		_, err := feed.WriteString("x")
		check(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond) // time enough to try it
		k, err := Splice(ctx, w, in, 1, nil)
		cancel()
		if n += int(k); k == 0 {
			wantErr(t, "splicing into what is full", err, context.DeadlineExceeded)
			idle++
		}
	}
	return n
}

// Each end is waited for, and the wait ends with what it waits for, a context, a deadline and Close.
func TestSpliceWaits(t *testing.T) {
	for name, line := range lines {
		// The ends that wait are of this kind; the others, pipes of os.
		t.Run(name, func(t *testing.T) {
			setups := map[string]func(t *testing.T) (call func(ctx context.Context) (int64, error), wake func(), deadline func(time.Time) error, closer io.Closer){
				"source": func(t *testing.T) (func(ctx context.Context) (int64, error), func(), func(time.Time) error, io.Closer) {
					r, w := line(t)
					_, out := osPipe(t)
					return func(ctx context.Context) (int64, error) { return Splice(ctx, out, r, 5, nil) },
						func() { _, err := w.Write([]byte("hello")); check(t, err) },
						r.(interface{ SetReadDeadline(time.Time) error }).SetReadDeadline, r.(io.Closer)
				},
				"destination": func(t *testing.T) (func(ctx context.Context) (int64, error), func(), func(time.Time) error, io.Closer) {
					r, w := line(t)
					in, feed := osPipe(t)
					_, err := feed.WriteString("hello")
					check(t, err)
					full := fill(t, w) + topUp(t, w)
					return func(ctx context.Context) (int64, error) { return Splice(ctx, w, in, 5, nil) },
						func() { readN(t, r, full) },
						w.SetWriteDeadline, w.(io.Closer)
				},
			}
			for which, setup := range setups {
				t.Run(which, func(t *testing.T) {
					t.Run("ready", func(t *testing.T) {
						for _, ctx := range []context.Context{background(), t.Context()} {
							call, wake, _, _ := setup(t)
							result := waiting(t, func() error {
								n, err := call(ctx)
								if n != 5 && err == nil {
									err = fmt.Errorf("%d bytes were moved", n)
								}
								return err
							})
							wake()
							check(t, result())
						}
					})
					t.Run("context", func(t *testing.T) {
						call, wake, _, _ := setup(t)
						cause := errors.New("cause")
						ctx, cancel := context.WithCancelCause(t.Context())
						result := waiting(t, func() error { _, err := call(ctx); return err })
						cancel(cause)
						err := result()
						wantErr(t, "cancelled", err, cause)
						wantErr(t, "cancelled", err, context.Canceled)
						wake() // the connection is as it was
						n, err := call(t.Context())
						check(t, err)
						want(t, "the count", n, 5)
						_, err = call(ctx)
						wantErr(t, "cancelled before", err, cause)
					})
					t.Run("deadline", func(t *testing.T) {
						call, _, deadline, _ := setup(t)
						result := waiting(t, func() error { _, err := call(t.Context()); return err })
						check(t, deadline(time.Now()))
						err := result()
						wantErr(t, "a passed deadline", err, os.ErrDeadlineExceeded)
						if e, ok := err.(*fildes.OpError); !ok || !e.Timeout() {
							t.Errorf("%v is no timeout", err)
						}
					})
					t.Run("close", func(t *testing.T) {
						call, _, _, closer := setup(t)
						result := waiting(t, func() error { _, err := call(t.Context()); return err })
						check(t, closer.Close())
						wantErr(t, "closed", result(), os.ErrClosed)
						_, err := call(t.Context())
						wantErr(t, "closed before", err, os.ErrClosed)
					})
				})
			}
		})
	}
}

// The kernel says EAGAIN of a full destination also where the source has come to its end: the wait is for the destination.
func TestSpliceEndIntoFull(t *testing.T) {
	for name, line := range lines {
		t.Run(name, func(t *testing.T) {
			in, feed := osPipe(t)
			r, w := line(t)
			full := fill(t, w)
			check(t, feed.Close())
			done := make(chan error, 1)
			go func() {
				_, err := Splice(t.Context(), w, in, 5, nil)
				done <- err
			}()
			readN(t, r, full)
			select {
			case err := <-done:
				want(t, "the error", err, io.EOF)
			case <-time.After(fdtest.Bound):
				t.Fatal("it waits for the source")
			}
		})
	}
}

// What blocks can't be waited for by Go's poller, and a full one must cost neither CPU nor a thread that nothing ends.
func TestBlockingPipeCostsNothing(t *testing.T) {
	r, w := blockingPipe(t)
	in, feed := osPipe(t)
	_, err := feed.Write(pattern(1000))
	check(t, err)
	full := 0
	for {
		if _, writable := pollOut(t, w); !writable {
			break
		}
		n, err := w.Write(make([]byte, unix.PathMax))
		check(t, err)
		full += n
	}
	ctx, cancel := context.WithCancel(t.Context())
	calls := map[string]func() error{
		"Splice": func() error { _, err := Splice(ctx, w, in, 1000, nil); return err },
		"SendFile": func() error {
			_, err := SendFile(ctx, w, regular(t, pattern(1000)), 0, 1000)
			return err
		},
	}
	var results []func() error
	for _, call := range calls {
		results = append(results, waiting(t, call))
	}
	fdtest.Idle(t, restTime())
	cancel()
	for _, result := range results {
		wantErr(t, "cancelled", result(), context.Canceled)
	}
	// And it goes on when there is room.
	result := waiting(t, func() error { _, err := Splice(t.Context(), w, in, 1000, nil); return err })
	readN(t, r, full)
	check(t, result())
	sameBytes(t, "what arrived", readN(t, r, 1000), pattern(1000))
	// The other way round: a blocking source.
	_, out := osPipe(t)
	result = waiting(t, func() error { _, err := Splice(t.Context(), out, r, 3, nil); return err })
	_, err = w.WriteString("abc")
	check(t, err)
	check(t, result())
}

func pollOut(t *testing.T, f syscall.Conn) (r, w bool) {
	t.Helper()
	e, err := newEnd(f, 1)
	check(t, err)
	defer e.close()
	check(t, e.lend(func(num int) error {
		p := []unix.PollFd{{Fd: int32(num), Events: unix.POLLOUT}}
		_, err := unix.Poll(p, 0)
		w = p[0].Revents&unix.POLLOUT != 0
		return err
	}))
	return false, w
}

func TestSpliceOffsets(t *testing.T) {
	data := pattern(10000)
	src, dst := regular(t, data), regular(t, nil)
	r, w := osPipe(t)
	ctx := t.Context()
	_, err := src.Seek(100, io.SeekStart)
	check(t, err)
	from, to := int64(5000), int64(3<<32)
	n, err := Splice(ctx, w, src, 1000, &Options{SrcOffset: &from})
	check(t, err)
	want(t, "the count", n, 1000)
	want(t, "the source's offset", from, 6000)
	n, err = Splice(ctx, w, src, 200, nil)
	check(t, err)
	want(t, "the count", n, 200)
	own, err := src.Seek(0, io.SeekCurrent)
	check(t, err)
	want(t, "the source's own offset", own, 300)
	n, err = Splice(ctx, dst, r, 1000, &Options{DstOffset: &to, More: true})
	check(t, err)
	want(t, "the count", n, 1000)
	want(t, "the destination's offset, beyond 32 bits", to, 3<<32+1000)
	got := make([]byte, 1000)
	_, err = dst.ReadAt(got, 3<<32)
	check(t, err)
	sameBytes(t, "the destination", got, data[5000:6000])
	n, err = Splice(ctx, dst, r, 200, nil)
	check(t, err)
	want(t, "the count", n, 200)
	got = make([]byte, 200)
	_, err = dst.ReadAt(got, 0)
	check(t, err)
	sameBytes(t, "the destination's beginning", got, data[100:300])
	// The end of the file.
	from = 9990
	n, err = Splice(ctx, w, src, 100, &Options{SrcOffset: &from})
	want(t, "the error", err, io.EOF)
	want(t, "the count", n, 10)
}

// Each refusal says what it is about.
func TestRefusals(t *testing.T) {
	ctx := t.Context()
	r, w := osPipe(t)
	r2, w2 := osPipe(t)
	_, err := w.WriteString("x")
	check(t, err)
	a, b := tcpPair(t)
	f := regular(t, pattern(100))
	appending, err := os.OpenFile(regular(t, nil).Name(), os.O_WRONLY|os.O_APPEND, 0)
	check(t, err)
	defer appending.Close()
	readOnly, err := os.Open(f.Name())
	check(t, err)
	defer readOnly.Close()
	zero, minus := int64(0), int64(-1)
	broken, brokenW := osPipe(t)
	check(t, broken.Close())
	var gone *os.File
	closed, _ := osPipe(t)
	check(t, closed.Close())
	for name, c := range map[string]struct {
		call func() (int64, error)
		want error
	}{
		"splice: sockets":                {func() (int64, error) { return Splice(ctx, a, b, 1, nil) }, unix.EINVAL},
		"splice: the same pipe":          {func() (int64, error) { return Splice(ctx, w, r, 1, nil) }, unix.EINVAL},
		"splice: appending":              {func() (int64, error) { return Splice(ctx, appending, r, 1, nil) }, unix.EINVAL},
		"splice: the offset of a pipe":   {func() (int64, error) { return Splice(ctx, w2, r, 1, &Options{SrcOffset: &zero}) }, unix.ESPIPE},
		"splice: a negative offset":      {func() (int64, error) { return Splice(ctx, w2, r, 1, &Options{SrcOffset: &minus}) }, os.ErrInvalid},
		"splice: a negative count":       {func() (int64, error) { return Splice(ctx, w2, r, -1, nil) }, os.ErrInvalid},
		"splice: no source":              {func() (int64, error) { return Splice(ctx, w2, nil, 1, nil) }, os.ErrInvalid},
		"splice: a nil destination":      {func() (int64, error) { return Splice(ctx, gone, r, 1, nil) }, os.ErrInvalid},
		"splice: a closed source":        {func() (int64, error) { return Splice(ctx, w2, closed, 1, nil) }, os.ErrClosed},
		"splice: not open for writing":   {func() (int64, error) { return Splice(ctx, readOnly, r, 1, nil) }, unix.EBADF},
		"splice: nobody reads":           {func() (int64, error) { return Splice(ctx, brokenW, r, 1, nil) }, unix.EPIPE},
		"splice: the wrong ends":         {func() (int64, error) { return Splice(ctx, r2, f, 1, nil) }, unix.EBADF},
		"tee: a file":                    {func() (int64, error) { return tee(ctx, w2, f, 1) }, unix.EINVAL},
		"tee: the same pipe":             {func() (int64, error) { return tee(ctx, w, r, 1) }, unix.EINVAL},
		"tee: a negative count":          {func() (int64, error) { return tee(ctx, w2, r, -1) }, os.ErrInvalid},
		"send-file: a negative offset":   {func() (int64, error) { return SendFile(ctx, a, f, -2, 1) }, os.ErrInvalid},
		"send-file: a negative count":    {func() (int64, error) { return SendFile(ctx, a, f, 0, -1) }, os.ErrInvalid},
		"send-file: a pipe":              {func() (int64, error) { return SendFile(ctx, a, r, Own, 1) }, unix.EINVAL},
		"send-file: appending":           {func() (int64, error) { return SendFile(ctx, appending, f, 0, 1) }, unix.EINVAL},
		"send-file: nobody reads":        {func() (int64, error) { return SendFile(ctx, brokenW, f, 0, 1) }, unix.EPIPE},
		"copy-file-range: appending":     {func() (int64, error) { return CopyFileRange(ctx, appending, Own, f, 0, 1) }, unix.EBADF},
		"copy-file-range: a pipe":        {func() (int64, error) { return CopyFileRange(ctx, f, 0, r, Own, 1) }, unix.EINVAL},
		"copy-file-range: an overlap":    {func() (int64, error) { return CopyFileRange(ctx, f, 10, f, 0, 50) }, unix.EINVAL},
		"copy-file-range: read only":     {func() (int64, error) { return CopyFileRange(ctx, readOnly, 0, f, 0, 50) }, unix.EBADF},
		"copy-file-range: negative":      {func() (int64, error) { return CopyFileRange(ctx, f, -3, f, 0, 50) }, os.ErrInvalid},
		"copy-file-range: negative from": {func() (int64, error) { return CopyFileRange(ctx, f, 0, f, -3, 50) }, os.ErrInvalid},
		"clone: pipes":                   {func() (int64, error) { return 0, Clone(w2, r) }, unix.EINVAL},
		"clone: nil":                     {func() (int64, error) { return 0, Clone(f, nil) }, os.ErrInvalid},
		"clone-range: negative":          {func() (int64, error) { return 0, CloneRange(f, -1, f, 0, 1) }, os.ErrInvalid},
		"dedupe: negative":               {func() (int64, error) { return Dedupe(f, 0, f, 0, -1) }, os.ErrInvalid},
	} {
		if c.call == nil {
			continue
		}
		t.Run(name, func(t *testing.T) {
			n, err := c.call()
			want(t, "the count", n, 0)
			if _, ok := err.(*fildes.OpError); !ok {
				t.Fatalf("%v is no OpError", err)
			}
			if c.want != nil {
				wantErr(t, "the call", err, c.want)
			}
			t.Log(err)
		})
	}
	sameBytes(t, "what is left", readN(t, r, 1), []byte("x"))
}

func TestTee(t *testing.T) {
	r, w := ourPipe(t)
	r2, w2 := osPipe(t)
	result := waiting(t, func() error {
		n, err := tee(t.Context(), w2, r, math.MaxInt64)
		want(t, "the count", n, 5)
		return err
	})
	_, err := w.Write([]byte("hello"))
	check(t, err)
	check(t, result())
	n, err := tee(t.Context(), w2, r, 2)
	check(t, err)
	want(t, "the count", n, 2)
	sameBytes(t, "the copy", readN(t, r2, 7), []byte("hellohe"))
	sameBytes(t, "what stays", readN(t, r, 5), []byte("hello"))
	check(t, w.Close())
	_, err = tee(t.Context(), w2, r, 2)
	want(t, "the error at the end", err, io.EOF)
}

func TestSendFile(t *testing.T) {
	data := pattern(3 << 20)
	for name, line := range lines {
		t.Run(name, func(t *testing.T) {
			f := regular(t, data)
			r, w := line(t)
			got := make(chan []byte)
			go func() { got <- readN(t, r, len(data)) }()
			n, err := SendFile(t.Context(), w, f, 0, int64(len(data)))
			check(t, err)
			want(t, "the count", n, int64(len(data)))
			sameBytes(t, "what arrived", <-got, data)
			own, err := f.Seek(-10, io.SeekEnd)
			check(t, err)
			want(t, "the file's offset", own, int64(len(data))-10)
			n, err = SendFile(t.Context(), w, f, Own, 100)
			want(t, "the error at the end", err, io.EOF)
			want(t, "the count", n, 10)
			sameBytes(t, "what arrived", readN(t, r, 10), data[len(data)-10:])
		})
	}
	t.Run("beyond 32 bits", func(t *testing.T) {
		f := regular(t, nil)
		_, err := f.WriteAt([]byte("far"), 5<<32)
		check(t, err)
		r, w := osPipe(t)
		n, err := SendFile(t.Context(), w, f, 5<<32, 3)
		check(t, err)
		want(t, "the count", n, 3)
		sameBytes(t, "what arrived", readN(t, r, 3), []byte("far"))
	})
}

func TestCopyFileRange(t *testing.T) {
	data := pattern(1 << 20)
	src, dst := regular(t, data), regular(t, nil)
	n, err := CopyFileRange(t.Context(), dst, 3<<32, src, 100, 1000)
	check(t, err)
	want(t, "the count", n, 1000)
	got := make([]byte, 1000)
	_, err = dst.ReadAt(got, 3<<32)
	check(t, err)
	sameBytes(t, "the copy, beyond 32 bits", got, data[100:1100])
	n, err = CopyFileRange(t.Context(), dst, Own, src, Own, 2<<20)
	want(t, "the error at the end", err, io.EOF)
	want(t, "the count", n, int64(len(data)))
	for _, f := range []*os.File{dst, src} {
		own, err := f.Seek(0, io.SeekCurrent)
		check(t, err)
		want(t, "the file's own offset", own, int64(len(data)))
	}
}

// A file system that can't share blocks refuses, and the refusal matches errors.ErrUnsupported.
func TestCloneRefused(t *testing.T) {
	data := pattern(1 << 20)
	src, dst := regular(t, data), regular(t, nil)
	err := Clone(dst, src)
	if err == nil {
		got, err := os.ReadFile(dst.Name())
		check(t, err)
		sameBytes(t, "the clone", got, data)
		return
	}
	wantErr(t, "clone", err, errors.ErrUnsupported)
	wantErr(t, "clone-range", CloneRange(dst, 0, src, 0, 1<<20), errors.ErrUnsupported)
	_, err = Dedupe(dst, 0, src, 0, 1<<20)
	if !errors.Is(err, errors.ErrUnsupported) && !errors.Is(err, unix.EINVAL) {
		t.Fatalf("dedupe: %v", err)
	}
}

func TestClone(t *testing.T) {
	dir := fixture.XFS(t)
	data := pattern(1<<20 + 100) // its last block isn't whole
	create := func(name string, content []byte) *os.File {
		f, err := os.Create(filepath.Join(dir, name))
		check(t, err)
		t.Cleanup(func() { f.Close() })
		_, err = f.Write(content)
		check(t, err)
		return f
	}
	read := func(f *os.File) []byte {
		b, err := os.ReadFile(f.Name())
		check(t, err)
		return b
	}
	free := func() int64 {
		var st unix.Statfs_t
		unix.Sync()
		check(t, unix.Statfs(dir, &st))
		return int64(st.Bfree) * int64(st.Bsize) //nolint:unconvert // it has 32 bits on some
	}
	src := create("src", data)
	before := free()
	dst := create("dst", []byte("what was there before"))
	check(t, Clone(dst, src))
	sameBytes(t, "the clone", read(dst), data)
	check(t, CloneRange(dst, 2<<20, src, 1<<19, 0))
	sameBytes(t, "the range", read(dst)[2<<20:], data[1<<19:])
	if used := before - free(); used > 1<<19 {
		t.Errorf("the clones use %d bytes", used)
	}
	wantErr(t, "a range that isn't of whole blocks", CloneRange(dst, 1, src, 0, 4096), unix.EINVAL)
	wantErr(t, "a file of another file system", Clone(regular(t, nil), src), unix.EXDEV)

	other := create("other", data)
	n, err := Dedupe(other, 0, src, 0, int64(len(data)))
	check(t, err)
	want(t, "how much is shared", n, int64(len(data)))
	sameBytes(t, "what was shared", read(other), data)
	_, err = other.WriteAt([]byte("differs"), 1<<19)
	check(t, err)
	n, err = Dedupe(other, 0, src, 0, 1<<20)
	wantErr(t, "dedupe", err, ErrDiffers)
	want(t, "how much is shared", n, 0)
	sameBytes(t, "the source", read(src), data)

	c, err := Copy(t.Context(), create("copy", nil), func() *os.File { _, _ = src.Seek(0, io.SeekStart); return src }())
	check(t, err)
	want(t, "the way", c.Way, CopiedInRange)
	if used := before - free(); used > 3<<20 { // other's 1 MiB, and nothing for the copy that shares src's
		t.Errorf("the copies use %d bytes", used)
	}
}
