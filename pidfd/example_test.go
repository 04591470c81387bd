//go:build linux

package pidfd_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/fildes/fildes/internal/fdtest"
	"github.com/fildes/fildes/pidfd"
	"github.com/fildes/fildes/signalfd"
)

// A child is waited for with a context, and asked to end: it and no other.
func ExampleStart() {
	cmd := exec.Command("sleep", "1000")
	p, err := pidfd.Start(cmd)
	if err != nil {
		log.Fatal(err)
	}
	defer p.Close()
	if _, ended, err := p.TryWait(); ended || err != nil {
		log.Fatal(err)
	}
	if err := p.Signal(signalfd.SIGTERM); err != nil {
		log.Fatal(err)
	}
	state, err := p.Wait(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(state) // signal SIGTERM
	_ = cmd.Wait()     // it doesn't wait any more
}

// supervise keeps n children running, and starts each that ends again, until ctx is done: then they are asked to end, and are gone when it returns. A child takes a goroutine, and no thread.
func supervise(ctx context.Context, n int, command func(i int) *exec.Cmd, ended func(i int, s pidfd.State)) {
	var wg sync.WaitGroup
	var starting sync.Mutex // because starting takes a thread, until the child runs
	for i := range n {
		wg.Go(func() {
			for ctx.Err() == nil {
				cmd := command(i)
				starting.Lock()
				p, err := pidfd.Start(cmd)
				starting.Unlock()
				if err != nil {
					log.Print(err)
					return
				}
				state, err := p.Wait(ctx)
				if ctx.Err() != nil {
					_ = p.Signal(signalfd.SIGTERM)
					state, err = p.Wait(context.Background())
				}
				if err != nil {
					log.Print(err)
				}
				_ = cmd.Wait() // which doesn't wait any more
				ended(i, state)
				_ = p.Close()
			}
		})
	}
	wg.Wait()
}

// A thousand children are supervised by goroutines, without a thread each.
func Example_supervise() {
	ctx, stop := context.WithTimeout(context.Background(), time.Minute)
	defer stop()
	supervise(ctx, 1000, func(int) *exec.Cmd {
		return exec.Command("worker")
	}, func(i int, s pidfd.State) {
		log.Printf("worker %d: %v", i, s)
	})
}

func TestSupervise(t *testing.T) {
	fdtest.NeedPidfd(t)
	fdtest.NeedProgram(t, "sh")
	n := fdtest.Rounds(1000)
	ctx, stop := context.WithTimeout(t.Context(), 5*time.Minute)
	defer stop()
	gate, let, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer gate.Close()
	defer let.Close()
	before, most := threads(t), 0
	var mu sync.Mutex
	started, states := 0, map[string]int{}
	supervise(ctx, n, func(i int) *exec.Cmd {
		mu.Lock()
		defer mu.Unlock()
		if started++; started > n {
			if most = max(most, threads(t)-before); started == 2*n { // all have been started again
				stop()
			}
			return exec.Command("sleep", "1000")
		}
		if started == n { // and all that were started first end
			let.Close()
		}
		cmd := exec.Command("sh", "-c", "read _; exit "+fmt.Sprint(i%2))
		cmd.Stdin = gate
		return cmd
	}, func(_ int, s pidfd.State) {
		mu.Lock()
		defer mu.Unlock()
		states[s.String()]++
	})
	if states["exit status 0"] != n/2 || states["exit status 1"] != n/2 || states["signal SIGTERM"] == 0 || states["signal SIGTERM"] > n || len(states) != 3 || started < 2*n {
		t.Error(n, started, states)
	}
	if most > 20 {
		t.Errorf("%d more threads", most)
	}
}

func threads(t *testing.T) int {
	entries, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Error(err)
	}
	return len(entries)
}

// What another process has: its parent, and its user.
func ExampleProcess_Info() {
	p, err := pidfd.Self()
	if err != nil {
		log.Fatal(err)
	}
	defer p.Close()
	info, err := p.Info()
	if err != nil {
		log.Fatal(err)
	}
	pid, err := p.PID()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(info.PID == pid, info.Parent, info.User.Effective) // true 4710 1000
}
