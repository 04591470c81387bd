//go:build linux

package doctor

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes/signalfd"
)

// What follows makes the descriptors that the library is compared with.

// rawEventFD makes an eventfd.
func (t *Trial) rawEventFD(initial uint, flags int) (int, error) {
	n, err := unix.Eventfd(initial, flags|unix.EFD_CLOEXEC)
	return n, t.own(os.NewSyscallError("eventfd2", err), n)
}

// rawSignalSize is that of a signalfd_siginfo.
const rawSignalSize = 128

// rawSignalFD makes a signalfd of one signal.
func (t *Trial) rawSignalFD(sig signalfd.Signal) (int, error) {
	var set unix.Sigset_t
	bits := 1024 / len(set.Val) // of a word
	set.Val[(int(sig)-1)/bits] |= 1 << ((int(sig) - 1) % bits)
	n, err := unix.Signalfd(-1, &set, unix.SFD_CLOEXEC|unix.SFD_NONBLOCK)
	return n, t.own(os.NewSyscallError("signalfd4", err), n)
}

// rawPipe makes a pipe.
func (t *Trial) rawPipe(flags int) (r, w int, err error) {
	var p [2]int
	err = unix.Pipe2(p[:], flags|unix.O_CLOEXEC)
	return p[0], p[1], t.own(os.NewSyscallError("pipe2", err), p[:]...)
}

// own closes descriptors after the check, unless err says that there are none.
func (t *Trial) own(err error, fds ...int) error {
	if err == nil {
		t.Cleanup(func() {
			for _, n := range fds {
				_ = unix.Close(n)
			}
		})
	}
	return err
}

// rawAdd and rawTake are an eventfd's two operations.
func rawAdd(n int, v uint64) error {
	var b [8]byte
	binary.NativeEndian.PutUint64(b[:], v)
	_, err := unix.Write(n, b[:])
	return os.NewSyscallError("write", err)
}

func rawTake(n int) (uint64, error) {
	var b [8]byte
	for {
		_, err := unix.Read(n, b[:])
		if err != unix.EINTR {
			return binary.NativeEndian.Uint64(b[:]), os.NewSyscallError("read", err)
		}
	}
}

// answer makes another goroutine, until the check ends, add 1 to the eventfd out whenever wait, which may block the thread, has
// returned. The eventfd in is what wait waits for.
func (t *Trial) answer(in, out int, wait func() error) {
	var wg sync.WaitGroup
	stop := make(chan struct{})
	wg.Go(func() {
		for wait() == nil {
			select {
			case <-stop:
				return
			default:
			}
			if rawAdd(out, 1) != nil {
				return
			}
		}
	})
	t.Cleanup(func() {
		close(stop)
		_ = rawAdd(in, 1)
		wg.Wait()
	})
}

// want makes an error of a result that isn't the expected one.
func want[V comparable](what string, got, expected V) error {
	if got == expected {
		return nil
	}
	return fmt.Errorf("%s is %v, not %v", what, got, expected)
}

// refused makes an error of an error that doesn't match the expected one.
func refused(what string, got, expected error) error {
	if errors.Is(got, expected) {
		return nil
	}
	if got == nil {
		return fmt.Errorf("%s: no error, not %q", what, expected.Error())
	}
	return fmt.Errorf("%s: not %q but: %w", what, expected.Error(), got)
}
