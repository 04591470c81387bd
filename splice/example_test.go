//go:build linux

package splice_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"os"

	"github.com/fildes/fildes/splice"
)

// What a pipe gives goes to a file, and the result says how.
func Example() {
	ctx := context.Background()
	r, w, err := os.Pipe()
	if err != nil {
		log.Fatal(err)
	}
	defer r.Close()
	f, err := os.CreateTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = os.Remove(f.Name()) }()
	defer f.Close()
	_, _ = w.WriteString("a few bytes")
	_ = w.Close()
	c, err := splice.Copy(ctx, f, r)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(c.Bytes, "bytes by", c.Way)
	// Output: 11 bytes by splice
}

// A proxy for TCP whose bytes don't pass through the program.
func ExampleRelay() {
	ctx := context.Background()
	proxy := func(l net.Listener, backend string) {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer client.Close()
				server, err := net.Dial("tcp", backend)
				if err != nil {
					log.Print(err)
					return
				}
				defer server.Close()
				r := splice.NewRelay(client.(*net.TCPConn), server.(*net.TCPConn))
				if err := r.Run(ctx); err != nil {
					log.Print(err)
				}
			}()
		}
	}

	// A server that sends back what it gets, behind the proxy.
	backend, front := listen(), listen()
	defer backend.Close()
	defer front.Close()
	go func() {
		c, err := backend.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		if _, err := splice.Copy(ctx, c.(*net.TCPConn), c.(*net.TCPConn)); err != nil {
			log.Print(err)
		}
	}()
	go proxy(front, backend.Addr().String())
	c, err := net.Dial("tcp", front.Addr().String())
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	_, _ = io.WriteString(c, "echo")
	_ = c.(*net.TCPConn).CloseWrite()
	b, err := io.ReadAll(c)
	fmt.Printf("%s %v\n", b, err)
	// Output: echo <nil>
}

func listen() net.Listener {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	return l
}
