//go:build linux

package pidfd

import (
	"errors"
	"fmt"
	"math"
	"os"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes"
	"github.com/fildes/fildes/internal/sys"
)

// Descriptor duplicates a descriptor of the process into this one, close-on-exec: pidfd_getfd(2). The file is the caller's, and so is to know of what kind it is: the FromFile of its package takes it.
//
// The description is shared with the process: the offset, and O_NONBLOCK, on which it depends whether a read of the file takes a thread. It takes the right to trace the process (ptrace(2), PTRACE_MODE_ATTACH_REALCREDS:
// CAP_SYS_PTRACE, or the same user and what Yama allows), else it fails with EPERM, with EBADF if the process has no such descriptor, and with [os.ErrProcessDone] (ESRCH) if it has ended. Linux 5.6.
func (p *Process) Descriptor(num int) (file *os.File, err error) {
	err = p.engine().Control(func(own int) error {
		if num < 0 || num > math.MaxInt32 {
			return invalid("descriptors have numbers from 0 to 2147483647")
		}
		n, err := sys.PidfdGetfd(own, num)
		if errors.Is(err, unix.ENOSYS) {
			return &fildes.UnsupportedError{Feature: "pidfd_getfd", Since: "5.6", Err: err}
		}
		if errors.Is(err, unix.EBADF) { // also of a process that has ended, before Linux 6.9
			if ended, _, e := sys.PidfdEnded(own); e == nil && ended {
				err = sys.Error("pidfd_getfd", unix.ESRCH)
			}
		}
		if err == nil {
			file = os.NewFile(uintptr(n), fmt.Sprintf("descriptor %d of another process", num))
		}
		return err
	})
	return file, fail("descriptor", err)
}
