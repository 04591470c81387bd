//go:build linux && !386 && !arm && !mips && !mipsle

package sys

// largeFile is what the kernel sets by itself.
func largeFile() uint { return 0 }
