//go:build linux

package ops

import (
	"bufio"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes/mqueue"
)

// letter is the size of a message, and the most that these queues take.
const letter = 64

var queues atomic.Int64

// newQueue makes a queue, and what takes its name away.
func newQueue() (q *mqueue.Queue, unlink func()) {
	name := fmt.Sprintf("/fildes-bench-%d-%d", os.Getpid(), queues.Add(1))
	q = must(mqueue.Open(name, &mqueue.Options{Create: true, Exclusive: true, MaxMessages: 8, MessageSize: letter}))
	return q, func() { check(mqueue.Unlink(name)) }
}

// nameless makes a queue that leaves nothing.
func nameless() *mqueue.Queue {
	q, unlink := newQueue()
	unlink()
	return q
}

func queueFresh() (Run, func()) {
	q := nameless()
	return sendReceive(q), func() { closeAll(q) }
}

// queueRegistered measures a queue that Go's poller knows, because a Receive had to park.
func queueRegistered() (Run, func()) {
	q := nameless()
	parkOn(q)
	run := sendReceive(q)
	return run, func() { closeAll(q) }
}

// parkOn makes a Receive that parks, and one that ends that the next one goes to the poller at once.
func parkOn(q *mqueue.Queue) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	buf := make([]byte, letter)
	if _, _, err := q.Receive(ctx, buf); !os.IsTimeout(err) && ctx.Err() == nil {
		panic("a Receive of nothing returned")
	}
	check(q.Send(context.Background(), buf, 0))
	_, _, err := q.Receive(context.Background(), buf)
	check(err)
}

func sendReceive(q *mqueue.Queue) Run {
	ctx, buf := context.Background(), make([]byte, letter)
	return func(n int, clock Clock) {
		clock.StartTimer()
		for range n {
			if err := q.Send(ctx, buf, 1); err != nil {
				fail(err)
			}
			if k, _, err := q.Receive(ctx, buf); err != nil || k != letter {
				fail(err)
			}
		}
		clock.StopTimer()
	}
}

func rawQueueFresh() (Run, func()) {
	fd := must(nameless().Release())
	return func(n int, clock Clock) { rawSendReceive(fd, n, clock) }, func() { check(unix.Close(fd)) }
}

// rawQueueRegistered makes the calls on a number that Go's poller knows too.
func rawQueueRegistered() (Run, func()) {
	f := os.NewFile(uintptr(must(nameless().Release())), "queue")
	check(f.SetDeadline(time.Time{})) // fails if the poller doesn't have it
	conn := must(f.SyscallConn())
	run := func(n int, clock Clock) {
		check(conn.Control(func(fd uintptr) { rawSendReceive(int(fd), n, clock) }))
	}
	return run, func() { closeAll(f) }
}

// rawSendReceive has no timeout: the description doesn't block. The calls aren't raw, as they can sleep for memory.
func rawSendReceive(fd, n int, clock Clock) {
	buf := make([]byte, letter)
	clock.StartTimer()
	for range n {
		if _, _, e := syscall.Syscall6(unix.SYS_MQ_TIMEDSEND, uintptr(fd), uintptr(unsafe.Pointer(&buf[0])), letter, 1, 0, 0); e != 0 {
			fail(e)
		}
		var priority uint32
		if _, _, e := syscall.Syscall6(unix.SYS_MQ_TIMEDRECEIVE, uintptr(fd), uintptr(unsafe.Pointer(&buf[0])), letter, uintptr(unsafe.Pointer(&priority)), 0, 0); e != 0 {
			fail(e)
		}
	}
	clock.StopTimer()
}

// queueEnv makes a program that has this package a process of a ping-pong, or one that waits.
const queueEnv = "FILDES_BENCH_QUEUE"

// A player is a process of a ping-pong: the role is "ping" or "echo".
type player func(role, there, back string) *exec.Cmd

func ourPlayer(role, there, back string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), queueEnv+"="+role+" "+there+" "+back)
	return cmd
}

//go:embed c/mqueue.c
var mqueueC []byte

func playerInC(role, there, back string) *exec.Cmd {
	return exec.Command(compiled("mqueue", mqueueC), role, there, back)
}

// epollerInC waits as Go's poller does.
func epollerInC(role, there, back string) *exec.Cmd {
	return exec.Command(compiled("mqueue", mqueueC), role, there, back, "epoll")
}

// play is what the program is that was started for a role.
func play(spec string) {
	role, names, _ := strings.Cut(spec, " ")
	there, back, _ := strings.Cut(names, " ")
	switch role {
	case "ping":
		playPing(must(mqueue.OpenSender(there, nil)), must(mqueue.OpenReceiver(back, nil)))
	case "echo":
		playEcho(must(mqueue.OpenReceiver(there, nil)), must(mqueue.OpenSender(back, nil)))
	case "wait":
		fmt.Println(waiters(ourReceive))
	case "rawwait":
		fmt.Println(waiters(rawReceive))
	}
}

func playPing(there *mqueue.Sender, back *mqueue.Receiver) {
	ctx, buf := context.Background(), make([]byte, letter)
	fmt.Println("ready")
	for in := bufio.NewScanner(os.Stdin); in.Scan(); fmt.Println("done") {
		for range must(strconv.Atoi(in.Text())) {
			if err := there.Send(ctx, buf, 0); err != nil {
				fail(err)
			}
			if k, _, err := back.Receive(ctx, buf); err != nil || k != letter {
				fail(errors.Join(fmt.Errorf("%d bytes", k), err))
			}
		}
	}
	check(there.Send(ctx, nil, 0))
}

func playEcho(there *mqueue.Receiver, back *mqueue.Sender) {
	ctx, buf := context.Background(), make([]byte, letter)
	fmt.Println("ready")
	for {
		k, _, err := there.Receive(ctx, buf)
		if err != nil {
			fail(err)
		}
		if k == 0 {
			return
		}
		if err := back.Send(ctx, buf, 0); err != nil {
			fail(err)
		}
	}
}

// queuePingPong has two processes send each other a message in turn. A third one, this, tells them how often.
func queuePingPong(play player, where placement) Setup {
	return func() (Run, func()) {
		a, b := where()
		there, unlinkThere := newQueue()
		back, unlinkBack := newQueue()
		start := func(role string, core int) (*exec.Cmd, io.WriteCloser, *bufio.Reader) {
			cmd := play(role, there.Name(), back.Name())
			cmd.Stderr = os.Stderr
			in, out := must(cmd.StdinPipe()), bufio.NewReader(must(cmd.StdoutPipe()))
			check(cmd.Start())
			must(out.ReadString('\n'))
			if core >= 0 {
				placeProcess(cmd.Process.Pid, core)
			}
			return cmd, in, out
		}
		ping, in, out := start("ping", a)
		echo, _, _ := start("echo", b)
		unlinkThere()
		unlinkBack()
		closeAll(there, back)
		run := func(n int, clock Clock) {
			line := []byte(strconv.Itoa(n) + "\n")
			clock.StartTimer()
			must(in.Write(line))
			_, err := out.ReadSlice('\n')
			clock.StopTimer()
			check(err)
		}
		return run, func() {
			check(in.Close())
			check(ping.Wait())
			check(echo.Wait())
		}
	}
}

const (
	waiting   = 1000 // goroutines
	waitingOn = 8    // queues
)

// waiters is how many threads this process has when goroutines wait for messages that don't come.
func waiters(receive func(q *mqueue.Queue) func()) int {
	var receives []func()
	for range waitingOn {
		receives = append(receives, receive(nameless()))
	}
	for i := range waiting {
		go receives[i%waitingOn]()
	}
	time.Sleep(time.Second) // until the last one waits
	return len(must(os.ReadDir("/proc/self/task")))
}

func ourReceive(q *mqueue.Queue) func() {
	return func() {
		_, _, err := q.Receive(context.Background(), make([]byte, letter))
		fail(errors.Join(errors.New("a message came"), err))
	}
}

// rawReceive blocks a thread, as a call of the C library does.
func rawReceive(q *mqueue.Queue) func() {
	fd := must(q.Release())
	check(unix.SetNonblock(fd, false))
	return func() {
		buf := make([]byte, letter)
		_, _, e := syscall.Syscall6(unix.SYS_MQ_TIMEDRECEIVE, uintptr(fd), uintptr(unsafe.Pointer(&buf[0])), letter, 0, 0, 0)
		for e == unix.EINTR {
			_, _, e = syscall.Syscall6(unix.SYS_MQ_TIMEDRECEIVE, uintptr(fd), uintptr(unsafe.Pointer(&buf[0])), letter, 0, 0, 0)
		}
		fail(e)
	}
}

// threadsOf asks a process of its own, in which nothing else has made threads.
func threadsOf(role string) func() float64 {
	return func() float64 {
		cmd := ourPlayer(role, "", "")
		cmd.Stderr = os.Stderr
		return must(strconv.ParseFloat(strings.TrimSpace(string(must(cmd.Output()))), 64))
	}
}
