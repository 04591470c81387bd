//go:build linux

package ops

import (
	"context"
	"errors"
	"net"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes/pipe"
	"github.com/fildes/fildes/splice"
)

// A Fact is something else than the time of an operation.
type Fact struct {
	ID, Name, Unit string
	Against        string
	Ours, Base     func() float64 // Base may be nil
	Bound          float64        // what ours may be; 0 is no bound
}

// Facts is all of them, in the order in which they are printed.
var Facts = []Fact{
	{ID: "RelayIdleGoroutines", Name: "idle Relay: goroutines", Against: "two io.Copy", Ours: ofIdle(ourRelay, goroutines), Base: ofIdle(ioRelay, goroutines)},
	{ID: "RelayIdleMemory", Name: "idle Relay: memory", Unit: "bytes", Against: "two io.Copy", Ours: ofIdle(ourRelay, memory), Base: ofIdle(ioRelay, memory)},
	{ID: "RelayIdleDescriptors", Name: "idle Relay: descriptors", Against: "two io.Copy", Ours: ofIdle(ourRelay, descriptors), Base: ofIdle(ioRelay, descriptors)},
	{ID: "ProcessWaitThreads", Name: "1,000 children waited for: threads", Against: "os.Process", Ours: threadsWaiting(ourWait), Base: threadsWaiting(osWait), Bound: 19},
	{ID: "QueueThreads", Name: "1,000 Receives, 8 queues: threads", Against: "raw", Ours: threadsOf("wait"), Base: threadsOf("rawwait"), Bound: 19},
	{ID: "CopyStuck", Name: "5 s Copy into a full pipe: CPU", Unit: "%", Ours: stuck, Bound: 1},
	{ID: "SignalsUnread", Name: "8,192 signals unread: lost", Against: "signal", Ours: unread, Base: unreadChannel},
	{ID: "SignalsInOrder", Name: "100,000 values in order", Unit: "ms", Against: "raw", Ours: ourValues, Base: rawValues},
}

// ofIdle measures what relays on which nothing happens take, each beside the connections themselves.
func ofIdle(relay relayer, measure func() float64) func() float64 {
	return func() float64 {
		gates := make(chan struct{})
		gated := func() (end func()) {
			return idle(func(a, b *net.TCPConn) {
				<-gates
				relay(a, b)
			})
		}
		end := gated()
		before := measure()
		close(gates)
		time.Sleep(200 * time.Millisecond)
		after := measure()
		end()
		return (after - before) / idlePairs
	}
}

func goroutines() float64 { return float64(runtime.NumGoroutine()) }

// memory is what the heap and the stacks have.
func memory() float64 {
	var s runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&s)
	return float64(s.HeapAlloc + s.StackInuse)
}

func descriptors() float64 { return float64(len(must(os.ReadDir("/proc/self/fd")))) }

// stuck is how much of a processor a Copy takes that can't go on, because the destination is full and the source isn't empty.
func stuck() float64 {
	const long = 5 * time.Second
	src, feed := must2(pipe.New(nil))
	drain, dst := must2(pipe.New(nil))
	defer closeAll(src, feed, drain, dst)
	fill(dst)
	fill(feed)
	ctx, cancel := context.WithTimeout(context.Background(), long)
	defer cancel()
	before := processor()
	if _, err := splice.Copy(ctx, dst, src); !errors.Is(err, context.DeadlineExceeded) {
		fail(errors.Join(errors.New("the Copy ended"), err))
	}
	return 100 * float64(processor()-before) / float64(long)
}

func fill(w *pipe.Writer) {
	check(w.SetDeadline(time.Now().Add(time.Millisecond)))
	_, err := w.Write(make([]byte, megabyte))
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		fail(errors.Join(errors.New("the pipe isn't full"), err))
	}
	check(w.SetDeadline(time.Time{}))
}

// processor is the time that this process has had.
func processor() time.Duration {
	var u unix.Rusage
	check(unix.Getrusage(unix.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
