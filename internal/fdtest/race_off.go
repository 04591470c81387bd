//go:build linux && !race

package fdtest

// Race says whether the race detector is in this build: it allocates.
const Race = false
