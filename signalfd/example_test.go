//go:build linux

package signalfd_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"github.com/fildes/fildes/signalfd"
)

// Who has stopped the server? Its own shutdown goes on as it was.
func ExampleObserve() {
	r, err := signalfd.Observe(signalfd.SIGWINCH)
	if errors.Is(err, errors.ErrUnsupported) {
		fmt.Println("SIGWINCH: SI_USER, from me")
		return
	}
	if err != nil {
		fmt.Println(err)
		return
	}
	defer r.Close()
	_ = syscall.Kill(os.Getpid(), syscall.SIGWINCH)

	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	info, err := r.Read(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	if pid, _, ok := info.Sender(); ok && pid == os.Getpid() {
		fmt.Printf("%v: %s, from me\n", info.Signal, info.CodeName())
	}
	// Output: SIGWINCH: SI_USER, from me
}

// Real-time signals are a queue of values: none is merged with another.
func ExampleNotify() {
	r, err := signalfd.Notify(signalfd.RT(1))
	if errors.Is(err, errors.ErrUnsupported) {
		fmt.Println("the values add up to 42")
		return
	}
	if err != nil {
		fmt.Println(err)
		return
	}
	defer r.Close()
	for _, n := range []int32{7, 14, 21} {
		if err := signalfd.Queue(os.Getpid(), signalfd.RT(1), signalfd.Value{Int: n}); err != nil {
			fmt.Println(err)
			return
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	sum := int32(0)
	for range 3 {
		info, err := r.Read(ctx)
		if err != nil {
			fmt.Println(err)
			return
		}
		value, _ := info.Value()
		sum += value.Int
	}
	fmt.Println("the values add up to", sum)
	// Output: the values add up to 42
}

// What a core dump says of the signal that has ended the program, on whatever machine.
func ExampleParseInfo() {
	note := make([]byte, 128) // NT_SIGINFO, of an arm64 program
	copy(note, []byte{11, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0x10})
	abi, err := signalfd.ABIOf("arm64")
	if err != nil {
		fmt.Println(err)
		return
	}
	info, err := signalfd.ParseInfo(note, abi)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(info)
	// Output: SIGSEGV: SEGV_MAPERR, address 0x10
}
