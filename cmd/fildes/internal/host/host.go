//go:build linux

// Package host tells what the doctor's checks run on.
package host

import (
	"bytes"
	"encoding/binary"
	"math"
	"os"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes/cmd/fildes/internal/report"
)

// Read describes the kernel, and this process with the given capabilities and sysctls. What can't be found out is "unknown" or left
// out.
func Read(capabilities []Capability, sysctls []string) report.Host {
	h := report.Host{
		Kernel: "unknown", Machine: "unknown",
		Go: runtime.Version(), GOOS: runtime.GOOS, GOARCH: runtime.GOARCH, GOMAXPROCS: runtime.GOMAXPROCS(0),
		PageSize: os.Getpagesize(), ByteOrder: byteOrder(),
		UID: os.Getuid(), EUID: os.Geteuid(),
		Seccomp:      seccomp(),
		Capabilities: make(map[string]bool),
		Limits:       make(map[string]string),
	}
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		h.Kernel, h.Machine = unix.ByteSliceToString(u.Release[:]), unix.ByteSliceToString(u.Machine[:])
	}
	if set, err := Effective(); err == nil {
		for _, c := range capabilities {
			h.Capabilities[c.String()] = set.Has(c)
		}
	}
	// The soft limit is the one in force: Go raises it to the hard one when a program starts.
	var l unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &l) == nil {
		h.Limits["RLIMIT_NOFILE"], h.Limits["RLIMIT_NOFILE.hard"] = limit(l.Cur), limit(l.Max)
	}
	if unix.Getrlimit(unix.RLIMIT_MSGQUEUE, &l) == nil {
		h.Limits["RLIMIT_MSGQUEUE"] = limit(l.Cur)
	}
	for _, name := range sysctls {
		if b, err := os.ReadFile("/proc/sys/" + strings.ReplaceAll(name, ".", "/")); err == nil {
			h.Limits[name] = strings.Join(strings.Fields(string(b)), " ")
		}
	}
	return h
}

func byteOrder() string {
	if binary.NativeEndian.Uint16([]byte{0, 1}) == 1 {
		return "big"
	}
	return "little"
}

func limit(v uint64) string {
	if v == math.MaxUint64 {
		return "unlimited"
	}
	return strconv.FormatUint(v, 10)
}

// seccomp is the mode of this process.
func seccomp() string {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return "unknown"
	}
	for line := range bytes.Lines(status) {
		if v, ok := bytes.CutPrefix(line, []byte("Seccomp:")); ok {
			switch string(bytes.TrimSpace(v)) {
			case "0":
				return "off"
			case "1":
				return "strict"
			case "2":
				return "filter"
			}
		}
	}
	return "unknown"
}
