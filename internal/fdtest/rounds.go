//go:build linux

package fdtest

import "testing"

// Rounds is how often a test repeats what may go wrong only once in a while: n times, and a tenth of that with -short, which is for
// machines that are emulated.
func Rounds(n int) int {
	if testing.Short() {
		return max(n/10, 2)
	}
	return n
}
