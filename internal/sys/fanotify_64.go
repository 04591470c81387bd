//go:build linux && !386 && !arm && !mips && !mipsle

package sys

const largeFile = 0 // the kernel sets it for 64-bit programs
