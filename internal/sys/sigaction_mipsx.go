//go:build linux && (mips || mipsle || mips64 || mips64le)

package sys

// sigaction is the kernel's struct sigaction.
type sigaction struct {
	flags   uint32
	handler uintptr
	mask    [4]uint32
}

const (
	saSiginfo = 0x8        // SA_SIGINFO
	saOnstack = 0x08000000 // SA_ONSTACK
	saRestart = 0x10000000 // SA_RESTART
)

func newSigaction(handler uintptr) sigaction {
	return sigaction{handler: handler, flags: saSiginfo | saOnstack, mask: [4]uint32{^uint32(0), ^uint32(0), ^uint32(0), ^uint32(0)}}
}

// siginfoCode is where si_code is in a siginfo_t.
func siginfoCode() int { return 4 }
