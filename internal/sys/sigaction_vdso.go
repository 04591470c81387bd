//go:build linux && (ppc64 || ppc64le || s390x)

package sys

// restorerPC is 0: the kernel brings its own.
func restorerPC() uintptr { return 0 }
