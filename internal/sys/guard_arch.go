//go:build linux && (386 || amd64 || arm || arm64)

package sys

// Guards says whether Guarded survives SIGSYS on this architecture.
const Guards = true

// guardPC is where the handler is: it sets the register in which the interrupted call returns to -ENOSYS.
func guardPC() uintptr

// restorerPC is where rt_sigreturn is called, or 0 where the kernel brings its own.
func restorerPC() uintptr
