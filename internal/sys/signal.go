//go:build linux

package sys

import (
	"bytes"
	"encoding/binary"
	"io"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// A SignalSet is a set of signals: of signal n, bit n-1.
type SignalSet [2]uint64

// sigset is the set as the kernel has it.
func (s SignalSet) sigset() *unix.Sigset_t {
	var k unix.Sigset_t
	bits := 1024 / len(k.Val) // of a word
	for n := range 128 {
		if s[n/64]>>(n%64)&1 != 0 {
			k.Val[n/bits] |= 1 << (n % bits)
		}
	}
	return &k
}

// SignalFD makes a signalfd that is close-on-exec and non-blocking, or if num isn't negative, changes the set of that one: signalfd4(2).
func SignalFD(num int, set SignalSet) (int, error) {
	n, err := unix.Signalfd(num, set.sigset(), unix.SFD_CLOEXEC|unix.SFD_NONBLOCK)
	if err != nil {
		return -1, Named("signalfd4", err)
	}
	return n, nil
}

// BlockSignals adds to what the calling thread has blocked, until that is undone: rt_sigprocmask(2).
func BlockSignals(set SignalSet) (undo func(), err error) {
	var before unix.Sigset_t
	if err := unix.PthreadSigmask(unix.SIG_BLOCK, set.sigset(), &before); err != nil {
		return nil, Named("rt_sigprocmask", err)
	}
	return func() { _ = unix.PthreadSigmask(unix.SIG_SETMASK, &before, nil) }, nil
}

// UnblockSignals takes from what the calling thread has blocked: rt_sigprocmask(2).
func UnblockSignals(set SignalSet) error {
	return Named("rt_sigprocmask", unix.PthreadSigmask(unix.SIG_UNBLOCK, set.sigset(), nil))
}

// BlockedSignals is what all threads of this process have blocked, by /proc.
func BlockedSignals() (SignalSet, error) {
	all := SignalSet{^uint64(0), ^uint64(0)}
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return SignalSet{}, err
	}
	for _, thread := range threads {
		status, err := os.ReadFile("/proc/self/task/" + thread.Name() + "/status")
		if err != nil {
			continue // it has ended
		}
		value, _ := InfoField(status, "SigBlk")
		set, err := ParseSignals(value)
		if err != nil {
			return SignalSet{}, err
		}
		all[0], all[1] = all[0]&set[0], all[1]&set[1]
	}
	return all, nil
}

// ThreadStatus is the file in /proc for [ThreadPending] of the calling thread.
func ThreadStatus() (*os.File, error) { return os.Open("/proc/thread-self/status") }

// ThreadPending is what was sent to a thread, and not to the process, and waits.
func ThreadPending(status *os.File) (SignalSet, error) {
	text, err := io.ReadAll(io.NewSectionReader(status, 0, 1<<20))
	if err != nil {
		return SignalSet{}, err
	}
	value, _ := InfoField(text, "SigPnd")
	return ParseSignals(value)
}

// ParseSignals reads a set as /proc prints it: in hexadecimal, the highest signal first.
func ParseSignals(text []byte) (set SignalSet, err error) {
	text = bytes.TrimSpace(text)
	low := text[max(len(text)-16, 0):]
	if set[0], err = strconv.ParseUint(string(low), 16, 64); err == nil && len(text) > 16 {
		set[1], err = strconv.ParseUint(string(text[:len(text)-16]), 16, 64)
	}
	return set, err
}

// SignalsPending says whether a signal waits for this process.
func SignalsPending() bool {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return false
	}
	for _, name := range []string{"ShdPnd", "SigPnd"} {
		value, _ := InfoField(status, name)
		if set, err := ParseSignals(value); err == nil && set != (SignalSet{}) {
			return true
		}
	}
	return false
}

// QueuedInfo is the siginfo_t of a signal that this process sends with a value, as sigqueue(3) makes it. Of the value the pointer counts if it isn't 0, else the number.
func QueuedInfo(signal int, number int32, pointer uint64) (info [SignalInfoSize]byte) {
	const wide = ^uintptr(0)>>63 == 1
	o := binary.NativeEndian
	code, union := info[siginfoCode():], info[12:]
	if wide {
		union = info[16:]
	}
	o.PutUint32(info[:], uint32(signal))
	o.PutUint32(code, ^uint32(0)) // SI_QUEUE
	o.PutUint32(union, uint32(os.Getpid()))
	o.PutUint32(union[4:], uint32(os.Getuid()))
	switch {
	case pointer == 0:
		o.PutUint32(union[8:], uint32(number))
	case wide:
		o.PutUint64(union[8:], pointer)
	default:
		o.PutUint32(union[8:], uint32(pointer))
	}
	return info
}
