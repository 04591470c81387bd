//go:build linux

package pipe_test

import (
	"fmt"
	"io"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes/internal/fdtest"
	"github.com/fildes/fildes/pipe"
)

// through writes n bytes and reads them.
func through(b *testing.B, n int, w io.Writer, r io.Reader) {
	b.Helper()
	buf := make([]byte, n)
	b.SetBytes(int64(n))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := w.Write(buf); err != nil {
			b.Fatal(err)
		}
		if k, err := r.Read(buf); k != n || err != nil {
			b.Fatal(k, err)
		}
	}
}

var sizes = []int{1, 64 << 10}

func BenchmarkWriteRead(b *testing.B) {
	for _, n := range sizes {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			r, w := newPipe(b, &pipe.Options{Size: 64 << 10})
			through(b, n, w, r)
		})
	}
}

// Once Go's poller has the descriptors, each operation is dearer in the kernel.
func BenchmarkWriteReadRegistered(b *testing.B) {
	r, w := newPipe(b, nil)
	check(b, r.SetReadDeadline(time.Now().Add(time.Hour)))
	check(b, w.SetWriteDeadline(time.Now().Add(time.Hour)))
	check(b, r.SetReadDeadline(time.Time{}))
	check(b, w.SetWriteDeadline(time.Time{}))
	through(b, 1, w, r)
}

type rawEnd int

func (e rawEnd) Read(p []byte) (int, error)  { return unix.Read(int(e), p) }
func (e rawEnd) Write(p []byte) (int, error) { return unix.Write(int(e), p) }

func BenchmarkWriteReadRaw(b *testing.B) {
	for _, n := range sizes {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			var p [2]int
			check(b, unix.Pipe2(p[:], unix.O_CLOEXEC|unix.O_NONBLOCK))
			defer unix.Close(p[0])
			defer unix.Close(p[1])
			through(b, n, rawEnd(p[1]), rawEnd(p[0]))
		})
	}
}

func BenchmarkWriteReadFile(b *testing.B) {
	for _, n := range sizes {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			r, w, err := os.Pipe()
			check(b, err)
			defer r.Close()
			defer w.Close()
			through(b, n, w, r)
		})
	}
}

// copyPipes copies from pipe to pipe.
func copyPipes(b *testing.B, feed io.WriteCloser, src io.Reader, dst io.WriteCloser, drain io.Reader) {
	b.Helper()
	const n = 64 << 20
	b.SetBytes(n)
	block := make([]byte, 64<<10)
	stop := make(chan struct{})
	go func() {
		for {
			if _, err := feed.Write(block); err != nil {
				return
			}
		}
	}()
	go func() {
		defer close(stop)
		for {
			if _, err := drain.Read(block); err != nil {
				return
			}
		}
	}()
	for b.Loop() {
		if _, err := io.CopyN(dst, src, n); err != nil {
			b.Fatal(err)
		}
	}
	check(b, feed.Close())
	check(b, dst.Close())
	<-stop
}

func BenchmarkCopy(b *testing.B) {
	r, w := newPipe(b, nil)
	r2, w2 := newPipe(b, nil)
	copyPipes(b, w, r, w2, r2)
}

func BenchmarkCopyFile(b *testing.B) {
	r, w, err := os.Pipe()
	check(b, err)
	r2, w2, err := os.Pipe()
	check(b, err)
	defer r.Close()
	defer r2.Close()
	copyPipes(b, w, r, w2, r2)
}

// An open that finds nobody, waits, and is noticed.
func BenchmarkOpenReader(b *testing.B) {
	path := fifo(b)
	for b.Loop() {
		var r *pipe.Reader
		c := fdtest.Go(b, func() (err error) { r, err = pipe.OpenReader(b.Context(), path, nil); return err })
		w, err := pipe.OpenWriter(b.Context(), path, nil)
		check(b, err)
		check(b, c.Err())
		_, _ = r.Close(), w.Close()
	}
}
