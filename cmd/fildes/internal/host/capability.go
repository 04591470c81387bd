//go:build linux

package host

import (
	"fmt"
	"strconv"

	"golang.org/x/sys/unix"
)

// A Capability is one privilege of root's: capabilities(7). It is a number of linux/capability.h.
type Capability int

// names has those that matter to a kind of descriptor.
var names = map[Capability]string{
	unix.CAP_DAC_READ_SEARCH: "CAP_DAC_READ_SEARCH",
	unix.CAP_KILL:            "CAP_KILL",
	unix.CAP_IPC_LOCK:        "CAP_IPC_LOCK",
	unix.CAP_SYS_PTRACE:      "CAP_SYS_PTRACE",
	unix.CAP_SYS_ADMIN:       "CAP_SYS_ADMIN",
	unix.CAP_AUDIT_WRITE:     "CAP_AUDIT_WRITE",
	unix.CAP_SYS_RESOURCE:    "CAP_SYS_RESOURCE",
	unix.CAP_SYS_TIME:        "CAP_SYS_TIME",
	unix.CAP_SYS_TTY_CONFIG:  "CAP_SYS_TTY_CONFIG",
	unix.CAP_WAKE_ALARM:      "CAP_WAKE_ALARM",
	unix.CAP_BLOCK_SUSPEND:   "CAP_BLOCK_SUSPEND",
}

func (c Capability) String() string {
	if name, ok := names[c]; ok {
		return name
	}
	return "CAP_" + strconv.Itoa(int(c))
}

// Set is a set of capabilities.
type Set uint64

// Has says whether c is in the set.
func (s Set) Has(c Capability) bool { return c >= 0 && c < 64 && s&(1<<c) != 0 }

// Effective returns the capabilities that this thread uses: capget(2).
func Effective() (Set, error) {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return 0, fmt.Errorf("capget: %w", err)
	}
	return Set(data[0].Effective) | Set(data[1].Effective)<<32, nil
}
