//go:build linux

package signalfd

import (
	"os"
	"runtime"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes/internal/sys"
)

// Reraise ends the process as the signal would have if nobody had received it, so that its parent sees that: the default disposition is restored, the signal unblocked on this thread, and sent to the process.
// With a signal that doesn't end a process by default (SIGCHLD, SIGCONT, SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU, SIGURG, SIGWINCH), or where that fails, the process exits with 128 and the signal's number, as a shell says it.
// It doesn't return.
func Reraise(i Info) {
	switch i.Signal {
	case SIGCHLD, SIGCONT, SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU, SIGURG, SIGWINCH:
	default:
		runtime.LockOSThread()
		if i.Signal == SIGKILL || sys.DefaultSignal(int(i.Signal)) == nil {
			_ = unix.Kill(os.Getpid(), unix.Signal(i.Signal))
			_ = unix.Tgkill(os.Getpid(), unix.Gettid(), unix.Signal(i.Signal)) // where another thread got it that has it blocked
		}
	}
	os.Exit(128 + int(i.Signal))
}
