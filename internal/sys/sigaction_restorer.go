//go:build linux && (386 || amd64 || arm || arm64 || ppc64 || ppc64le || s390x)

package sys

// sigaction is the kernel's struct sigaction.
type sigaction struct {
	handler  uintptr
	flags    uintptr
	restorer uintptr
	mask     uint64
}

const saRestorer = 0x04000000 // SA_RESTORER

func newSigaction(handler uintptr) sigaction {
	a := sigaction{handler: handler, flags: saSiginfo | saOnstack, mask: ^uint64(0)}
	if r := restorerPC(); r != 0 {
		a.flags |= saRestorer
		a.restorer = r
	}
	return a
}
