//go:build linux

package mqueue_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"github.com/fildes/fildes/mqueue"
)

// exampleName is a queue of this process alone; a program has a name that others know, like "/jobs".
func exampleName(what string) string { return fmt.Sprintf("/fildes-example-%s-%d", what, os.Getpid()) }

// A work queue: whoever sends says how urgent it is, and workers, in as many processes as there may be, take the most urgent first. With SIGTERM a worker finishes what it has
// taken, and leaves the rest in the queue for others. (TestWorkQueue has them in processes of their own.)
func Example() {
	name := exampleName("jobs")
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()

	jobs, err := mqueue.OpenReceiver(name, &mqueue.Options{Create: true, MaxMessages: 10, MessageSize: 256})
	if err != nil {
		log.Fatal(err)
	}
	defer jobs.Close()
	defer func() { _ = mqueue.Unlink(name) }()

	// In other processes:
	clients, err := mqueue.OpenSender(name, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer clients.Close()
	for _, job := range []struct {
		text     string
		priority int
	}{{"tidy up", 0}, {"resize a picture", 5}, {"put out the fire", 9}, {"resize another", 5}} {
		if err := clients.Send(ctx, []byte(job.text), job.priority); err != nil {
			log.Fatal(err)
		}
	}

	done := 0
	for job, err := range jobs.Messages(ctx) {
		if errors.Is(err, context.Canceled) {
			break
		}
		if err != nil {
			log.Fatal(err)
		}
		if done++; done == 3 {
			stop() // as SIGTERM does
		}
		fmt.Printf("%d: %s\n", job.Priority, job.Data)
	}
	a, err := jobs.Attr()
	fmt.Println("left for others:", a.Messages, err)
	// Output:
	// 9: put out the fire
	// 5: resize a picture
	// 5: resize another
	// left for others: 1 <nil>
}

// Several workers share one handle; each message goes to one of them.
func ExampleReceiver_Messages() {
	name := exampleName("messages")
	q, err := mqueue.Open(name, &mqueue.Options{Create: true, MaxMessages: 2, MessageSize: 8})
	if err != nil {
		log.Fatal(err)
	}
	defer q.Close()
	defer func() { _ = mqueue.Unlink(name) }()
	ctx, cancel := context.WithCancel(context.Background())
	var workers, messages sync.WaitGroup
	for range 3 {
		workers.Go(func() {
			for m, err := range q.Messages(ctx) {
				if err != nil {
					return // ctx is done, or q closed
				}
				_ = m.Data // which is ours
				messages.Done()
			}
		})
	}
	for range 10 {
		messages.Add(1)
		if err := q.Send(ctx, []byte("work"), 0); err != nil { // waits while there are two
			log.Fatal(err)
		}
	}
	messages.Wait()
	cancel()
	workers.Wait()
	a, err := q.Attr()
	fmt.Println(a.Messages, err)
	// Output: 0 <nil>
}

// A buffer that is too small is refused before anything is taken, and the error says how large it must be.
func ExampleSizeError() {
	name := exampleName("size")
	q, err := mqueue.Open(name, &mqueue.Options{Create: true, MaxMessages: 1, MessageSize: 100})
	if err != nil {
		log.Fatal(err)
	}
	defer q.Close()
	defer func() { _ = mqueue.Unlink(name) }()
	if err := q.Send(context.Background(), []byte("hello"), 0); err != nil {
		log.Fatal(err)
	}
	buf := make([]byte, 10)
	_, _, err = q.Receive(context.Background(), buf)
	if e, ok := errors.AsType[*mqueue.SizeError](err); ok {
		fmt.Println(e)
		buf = make([]byte, e.MessageSize)
	}
	n, _, err := q.Receive(context.Background(), buf)
	fmt.Printf("%s %v\n", buf[:n], err)
	// Output:
	// a buffer of 10 bytes is too small: messages have up to 100
	// hello <nil>
}

// What is in all queues. It takes CAP_SYS_ADMIN, or the file system mounted at /dev/mqueue.
func ExampleList() {
	entries, err := mqueue.List()
	if err != nil {
		log.Fatal(err)
	}
	for _, e := range entries {
		if e.Err != nil { // it isn't ours to read
			fmt.Println(e.Name, "of user", e.Status.UID)
			continue
		}
		fmt.Printf("%s: %d of %d messages, %d bytes\n", e.Name, e.Status.Messages, e.Status.MaxMessages, e.Status.Bytes)
	}
}

// To be told of a message without taking it.
func ExampleReceiver_Notify() {
	ctx := context.Background()
	r, err := mqueue.OpenReceiver("/jobs", nil)
	if err != nil {
		log.Fatal(err)
	}
	defer r.Close()
	for {
		n, err := r.Notify()
		if err != nil {
			log.Fatal(err) // EBUSY: another process is registered
		}
		// A message that came before isn't told of.
		if a, err := r.Attr(); err != nil || a.Messages > 0 {
			fmt.Println(a.Messages, "messages are there", err)
			_ = n.Close()
			return
		}
		err = n.Wait(ctx)
		_ = n.Close()
		if err != nil {
			log.Fatal(err)
		}
	}
}
