//go:build linux

package mqueue

import (
	"errors"
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes/internal/sys"
)

// Limits are what the kernel allows to those without CAP_SYS_RESOURCE.
type Limits struct {
	// Queues is how many queues the IPC namespace may have: fs.mqueue.queues_max.
	Queues int
	// MaxMessages is the most messages that a new queue may have room for: fs.mqueue.msg_max. With CAP_SYS_RESOURCE it's 65,536.
	MaxMessages int
	// MessageSize is the most that a message of a new queue may have: fs.mqueue.msgsize_max. With CAP_SYS_RESOURCE it's 16 MiB.
	MessageSize int
	// DefaultMessages and DefaultSize are what a queue gets that isn't asked for anything, up to the two above: fs.mqueue.msg_default and fs.mqueue.msgsize_default.
	DefaultMessages, DefaultSize int
	// Bytes is what all queues of the user together may take, RLIMIT_MSGQUEUE, also with CAP_SYS_RESOURCE, which raises it; -1 is no limit. A queue takes what all its messages would, and some 48 bytes for each, and for each priority up to that many; as long as it exists.
	Bytes int64
}

// ReadLimits reads the limits, of the IPC namespace and this process: /proc/sys/fs/mqueue and getrlimit(2).
func ReadLimits() (Limits, error) {
	l, err := readLimits()
	return l, fail("limits", "", err)
}

func readLimits() (l Limits, err error) {
	if _, err := sys.QueueAttributes(-1); errors.Is(err, unix.ENOSYS) { // nor are there sysctls then
		return l, supported(err)
	}
	for name, value := range map[string]*int{
		"queues_max": &l.Queues, "msg_max": &l.MaxMessages, "msgsize_max": &l.MessageSize, "msg_default": &l.DefaultMessages, "msgsize_default": &l.DefaultSize,
	} {
		b, err := os.ReadFile("/proc/sys/fs/mqueue/" + name)
		if err != nil {
			return Limits{}, fmt.Errorf("/proc must be mounted, with these sysctls: %w", err)
		}
		if *value, err = strconv.Atoi(strings.TrimSpace(string(b))); err != nil {
			return Limits{}, err
		}
	}
	var r unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_MSGQUEUE, &r); err != nil {
		return Limits{}, sys.Named("getrlimit", err)
	}
	if l.Bytes = -1; r.Cur <= math.MaxInt64 {
		l.Bytes = int64(r.Cur)
	}
	return l, nil
}
