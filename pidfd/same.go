//go:build linux

package pidfd

import (
	"github.com/fildes/fildes"
	"github.com/fildes/fildes/internal/sys"
)

var errNoID = &fildes.UnsupportedError{Feature: "a pidfd's inode", Since: "6.9"}

// Same says whether both are the same process, or the same thread: fstat(2). The thread that leads a process is the same as the process. Before Linux 6.9 that is by /proc and the number, and fails with ESRCH when one of them has been reaped, with EREMOTE when this pid namespace doesn't have it.
func (p *Process) Same(other *Process) (same bool, err error) {
	err = p.engine().Control(func(a int) error {
		return other.engine().Control(func(b int) error {
			same, err = sameProcess(a, b)
			return err
		})
	})
	return same, fail("same", err)
}

func sameProcess(a, b int) (bool, error) {
	x, ok, err := sys.PidfdID(a)
	if err != nil {
		return false, err
	}
	if ok {
		y, _, err := sys.PidfdID(b)
		return x == y, err
	}
	return sameNumber(a, b)
}

// sameNumber is sameProcess by /proc.
func sameNumber(a, b int) (bool, error) {
	// While a has the number, and so before and after b is asked, b has it only if it is the same.
	var pids [3]int
	for i, num := range []int{a, b, a} {
		pid, err := seenPID(num)
		if err != nil {
			return false, err
		}
		pids[i] = pid
	}
	return pids[0] == pids[1], nil
}
