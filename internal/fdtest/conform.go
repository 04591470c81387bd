//go:build linux

package fdtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A Handle is what every kind is.
type Handle interface {
	io.Closer
	syscall.Conn
	Release() (int, error)
}

// A Wait is one of a kind's calls that wait.
type Wait struct {
	Name string
	// Call makes the call. On a fresh handle it waits.
	Call func(ctx context.Context, h Handle) error
	// Wake makes one waiting or later Call succeed.
	Wake func(h Handle) error
	// Once says that after a Wake no Call of the handle waits any more.
	Once bool
	// SetDeadline is the deadline that Call obeys, if there is one.
	SetDeadline func(h Handle, t time.Time) error
}

// A Subject is a kind of handle that is to conform.
type Subject struct {
	// New makes a handle with nothing ready. What it needs beside is released by t.Cleanup.
	New func(t testing.TB) (Handle, error)
	// Zero is a pointer to the zero value, Nil a nil pointer, of the handle's type.
	Zero, Nil Handle
	// Waits are all calls that wait.
	Waits []Wait
	// Args are the arguments of methods, by the parameter's type, where the default won't do.
	Args map[reflect.Type]any
	// ClosedOK names methods with an error result that don't fail after Close, or on the zero value, with the reason.
	ClosedOK map[string]string
}

func (s Subject) open(t testing.TB) Handle {
	t.Helper()
	h, err := s.New(t)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close() })
	return h
}

// number returns a handle's number, for a test to look at.
func number(t testing.TB, h Handle) int {
	t.Helper()
	c, err := h.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	n := -1
	if err := c.Control(func(fd uintptr) { n = int(fd) }); err != nil {
		t.Fatal(err)
	}
	return n
}

func isOpen(n int) bool {
	_, err := unix.FcntlInt(uintptr(n), unix.F_GETFD, 0)
	return err == nil
}

func mustBe(t testing.TB, what string, err error, want ...error) {
	t.Helper()
	for _, w := range want {
		if !errors.Is(err, w) {
			t.Fatalf("%s: got error %v, want one that matches %v", what, err, w)
		}
	}
}

func must(t testing.TB, what string, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

// Conform runs the suite.
func Conform(t *testing.T, s Subject) {
	t.Run("AfterClose", s.afterClose)
	t.Run("ZeroAndNil", s.zeroAndNil)
	t.Run("CloseOnce", s.closeOnce)
	t.Run("CloseOnExec", s.closeOnExec)
	t.Run("Forgotten", s.forgotten)
	t.Run("NoDescriptorLeft", s.noDescriptorLeft)
	t.Run("Release", s.release)
	for _, w := range s.Waits {
		t.Run(w.Name, func(t *testing.T) {
			t.Run("CloseWakes", func(t *testing.T) { s.closeWakes(t, w) })
			t.Run("ReleaseWakes", func(t *testing.T) { s.releaseWakes(t, w) })
			t.Run("ContextBefore", func(t *testing.T) { s.contextBefore(t, w) })
			t.Run("ContextDuring", func(t *testing.T) { s.contextDuring(t, w) })
			t.Run("ContextOfAnother", func(t *testing.T) { s.contextOfAnother(t, w) })
			t.Run("ContextDeadline", func(t *testing.T) { s.contextDeadline(t, w) })
			t.Run("ContextsInTurn", func(t *testing.T) { s.contextsInTurn(t, w) })
			t.Run("WaitersInTurn", func(t *testing.T) { s.waitersInTurn(t, w) })
			t.Run("CloseRace", func(t *testing.T) { s.closeRace(t, w) })
			t.Run("Victim", func(t *testing.T) { s.victim(t, w) })
		})
	}
	t.Run("Deadlines", func(t *testing.T) {
		for _, w := range s.Waits {
			if w.SetDeadline == nil {
				continue
			}
			together := func(name string, test func(t *testing.T, w Wait)) { // they mostly wait
				t.Run(w.Name+name, func(t *testing.T) {
					t.Parallel()
					test(t, w)
				})
			}
			together("Past", s.deadlinePast)
			together("Future", s.deadlineFuture)
			together("Moved", s.deadlineMoved)
			together("Survives", s.deadlineSurvives)
		}
	})
}

// methods calls each exported method that has an error as its last result.
func (s Subject) methods(t *testing.T, h Handle, want error, but ...string) {
	v := reflect.ValueOf(h)
	count := 0
next:
	for i := range v.NumMethod() {
		m := v.Type().Method(i)
		mt := v.Method(i).Type()
		if mt.NumOut() == 0 || mt.Out(mt.NumOut()-1) != reflect.TypeFor[error]() || s.ClosedOK[m.Name] != "" {
			continue
		}
		for _, b := range but {
			if b == m.Name {
				continue next
			}
		}
		args := make([]reflect.Value, 0, mt.NumIn())
		for j := range mt.NumIn() {
			args = append(args, s.argument(t, m.Name, mt.In(j)))
		}
		call := v.Method(i).Call
		if mt.IsVariadic() {
			call = v.Method(i).CallSlice
		}
		out := call(args)
		err, _ := out[len(out)-1].Interface().(error)
		if !errors.Is(err, want) {
			t.Errorf("%s: got error %v, want one that matches %v", m.Name, err, want)
		}
		count++
	}
	if count < 4 {
		t.Errorf("only %d methods were called", count)
	}
}

func (s Subject) argument(t *testing.T, method string, in reflect.Type) reflect.Value {
	if a, ok := s.Args[in]; ok {
		return reflect.ValueOf(a)
	}
	switch {
	case in == reflect.TypeFor[context.Context]():
		return reflect.ValueOf(context.Background())
	case in == reflect.TypeFor[[]byte]():
		return reflect.ValueOf(make([]byte, 1))
	case in == reflect.TypeFor[[][]byte]():
		return reflect.ValueOf([][]byte{make([]byte, 1)})
	case in == reflect.TypeFor[time.Time]():
		return reflect.ValueOf(time.Now().Add(time.Hour))
	case in == reflect.TypeFor[time.Duration]():
		return reflect.ValueOf(time.Hour)
	case in == reflect.TypeFor[func(int) error]():
		return reflect.ValueOf(func(int) error { t.Errorf("%s ran its function", method); return nil })
	case in.Kind() == reflect.Uint64:
		return reflect.ValueOf(uint64(1))
	case in.Kind() == reflect.Int || in.Kind() == reflect.String || in.Kind() == reflect.Bool || in.Kind() == reflect.Uint32:
		return reflect.Zero(in)
	case in.Kind() == reflect.Slice:
		return reflect.MakeSlice(in, 1, 1)
	}
	t.Fatalf("%s: Subject.Args has nothing for the type %v", method, in)
	panic("unreachable")
}

func (s Subject) afterClose(t *testing.T) {
	h := s.open(t)
	must(t, "Close", h.Close())
	s.methods(t, h, os.ErrClosed)
}

func (s Subject) zeroAndNil(t *testing.T) {
	t.Run("Zero", func(t *testing.T) { s.methods(t, s.Zero, os.ErrInvalid) })
	t.Run("Nil", func(t *testing.T) { s.methods(t, s.Nil, os.ErrInvalid) })
	// A nil context is a wrong argument, not a crash.
	for _, w := range s.Waits {
		mustBe(t, w.Name+" with a nil context", w.Call(nil, s.open(t)), os.ErrInvalid)
	}
}

func (s Subject) closeOnce(t *testing.T) {
	for range 20 {
		h := s.open(t)
		var ok, refused atomic.Int32
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				switch err := h.Close(); {
				case err == nil:
					ok.Add(1)
				case errors.Is(err, os.ErrClosed):
					refused.Add(1)
				default:
					t.Errorf("Close: %v", err)
				}
			})
		}
		wg.Wait()
		if ok.Load() != 1 || refused.Load() != 3 {
			t.Fatalf("of 4 Closes %d succeeded and %d were refused", ok.Load(), refused.Load())
		}
	}
}

func (s Subject) closeOnExec(t *testing.T) {
	Need(t, "proc", procReason())
	h := s.open(t)
	n := number(t, h)
	mine := Descriptors()[n]
	if got, ok := childDescriptors(t)[n]; ok && got == mine {
		t.Fatalf("a child has descriptor %d (%s)", n, got)
	}
	for _, w := range s.Waits { // registering with the poller must not change it
		ctx, cancel := context.WithCancel(t.Context())
		c := Go(t, func() error { return w.Call(ctx, h) }).Parked()
		cancel()
		mustBe(t, w.Name, c.Err(), context.Canceled)
	}
	flags, err := unix.FcntlInt(uintptr(number(t, h)), unix.F_GETFD, 0)
	must(t, "F_GETFD", err)
	if flags&unix.FD_CLOEXEC == 0 {
		t.Fatal("close-on-exec isn't set")
	}
}

func procReason() string {
	if _, err := os.Stat("/proc/self/fd"); err != nil {
		return fmt.Sprintf("/proc isn't mounted: %v", err)
	}
	return ""
}

// forgotten drops handles without Close, also one that has been registered with the poller and whose last context is still there.
func (s Subject) forgotten(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var numbers []int
	func() {
		var handles []Handle
		forget := func() Handle {
			h, err := s.New(t)
			must(t, "New", err)
			numbers, handles = append(numbers, number(t, h)), append(handles, h)
			return h
		}
		forget()
		for _, w := range s.Waits {
			h := forget()
			c := Go(t, func() error { return w.Call(ctx, h) }).Parked()
			must(t, "Wake", w.Wake(h))
			must(t, w.Name, c.Err())
		}
		runtime.KeepAlive(handles) // so that none of the numbers is used anew meanwhile
	}()
	for end := time.Now().Add(Bound); ; time.Sleep(time.Millisecond) {
		runtime.GC()
		open := 0
		for _, n := range numbers {
			if isOpen(n) {
				open++
			}
		}
		if open == 0 {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%d of %d forgotten descriptors are still open", open, len(numbers))
		}
	}
}

// noDescriptorLeft makes New fail at the limit on descriptors.
func (s Subject) noDescriptorLeft(t *testing.T) {
	h, err := s.New(t)
	must(t, "New", err)
	lowest := number(t, h)
	must(t, "Close", h.Close())
	var was unix.Rlimit
	must(t, "getrlimit", unix.Getrlimit(unix.RLIMIT_NOFILE, &was))
	before := Descriptors()
	low := was
	low.Cur = uint64(lowest)
	must(t, "setrlimit", unix.Setrlimit(unix.RLIMIT_NOFILE, &low))
	h, err = s.New(t)
	restore := unix.Setrlimit(unix.RLIMIT_NOFILE, &was)
	must(t, "setrlimit", restore)
	if err == nil {
		_ = h.Close()
		t.Fatal("New succeeded beyond the limit")
	}
	mustBe(t, "New", err, syscall.EMFILE)
	after := Descriptors()
	for n, link := range after {
		if before[n] == "" {
			t.Errorf("descriptor %d (%s) was left behind", n, link)
		}
	}
}

func (s Subject) release(t *testing.T) {
	check := func(h Handle) {
		t.Helper()
		n, err := h.Release()
		must(t, "Release", err)
		defer func() { must(t, "closing the released number", unix.Close(n)) }()
		mustBe(t, "Close after Release", h.Close(), os.ErrClosed)
		s.methods(t, h, os.ErrClosed)
		flags, err := unix.FcntlInt(uintptr(n), unix.F_GETFD, 0)
		must(t, "F_GETFD", err)
		if flags&unix.FD_CLOEXEC == 0 {
			t.Error("the number isn't close-on-exec")
		}
		runtime.GC() // whose finalizer would close it
		runtime.GC()
		if !isOpen(n) {
			t.Error("the number was closed")
		}
	}
	check(s.open(t))
	for _, w := range s.Waits {
		h := s.open(t)
		ctx, cancel := context.WithCancel(t.Context())
		c := Go(t, func() error { return w.Call(ctx, h) }).Parked()
		cancel()
		mustBe(t, w.Name, c.Err(), context.Canceled)
		check(h)
	}
}

// callers starts several calls that wait.
func callers(t *testing.T, ctx context.Context, w Wait, h Handle, n int) []*Caller {
	t.Helper()
	var cs []*Caller
	for range n {
		cs = append(cs, Go(t, func() error { return w.Call(ctx, h) }).Parked())
	}
	return cs
}

func (s Subject) closeWakes(t *testing.T, w Wait) {
	h := s.open(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	cs := append(callers(t, t.Context(), w, h, 2), callers(t, ctx, w, h, 2)...)
	n := number(t, h)
	must(t, "Close", Go(t, h.Close).Err())
	if isOpen(n) {
		t.Error("the number is still open when Close returns")
	}
	for _, c := range cs {
		mustBe(t, w.Name, c.Err(), os.ErrClosed)
	}
}

func (s Subject) releaseWakes(t *testing.T, w Wait) {
	h := s.open(t)
	cs := callers(t, t.Context(), w, h, 2)
	n, err := h.Release()
	must(t, "Release", err)
	must(t, "close", unix.Close(n))
	for _, c := range cs {
		mustBe(t, w.Name, c.Err(), os.ErrClosed)
	}
}

var errCause = errors.New("the cause")

func (s Subject) contextBefore(t *testing.T, w Wait) {
	h := s.open(t)
	must(t, "Wake", w.Wake(h))
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errCause)
	mustBe(t, w.Name, w.Call(ctx, h), context.Canceled, errCause)
	must(t, w.Name+" after a refused one", Go(t, func() error { return w.Call(t.Context(), h) }).Err())
}

func (s Subject) contextDuring(t *testing.T, w Wait) {
	h := s.open(t)
	for range 3 {
		if w.Once {
			h = s.open(t)
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		cs := callers(t, ctx, w, h, 2)
		cancel(errCause)
		for _, c := range cs {
			mustBe(t, w.Name, c.Err(), context.Canceled, errCause)
		}
		c := Go(t, func() error { return w.Call(t.Context(), h) }).Parked()
		must(t, "Wake", w.Wake(h))
		must(t, w.Name+" after a cancelled one", c.Err())
	}
}

// contextOfAnother cancels one of several calls that wait: the one in the poller, and one behind it.
func (s Subject) contextOfAnother(t *testing.T, w Wait) {
	h := s.open(t)
	for first := range 2 {
		if w.Once {
			h = s.open(t)
		}
		ctx, cancel := context.WithCancel(t.Context())
		other, cancelOther := context.WithCancel(t.Context())
		ctxs := []context.Context{other, other, other}
		ctxs[first] = ctx
		var cs []*Caller
		for _, ctx := range ctxs {
			cs = append(cs, Go(t, func() error { return w.Call(ctx, h) }).Parked())
		}
		cancel()
		mustBe(t, w.Name, cs[first].Err(), context.Canceled)
		cs = append(cs[:first], cs[first+1:]...)
		for _, c := range cs {
			c.Parked()
		}
		wakeAll(t, w, h, cs)
		cancelOther()
	}
}

func (s Subject) contextDeadline(t *testing.T, w Wait) {
	h := s.open(t)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	err := Go(t, func() error { return w.Call(ctx, h) }).Err()
	mustBe(t, w.Name, err, context.DeadlineExceeded)
	if to, ok := errors.AsType[interface {
		error
		Timeout() bool
	}](err); !ok || !to.Timeout() {
		t.Errorf("%s: %v isn't a timeout", w.Name, err)
	}
}

// contextsInTurn cancels contexts of earlier calls: they must not poke a later one.
func (s Subject) contextsInTurn(t *testing.T, w Wait) {
	if w.Once {
		s.contextsInTurnOnce(t, w)
		return
	}
	h := s.open(t)
	first, cancelFirst := context.WithCancel(t.Context())
	c := Go(t, func() error { return w.Call(first, h) }).Parked()
	must(t, "Wake", w.Wake(h))
	must(t, w.Name, c.Err())
	second, cancelSecond := context.WithCancel(t.Context())
	defer cancelSecond()
	for _, ctx := range []context.Context{second, t.Context()} {
		c = Go(t, func() error { return w.Call(ctx, h) }).Parked()
		cancelFirst()
		c.Parked()
		must(t, "Wake", w.Wake(h))
		must(t, w.Name+" after another's context has ended", c.Err())
		// And one that ends while nobody waits.
		first, cancelFirst = context.WithCancel(t.Context())
		c = Go(t, func() error { return w.Call(first, h) }).Parked()
		must(t, "Wake", w.Wake(h))
		must(t, w.Name, c.Err())
	}
	cancelFirst()
}

func (s Subject) contextsInTurnOnce(t *testing.T, w Wait) {
	h := s.open(t)
	var cancels []context.CancelFunc
	for range 3 {
		ctx, cancel := context.WithCancel(t.Context())
		c := Go(t, func() error { return w.Call(ctx, h) }).Parked()
		for _, earlier := range cancels {
			earlier()
		}
		c.Parked()
		cancel()
		mustBe(t, w.Name, c.Err(), context.Canceled)
		cancels = append(cancels, cancel)
	}
	c := Go(t, func() error { return w.Call(t.Context(), h) }).Parked()
	must(t, "Wake", w.Wake(h))
	must(t, w.Name+" after others' contexts have ended", c.Err())
}

// waitersInTurn wakes several that wait, one after another.
func (s Subject) waitersInTurn(t *testing.T, w Wait) {
	h := s.open(t)
	cs := callers(t, t.Context(), w, h, 4)
	wakeAll(t, w, h, cs)
}

// wakeAll wakes one after another: several wake-ups before the first is served may count as one.
func wakeAll(t *testing.T, w Wait, h Handle, cs []*Caller) {
	t.Helper()
	cs = slices.Clone(cs)
	for len(cs) > 0 {
		must(t, "Wake", w.Wake(h))
		i := Any(t, cs)
		must(t, w.Name, cs[i].Err())
		cs = slices.Delete(cs, i, i+1)
	}
}

func (s Subject) deadlinePast(t *testing.T, w Wait) {
	h := s.open(t)
	must(t, "Wake", w.Wake(h))
	must(t, "SetDeadline", w.SetDeadline(h, time.Now().Add(-time.Second)))
	err := w.Call(t.Context(), h)
	mustBe(t, w.Name+" with something there", err, os.ErrDeadlineExceeded)
	must(t, "SetDeadline", w.SetDeadline(h, time.Time{}))
	must(t, w.Name+" without the deadline", w.Call(t.Context(), h))
}

func (s Subject) deadlineFuture(t *testing.T, w Wait) {
	h := s.open(t)
	end := time.Now().Add(20 * time.Millisecond)
	must(t, "SetDeadline", w.SetDeadline(h, end))
	cs := []*Caller{
		Go(t, func() error { return w.Call(t.Context(), h) }),
		Go(t, func() error { return w.Call(t.Context(), h) }),
	}
	for _, c := range cs {
		mustBe(t, w.Name, c.Err(), os.ErrDeadlineExceeded)
	}
	if time.Now().Before(end) {
		t.Error("the deadline passed early")
	}
}

// inTime has something done before a time that it returns; again, with longer, where that has taken too long.
func inTime(do func(end time.Time)) time.Time {
	for margin := 100 * time.Millisecond; ; margin *= 2 {
		end := time.Now().Add(margin)
		if do(end); time.Now().Before(end) {
			return end
		}
	}
}

func (s Subject) deadlineMoved(t *testing.T, w Wait) {
	h := s.open(t)
	must(t, "SetDeadline", w.SetDeadline(h, time.Now().Add(time.Hour)))
	c := Go(t, func() error { return w.Call(t.Context(), h) }).Parked()
	must(t, "SetDeadline", w.SetDeadline(h, time.Now().Add(5*time.Millisecond)))
	mustBe(t, w.Name, c.Err(), os.ErrDeadlineExceeded)

	soon := inTime(func(soon time.Time) {
		fresh := s.open(t) // for the call before may not have begun yet
		must(t, "SetDeadline", w.SetDeadline(fresh, soon))
		c = Go(t, func() error { return w.Call(t.Context(), fresh) })
		must(t, "SetDeadline", w.SetDeadline(fresh, time.Time{}))
		h = fresh
	})
	for time.Now().Before(soon) {
		time.Sleep(10 * time.Millisecond)
	}
	c.Parked()
	must(t, "Wake", w.Wake(h))
	must(t, w.Name+" without the deadline", c.Err())
}

func (s Subject) deadlineSurvives(t *testing.T, w Wait) {
	var h Handle
	var err error
	end := inTime(func(end time.Time) {
		h = s.open(t)
		must(t, "SetDeadline", w.SetDeadline(h, end))
		ctx, cancel := context.WithCancel(t.Context())
		c := Go(t, func() error { return w.Call(ctx, h) })
		cancel()
		err = c.Err()
	})
	mustBe(t, w.Name, err, context.Canceled)
	mustBe(t, w.Name+" after a cancelled one", Go(t, func() error { return w.Call(t.Context(), h) }).Err(), os.ErrDeadlineExceeded)
	if time.Now().Before(end) {
		t.Error("the deadline passed early")
	}
}

// hammer makes calls until the handle is closed.
func hammer(t *testing.T, w Wait, h Handle, wg *sync.WaitGroup, n int) {
	for i := range n {
		wg.Go(func() {
			for j := 0; ; j++ {
				wakes := !w.Once || j > 20+i // so that there are some calls that wait
				if wakes && (i+j)%2 == 0 {
					_ = w.Wake(h)
				}
				ctx, cancel := t.Context(), context.CancelFunc(func() {})
				if !wakes || j%3 != 0 {
					ctx, cancel = context.WithTimeout(ctx, time.Duration(j%5)*20*time.Microsecond)
				} else if err := w.Wake(h); err != nil {
					return
				}
				err := w.Call(ctx, h)
				cancel()
				switch {
				case errors.Is(err, os.ErrClosed):
					return
				case err != nil && !errors.Is(err, context.DeadlineExceeded):
					t.Errorf("%s: %v", w.Name, err)
					return
				}
			}
		})
	}
}

// awhile lets others run, each round longer. Where there is one processor, each turn is a whole time slice.
func awhile(round int) {
	begin := time.Now()
	for range round * 20 {
		if runtime.Gosched(); time.Since(begin) > time.Duration(round)*time.Millisecond {
			return
		}
	}
}

func (s Subject) closeRace(t *testing.T, w Wait) {
	for round := range Rounds(30) {
		h := s.open(t)
		var wg sync.WaitGroup
		hammer(t, w, h, &wg, 4)
		awhile(round)
		must(t, "Close", Go(t, h.Close).Err())
		wg.Wait()
	}
}

// victim closes a handle under load, and gives its number at once to a stranger, who must not be touched.
func (s Subject) victim(t *testing.T, w Wait) {
	met := 0
	defer func() {
		if met == 0 && !t.Failed() {
			t.Error("no stranger ever got the number: nothing was tested")
		}
	}()
	for round := range Rounds(30) {
		h := s.open(t)
		n := number(t, h)
		var wg sync.WaitGroup
		hammer(t, w, h, &wg, 4)
		awhile(round)
		must(t, "Close", Go(t, h.Close).Err())
		v, err := unix.Eventfd(7, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
		must(t, "eventfd2", err)
		if v != n { // somebody else has it, and dup2 would take it from them
			must(t, "close", unix.Close(v))
			wg.Wait()
			continue
		}
		met++
		wg.Wait()
		runtime.Gosched()
		var word [8]byte
		k, err := unix.Read(v, word[:])
		if err != nil || k != 8 || word != sevens() {
			t.Fatalf("the stranger that got number %d was touched: %d bytes, % x, %v", n, k, word, err)
		}
		must(t, "closing the stranger", unix.Close(v))
	}
}

func sevens() (b [8]byte) {
	b[0] = 7
	if bigEndian {
		b[0], b[7] = 0, 7
	}
	return b
}
