//go:build linux

package ops

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes/pidfd"
)

// family is how many children are waited for at a time.
const family = 1000

// waitedFor measures how long it takes until children are known to have ended and are reaped, from when they end. Each is waited for by a goroutine.
func waitedFor(wait func(cmd *exec.Cmd) (ready func() error)) Setup {
	return func() (Run, func()) {
		run := func(n int, clock Clock) {
			for range n {
				end, done := raise(wait)
				clock.StartTimer()
				end()
				done()
				clock.StopTimer()
			}
		}
		return run, func() {}
	}
}

// raise starts children, and a goroutine for each that waits. The first function that it returns ends them, the second waits for the goroutines.
func raise(wait func(cmd *exec.Cmd) (ready func() error)) (end, done func()) {
	gate, let := must2(os.Pipe())
	var wg sync.WaitGroup
	for range family {
		cmd := exec.Command("/bin/cat")
		cmd.Stdin = gate
		ready := wait(cmd)
		wg.Go(func() { check(ready()) })
	}
	check(gate.Close())
	time.Sleep(50 * time.Millisecond) // until the last one waits
	return func() { check(let.Close()) }, wg.Wait
}

func ourWait(cmd *exec.Cmd) func() error {
	p := must(pidfd.Start(cmd))
	return func() error {
		s, err := p.Wait(context.Background())
		if err == nil && !s.Success() {
			err = fmt.Errorf("a child: %v", s)
		}
		check(cmd.Wait())
		closeAll(p)
		return err
	}
}

func osWait(cmd *exec.Cmd) func() error {
	check(cmd.Start())
	return func() error {
		s, err := cmd.Process.Wait()
		if err == nil && !s.Success() {
			err = fmt.Errorf("a child: %v", s)
		}
		return err
	}
}

// threadsWaiting is how many threads more there are while all wait, or how many are in waitid(2): threads that have nothing to do stay for the next time.
func threadsWaiting(wait func(cmd *exec.Cmd) (ready func() error)) func() float64 {
	return func() float64 {
		before := len(must(os.ReadDir("/proc/self/task")))
		end, done := raise(wait)
		tasks := must(os.ReadDir("/proc/self/task"))
		asleep := 0
		for _, task := range tasks {
			call, err := os.ReadFile("/proc/self/task/" + task.Name() + "/syscall")
			if err == nil && strings.HasPrefix(string(call), fmt.Sprint(unix.SYS_WAITID, " ")) {
				asleep++
			}
		}
		end()
		done()
		return float64(max(len(tasks)-before, asleep))
	}
}
