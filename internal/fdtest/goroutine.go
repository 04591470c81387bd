//go:build linux

package fdtest

import (
	"bytes"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// Bound is how long a test waits for what must happen. It is generous: passing it is a failure of what is tested.
const Bound = 30 * time.Second

// A goroutine that enters a system call just when the world is to be stopped may keep its processor there until Go's monitor looks (as of
// Go 1.26). The monitor sleeps until a timer is due, or for a minute: so whoever stops the world has a timer that is.
const monitored = time.Millisecond

// A Goroutine is one entry of a stack dump.
type Goroutine struct {
	ID    int
	State string
	Stack string
}

// room is how large the last stack dump had to be.
var room atomic.Int64

// Goroutines returns all goroutines but the caller.
func Goroutines() []Goroutine {
	defer time.AfterFunc(monitored, func() {}).Stop()
	var buf []byte
	for {
		buf = make([]byte, max(room.Load(), 1<<16))
		n := runtime.Stack(buf, true)
		if n < len(buf) {
			buf = buf[:n]
			break
		}
		room.Store(2 * int64(len(buf))) // for the next time too: each try looks at every goroutine
	}
	var all []Goroutine
	for i, stack := range bytes.Split(buf, []byte("\n\n")) {
		if i > 0 {
			all = append(all, parseGoroutine(string(stack)))
		}
	}
	return all
}

func parseGoroutine(stack string) Goroutine {
	head, _, _ := strings.Cut(stack, "\n")
	head = strings.TrimPrefix(head, "goroutine ")
	id, rest, _ := strings.Cut(head, " ")
	n, _ := strconv.Atoi(id)
	_, rest, _ = strings.Cut(rest, "[")
	state, _, _ := strings.Cut(rest, "]")
	state, _, _ = strings.Cut(state, ",")
	return Goroutine{n, state, stack}
}

// expected says whether the goroutine belongs to the runtime or to the testing package.
func (g Goroutine) expected() bool {
	for _, s := range []string{"testing.(*M).", "testing.runTests", "testing.tRunner", "os/signal.loop", "os/signal.signal_recv", "runtime.ensureSigM",
		"runtime/trace.", "runtime.ReadTrace", "testing.(*F).", "runtime.goparkunlock", "created by runtime."} {
		if strings.Contains(g.Stack, s) {
			return true
		}
	}
	return false
}

// A Caller is a goroutine that makes one call.
type Caller struct {
	t    testing.TB
	id   int
	done chan struct{}
	err  error
}

// Go starts a goroutine that makes the call.
func Go(t testing.TB, call func() error) *Caller {
	c := &Caller{t: t, done: make(chan struct{})}
	started := make(chan int)
	go func() {
		defer close(c.done)
		var buf [64]byte
		started <- parseGoroutine(string(buf[:runtime.Stack(buf[:], false)])).ID
		c.err = call()
	}()
	c.id = <-started
	return c
}

// Parked waits until the goroutine waits: for the poller, or for its turn.
func (c *Caller) Parked() *Caller {
	c.t.Helper()
	for end := time.Now().Add(Bound); time.Now().Before(end); time.Sleep(200 * time.Microsecond) {
		select {
		case <-c.done:
			c.t.Fatalf("the call returned %v instead of waiting", c.err)
		default:
		}
		for _, g := range Goroutines() {
			if g.ID == c.id && (g.State == "IO wait" || g.State == "select" || strings.HasPrefix(g.State, "chan receive")) {
				return c
			}
		}
	}
	c.t.Fatalf("the call neither waits nor returns")
	return c
}

// InSyscall waits until the goroutine's thread is in a system call that doesn't return.
func (c *Caller) InSyscall() *Caller {
	c.t.Helper()
	for end := time.Now().Add(Bound); time.Now().Before(end); time.Sleep(200 * time.Microsecond) {
		for _, g := range Goroutines() {
			if g.ID == c.id && g.State == "syscall" {
				return c
			}
		}
	}
	c.t.Fatalf("the call isn't in the kernel")
	return c
}

// Done says whether the call has returned.
func (c *Caller) Done() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

// Err waits for the call to return.
func (c *Caller) Err() error {
	c.t.Helper()
	select {
	case <-c.done:
		return c.err
	case <-time.After(Bound):
		for _, g := range Goroutines() {
			if g.ID == c.id {
				c.t.Fatalf("the call didn't return within %v:\n%s", Bound, g.Stack)
			}
		}
		c.t.Fatalf("the call didn't return within %v", Bound)
	}
	return nil
}

// Any waits until one of the calls has returned, and says which.
func Any(t testing.TB, cs []*Caller) int {
	t.Helper()
	for end := time.Now().Add(Bound); time.Now().Before(end); time.Sleep(100 * time.Microsecond) {
		for i, c := range cs {
			select {
			case <-c.done:
				return i
			default:
			}
		}
	}
	t.Fatalf("none of %d calls returned within %v", len(cs), Bound)
	return -1
}

// Collect runs the garbage collector, which needs every thread's attention.
func Collect(t testing.TB) {
	t.Helper()
	c := Go(t, func() error {
		for range 3 {
			runtime.GC()
		}
		return nil
	})
	for end := time.Now().Add(Bound); !c.Done() && time.Now().Before(end); {
		time.Sleep(monitored)
	}
	_ = c.Err()
}
