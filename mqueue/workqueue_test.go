//go:build linux

package mqueue_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"os/signal"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/fildes/fildes/internal/fdtest"
	"github.com/fildes/fildes/mqueue"
)

// beWorker is a worker of [Example] in a process of its own: it says what it has done, a line for each job, and with SIGTERM finishes the one that it has.
func beWorker(args []string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	jobs, err := mqueue.OpenReceiver(args[0], nil)
	if err != nil {
		return err
	}
	defer jobs.Close()
	fmt.Println("ready")
	for job, err := range jobs.Messages(ctx) {
		if errors.Is(err, context.Canceled) {
			return nil
		}
		if err != nil {
			return err
		}
		fmt.Println(job.Priority, string(job.Data))
	}
	return nil
}

// Workers in three processes share a queue. Two are told to end in the middle; each job is done once nevertheless.
func TestWorkQueue(t *testing.T) {
	q := newQueue(t, 4, 16)
	type worker struct {
		cmd   *exec.Cmd
		lines *bufio.Scanner
		done  chan []string
	}
	workers := make([]worker, 3)
	for i := range workers {
		w := &workers[i]
		w.cmd = peer(bounded(t), t, "worker", q.Name())
		out, err := w.cmd.StdoutPipe()
		check(t, err)
		check(t, w.cmd.Start())
		w.lines, w.done = bufio.NewScanner(out), make(chan []string, 1)
		if !w.lines.Scan() || w.lines.Text() != "ready" {
			t.Fatalf("a worker says %q, %v", w.lines.Text(), w.lines.Err())
		}
		go func() {
			var done []string
			for w.lines.Scan() {
				done = append(done, w.lines.Text())
			}
			w.done <- done
		}()
	}
	end := func(w *worker) []string {
		check(t, w.cmd.Process.Signal(syscall.SIGTERM))
		done := <-w.done
		if err := w.cmd.Wait(); err != nil {
			t.Errorf("a worker has ended with %v", err)
		}
		return done
	}
	n := fdtest.Rounds(2000)
	var want, got []string
	for i := range n {
		job, priority := strconv.Itoa(i), i%3
		want = append(want, fmt.Sprint(priority, " ", job))
		check(t, q.Send(bounded(t), []byte(job), priority))
		if i == n/3 || i == 2*n/3 {
			got = append(got, end(&workers[i/(n/3)-1])...)
		}
	}
	for ctx, left := bounded(t), 1; left > 0; time.Sleep(time.Millisecond) { // the last worker is at it
		check(t, ctx.Err())
		a, err := q.Attr()
		check(t, err)
		left = a.Messages
	}
	got = append(got, end(&workers[2])...)
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("%d jobs were done, not each of %d once", len(got), len(want))
	}
}
