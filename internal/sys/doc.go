// Package sys is the module's only door to the kernel: every system call and every use of unsafe is here.
//
// A wrapper is one call, small enough to be inlined into the method that makes it, because after a system call each return
// costs a mispredicted branch. Wrappers on hot paths return the bare errno ([Errno]); all others return an
// [*os.SyscallError] that carries the name of the call. EINTR is retried here and nowhere else. Files that use unsafe are
// named *_unsafe.go.
package sys
