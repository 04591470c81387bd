//go:build !linux

// Command fildes runs on Linux only.
package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "fildes: runs on Linux only")
	os.Exit(1)
}
