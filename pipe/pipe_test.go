//go:build linux

package pipe_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes"
	"github.com/fildes/fildes/internal/fdtest"
	"github.com/fildes/fildes/pipe"
)

func newPipe(t testing.TB, opts *pipe.Options) (*pipe.Reader, *pipe.Writer) {
	t.Helper()
	r, w, err := pipe.New(opts)
	check(t, err)
	t.Cleanup(func() { _, _ = r.Close(), w.Close() })
	return r, w
}

func wantRead(t testing.TB, r *pipe.Reader, want string) {
	t.Helper()
	b := make([]byte, len(want)+page)
	n, err := r.ReadContext(bounded(t), b)
	if string(b[:n]) != want || err != nil {
		t.Fatalf("read %q, %v, want %q", b[:n], err, want)
	}
}

// The end of the stream, a pipe that nobody reads and a closed handle are three things.
func TestEnds(t *testing.T) {
	r, w := newPipe(t, nil)
	_, err := w.Write([]byte("last"))
	check(t, err)
	check(t, w.Close())
	wantRead(t, r, "last")
	for range 2 {
		if n, err := r.Read(make([]byte, 1)); n != 0 || err != io.EOF {
			t.Error(n, err)
		}
		if n, err := r.ReadVectored(t.Context(), [][]byte{nil, make([]byte, 1)}); n != 0 || err != io.EOF {
			t.Error(n, err)
		}
	}
	if n, err := r.Read(nil); n != 0 || err != nil {
		t.Error(n, err)
	}
	if n, err := r.ReadVectored(t.Context(), [][]byte{nil}); n != 0 || err != nil {
		t.Error(n, err)
	}
	check(t, r.Close())
	_, err = r.Read(make([]byte, 1))
	wantIs(t, err, os.ErrClosed)

	r, w = newPipe(t, nil)
	check(t, r.Close())
	for _, write := range []func() (int, error){
		func() (int, error) { return w.Write([]byte("x")) },
		func() (int, error) { return w.WriteVectored(t.Context(), [][]byte{[]byte("x")}) },
	} {
		n, err := write()
		wantIs(t, err, syscall.EPIPE)
		if n != 0 || errors.Is(err, os.ErrClosed) {
			t.Error(n, err)
		}
	}
	if n, err := w.Write(nil); n != 0 || err != nil {
		t.Error(n, err)
	}
}

// A wait for a reader ends when the last one goes.
func TestBreaksWhileWaiting(t *testing.T) {
	r, w := newPipe(t, onePage(false))
	var n int
	c := fdtest.Go(t, func() (err error) { n, err = w.Write(make([]byte, 3*page)); return err }).Parked()
	check(t, r.Close())
	wantIs(t, c.Err(), syscall.EPIPE)
	if n != page {
		t.Error(n)
	}
	r, w = newPipe(t, nil)
	c = fdtest.Go(t, func() error { _, err := r.Read(make([]byte, 1)); return err }).Parked()
	check(t, w.Close())
	if err := c.Err(); err != io.EOF {
		t.Error(err)
	}
}

func TestVectored(t *testing.T) {
	r, w := newPipe(t, nil)
	var bufs [][]byte
	var want []byte
	for i := range 3000 { // more than IOV_MAX
		bufs = append(bufs, bytes.Repeat([]byte{byte(i)}, i%5))
		want = append(want, bufs[i]...)
	}
	c := fdtest.Go(t, func() error {
		n, err := w.WriteVectored(t.Context(), bufs)
		if n != len(want) && err == nil {
			err = io.ErrShortWrite
		}
		return err
	})
	var got []byte
	for len(got) < len(want) {
		into := [][]byte{make([]byte, 3), nil, make([]byte, 1000)}
		n, err := r.ReadVectored(bounded(t), into)
		check(t, err)
		got = append(got, bytes.Join(into, nil)[:n]...)
	}
	check(t, c.Err())
	if !bytes.Equal(got, want) {
		t.Error("other bytes came out")
	}
}

// Up to PIPE_BUF bytes come out in one piece, whoever writes beside: here by several descriptions of one pipe, which exclude each other no more
// than processes do.
func TestAtomic(t *testing.T) {
	const pipeBuf, writers = 4096, 4
	rounds := fdtest.Rounds(500)
	r, w := newPipe(t, nil)
	var wg sync.WaitGroup
	for i := range writers {
		f, err := w.File()
		check(t, err)
		own, err := pipe.WriterFromFile(f)
		check(t, err)
		check(t, f.Close())
		wg.Go(func() {
			defer own.Close()
			block := bytes.Repeat([]byte{byte('a' + i)}, pipeBuf-i)
			for range rounds {
				if _, err := own.Write(block); err != nil {
					t.Error(err)
				}
			}
		})
	}
	check(t, w.Close())
	for range writers * rounds {
		var first [1]byte
		_, err := io.ReadFull(r, first[:])
		check(t, err)
		rest := make([]byte, pipeBuf-int(first[0]-'a')-1)
		_, err = io.ReadFull(r, rest)
		check(t, err)
		if !bytes.Equal(rest, bytes.Repeat(first[:], len(rest))) {
			t.Fatal("the writes were mixed")
		}
	}
	if _, err := r.Read(make([]byte, 1)); err != io.EOF {
		t.Error(err)
	}
	wg.Wait()
}

// A long write of one Writer isn't interrupted by its others.
func TestWritesDontMix(t *testing.T) {
	r, w := newPipe(t, nil)
	big := bytes.Repeat([]byte{1}, 32*page)
	first := fdtest.Go(t, func() error { _, err := w.Write(big); return err }).Parked()
	second := fdtest.Go(t, func() error { _, err := w.Write([]byte{2, 2}); return err })
	got := make([]byte, len(big)+2)
	_, err := io.ReadFull(r, got)
	check(t, err)
	check(t, first.Err())
	check(t, second.Err())
	if !bytes.Equal(got, append(big, 2, 2)) {
		t.Error("the writes were mixed")
	}
}

func TestInterruptedWriteLosesNothing(t *testing.T) {
	r, w := newPipe(t, onePage(false))
	data := make([]byte, 8*page+13)
	for i := range data {
		data[i] = byte(i * 7)
	}
	var n int
	c := fdtest.Go(t, func() (err error) { n, err = w.Write(data); return err }).Parked()
	check(t, w.SetWriteDeadline(time.Now()))
	wantIs(t, c.Err(), os.ErrDeadlineExceeded)
	check(t, w.Close())
	got, err := io.ReadAll(r)
	check(t, err)
	if n != page || !bytes.Equal(got, data[:n]) {
		t.Error(n, len(got))
	}
}

func TestSize(t *testing.T) {
	r, w := newPipe(t, &pipe.Options{Size: 3*page + 1})
	if n, err := r.Size(); n != 4*page || err != nil {
		t.Error(n, err)
	}
	if n, err := w.SetSize(1); n != page || err != nil {
		t.Error(n, err)
	}
	if n, err := r.SetSize(2 * page); n != 2*page || err != nil {
		t.Error(n, err)
	}
	if n, err := w.Size(); n != 2*page || err != nil {
		t.Error(n, err)
	}
	_, err := w.Write(make([]byte, 2*page))
	check(t, err)
	for _, buffered := range []func() (int, error){r.Buffered, w.Buffered} {
		if n, err := buffered(); n != 2*page || err != nil {
			t.Error(n, err)
		}
	}
	_, err = w.SetSize(page)
	wantIs(t, err, syscall.EBUSY)
	if !strings.Contains(err.Error(), "read some first") {
		t.Error(err)
	}
	for _, n := range []int{0, -1} {
		_, err = r.SetSize(n)
		wantIs(t, err, os.ErrInvalid)
	}
	_, _, err = pipe.New(&pipe.Options{Size: -1})
	wantIs(t, err, os.ErrInvalid)
}

// Who may not exceed the limits is told which they are.
func TestSizeLimits(t *testing.T) {
	if fdtest.HasCap(unix.CAP_SYS_RESOURCE) {
		fdtest.NeedUser(t)
	}
	b, err := os.ReadFile("/proc/sys/fs/pipe-max-size")
	check(t, err)
	_, w := newPipe(t, nil)
	_, err = w.SetSize(1 << 30)
	wantIs(t, err, syscall.EPERM, os.ErrPermission)
	if want := "fs.pipe-max-size is " + strings.TrimSpace(string(b)); !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "fs.pipe-user-pages-soft is ") {
		t.Errorf("%v doesn't say %q", err, want)
	}
}

func TestPacket(t *testing.T) {
	r, w := newPipe(t, &pipe.Options{Packet: true})
	if !r.Packet() || !w.Packet() {
		t.Error("not in packet mode")
	}
	for _, s := range []string{"one", "the second", "3"} {
		_, err := w.Write([]byte(s))
		check(t, err)
	}
	_, err := w.WriteVectored(t.Context(), [][]byte{[]byte("by "), []byte("parts")})
	check(t, err)
	if n, err := r.Buffered(); n != 22 || err != nil {
		t.Error(n, err)
	}
	for _, s := range []string{"one", "the second", "3", "by parts"} {
		wantRead(t, r, s)
	}
	// A long write is several packets, of a page each.
	_, err = w.Write(make([]byte, 2*page+1))
	check(t, err)
	for _, want := range []int{page, page, 1} {
		if n, err := r.Read(make([]byte, 4*page)); n != want || err != nil {
			t.Error(n, err)
		}
	}
	check(t, w.Close())
	if _, err := r.Read(make([]byte, 1)); err != io.EOF {
		t.Error(err)
	}
}

// The kernel drops what a short buffer has no room for. That must show, with the true length.
func TestPacketTruncated(t *testing.T) {
	r, w := newPipe(t, &pipe.Options{Packet: true})
	for _, length := range []int{1, 2, 5, 100, page} {
		for _, room := range []int{1, 2, 5, 100, page, page + 1} {
			packet := bytes.Repeat([]byte{7}, length)
			for _, vectored := range []bool{false, true} {
				for range 2 { // the second shows that the first took one, and whole
					_, err := w.Write(packet)
					check(t, err)
				}
				for range 2 {
					b := make([]byte, room)
					var n int
					var err error
					if vectored {
						n, err = r.ReadVectored(bounded(t), [][]byte{b[:room/2], b[room/2:]})
					} else {
						n, err = r.ReadContext(bounded(t), b)
					}
					if want := min(length, room); n != want || !bytes.Equal(b[:n], packet[:n]) {
						t.Errorf("%d of %d, want %d", n, length, want)
					}
					if length <= room {
						check(t, err)
						continue
					}
					wantIs(t, err, io.ErrShortBuffer)
					if e, ok := errors.AsType[*pipe.TruncatedError](err); !ok || e.Length != length || e.Read != room {
						t.Errorf("%+v", e)
					}
				}
			}
		}
	}
	if n, err := r.Read(nil); n != 0 || err != nil {
		t.Error(n, err)
	}
}

// Packets stay what they are through io.Copy.
func TestPacketCopy(t *testing.T) {
	r, w := newPipe(t, &pipe.Options{Packet: true})
	r2, w2 := newPipe(t, &pipe.Options{Packet: true})
	want := []string{"a", strings.Repeat("b", page), "ccc"}
	for _, s := range want {
		_, err := w.Write([]byte(s))
		check(t, err)
	}
	check(t, w.Close())
	n, err := io.Copy(w2, r)
	if n != int64(page+4) || err != nil {
		t.Error(n, err)
	}
	for _, s := range want {
		wantRead(t, r2, s)
	}
}

func TestFromFile(t *testing.T) {
	in, out, err := os.Pipe()
	check(t, err)
	defer in.Close()
	defer out.Close()
	regular, err := os.CreateTemp(t.TempDir(), "")
	check(t, err)
	defer regular.Close()
	for _, err := range []error{
		second(pipe.ReaderFromFile(out)), second(pipe.WriterFromFile(in)), second(pipe.ReaderFromFile(regular)), second(pipe.WriterFromFile(regular)),
		second(pipe.ReaderFromFile(nil)),
	} {
		wantIs(t, err, os.ErrInvalid)
	}
	check(t, regular.Close())
	wantIs(t, second(pipe.ReaderFromFile(regular)), os.ErrClosed)

	// The old description stays blocking.
	raw, other, err := rawPipe(t)
	check(t, err)
	defer unix.Close(other)
	_, err = unix.FcntlInt(uintptr(raw), unix.F_SETFL, 0)
	check(t, err)
	f := os.NewFile(uintptr(raw), "pipe")
	defer f.Close()
	r, err := pipe.ReaderFromFile(f)
	check(t, err)
	defer r.Close()
	flags, err := unix.FcntlInt(uintptr(raw), unix.F_GETFL, 0)
	if flags&unix.O_NONBLOCK != 0 || err != nil {
		t.Error("the file has become non-blocking", err)
	}
	_, err = unix.Write(other, []byte("x"))
	check(t, err)
	wantRead(t, r, "x")
}

func second[T any](_ T, err error) error { return err }

// A duplicate of an end of a packet pipe is in packet mode, though its description is a new one.
func TestPacketStays(t *testing.T) {
	r, w := newPipe(t, &pipe.Options{Packet: true})
	f, err := w.File()
	check(t, err)
	defer f.Close()
	w2, err := pipe.WriterFromFile(f)
	check(t, err)
	defer w2.Close()
	child, err := w.Inherit()
	check(t, err)
	defer child.Close()
	if !w2.Packet() {
		t.Error("not in packet mode")
	}
	for _, write := range []func([]byte) (int, error){w.Write, w2.Write, child.Write} {
		_, err := write([]byte("one"))
		check(t, err)
	}
	for range 3 {
		wantRead(t, r, "one")
	}
}

func TestErrors(t *testing.T) {
	r, _ := newPipe(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := r.ReadContext(ctx, make([]byte, 1))
	oe, ok := errors.AsType[*fildes.OpError](err)
	if !ok || oe.Kind != "pipe" || oe.Op != "read" || err.Error() != "pipe: read: context canceled" {
		t.Errorf("%+v", err)
	}
	_, err = pipe.OpenReader(t.Context(), "/nonexistent/fifo", nil)
	if err == nil || err.Error() != "pipe: open /nonexistent/fifo: openat: no such file or directory" {
		t.Error(err)
	}
	wantIs(t, err, os.ErrNotExist)
}

func TestAllocations(t *testing.T) {
	r, w := newPipe(t, nil)
	b := make([]byte, 8)
	bufs := [][]byte{b[:4], b[4:]}
	ctx := t.Context()
	for name, op := range map[string]func(){
		"plain": func() { _, _ = w.WriteContext(ctx, b); _, _ = r.ReadContext(ctx, b) },
		"vectored": func() {
			_, _ = w.WriteVectored(ctx, bufs)
			_, _ = r.ReadVectored(ctx, bufs)
		},
	} {
		op()
		if n := testing.AllocsPerRun(100, op); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}
