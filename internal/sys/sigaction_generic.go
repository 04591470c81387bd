//go:build linux && (loong64 || riscv64)

package sys

// sigaction is the kernel's struct sigaction.
type sigaction struct {
	handler uintptr
	flags   uintptr
	mask    uint64
}

func newSigaction(handler uintptr) sigaction {
	return sigaction{handler: handler, flags: saSiginfo | saOnstack, mask: ^uint64(0)}
}
