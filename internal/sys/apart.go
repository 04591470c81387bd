//go:build linux

package sys

import (
	"bytes"
	"runtime"

	"golang.org/x/sys/unix"
)

// Apart runs do on a thread with a working directory of its own, which ends with it: unshare(CLONE_FS). home is that directory, or -1 where this isn't possible. A goroutine that is
// locked to its thread stays there, because of what else may be the thread's own: namespaces, rights. do may panic, or end the goroutine.
func Apart(do func(home int)) {
	if locked() {
		do(-1)
		return
	}
	var reason any
	done, exited := make(chan struct{}), true
	go func() {
		defer close(done)
		runtime.LockOSThread() // for good
		defer func() {
			if reason = recover(); reason != nil {
				exited = false
			}
		}()
		home := leaveHome()
		if home >= 0 {
			defer func() { _ = Close(home) }()
		}
		do(home)
		exited = false
	}()
	<-done
	switch {
	case reason != nil:
		panic(reason)
	case exited:
		runtime.Goexit()
	}
}

// locked says whether the goroutine is locked to its thread. There is no other way to know.
func locked() bool {
	var b [128]byte
	line, _, _ := bytes.Cut(b[:runtime.Stack(b[:], false)], []byte("\n"))
	return bytes.Contains(line, []byte("locked to thread"))
}

// GoHome makes home the working directory of a thread of Apart again.
func GoHome(home int) error {
	return Named("fchdir", unix.Fchdir(home))
}

func leaveHome() int {
	home, err := OpenDirectoryPath(".", true)
	if err != nil {
		return -1
	}
	if unix.Unshare(unix.CLONE_FS) != nil || GoHome(home) != nil {
		_ = Close(home)
		return -1
	}
	return home
}
