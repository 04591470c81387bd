//go:build linux

package fildes_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes"
	"github.com/fildes/fildes/internal/fdtest"
)

func pipe(t testing.TB) (r, w *fildes.FD) {
	t.Helper()
	var p [2]int
	check(t, unix.Pipe2(p[:], unix.O_CLOEXEC|unix.O_NONBLOCK))
	r, err := fildes.Adopt(p[0], "reader")
	check(t, err)
	w, err = fildes.Adopt(p[1], "writer")
	check(t, err)
	t.Cleanup(func() { _ = r.Close(); _ = w.Close() })
	return r, w
}

func TestEndOfStreamIsBare(t *testing.T) {
	r, w := pipe(t)
	check(t, w.Close())
	var b [1]byte
	if n, err := r.Read(b[:]); n != 0 || err != io.EOF {
		t.Errorf("%d, %v", n, err)
	}
	if n, err := r.ReadVectored(t.Context(), [][]byte{nil, b[:]}); n != 0 || err != io.EOF {
		t.Errorf("%d, %v", n, err)
	}
	for _, bufs := range [][][]byte{nil, {}, {nil}, {{}, {}}} {
		if n, err := r.ReadVectored(t.Context(), bufs); n != 0 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
	}
	if n, err := r.Read(nil); n != 0 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
}

// A write that was ended says how much of it is gone, and what it says is what the reader gets.
func TestInterruptedWriteLosesNothing(t *testing.T) {
	for _, vectored := range []bool{false, true} {
		r, w := pipe(t)
		data := make([]byte, 64*page) // four times what a pipe holds
		for i := range data {
			data[i] = byte(i * 7)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var n int
		c := fdtest.Go(t, func() (err error) {
			if vectored {
				n, err = w.WriteVectored(ctx, [][]byte{data[:1000], nil, data[1000 : 30*page], data[30*page:]})
			} else {
				n, err = w.WriteContext(ctx, data)
			}
			return err
		}).Parked()
		var got bytes.Buffer
		var b [10000]byte
		k, err := r.Read(b[:])
		check(t, err)
		got.Write(b[:k])
		c.Parked()
		cancel()
		if err := c.Err(); !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		check(t, w.Close())
		_, err = got.ReadFrom(r)
		check(t, err)
		if n == 0 || n == len(data) || !bytes.Equal(got.Bytes(), data[:n]) {
			t.Errorf("wrote %d of %d, read %d, equal %v", n, len(data), got.Len(), bytes.Equal(got.Bytes(), data[:min(n, len(data))]))
		}
	}
}

// A small write must not come out in the middle of another's.
func TestWritesDontMix(t *testing.T) {
	r, w := pipe(t)
	big, small := bytes.Repeat([]byte{1}, 32*page), []byte{2, 2, 2}
	first := fdtest.Go(t, func() error { _, err := w.Write(big); return err }).Parked()
	var others []*fdtest.Caller
	for range 3 {
		others = append(others, fdtest.Go(t, func() error { _, err := w.Write(small); return err }))
		others = append(others, fdtest.Go(t, func() error {
			_, err := w.WriteVectored(t.Context(), [][]byte{small[:1], small[1:]})
			return err
		}))
	}
	got := make([]byte, len(big)+6*len(small))
	_, err := io.ReadFull(r, got)
	check(t, err)
	check(t, first.Err())
	for _, c := range others {
		check(t, c.Err())
	}
	if !bytes.Equal(got, append(bytes.Clone(big), bytes.Repeat([]byte{2}, 6*len(small))...)) {
		t.Error("the writes were mixed")
	}
}

func TestVectored(t *testing.T) {
	r, w := pipe(t)
	var bufs [][]byte
	var want []byte
	for i := range 3000 { // more than IOV_MAX, some of them empty
		b := bytes.Repeat([]byte{byte(i)}, i%5)
		bufs = append(bufs, b)
		want = append(want, b...)
	}
	write := fdtest.Go(t, func() error {
		n, err := w.WriteVectored(t.Context(), bufs)
		if err == nil && n != len(want) {
			err = errors.New("short write without an error")
		}
		return err
	})
	var got []byte
	for len(got) < len(want) {
		into := [][]byte{make([]byte, 3), nil, make([]byte, 5), make([]byte, 0), make([]byte, 1000)}
		n, err := r.ReadVectored(t.Context(), into)
		check(t, err)
		got = append(got, bytes.Join(into, nil)[:n]...)
	}
	check(t, write.Err())
	if !bytes.Equal(got, want) {
		t.Error("other bytes came out")
	}
	if n, err := w.WriteVectored(t.Context(), [][]byte{nil, {}}); n != 0 || err != nil {
		t.Error(n, err)
	}
}

// An empty write means something on some objects: an empty datagram.
func TestEmptyWriteIsWritten(t *testing.T) {
	p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	check(t, err)
	defer unix.Close(p[1])
	f, err := fildes.Adopt(p[0], "socket")
	check(t, err)
	defer f.Close()
	if n, err := f.Write(nil); n != 0 || err != nil {
		t.Error(n, err)
	}
	_, _, _, _, err = unix.Recvmsg(p[1], make([]byte, 1), nil, unix.MSG_DONTWAIT)
	if err != nil {
		t.Error("no datagram came:", err)
	}
}

func TestBrokenPipeIsAnError(t *testing.T) {
	r, w := pipe(t)
	check(t, r.Close())
	n, err := w.Write([]byte("x"))
	if n != 0 || !errors.Is(err, unix.EPIPE) {
		t.Errorf("%d, %v", n, err)
	}
	if got := err.Error(); got != "fd: write writer: broken pipe" {
		t.Error(got)
	}
}

func TestStreamAllocations(t *testing.T) {
	if fdtest.Race {
		t.Skip("the race detector allocates")
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r, w := pipe(t)
	measure := func(name string, op func()) {
		t.Helper()
		op()
		if n := testing.AllocsPerRun(200, op); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
	measure("Write, Read", func() {
		var b [8]byte
		_, _ = w.Write(b[:])
		_, _ = r.Read(b[:])
	})
	measure("WriteContext, ReadContext", func() {
		var b [8]byte
		_, _ = w.WriteContext(ctx, b[:])
		_, _ = r.ReadContext(ctx, b[:])
	})
	bufs := [][]byte{make([]byte, 8), nil, make([]byte, 8)}
	measure("vectored", func() {
		_, _ = w.WriteVectored(ctx, bufs)
		_, _ = r.ReadVectored(ctx, bufs)
	})
	measure("WaitRead", func() {
		n := 0
		_ = r.WaitRead(ctx, func(fd int) error { n = fd; return nil })
		if n == 0 {
			t.Error("not run")
		}
	})
	// Both sides park.
	r2, w2 := pipe(t)
	go func() {
		var b [1]byte
		for {
			if _, err := r.Read(b[:]); err != nil {
				return
			}
			_, _ = w2.Write(b[:])
		}
	}()
	measure("parking", func() {
		var b [1]byte
		_, _ = w.Write(b[:])
		_, _ = r2.ReadContext(ctx, b[:])
	})
	_ = w.Close()
}

// A description that another process makes blocking costs a thread, and not the program: a raw system call would stop it at the
// next collection.
func TestOthersMakeItBlocking(t *testing.T) {
	p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	check(t, err)
	defer unix.Close(p[1])
	f, err := fildes.Adopt(p[0], "socket")
	check(t, err)
	defer f.Close()
	file, err := f.File()
	check(t, err)
	defer file.Close()
	check(t, unix.SetNonblock(dup(t, p[0]), false))
	c := fdtest.Go(t, func() error { var b [1]byte; _, err := f.Read(b[:]); return err }).InSyscall()
	fdtest.Collect(t)
	_, err = unix.Write(p[1], []byte{1})
	check(t, err)
	check(t, c.Err())
}

func TestNoFunction(t *testing.T) {
	r, _ := pipe(t)
	for name, err := range map[string]error{
		"Control":   r.Control(nil),
		"WaitRead":  r.WaitRead(t.Context(), nil),
		"WaitWrite": r.WaitWrite(t.Context(), nil),
	} {
		if !errors.Is(err, os.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	raw, err := r.SyscallConn()
	check(t, err)
	for name, err := range map[string]error{"Control": raw.Control(nil), "Read": raw.Read(nil), "Write": raw.Write(nil)} {
		if !errors.Is(err, os.ErrInvalid) {
			t.Errorf("raw %s: %v", name, err)
		}
	}
}

// A function that panics, and is recovered from, leaves the handle as it was.
func TestFunctionThatPanics(t *testing.T) {
	r, w := pipe(t)
	try := func(f func()) {
		t.Helper()
		defer func() {
			if recover() == nil {
				t.Error("no panic")
			}
		}()
		f()
	}
	bad := func(int) error { panic("on purpose") }
	waits := func(i int) func(int) error { // panics inside the poller
		return func(int) error {
			if i--; i < 0 {
				panic("on purpose")
			}
			return unix.EAGAIN
		}
	}
	try(func() { _ = r.Control(bad) })
	try(func() { _ = r.WaitRead(t.Context(), bad) })
	try(func() { _ = r.WaitRead(t.Context(), waits(1)) })
	try(func() { _ = w.WaitWrite(t.Context(), waits(1)) })
	c := fdtest.Go(t, func() error { var b [1]byte; _, err := r.Read(b[:]); return err }).Parked()
	_, err := w.Write([]byte{1})
	check(t, err)
	check(t, c.Err())
	check(t, fdtest.Go(t, r.Close).Err())
}

// A read that blocks a thread, because somebody else has made the description blocking, is interrupted by signals.
func TestInterruptedCallIsRetried(t *testing.T) {
	p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	check(t, err)
	defer unix.Close(p[1])
	// With a timeout a socket's read isn't restarted by the kernel.
	check(t, unix.SetsockoptTimeval(p[0], unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 20}))
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, unix.SIGUSR1)
	defer signal.Stop(signals)
	for name, read := range map[string]func(f *fildes.FD) error{
		"Read":         func(f *fildes.FD) error { _, err := f.Read(make([]byte, 1)); return err },
		"ReadVectored": func(f *fildes.FD) error { _, err := f.ReadVectored(t.Context(), [][]byte{make([]byte, 1)}); return err },
	} {
		f, err := fildes.Adopt(dup(t, p[0]), "socket")
		check(t, err)
		check(t, unix.SetNonblock(p[0], false))
		c := fdtest.Go(t, func() error { return read(f) }).InSyscall()
		for range 20 {
			tasks, err := os.ReadDir("/proc/self/task")
			check(t, err)
			for _, task := range tasks {
				tid, err := strconv.Atoi(task.Name())
				check(t, err)
				_ = unix.Tgkill(unix.Getpid(), tid, unix.SIGUSR1)
			}
			<-signals
		}
		_, err = unix.Write(p[1], []byte{1})
		check(t, err)
		if err := c.Err(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		check(t, f.Close())
	}
	check(t, unix.Close(p[0]))
}

// The race detector must see what the kernel writes into the buffers, and reads from them.
func TestRacesAreSeen(t *testing.T) {
	if !fdtest.Race {
		t.Skip("this build has no race detector")
	}
	for name, race := range map[string]func(r, w *fildes.FD, b []byte) error{
		"Read":  func(r, w *fildes.FD, b []byte) error { _, err := r.Read(b); return err },
		"Write": func(r, w *fildes.FD, b []byte) error { _, err := w.Write(b); return err },
		"ReadVectored": func(r, w *fildes.FD, b []byte) error {
			_, err := r.ReadVectored(context.Background(), [][]byte{b[:1], b[1:]})
			return err
		},
		"WriteVectored": func(r, w *fildes.FD, b []byte) error {
			_, err := w.WriteVectored(context.Background(), [][]byte{b[:1], b[1:]})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			out, child, err := fdtest.InChild(t, "GORACE=exitcode=66 halt_on_error=1")
			if !child {
				if err == nil || !strings.Contains(out, "DATA RACE") {
					t.Errorf("no race was reported: %v\n%s", err, out)
				}
				return
			}
			r, w := pipe(t)
			_, err = w.Write([]byte{1, 2})
			check(t, err)
			b := make([]byte, 2)
			start := make(chan struct{})
			var wg sync.WaitGroup
			wg.Go(func() { <-start; _ = race(r, w, b) })
			wg.Go(func() { <-start; b[1]++ })
			close(start)
			wg.Wait()
		})
	}
}
