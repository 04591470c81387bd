//go:build linux && race

package sys

import (
	"runtime"
	"sync"
	"syscall"
	"unsafe"
)

const raceEnabled = true

// The race detector can't see raw system calls. These hooks order them through the edge that the standard library's own
// reads and writes use, so that a program with one end here and the other in os or net gets neither false reports nor
// hidden races.

// raceRelease publishes what this goroutine has done: syscall.Write releases before it looks at its descriptor.
func raceRelease() { _, _ = syscall.Write(-1, nil) }

var devNull = sync.OnceValue(func() int {
	n, err := syscall.Open("/dev/null", syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return -1
	}
	return n
})

// raceAcquire sees what others have published: syscall.Read acquires when it succeeds.
func raceAcquire() { _, _ = syscall.Read(devNull(), nil) }

func raceReadRange(p unsafe.Pointer, n int) {
	if n > 0 {
		runtime.RaceReadRange(p, n)
	}
}

func raceWriteRange(p unsafe.Pointer, n int) {
	if n > 0 {
		runtime.RaceWriteRange(p, n)
	}
}
