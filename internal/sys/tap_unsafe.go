//go:build linux && !ppc64

package sys

import (
	"os"
	"sync"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A tap is a signal handler that writes each siginfo_t into pipes, and then, if it is to, jumps on to the handler that was there before. The handler may run on any thread at any time, so it only
// reads this table and makes system calls. What it may still use, when it runs late, is never taken back: the numbers of the pipes' ends are for ever.

// Taps says whether there is a tap on this architecture.
const Taps = true

const (
	// TapEnds is how many pipes there can be for a signal.
	TapEnds = 8

	lastSignal = 8 * int(unsafe.Sizeof(sigaction{}.mask))
)

type tapEntry struct {
	ends    [TapEnds]int32  // numbers, plus 1; 0 where there is none
	lost    [TapEnds]uint32 // records that didn't fit
	next    uintptr         // the handler before
	forward uint32
}

var (
	tapTable [lastSignal + 1]tapEntry
	tapPID   uint32
	tapOnce  sync.Once
	tapOld   [lastSignal + 1]sigaction
	tapPut   [lastSignal + 1]bool    // the tap is there, or was until another handler took its place
	tapOver  [lastSignal + 1]uintptr // which handler took its place, if the tap was put over it again
)

// TapHandled is Handled, of the handler that the tap would jump on to.
func TapHandled(signal int) bool {
	if Tapped(signal) {
		return atomic.LoadUintptr(&tapTable[signal].next) > 1
	}
	return Handled(signal)
}

// TapForeign says whether what the tap would jump on to, or does, may jump on to the tap itself: it was set while the tap was there, and isn't Go's.
func TapForeign(signal int) bool {
	var now, known sigaction
	if setSigaction(signal, nil, &now) != 0 || setSigaction(int(unix.SIGURG), nil, &known) != 0 {
		return false
	}
	if now.handler == tapPC() {
		return tapOver[signal] != 0
	}
	return tapPut[signal] && now.handler > 1 && now.handler != tapOld[signal].handler && now.handler != known.handler
}

// tapPC is where the handler is.
func tapPC() uintptr

// TapInstall makes the tap a signal's handler, if it isn't yet. The caller sees that it isn't called twice at once.
func TapInstall(signal int) error {
	tapOnce.Do(func() { atomic.StoreUint32(&tapPID, uint32(os.Getpid())) })
	dispositions.Lock()
	defer dispositions.Unlock()
	var old sigaction
	if e := setSigaction(signal, nil, &old); e != 0 {
		return Error("rt_sigaction", e)
	}
	if old.handler == tapPC() {
		return nil
	}
	if tapOver[signal] = 0; TapForeign(signal) {
		tapOver[signal] = old.handler
	}
	tapOld[signal] = old
	atomic.StoreUintptr(&tapTable[signal].next, old.handler)
	act := newSigaction(tapPC())
	act.flags |= saRestart
	err := Error("rt_sigaction", setSigaction(signal, &act, nil))
	tapPut[signal] = tapPut[signal] || err == nil
	return err
}

// Tapped says whether the tap is still the signal's handler.
func Tapped(signal int) bool {
	var now sigaction
	return setSigaction(signal, nil, &now) == 0 && now.handler == tapPC()
}

// TapRemove puts back what was there before, if the tap is still the handler.
func TapRemove(signal int) error {
	dispositions.Lock()
	defer dispositions.Unlock()
	if !Tapped(signal) {
		return nil
	}
	err := Error("rt_sigaction", setSigaction(signal, &tapOld[signal], nil))
	if err == nil {
		tapPut[signal], tapOver[signal] = tapOver[signal] != 0, 0
	}
	return err
}

// TapOpen has a signal's records written to a pipe, from now on.
func TapOpen(signal, end, num int) { atomic.StoreInt32(&tapTable[signal].ends[end], int32(num+1)) }

// TapClose ends that, but for handlers that are running.
func TapClose(signal, end int) { atomic.StoreInt32(&tapTable[signal].ends[end], 0) }

// TapLost is how many records didn't fit, since the program began.
func TapLost(signal, end int) uint32 { return atomic.LoadUint32(&tapTable[signal].lost[end]) }

// TapForward says whether the handler before is called too.
func TapForward(signal int, on bool) {
	v := uint32(0)
	if on {
		v = 1
	}
	atomic.StoreUint32(&tapTable[signal].forward, v)
}
