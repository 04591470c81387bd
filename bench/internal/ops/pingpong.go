//go:build linux

package ops

import (
	"context"
	"os"

	"github.com/fildes/fildes/eventfd"
)

// In a ping-pong two goroutines wake each other in turn; an operation is there and back. Each waits before it is woken, so that
// every wait parks, unless the other side runs on another core and is fast.

func pingPong() (Run, func()) {
	return counterPingPong(context.Background(), func() {})
}

func pingPongContext() (Run, func()) {
	return counterPingPong(context.WithCancel(context.Background()))
}

func counterPingPong(ctx context.Context, cancel func()) (Run, func()) {
	there, back := must(eventfd.New(nil)), must(eventfd.New(nil))
	run := func(n int, clock Clock) {
		wait := partner(func() {
			for range n {
				if _, err := there.Wait(ctx); err != nil {
					fail(err)
				}
				if err := back.Add(ctx, 1); err != nil {
					fail(err)
				}
			}
		})
		clock.StartTimer()
		for range n {
			if err := there.Add(ctx, 1); err != nil {
				fail(err)
			}
			if _, err := back.Wait(ctx); err != nil {
				fail(err)
			}
		}
		clock.StopTimer()
		wait()
	}
	return run, func() {
		check(there.Close())
		check(back.Close())
		cancel()
	}
}

// pingPongNewContexts waits for each answer with a context that the Counter hasn't seen.
func pingPongNewContexts() (Run, func()) {
	there, back := must(eventfd.New(nil)), must(eventfd.New(nil))
	bg := context.Background()
	run := func(n int, clock Clock) {
		ctxs, cancels := make([]context.Context, n), make([]func(), n)
		for i := range n {
			ctxs[i], cancels[i] = context.WithCancel(bg)
		}
		wait := partner(func() {
			for range n {
				if _, err := there.Wait(bg); err != nil {
					fail(err)
				}
				if err := back.Add(bg, 1); err != nil {
					fail(err)
				}
			}
		})
		clock.StartTimer()
		for _, ctx := range ctxs {
			if err := there.Add(bg, 1); err != nil {
				fail(err)
			}
			if _, err := back.Wait(ctx); err != nil {
				fail(err)
			}
		}
		clock.StopTimer()
		wait()
		for _, cancel := range cancels {
			cancel()
		}
	}
	return run, func() {
		check(there.Close())
		check(back.Close())
	}
}

func filePingPong() (Run, func()) {
	there, back := eventFile(), eventFile()
	run := func(n int, clock Clock) {
		wait := partner(func() {
			one, got := word()
			for range n {
				if _, err := there.Read(got); err != nil {
					fail(err)
				}
				if _, err := back.Write(one); err != nil {
					fail(err)
				}
			}
		})
		one, got := word()
		clock.StartTimer()
		for range n {
			if _, err := there.Write(one); err != nil {
				fail(err)
			}
			if _, err := back.Read(got); err != nil {
				fail(err)
			}
		}
		clock.StopTimer()
		wait()
	}
	return run, func() { closeFiles(there, back) }
}

func closeFiles(fs ...*os.File) {
	for _, f := range fs {
		check(f.Close())
	}
}

// partner runs f in a goroutine and returns once that has begun; what it returns waits for the end.
func partner(f func()) (wait func()) {
	begun, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		close(begun)
		f()
	}()
	<-begun
	return func() { <-ended }
}
