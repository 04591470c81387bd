//go:build linux

package signalfd

import (
	"fmt"
	"os"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes/internal/sys"
)

// benched is blocked from the beginning of a process that runs benchmarks: see TestMain.
const benched = Last

// queueMany queues n signals with values.
func queueMany(b *testing.B, n int) {
	for k := range n {
		check(b, Queue(os.Getpid(), benched, Value{Int: int32(k)}))
	}
}

func BenchmarkReadBatch(b *testing.B) {
	for _, n := range []int{1, 64} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			r := newReceiverOf(b, benched)
			dst := make([]Info, batchSize)
			sum := 0
			b.ReportAllocs()
			for b.Loop() {
				b.StopTimer()
				queueMany(b, n)
				b.StartTimer()
				if k, err := r.ReadBatch(b.Context(), dst); k != n || err != nil {
					b.Fatal(k, err)
				}
				for k := range n {
					v, _ := dst[k].Value()
					sum += int(dst[k].Signal) + int(v.Int)
				}
			}
		})
	}
}

// The same through x/sys, without decoding.
func BenchmarkReadBatchRaw(b *testing.B) {
	for _, n := range []int{1, 64} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			set := SetOf(benched)
			fd, err := sys.SignalFD(-1, sys.SignalSet{set.low, set.high})
			check(b, err)
			defer func() { check(b, unix.Close(fd)) }()
			buf := make([]byte, batchSize*recordSize)
			sum := 0
			for b.Loop() {
				b.StopTimer()
				queueMany(b, n)
				b.StartTimer()
				if size, err := unix.Read(fd, buf); size != n*recordSize || err != nil {
					b.Fatal(size, err)
				}
				for k := range n {
					info := (*unix.SignalfdSiginfo)(unsafe.Pointer(&buf[k*recordSize]))
					sum += int(info.Signo) + int(info.Int)
				}
			}
		})
	}
}

// What is done for each record, the kernel's part left out.
func BenchmarkDecode(b *testing.B) {
	var i Info
	sum := 0
	record, err := queued(benched, Value{Int: 1})
	check(b, err)
	b.ReportAllocs()
	for b.Loop() {
		decode(&i, &record, native)
		v, _ := i.Value()
		sum += int(v.Int)
	}
	if sum != b.N {
		b.Fatal(sum, b.N)
	}
}

// A signal that this process sends itself until it is in hand.
func BenchmarkNotify(b *testing.B) {
	r := notify(b, Notify, SIGUSR1)
	b.ReportAllocs()
	for b.Loop() {
		check(b, unix.Kill(os.Getpid(), unix.SIGUSR1))
		if i, err := r.Read(b.Context()); err != nil || i.Signal != SIGUSR1 {
			b.Fatal(i, err)
		}
	}
}
