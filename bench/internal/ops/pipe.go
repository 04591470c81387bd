//go:build linux

package ops

import (
	"io"
	"os"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes/pipe"
)

// Each of these writes size bytes into a pipe that is empty, and reads them.

func pipeFresh(size int) Setup {
	return func() (Run, func()) {
		r, w := must2(pipe.New(nil))
		return through(r, w, size), func() { closeAll(r, w) }
	}
}

// pipeRegistered measures a pipe whose ends Go's poller knows, because there was a deadline.
func pipeRegistered(size int) Setup {
	return func() (Run, func()) {
		r, w := must2(pipe.New(nil))
		for _, t := range []time.Time{time.Now().Add(time.Hour), {}} {
			check(r.SetDeadline(t))
			check(w.SetDeadline(t))
		}
		return through(r, w, size), func() { closeAll(r, w) }
	}
}

func filePipe(size int) Setup {
	return func() (Run, func()) {
		r, w := must2(os.Pipe())
		return through(r, w, size), func() { closeAll(r, w) }
	}
}

func through(r io.Reader, w io.Writer, size int) Run {
	buf := make([]byte, size)
	return func(n int, clock Clock) {
		clock.StartTimer()
		for range n {
			if _, err := w.Write(buf); err != nil {
				fail(err)
			}
			if _, err := r.Read(buf); err != nil {
				fail(err)
			}
		}
		clock.StopTimer()
	}
}

func rawPipeFresh(size int) Setup {
	return func() (Run, func()) {
		var p [2]int
		check(unix.Pipe2(p[:], unix.O_CLOEXEC|unix.O_NONBLOCK))
		run := func(n int, clock Clock) { rawThrough(p[0], p[1], size, n, clock) }
		return run, func() {
			check(unix.Close(p[0]))
			check(unix.Close(p[1]))
		}
	}
}

// rawPipeRegistered makes the raw calls on the numbers of a pipe that Go's poller knows too.
func rawPipeRegistered(size int) Setup {
	return func() (Run, func()) {
		r, w := must2(os.Pipe())
		rc, wc := must(r.SyscallConn()), must(w.SyscallConn())
		run := func(n int, clock Clock) {
			check(rc.Control(func(in uintptr) {
				check(wc.Control(func(out uintptr) { rawThrough(int(in), int(out), size, n, clock) }))
			}))
		}
		return run, func() { closeAll(r, w) }
	}
}

func rawThrough(r, w, size, n int, clock Clock) {
	buf := make([]byte, size)
	clock.StartTimer()
	for range n {
		if _, _, e := syscall.Syscall(syscall.SYS_WRITE, uintptr(w), uintptr(unsafe.Pointer(&buf[0])), uintptr(size)); e != 0 {
			fail(e)
		}
		if _, _, e := syscall.Syscall(syscall.SYS_READ, uintptr(r), uintptr(unsafe.Pointer(&buf[0])), uintptr(size)); e != 0 {
			fail(e)
		}
	}
	clock.StopTimer()
}

func must2[A, B any](a A, b B, err error) (A, B) {
	check(err)
	return a, b
}

func closeAll(cs ...io.Closer) {
	for _, c := range cs {
		check(c.Close())
	}
}
