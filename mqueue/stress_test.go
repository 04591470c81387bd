//go:build linux

package mqueue_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes/internal/fdtest"
	"github.com/fildes/fildes/mqueue"
)

// beFlood sends so many numbers, from several goroutines: a way of sending, the queue, who it is, and how many.
func beFlood(args []string) error {
	who, _ := strconv.Atoi(args[2])
	count, err := strconv.Atoi(args[3])
	if err != nil {
		return err
	}
	return peerCalls(args[0], args[1], func(q *mqueue.Queue, num int) error {
		for i := range count {
			msg := binary.LittleEndian.AppendUint64(nil, uint64(who*count+i)+1)
			if num >= 0 {
				err = blockingSend(num, msg, uint32(i%3))
			} else {
				err = q.Send(context.Background(), msg, i%3)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// beDrain receives numbers until an empty message, and says how many there were and their sum.
func beDrain(args []string) error {
	var count, sum uint64
	err := peerCalls(args[0], args[1], func(q *mqueue.Queue, num int) error {
		for {
			buf := make([]byte, 8)
			var n int
			var err error
			if num >= 0 {
				n, _, err = blockingReceive(num, buf)
			} else {
				n, _, err = q.Receive(context.Background(), buf)
			}
			if n == 0 || err != nil {
				return err
			}
			count++
			sum += binary.LittleEndian.Uint64(buf)
		}
	})
	fmt.Println(count, sum)
	return err
}

// peerCalls has a queue, and for the way "raw" the number of a blocking description of it.
func peerCalls(way, name string, do func(q *mqueue.Queue, num int) error) error {
	q, err := mqueue.Open(name, nil)
	if err != nil {
		return err
	}
	defer q.Close()
	if way != "raw" {
		return do(q, -1)
	}
	f, err := q.Inherit()
	if err != nil {
		return err
	}
	defer f.Close()
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	cerr := raw.Control(func(fd uintptr) { err = do(nil, int(fd)) })
	return errors.Join(cerr, err)
}

// Senders and receivers in many processes, some that wait in Go's poller and some in the kernel, all get on: a lost wake-up would be for ever.
func TestWakeUps(t *testing.T) {
	const senders, receivers = 4, 4
	count := fdtest.Rounds(1500)
	for _, room := range []int{1, 3} {
		t.Run(fmt.Sprint(room), func(t *testing.T) {
			q := newQueue(t, room, 8)
			ctx, cancel := context.WithTimeout(context.Background(), 2*fdtest.Bound)
			defer cancel()
			ways := []string{"go", "raw", "go", "raw"}
			var lines []func() string
			var ends []func()
			for i := range receivers {
				line, end := talking(t, peer(ctx, t, "drain", ways[i], q.Name()))
				lines = append(lines, line)
				ends = append(ends, end)
			}
			// Some more here, so that several wait on one handle.
			var here, hereSum atomic.Uint64
			var wg sync.WaitGroup
			const local = 4
			for range local {
				wg.Go(func() {
					buf := make([]byte, 8)
					for {
						n, _, err := q.Receive(ctx, buf)
						if err != nil {
							t.Error(err)
						}
						if n == 0 || err != nil {
							return
						}
						here.Add(1)
						hereSum.Add(binary.LittleEndian.Uint64(buf))
					}
				})
			}
			var floods []func()
			for i := range senders {
				_, end := talking(t, peer(ctx, t, "flood", ways[i], q.Name(), fmt.Sprint(i), fmt.Sprint(count)))
				floods = append(floods, end)
			}
			for _, end := range floods {
				end()
			}
			for range receivers + local {
				check(t, q.Send(ctx, nil, 0)) // after all others
			}
			wg.Wait()
			got, sum := here.Load(), hereSum.Load()
			for i, line := range lines {
				var n, s uint64
				text := line()
				if k, err := fmt.Sscan(text, &n, &s); k != 2 {
					t.Fatal(text, err)
				}
				got, sum = got+n, sum+s
				ends[i]()
			}
			total := uint64(senders * count)
			if got != total || sum != total*(total+1)/2 {
				t.Errorf("%d messages with a sum of %d, not %d with %d", got, sum, total, total*(total+1)/2)
			}
			t.Logf("%d of %d here", here.Load(), total)
		})
	}
}

// With everything sent, one receiver has the priorities in order, and each sender's in the order in which they were sent.
func TestPriorityOfMany(t *testing.T) {
	q := newQueue(t, 10, 8)
	for range fdtest.Rounds(100) {
		var wg sync.WaitGroup
		for who := range 5 {
			s := openSender(t, q.Name())
			wg.Go(func() {
				for i := range 2 {
					if err := s.Send(context.Background(), []byte{byte(who), byte(i)}, rand.IntN(3)*16383); err != nil {
						t.Error(err)
					}
				}
				_ = s.Close()
			})
		}
		wg.Wait()
		last := mqueue.MaxPriority
		seen := map[[2]int]byte{}
		for range 10 {
			text, p := next(t, q)
			if p > last {
				t.Fatalf("priority %d after %d", p, last)
			}
			last = p
			key := [2]int{int(text[0]), p}
			if text[1] < seen[key] {
				t.Fatalf("message %d after %d of priority %d", text[1], seen[key], p)
			}
			seen[key] = text[1]
		}
	}
}

// What a stress logs is records of a fixed size, each written at once. One that a kill has cut short counts as not written.
const recordSize = 64

const stressSize = 256

// monotonic is a time that all processes share.
func monotonic() int64 {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		panic(err)
	}
	return ts.Nano()
}

type record struct {
	What       byte // of a sender: 'b' before, 's' sent, 'c' cancelled; of a receiver 'r'
	_          [3]byte
	ID, Seq    uint32
	Priority   uint32
	Begin, End int64
	_          [recordSize - 32]byte
}

func (r record) write(f *os.File) error {
	var b bytes.Buffer
	if err := binary.Write(&b, binary.LittleEndian, &r); err != nil {
		return err
	}
	_, err := f.Write(b.Bytes())
	return err
}

func readLog(t testing.TB, path string) []record {
	t.Helper()
	b, err := os.ReadFile(path)
	check(t, err)
	all := make([]record, len(b)/recordSize)
	if len(all) > 0 {
		check(t, binary.Read(bytes.NewReader(b), binary.LittleEndian, all))
	}
	return all
}

// stressMessage is one that shows whether it's whole: who, the how manieth, the priority, something, and a checksum.
func stressMessage(id, seq, priority uint32) []byte {
	msg := binary.LittleEndian.AppendUint32(nil, id)
	msg = binary.LittleEndian.AppendUint32(msg, seq)
	msg = binary.LittleEndian.AppendUint32(msg, priority)
	for range rand.IntN(stressSize - 16) {
		msg = append(msg, byte(rand.Uint32()))
	}
	return binary.LittleEndian.AppendUint32(msg, crc32.ChecksumIEEE(msg))
}

// impatient is a context that often is done before the call is.
func impatient() (context.Context, context.CancelFunc) {
	if rand.IntN(3) == 0 {
		return context.WithCancel(context.Background())
	}
	return context.WithTimeout(context.Background(), time.Duration(rand.IntN(300))*time.Microsecond)
}

func given(err error) bool {
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
}

// beSender sends until its input ends: the queue, its log, and who it is.
func beSender(args []string) error {
	s, err := mqueue.OpenSender(args[0], nil)
	if err != nil {
		return err
	}
	defer s.Close()
	log, err := os.OpenFile(args[1], os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	id, err := strconv.Atoi(args[2])
	if err != nil {
		return err
	}
	var stop atomic.Bool
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		stop.Store(true)
	}()
	for seq := uint32(1); !stop.Load(); seq++ {
		r := record{ID: uint32(id), Seq: seq, Priority: uint32(rand.IntN(4))}
		if r.Priority == 3 {
			r.Priority = mqueue.MaxPriority
		}
		msg := stressMessage(r.ID, r.Seq, r.Priority)
		for r.What != 's' {
			r.What = 'b'
			if err := r.write(log); err != nil {
				return err
			}
			ctx, cancel := impatient()
			r.Begin = monotonic()
			err := s.Send(ctx, msg, int(r.Priority))
			r.End = monotonic()
			cancel()
			if r.What = 's'; given(err) {
				r.What = 'c' // and not sent: else it comes twice
			} else if err != nil {
				return err
			}
			if err := r.write(log); err != nil {
				return err
			}
		}
	}
	return nil
}

// beReceiver receives until an empty message: the queue, and its log.
func beReceiver(args []string) error {
	q, err := mqueue.OpenReceiver(args[0], nil)
	if err != nil {
		return err
	}
	defer q.Close()
	log, err := os.OpenFile(args[1], os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	buf := make([]byte, stressSize)
	for {
		ctx, cancel := impatient()
		r := record{What: 'r', Begin: monotonic()}
		n, p, err := q.Receive(ctx, buf)
		r.End = monotonic()
		cancel()
		switch {
		case given(err):
			continue
		case err != nil:
			return err
		case n == 0:
			return nil
		}
		sum := n - 4
		if n < 16 || binary.LittleEndian.Uint32(buf[sum:n]) != crc32.ChecksumIEEE(buf[:sum]) || binary.LittleEndian.Uint32(buf[8:]) != uint32(p) {
			return fmt.Errorf("a message of %d bytes with priority %d isn't what was sent: %x", n, p, buf[:n])
		}
		r.ID, r.Seq, r.Priority = binary.LittleEndian.Uint32(buf), binary.LittleEndian.Uint32(buf[4:]), uint32(p)
		if err := r.write(log); err != nil {
			return err
		}
	}
}

// worker is a process of the stress.
type worker struct {
	log    string
	sends  bool
	killed bool
	kill   func()
	end    func() // its input
	wait   func() error
}

// stress is eight processes on a queue.
type stress struct {
	t     *testing.T
	ctx   context.Context
	queue *mqueue.Queue
	dir   string
	all   []*worker
}

func (s *stress) start(sends bool) *worker {
	s.t.Helper()
	id := len(s.all)
	w := &worker{log: filepath.Join(s.dir, fmt.Sprint(id)), sends: sends}
	role := []string{s.queue.Name(), w.log}
	cmd := peer(s.ctx, s.t, "work", role...)
	if sends {
		cmd = peer(s.ctx, s.t, "send", append(role, fmt.Sprint(id))...)
	}
	in, err := cmd.StdinPipe()
	check(s.t, err)
	check(s.t, cmd.Start())
	w.kill, w.end, w.wait = func() { _ = cmd.Process.Kill() }, func() { _ = in.Close() }, sync.OnceValue(cmd.Wait)
	s.t.Cleanup(func() { // where the test has failed meanwhile
		w.kill()
		w.end()
		_ = w.wait()
	})
	s.all = append(s.all, w)
	return w
}

// written is how many records the receivers, or the senders, have.
func (s *stress) written(sends bool) (n int64) {
	for _, w := range s.all {
		if fi, err := os.Stat(w.log); err == nil && w.sends == sends {
			n += fi.Size() / recordSize
		}
	}
	return n
}

// further waits until so many more have been received.
func (s *stress) further(n int) {
	s.t.Helper()
	before := s.written(false)
	until(s.t, func() bool { return s.written(false) >= before+int64(n) })
}

// Whatever is cancelled and killed, each message arrives once, whole, and in the order of the priorities. Of a receiver that is killed one message may be gone with it, and
// of a sender it isn't known whether it has sent one: that is all.
func TestStress(t *testing.T) {
	for name, kills := range map[string]int{"calm": 0, "kills": fdtest.Rounds(200)} { // where nobody is killed, nothing is uncertain
		t.Run(name, func(t *testing.T) { underStress(t, kills) })
	}
}

func underStress(t *testing.T, kills int) {
	ctx, cancel := context.WithTimeout(context.Background(), 4*fdtest.Bound)
	defer cancel()
	s := &stress{t: t, ctx: ctx, queue: newQueue(t, 5, stressSize), dir: t.TempDir()}
	var running []*worker
	for i := range 8 {
		running = append(running, s.start(i%2 == 0))
	}
	for range kills {
		s.further(1 + rand.IntN(40))
		i := rand.IntN(len(running))
		w := running[i]
		w.killed = true
		w.kill()
		if err := w.wait(); err == nil || ctx.Err() != nil {
			t.Fatalf("%v, %v", err, ctx.Err())
		}
		running[i] = s.start(w.sends)
	}
	s.further(fdtest.Rounds(10000))
	for _, sends := range []bool{true, false} {
		for _, w := range running {
			if w.sends != sends {
				continue
			}
			if sends {
				w.end()
			} else {
				check(t, s.queue.Send(ctx, nil, 0)) // behind all that was sent
			}
		}
		for _, w := range running {
			if w.sends != sends {
				continue
			}
			if err := w.wait(); err != nil {
				t.Errorf("a worker that wasn't killed: %v", err)
			}
		}
	}
	wantCount(t, s.queue, 0)
	s.verify()
}

type message struct{ id, seq uint32 }

func (s *stress) verify() {
	t := s.t
	t.Helper()
	sent, maybe, received := map[message]record{}, map[message]record{}, map[message]record{}
	var killedReceivers, killedSenders, cancelled int
	for _, w := range s.all {
		if w.killed && w.sends {
			killedSenders++
		} else if w.killed {
			killedReceivers++
		}
		if _, err := os.Stat(w.log); err != nil {
			if !w.killed {
				t.Error(err)
			}
			continue // killed before it had begun
		}
		log := readLog(t, w.log)
		last := map[[2]uint32]uint32{} // by sender and priority
		for i, r := range log {
			m := message{r.ID, r.Seq}
			switch r.What {
			case 's':
				sent[m] = r
				delete(maybe, m)
			case 'c':
				cancelled++
				delete(maybe, m)
			case 'b':
				maybe[m] = r
				if i+1 < len(log) && log[i+1].Seq != r.Seq || i+1 == len(log) && !w.killed {
					t.Errorf("%v isn't accounted for", m)
				}
			case 'r':
				if twice, ok := received[m]; ok {
					t.Errorf("%v has arrived twice: %+v, %+v", m, r, twice)
				}
				received[m] = r
				key := [2]uint32{r.ID, r.Priority}
				if last[key] >= r.Seq {
					t.Errorf("%v after %d of the same priority", m, last[key])
				}
				last[key] = r.Seq
			}
		}
	}
	if len(maybe) > killedSenders {
		t.Errorf("%d messages are uncertain, of %d senders that were killed", len(maybe), killedSenders)
	}
	missing := 0
	for m := range sent {
		if _, ok := received[m]; !ok {
			missing++
		}
	}
	if missing > killedReceivers {
		t.Errorf("%d messages are missing, and %d receivers were killed", missing, killedReceivers)
	}
	for m, r := range received {
		before, ok := sent[m]
		if !ok {
			before, ok = maybe[m]
		}
		if !ok || before.Priority != r.Priority {
			t.Errorf("%v was received with priority %d, and sent with %d, %t", m, r.Priority, before.Priority, ok)
		}
	}
	t.Logf("%d sent, %d received, %d cancelled, %d uncertain, %d missing; %d senders and %d receivers killed", len(sent), len(received), cancelled, len(maybe), missing, killedSenders, killedReceivers)
	inOrder(t, sent, received)
}

// inOrder looks for a message that was received while another of a higher priority was there: sent before the call that received it began, and received by a call that began after it had ended.
func inOrder(t *testing.T, sent, received map[message]record) {
	t.Helper()
	type stay struct {
		priority   uint32
		from, till int64 // when it was there for certain
	}
	var stays []stay
	for m, s := range sent {
		if r, ok := received[m]; ok && s.End < r.Begin {
			stays = append(stays, stay{s.Priority, s.End, r.Begin})
		}
	}
	slices.SortFunc(stays, func(a, b stay) int { return int(min(max(a.from-b.from, -1), 1)) })
	var longest int64
	for _, s := range stays {
		longest = max(longest, s.till-s.from)
	}
	compared := 0
	for m, r := range received {
		i, _ := slices.BinarySearchFunc(stays, r.Begin-longest, func(s stay, at int64) int { return int(min(max(s.from-at, -1), 1)) })
		for ; i < len(stays) && stays[i].from <= r.Begin; i++ {
			if stays[i].till < r.End {
				continue
			}
			if compared++; stays[i].priority > r.Priority {
				t.Errorf("%v with priority %d was received while one with %d was there", m, r.Priority, stays[i].priority)
			}
		}
	}
	t.Logf("%d messages were there while another was received", compared)
}
