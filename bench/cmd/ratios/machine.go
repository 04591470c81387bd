//go:build linux

package main

import (
	"os"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// A machine is what figures depend on.
type machine struct {
	CPU    string `json:"cpu"`
	Cores  int    `json:"cores"`
	Kernel string `json:"kernel"`
	Go     string `json:"go"`
}

func thisMachine() machine {
	m := machine{CPU: cpu(), Cores: runtime.NumCPU(), Kernel: "Linux", Go: runtime.Version() + " " + runtime.GOARCH}
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		m.Kernel += " " + unix.ByteSliceToString(u.Release[:])
	}
	return m
}

// cpu is the processor's name, where /proc/cpuinfo has one.
func cpu() string {
	text, _ := os.ReadFile("/proc/cpuinfo") // without it, as without a name in it
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "unknown processor"
}
