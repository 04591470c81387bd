//go:build linux && race

package fd

const raceEnabled = true
