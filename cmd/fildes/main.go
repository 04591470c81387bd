//go:build linux

// Command fildes tells what the running kernel can do with each kind of file descriptor that the module fildes knows.
//
// "fildes doctor" tries them, through the module's public API; "fildes help" says more.
package main

import "os"

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }
