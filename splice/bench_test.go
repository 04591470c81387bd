//go:build linux

package splice

import (
	"context"
	"io"
	"os"
	"testing"
)

// ways are what is compared: this package, and io.Copy on the same ends.
var ways = map[string]func(dst writeEnd, src readEnd) error{
	"Copy": func(dst writeEnd, src readEnd) error { _, err := Copy(context.Background(), dst, src); return err },
	"io":   func(dst writeEnd, src readEnd) error { _, err := io.Copy(dst, src); return err },
}

const benchBytes = 64 << 20

// benchCopy measures moving benchBytes from a line into a line.
func benchCopy(b *testing.B, from, to string) {
	for name, way := range ways {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(benchBytes)
			for b.Loop() {
				srcR, srcW := lines[from](b)
				dstR, dstW := lines[to](b)
				go func() {
					p := make([]byte, 1<<20)
					for range benchBytes / len(p) {
						_, _ = srcW.Write(p)
					}
					_ = srcW.(io.Closer).Close()
				}()
				done := make(chan struct{})
				go func() {
					defer close(done)
					p := make([]byte, 1<<20)
					for {
						if n, err := dstR.Read(p); n == 0 || err != nil {
							return
						}
					}
				}()
				check(b, way(dstW, srcR))
				_ = dstW.(io.Closer).Close()
				<-done
			}
		})
	}
}

func BenchmarkPipeToPipe(b *testing.B) { benchCopy(b, "os.Pipe", "os.Pipe") }
func BenchmarkTCPToTCP(b *testing.B)   { benchCopy(b, "TCP", "TCP") }
func BenchmarkTCPToUnix(b *testing.B)  { benchCopy(b, "TCP", "Unix") }

func BenchmarkFileToTCP(b *testing.B) {
	src := regular(b, make([]byte, benchBytes))
	for name, way := range ways {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(benchBytes)
			r, w := tcpPair(b)
			go func() { _, _ = io.Copy(io.Discard, struct{ io.Reader }{r}) }()
			for b.Loop() {
				_, err := src.Seek(0, io.SeekStart)
				check(b, err)
				check(b, way(w, src))
			}
		})
	}
}

func BenchmarkFileToFile(b *testing.B) {
	src, dst := regular(b, make([]byte, benchBytes)), regular(b, nil)
	for name, way := range ways {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(benchBytes)
			for b.Loop() {
				for _, f := range []*os.File{src, dst} {
					_, err := f.Seek(0, io.SeekStart)
					check(b, err)
				}
				check(b, way(dst, src))
			}
		})
	}
}

// One byte through a pipe and on: what a Splice costs beside its system calls.
func BenchmarkSpliceByte(b *testing.B) {
	r, w := ourPipe(b)
	null, err := os.OpenFile("/dev/null", os.O_WRONLY, 0)
	check(b, err)
	defer null.Close()
	b.ReportAllocs()
	for b.Loop() {
		_, err := w.Write([]byte{1})
		check(b, err)
		_, err = Splice(context.Background(), null, r, 1, nil)
		check(b, err)
	}
}
