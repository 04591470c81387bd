//go:build linux && ppc64

package sys

// Taps says whether there is a tap on this architecture.
const Taps = false

// TapEnds is how many pipes there can be for a signal.
const TapEnds = 8

// TapInstall and the others are never called.
func TapInstall(int) error { return nil }

// Tapped is never called.
func Tapped(int) bool { return false }

// TapRemove is never called.
func TapRemove(int) error { return nil }

// TapOpen is never called.
func TapOpen(_, _, _ int) {}

// TapClose is never called.
func TapClose(_, _ int) {}

// TapLost is never called.
func TapLost(_, _ int) uint32 { return 0 }

// TapForward is never called.
func TapForward(int, bool) {}

// TapHandled is never called.
func TapHandled(int) bool { return false }

// TapForeign is never called.
func TapForeign(int) bool { return false }
