//go:build linux && !race

package sys

import "unsafe"

const raceEnabled = false

func raceRelease()                       {}
func raceAcquire()                       {}
func raceReadRange(unsafe.Pointer, int)  {}
func raceWriteRange(unsafe.Pointer, int) {}
