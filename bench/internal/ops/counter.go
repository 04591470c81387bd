//go:build linux

package ops

import (
	"context"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes/eventfd"
)

func addWaitFresh() (Run, func()) {
	c := must(eventfd.New(nil))
	return addWait(c), func() { check(c.Close()) }
}

// addWaitRegistered measures a counter that Go's poller knows, because a Wait had to park.
func addWaitRegistered() (Run, func()) {
	ctx := context.Background()
	c := must(eventfd.New(nil))
	park(c)
	must(c.Wait(ctx)) // one that parked makes the next one go to the poller; this one ends that
	return addWait(c), func() { check(c.Close()) }
}

// park makes a Wait on c that parks, and leaves c readable.
func park(c *eventfd.Counter) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	if _, err := c.Wait(ctx); !os.IsTimeout(err) && ctx.Err() == nil {
		panic("a Wait for nothing returned")
	}
	check(c.Add(context.Background(), 1))
}

func addWait(c *eventfd.Counter) Run {
	ctx := context.Background()
	return func(n int, clock Clock) {
		clock.StartTimer()
		for range n {
			if err := c.Add(ctx, 1); err != nil {
				fail(err)
			}
			if _, err := c.Wait(ctx); err != nil {
				fail(err)
			}
		}
		clock.StopTimer()
	}
}

func rawWordFresh() (Run, func()) {
	fd := must(unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK))
	run := func(n int, clock Clock) {
		clock.StartTimer()
		rawWords(fd, n)
		clock.StopTimer()
	}
	return run, func() { check(unix.Close(fd)) }
}

// rawWordRegistered makes the raw calls on a number that Go's poller knows too, borrowed for the whole loop.
func rawWordRegistered() (Run, func()) {
	f := eventFile()
	conn := must(f.SyscallConn())
	run := func(n int, clock Clock) {
		check(conn.Control(func(fd uintptr) {
			clock.StartTimer()
			rawWords(int(fd), n)
			clock.StopTimer()
		}))
	}
	return run, func() { check(f.Close()) }
}

func rawWords(fd, n int) {
	for range n {
		one := uint64(1)
		if e := rawWrite(fd, &one); e != 0 {
			fail(e)
		}
		var got uint64
		if e := rawRead(fd, &got); e != 0 {
			fail(e)
		}
	}
}

func fileWord() (Run, func()) {
	f := eventFile()
	run := func(n int, clock Clock) {
		one, got := word()
		clock.StartTimer()
		for range n {
			if _, err := f.Write(one); err != nil {
				fail(err)
			}
			if _, err := f.Read(got); err != nil {
				fail(err)
			}
		}
		clock.StopTimer()
	}
	return run, func() { check(f.Close()) }
}

// eventFile is an eventfd as a program without the library has it: in a file that Go's poller takes.
func eventFile() *os.File {
	f := os.NewFile(uintptr(must(unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK))), "eventfd")
	check(f.SetDeadline(time.Time{})) // fails if the poller doesn't have it
	return f
}

// word returns the bytes of the number 1, and room for those of another.
func word() (one, got []byte) {
	one, got = make([]byte, 8), make([]byte, 8)
	one[0] = 1 // of either byte order: 1 or 1<<56
	return one, got
}

func newClose() (Run, func()) {
	run := func(n int, clock Clock) {
		clock.StartTimer()
		for range n {
			c, err := eventfd.New(nil)
			if err != nil {
				fail(err)
			}
			if err := c.Close(); err != nil {
				fail(err)
			}
		}
		clock.StopTimer()
	}
	return run, func() {}
}

func rawNewClose() (Run, func()) {
	run := func(n int, clock Clock) {
		clock.StartTimer()
		for range n {
			fd, e := rawEventFD()
			if e != 0 {
				fail(e)
			}
			if err := syscall.Close(fd); err != nil { // not raw: close(2) can sleep
				fail(err)
			}
		}
		clock.StopTimer()
	}
	return run, func() {}
}
