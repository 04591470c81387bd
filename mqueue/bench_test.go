//go:build linux

package mqueue_test

import (
	"context"
	"testing"
	"time"

	"github.com/fildes/fildes/internal/fdtest"
	"github.com/fildes/fildes/mqueue"
)

const benchSize = 64

func sendReceive(ctx context.Context, b *testing.B, q *mqueue.Queue) {
	b.Helper()
	msg, buf := make([]byte, benchSize), make([]byte, benchSize)
	b.ReportAllocs()
	for b.Loop() {
		if err := q.Send(ctx, msg, 1); err != nil {
			b.Fatal(err)
		}
		if _, _, err := q.Receive(ctx, buf); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSendReceive(b *testing.B) {
	sendReceive(context.Background(), b, newQueue(b, 2, benchSize))
}

func BenchmarkSendReceiveCancellable(b *testing.B) {
	sendReceive(b.Context(), b, newQueue(b, 2, benchSize))
}

// Once Go's poller has the descriptor, each operation is dearer in the kernel.
func BenchmarkSendReceiveRegistered(b *testing.B) {
	q := newQueue(b, 2, benchSize)
	ctx, cancel := context.WithTimeout(b.Context(), time.Millisecond)
	defer cancel()
	if _, _, err := q.Receive(ctx, make([]byte, benchSize)); err == nil {
		b.Fatal("there was a message")
	}
	sendReceive(context.Background(), b, q)
}

// withNumber lends a blocking description out.
func withNumber(b *testing.B, q *mqueue.Queue, do func(num int)) {
	b.Helper()
	f, err := q.Inherit()
	check(b, err)
	defer f.Close()
	raw, err := f.SyscallConn()
	check(b, err)
	check(b, raw.Control(func(fd uintptr) { do(int(fd)) }))
}

func BenchmarkSendReceiveRaw(b *testing.B) {
	withNumber(b, newQueue(b, 2, benchSize), func(num int) {
		msg, buf := make([]byte, benchSize), make([]byte, benchSize)
		b.ReportAllocs()
		for b.Loop() {
			if err := blockingSend(num, msg, 1); err != nil {
				b.Error(err)
				return
			}
			if _, _, err := blockingReceive(num, buf); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

// Two goroutines, each of which waits for the other.
func BenchmarkPingPong(b *testing.B) {
	there, back := newQueue(b, 1, benchSize), newQueue(b, 1, benchSize)
	ctx, cancel := context.WithCancel(b.Context())
	echo := fdtest.Go(b, func() error {
		buf := make([]byte, benchSize)
		for {
			n, p, err := there.Receive(ctx, buf)
			if err == nil {
				err = back.Send(ctx, buf[:n], p)
			}
			if err != nil {
				return err
			}
		}
	})
	msg, buf := make([]byte, benchSize), make([]byte, benchSize)
	b.ReportAllocs()
	for b.Loop() {
		if err := there.Send(ctx, msg, 0); err != nil {
			b.Fatal(err)
		}
		if _, _, err := back.Receive(ctx, buf); err != nil {
			b.Fatal(err)
		}
	}
	cancel()
	wantIs(b, echo.Err(), context.Canceled)
}

// The same with two threads that block in the kernel.
func BenchmarkPingPongThreads(b *testing.B) {
	withNumber(b, newQueue(b, 1, benchSize), func(there int) {
		withNumber(b, newQueue(b, 1, benchSize), func(back int) {
			echo := fdtest.Go(b, func() error {
				buf := make([]byte, benchSize)
				for {
					n, p, err := blockingReceive(there, buf)
					if err == nil && n > 0 {
						err = blockingSend(back, buf[:n], p)
					}
					if n == 0 || err != nil {
						return err
					}
				}
			})
			msg, buf := make([]byte, benchSize), make([]byte, benchSize)
			for b.Loop() {
				if err := blockingSend(there, msg, 0); err != nil {
					b.Error(err)
					return
				}
				if _, _, err := blockingReceive(back, buf); err != nil {
					b.Error(err)
					return
				}
			}
			check(b, blockingSend(there, nil, 0))
			check(b, echo.Err())
		})
	})
}

func BenchmarkOpenClose(b *testing.B) {
	name := newQueue(b, 1, benchSize).Name()
	b.ReportAllocs()
	for b.Loop() {
		q, err := mqueue.Open(name, nil)
		if err != nil {
			b.Fatal(err)
		}
		if err := q.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
