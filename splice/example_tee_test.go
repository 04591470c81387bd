//go:build linux

package splice_test

import (
	"context"
	"fmt"
	"io"
	"log"

	"github.com/fildes/fildes/pipe"
	"github.com/fildes/fildes/splice"
)

// Two pipes get the same bytes, which are in memory once.
func ExampleTee() {
	ctx := context.Background()
	in, feed, err := pipe.New(nil)
	if err != nil {
		log.Fatal(err)
	}
	defer in.Close()
	first, w1, err := pipe.New(nil)
	if err != nil {
		log.Fatal(err)
	}
	defer first.Close()
	second, w2, err := pipe.New(nil)
	if err != nil {
		log.Fatal(err)
	}
	defer second.Close()
	_, _ = feed.Write([]byte("for both"))
	_ = feed.Close()
	for {
		n, err := splice.Tee(ctx, w1, in, 1<<20) // in still has them
		if err == io.EOF {
			break
		}
		if err != nil {
			log.Fatal(err)
		}
		if _, err := splice.Splice(ctx, w2, in, n, nil); err != nil {
			log.Fatal(err)
		}
	}
	_, _ = w1.Close(), w2.Close()
	a, _ := io.ReadAll(first)
	b, _ := io.ReadAll(second)
	fmt.Printf("%s, %s\n", a, b)
	// Output: for both, for both
}
