//go:build linux && (386 || amd64 || arm || arm64)

package sys

// Guards says whether Guarded survives SIGSYS on this architecture.
const Guards = true

// sigaction is the kernel's struct sigaction.
type sigaction struct {
	handler  uintptr
	flags    uintptr
	restorer uintptr
	mask     uint64
}

const (
	saSiginfo  = 0x4        // SA_SIGINFO
	saOnstack  = 0x08000000 // SA_ONSTACK
	saRestorer = 0x04000000 // SA_RESTORER
)

func newSigaction(handler uintptr) sigaction {
	a := sigaction{handler: handler, flags: saSiginfo | saOnstack, mask: ^uint64(0)}
	if r := restorerPC(); r != 0 {
		a.flags |= saRestorer
		a.restorer = r
	}
	return a
}

// guardPC is where the handler is: it sets the register in which the interrupted call returns to -ENOSYS.
func guardPC() uintptr

// restorerPC is where rt_sigreturn is called, or 0 where the kernel brings its own.
func restorerPC() uintptr
