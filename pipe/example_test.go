//go:build linux

package pipe_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/fildes/fildes/pipe"
)

// A read that obeys a context.
func Example() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	r, w, err := pipe.New(nil)
	if err != nil {
		log.Fatal(err)
	}
	defer r.Close()
	go func() {
		_, _ = io.WriteString(w, "hello")
		_ = w.Close()
	}()
	b := make([]byte, 100)
	n, err := r.ReadContext(ctx, b)
	fmt.Printf("%q %v\n", b[:n], err)
	_, err = r.ReadContext(ctx, b)
	fmt.Println(err)
	// Output:
	// "hello" <nil>
	// EOF
}

// The output of a child, read with a context.
func ExampleWriter_Inherit() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	r, w, err := pipe.New(nil)
	if err != nil {
		log.Fatal(err)
	}
	defer r.Close()
	out, err := w.Inherit()
	if err != nil {
		log.Fatal(err)
	}
	cmd := exec.Command("echo", "hello")
	cmd.Stdout = out
	err = cmd.Start()
	_, _ = out.Close(), w.Close() // the child has its own
	if err != nil {
		log.Fatal(err)
	}
	b := make([]byte, 100)
	n, err := r.ReadContext(ctx, b)
	fmt.Printf("%q %v\n", b[:n], err)
	_ = cmd.Wait()
}

// A server on a FIFO goes on when a client has gone.
func ExampleOpenReader() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	path := filepath.Join(dir, "requests")
	server, err := pipe.OpenReader(ctx, path, &pipe.OpenOptions{Survive: true, Create: true, Perm: 0o622, RemoveOnClose: true})
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()
	go func() {
		for i := range 3 { // each client opens, writes a line and closes
			client, err := pipe.OpenWriter(ctx, path, nil)
			if err != nil {
				log.Fatal(err)
			}
			if _, err := fmt.Fprintf(client, "request %d\n", i); err != nil {
				log.Fatal(err)
			}
			client.Close()
		}
	}()
	lines := bufio.NewScanner(server)
	for range 3 {
		lines.Scan()
		fmt.Println(lines.Text())
	}
	// Output:
	// request 0
	// request 1
	// request 2
}

// Packets keep their lengths, and one that was cut says so.
func ExampleOptions_packet() {
	r, w, err := pipe.New(&pipe.Options{Packet: true})
	if err != nil {
		log.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	for _, s := range []string{"short", "rather long"} {
		if _, err := io.WriteString(w, s); err != nil {
			log.Fatal(err)
		}
	}
	b := make([]byte, 6)
	for range 2 {
		n, err := r.Read(b)
		fmt.Printf("%q %v\n", b[:n], err)
	}
	// Output:
	// "short" <nil>
	// "rather" pipe: read: a packet of 11 bytes was cut to the buffer's 6: short buffer
}
