//go:build linux

package eventfd_test

import (
	"context"
	"encoding/binary"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes/eventfd"
)

func benchCounter(b *testing.B) *eventfd.Counter {
	b.Helper()
	c, err := eventfd.New(nil)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = c.Close() })
	return c
}

func addWait(ctx context.Context, b *testing.B, c *eventfd.Counter) {
	b.Helper()
	b.ReportAllocs()
	for b.Loop() {
		if err := c.Add(ctx, 1); err != nil {
			b.Fatal(err)
		}
		if _, err := c.Wait(ctx); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAddWait(b *testing.B) {
	addWait(context.Background(), b, benchCounter(b))
}

func BenchmarkAddWaitCancellable(b *testing.B) {
	addWait(b.Context(), b, benchCounter(b))
}

// Once Go's poller has the descriptor, each operation is dearer in the kernel.
func BenchmarkAddWaitRegistered(b *testing.B) {
	c := benchCounter(b)
	ctx, cancel := context.WithTimeout(b.Context(), time.Millisecond)
	defer cancel()
	if _, err := c.Wait(ctx); err == nil {
		b.Fatal("a counter of zero was waited for")
	}
	addWait(context.Background(), b, c)
}

// The same through x/sys, on a descriptor that isn't registered.
func BenchmarkAddWaitRaw(b *testing.B) {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		b.Fatal(err)
	}
	defer unix.Close(fd)
	var buf [8]byte
	for b.Loop() {
		binary.NativeEndian.PutUint64(buf[:], 1)
		if _, err := unix.Write(fd, buf[:]); err != nil {
			b.Fatal(err)
		}
		if _, err := unix.Read(fd, buf[:]); err != nil {
			b.Fatal(err)
		}
	}
}

// The same through an os.File, which is registered.
func BenchmarkAddWaitFile(b *testing.B) {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		b.Fatal(err)
	}
	f := os.NewFile(uintptr(fd), "eventfd")
	defer f.Close()
	var buf [8]byte
	b.ReportAllocs()
	for b.Loop() {
		binary.NativeEndian.PutUint64(buf[:], 1)
		if _, err := f.Write(buf[:]); err != nil {
			b.Fatal(err)
		}
		if _, err := f.Read(buf[:]); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkNewClose(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		c, err := eventfd.New(nil)
		if err != nil {
			b.Fatal(err)
		}
		if err := c.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkNewCloseRaw(b *testing.B) {
	for b.Loop() {
		fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
		if err != nil {
			b.Fatal(err)
		}
		if err := unix.Close(fd); err != nil {
			b.Fatal(err)
		}
	}
}
