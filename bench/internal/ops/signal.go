//go:build linux

package ops

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strconv"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes/signalfd"
)

// queued is what signalfd(2) receives here: it must be blocked on all threads. What is started has it blocked too, and has no use for it.
var queued = signalfd.RT(1)

// Block is for the beginning of a program that measures, after Listen: it starts the program anew, with what must be blocked.
func Block() { check(signalfd.BlockAndReexec(signalfd.SetOf(queued))) }

// recordSize is that of a signalfd_siginfo, and of a siginfo_t.
const recordSize = int(unsafe.Sizeof(unix.SignalfdSiginfo{}))

// signalBatch is how many signals are read at a time.
const signalBatch = 64

// queue sends signals whose values are 0, 1, 2, …
func queue(pid, n int) {
	for i := range n {
		check(signalfd.Queue(pid, queued, signalfd.Value{Int: int32(i)}))
	}
}

// signalsQueued reads what is in the queue of a signalfd, with the values.
func signalsQueued() (Run, func()) {
	r := must(signalfd.New(signalfd.SetOf(queued)))
	pid, ctx, dst := os.Getpid(), context.Background(), make([]signalfd.Info, signalBatch)
	run := func(n int, clock Clock) {
		for range n {
			queue(pid, signalBatch)
			var signals, values int
			clock.StartTimer()
			k, err := r.ReadBatch(ctx, dst)
			for i := range dst[:k] {
				v, _ := dst[i].Value()
				signals += int(dst[i].Signal)
				values += int(v.Int)
			}
			clock.StopTimer()
			wantBatch(k, signals, values, err)
		}
	}
	return run, func() { closeAll(r) }
}

// rawSignalsQueued does the same as a program in C would.
func rawSignalsQueued() (Run, func()) {
	fd := rawSignalFD(unix.SFD_NONBLOCK)
	pid, buf := os.Getpid(), make([]byte, signalBatch*recordSize)
	run := func(n int, clock Clock) {
		for range n {
			queue(pid, signalBatch)
			var k, signals, values int
			clock.StartTimer()
			size, err := unix.Read(fd, buf)
			for b := buf[:max(size, 0)]; len(b) > 0; k++ {
				info := (*unix.SignalfdSiginfo)(unsafe.Pointer(&b[0]))
				signals += int(info.Signo)
				values += int(info.Int)
				b = b[recordSize:]
			}
			clock.StopTimer()
			wantBatch(k, signals, values, err)
		}
	}
	return run, func() { check(unix.Close(fd)) }
}

func rawSignalFD(flags int) int {
	var set unix.Sigset_t
	bits := 8 * int(unsafe.Sizeof(set.Val[0]))
	set.Val[int(queued-1)/bits] |= 1 << (int(queued-1) % bits)
	return must(unix.Signalfd(-1, &set, unix.SFD_CLOEXEC|flags))
}

func wantBatch(k, signals, values int, err error) {
	if err != nil || k != signalBatch || signals != signalBatch*int(queued) || values != signalBatch*(signalBatch-1)/2 {
		fail(fmt.Errorf("%d signals, in all %d with %d: %w", k, signals, values, err))
	}
}

// An inbox has a signal come to it as long as it is open.
type inbox struct {
	sig   syscall.Signal
	open  func()
	wait  func()
	close func()
}

// A mailer makes an inbox. The two have a signal each, as a Receiver of Notify takes it from os/signal.
type mailer func() inbox

// ourInbox is a Receiver of Notify, whose signal nobody else has.
func ourInbox() inbox {
	r := must(signalfd.Notify(signalfd.SIGUSR1))
	ctx, dst := context.Background(), make([]signalfd.Info, 1)
	wait := func() {
		if n, err := r.ReadBatch(ctx, dst); n != 1 || err != nil || dst[0].Signal != signalfd.SIGUSR1 {
			fail(errors.Join(fmt.Errorf("%d signals: %v", n, dst[0]), err))
		}
	}
	return inbox{syscall.SIGUSR1, func() {}, wait, func() { closeAll(r) }}
}

// channelInbox is a channel of os/signal. There are two that are measured in turn, and each would get the other's signals too.
func channelInbox() inbox {
	c := make(chan os.Signal, 1)
	return inbox{syscall.SIGUSR2, func() { signal.Notify(c, syscall.SIGUSR2) }, func() { <-c }, func() { signal.Stop(c) }}
}

// killed sends a signal, and waits for it in the same goroutine.
func killed(mail mailer) Setup {
	return func() (Run, func()) {
		in, pid := mail(), os.Getpid()
		run := func(n int, clock Clock) {
			in.open()
			clock.StartTimer()
			for range n {
				check(unix.Kill(pid, in.sig))
				in.wait()
			}
			clock.StopTimer()
			in.pause()
		}
		return run, in.close
	}
}

// pause has no other inbox share its signals.
func (in inbox) pause() {
	if in.sig == syscall.SIGUSR2 {
		in.close()
	}
}

// threadKilled sends a signal to the thread itself, which has handled it when the call returns, and takes it.
func threadKilled(ours bool) Setup {
	return func() (Run, func()) {
		in := channelInbox()
		if ours {
			r := must(signalfd.Notify(signalfd.SIGUSR1))
			dst := make([]signalfd.Info, 1)
			in = inbox{syscall.SIGUSR1, func() {}, func() {
				if n, err := r.TryReadBatch(dst); n != 1 || err != nil || dst[0].Signal != signalfd.SIGUSR1 {
					fail(errors.Join(fmt.Errorf("%d signals: %v", n, dst[0]), err))
				}
			}, func() { closeAll(r) }}
		}
		pid := os.Getpid()
		run := func(n int, clock Clock) {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			tid := unix.Gettid()
			in.open()
			clock.StartTimer()
			for range n {
				check(unix.Tgkill(pid, tid, in.sig))
				in.wait()
			}
			clock.StopTimer()
			in.pause()
		}
		return run, in.close
	}
}

// killedAsleep sends a signal for which another goroutine waits. With a rest, nothing runs for that long before.
func killedAsleep(mail mailer, rest time.Duration) Setup {
	return func() (Run, func()) {
		in, pid := mail(), os.Getpid()
		run := func(n int, clock Clock) {
			in.open()
			again := make(chan struct{})
			wait := partner(func() {
				for range n {
					in.wait()
					clock.StopTimer()
					again <- struct{}{}
				}
			})
			for range n {
				if rest > 0 {
					time.Sleep(rest)
				}
				clock.StartTimer()
				check(unix.Kill(pid, in.sig))
				<-again
			}
			wait()
			in.pause()
		}
		return run, in.close
	}
}

//go:embed c/kill.c
var killC []byte

// killedByProcess asks another process for a signal, and waits for it.
func killedByProcess(mail mailer) Setup {
	return func() (Run, func()) {
		in := mail()
		cmd := exec.Command(compiled("kill", killC), strconv.Itoa(os.Getpid()), strconv.Itoa(int(in.sig)))
		cmd.Stderr = os.Stderr
		r, w := must2(os.Pipe())
		cmd.Stdin = r
		check(cmd.Start())
		check(r.Close())
		fd := -1
		check(must(w.SyscallConn()).Control(func(n uintptr) { fd = int(n) }))
		run := func(n int, clock Clock) {
			in.open()
			b := make([]byte, 1)
			clock.StartTimer()
			for range n {
				must(unix.Write(fd, b))
				in.wait()
			}
			clock.StopTimer()
			in.pause()
		}
		return run, func() {
			in.close()
			check(w.Close())
			check(cmd.Wait())
		}
	}
}

const (
	tapDepth = 8192    // signals that a Receiver of Notify keeps
	manyMore = 100_000 // signals with values
	patience = 30 * time.Second
)

// unread is how many signals are lost of those that a Receiver keeps until it is read.
func unread() float64 {
	r := must(signalfd.Notify(signalfd.RT(2)))
	defer closeAll(r)
	pid := os.Getpid()
	for i := range tapDepth {
		check(signalfd.Queue(pid, signalfd.RT(2), signalfd.Value{Int: int32(i)}))
	}
	conn := must(r.SyscallConn())
	for began, size := time.Now(), 0; size < tapDepth*recordSize && time.Since(began) < patience; {
		time.Sleep(time.Millisecond)
		check(conn.Control(func(fd uintptr) { size = must(unix.IoctlGetInt(int(fd), unix.TIOCINQ)) }))
	}
	seen := make(map[int32]bool)
	for dst := make([]signalfd.Info, signalBatch); ; {
		n := must(r.TryReadBatch(dst))
		if n == 0 {
			break
		}
		for _, info := range dst[:n] {
			if v, ok := info.Value(); ok {
				seen[v.Int] = true
			}
		}
	}
	if told := must(r.Lost()); told != tapDepth-len(seen) {
		fail(fmt.Errorf("%d of %d signals came, and it says that %d were lost", len(seen), tapDepth, told))
	}
	return float64(tapDepth - len(seen))
}

// unreadChannel is the same of a channel of os/signal that has room for all.
func unreadChannel() float64 {
	c := make(chan os.Signal, tapDepth)
	signal.Notify(c, syscall.Signal(signalfd.RT(2)))
	defer signal.Stop(c)
	pid := os.Getpid()
	for i := range tapDepth {
		check(signalfd.Queue(pid, signalfd.RT(2), signalfd.Value{Int: int32(i)}))
	}
	time.Sleep(100 * time.Millisecond) // nothing tells that no more come
	return float64(tapDepth - len(c))
}

// valuesInOrder is how many milliseconds it takes until a reader has had all values, each once and in order. Few can wait, so that the sender has to try again.
func valuesInOrder(read func(want func(value int32))) func() float64 {
	return func() float64 {
		const sigpending = 11 // RLIMIT_SIGPENDING
		var before unix.Rlimit
		check(unix.Getrlimit(sigpending, &before))
		check(unix.Setrlimit(sigpending, &unix.Rlimit{Cur: min(before.Cur, 1024), Max: before.Max}))
		defer func() { check(unix.Setrlimit(sigpending, &before)) }()
		pid, refused, next := os.Getpid(), 0, int32(0)
		began := time.Now()
		sent := partner(func() {
			for i := range int32(manyMore) {
				err := signalfd.Queue(pid, queued, signalfd.Value{Int: i})
				for ; errors.Is(err, unix.EAGAIN); err = signalfd.Queue(pid, queued, signalfd.Value{Int: i}) {
					refused++
					runtime.Gosched()
				}
				check(err)
			}
		})
		for next < manyMore {
			read(func(value int32) {
				if value != next {
					fail(fmt.Errorf("the value %d, not %d", value, next))
				}
				next++
			})
		}
		took := time.Since(began)
		sent()
		return float64(took) / float64(time.Millisecond)
	}
}

func ourValues() float64 {
	r := must(signalfd.New(signalfd.SetOf(queued)))
	defer closeAll(r)
	ctx, dst := context.Background(), make([]signalfd.Info, signalBatch)
	return valuesInOrder(func(want func(int32)) {
		for _, info := range dst[:must(r.ReadBatch(ctx, dst))] {
			v, _ := info.Value()
			want(v.Int)
		}
	})()
}

// rawValues has a thread that sleeps in read(2).
func rawValues() float64 {
	fd := rawSignalFD(0)
	defer func() { check(unix.Close(fd)) }()
	buf := make([]byte, signalBatch*recordSize)
	return valuesInOrder(func(want func(int32)) {
		n, err := unix.Read(fd, buf)
		for err == unix.EINTR {
			n, err = unix.Read(fd, buf)
		}
		check(err)
		for b := buf[:n]; len(b) > 0; b = b[recordSize:] {
			want((*unix.SignalfdSiginfo)(unsafe.Pointer(&b[0])).Int)
		}
	})()
}
