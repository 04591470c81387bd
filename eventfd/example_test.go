//go:build linux

package eventfd_test

import (
	"context"
	"fmt"
	"log"

	"github.com/fildes/fildes/eventfd"
)

// A counter tells how often something has happened since the last look.
func Example() {
	ctx := context.Background()
	c, err := eventfd.New(nil)
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	for range 3 {
		if err := c.Add(ctx, 1); err != nil {
			log.Fatal(err)
		}
	}
	n, err := c.Wait(ctx)
	fmt.Println(n, err)
	// Output: 3 <nil>
}

// A semaphore lets so many in at a time, goroutines of this and of other processes.
func ExampleOptions_semaphore() {
	ctx := context.Background()
	s, err := eventfd.New(&eventfd.Options{Initial: 2, Semaphore: true})
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()
	for range 2 {
		if _, err := s.Wait(ctx); err != nil { // enter
			log.Fatal(err)
		}
	}
	_, ok, err := s.TryWait()
	fmt.Println("a third may enter:", ok, err)
	if err := s.Add(ctx, 1); err != nil { // leave
		log.Fatal(err)
	}
	_, ok, err = s.TryWait()
	fmt.Println("after one has left:", ok, err)
	// Output:
	// a third may enter: false <nil>
	// after one has left: true <nil>
}
