//go:build linux && !(386 || amd64 || arm || arm64)

package sys

// Guards says whether Guarded survives SIGSYS on this architecture.
const Guards = false

type sigaction struct{ mask uint64 }

func newSigaction(uintptr) sigaction { return sigaction{} }

func guardPC() uintptr { return 0 }
