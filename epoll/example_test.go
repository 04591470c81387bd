//go:build linux

package epoll_test

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/fildes/fildes/epoll"
)

// One goroutine serves two pipes.
func Example() {
	p, err := epoll.New[string](nil)
	if err != nil {
		log.Fatal(err)
	}
	defer p.Close()
	for _, name := range []string{"left", "right"} {
		r, w, err := os.Pipe()
		if err != nil {
			log.Fatal(err)
		}
		defer r.Close()
		if _, err := p.Add(r, epoll.Readable, name); err != nil {
			log.Fatal(err)
		}
		w.Close()
	}
	served := map[string]epoll.Events{}
	for ev, err := range p.Events(context.Background()) {
		if err != nil {
			log.Fatal(err)
		}
		served[ev.Value] = ev.Events
		if err := ev.Registration.Remove(); err != nil {
			log.Fatal(err)
		}
		if p.Len() == 0 {
			break
		}
	}
	fmt.Println(served)
	// Output: map[left:Hangup right:Hangup]
}
