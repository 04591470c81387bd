//go:build linux

package main_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"syscall"

	"github.com/fildes/fildes/signalfd"
)

// receiveVariable makes the test program a command that prints each signal that it gets, until its standard input ends. If the value is "leave" it leaves its process group, and ends with SIGHUP.
const receiveVariable = "FILDES_TEST_RECEIVE"

// receiving is the environment of such a command. With the race detector, it doesn't wait for a second at its end.
func receiving(how string) []string {
	return append(os.Environ(), receiveVariable+"="+how, "GORACE=atexit_sleep_ms=0")
}

func receive() int {
	leave := os.Getenv(receiveVariable) == "leave"
	if leave {
		if err := syscall.Setpgid(0, 0); err != nil {
			fmt.Println(err)
			return 1
		}
	}
	r, err := signalfd.Notify(slices.Collect(signalfd.All().Difference(signalfd.Reserved()).Signals())...)
	if err != nil {
		fmt.Println(err)
		return 1
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if !leave { // who isn't in the foreground can't read
		go func() {
			_, _ = io.Copy(io.Discard, os.Stdin)
			cancel()
		}()
	}
	fmt.Println("ready")
	for i, err := range r.Events(ctx) {
		if errors.Is(err, context.Canceled) {
			return 0
		}
		if err != nil {
			fmt.Println(err)
			return 1
		}
		v, _ := i.Value()
		fmt.Println(i.Signal, i.CodeName(), v.Int, v.Pointer)
		if leave && i.Signal == signalfd.SIGHUP {
			return 0
		}
	}
	return 0
}
