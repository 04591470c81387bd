//go:build linux

package sys

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// Limit names the limit that a refusal ran into, with its value now and what to do, or is empty.
func Limit(err error) string {
	var call string
	if se, ok := errors.AsType[*os.SyscallError](err); ok {
		call = se.Syscall
	}
	switch {
	case errors.Is(err, unix.EMFILE) && call == "inotify_init1" && descriptorLeft():
		return userLimit("inotify", "instances")
	case errors.Is(err, unix.EMFILE) && call == "fanotify_init" && descriptorLeft():
		return userLimit("fanotify", "groups")
	case errors.Is(err, unix.EMFILE) && call == "mq_open" && descriptorLeft():
		return queueBytes()
	case errors.Is(err, unix.ENOSPC) && call == "mq_open":
		return sysctl("fs.mqueue.queues_max")
	case errors.Is(err, unix.EINVAL) && call == "mq_open":
		return fmt.Sprintf("the sysctls fs.mqueue.msg_max and fs.mqueue.msgsize_max are %s and %s: ask for less, raise them, or have CAP_SYS_RESOURCE (then 65536 and 16777216)",
			orUnknown(sysctlValue("fs.mqueue.msg_max")), orUnknown(sysctlValue("fs.mqueue.msgsize_max")))
	case errors.Is(err, unix.EMFILE):
		var l unix.Rlimit
		if unix.Getrlimit(unix.RLIMIT_NOFILE, &l) != nil {
			return "RLIMIT_NOFILE: close descriptors or raise it with ulimit -n"
		}
		return fmt.Sprintf("RLIMIT_NOFILE is %d: close descriptors or raise it with ulimit -n (at most %d)", l.Cur, l.Max)
	case errors.Is(err, unix.ENFILE):
		return sysctl("fs.file-max")
	case errors.Is(err, unix.ENOSPC) && call == "epoll_ctl":
		return sysctl("fs.epoll.max_user_watches")
	case errors.Is(err, unix.ENOSPC) && call == "inotify_add_watch":
		return userLimit("inotify", "watches")
	case errors.Is(err, unix.ENOSPC) && call == "fanotify_mark":
		return userLimit("fanotify", "marks")
	case errors.Is(err, unix.EAGAIN) && (strings.HasSuffix(call, "sigqueueinfo") || call == "pidfd_send_signal"):
		var l unix.Rlimit
		if unix.Getrlimit(unix.RLIMIT_SIGPENDING, &l) != nil {
			return "RLIMIT_SIGPENDING of the receiver is reached"
		}
		return fmt.Sprintf("the receiver's RLIMIT_SIGPENDING is reached, which is %d here: receive what waits, or raise it with ulimit -i", l.Cur)
	case errors.Is(err, unix.ENOMEM):
		return "the kernel is out of memory, or the memory cgroup is at its limit"
	}
	return ""
}

// descriptorLeft says whether there is room for one more: some system calls have EMFILE for other limits too.
func descriptorLeft() bool {
	n, e := EventFD(0, false)
	if e == 0 {
		_ = Close(n)
	}
	return e == 0
}

// queueBytes is about all queues of a user.
func queueBytes() string {
	var l unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_MSGQUEUE, &l) != nil {
		return "RLIMIT_MSGQUEUE: make a smaller queue, unlink others of this user, or raise it with ulimit -q"
	}
	return fmt.Sprintf("RLIMIT_MSGQUEUE is %d bytes for all queues of this user: make a smaller one, unlink others, or raise it with ulimit -q (at most %d)", l.Cur, l.Max)
}

func orUnknown(value string) string {
	if value == "" {
		return "unknown"
	}
	return value
}

func sysctl(name string) string {
	value := sysctlValue(name)
	if value == "" {
		return "raise the sysctl " + name
	}
	return fmt.Sprintf("the sysctl %s is %s: raise it", name, value)
}

func sysctlValue(name string) string {
	b, _ := os.ReadFile("/proc/sys/" + strings.ReplaceAll(name, ".", "/"))
	return strings.TrimSpace(string(b))
}

// userLimit names a limit of inotify's or fanotify's. A user namespace has one of its own, too.
func userLimit(kind, what string) string {
	general, own := "fs."+kind+".max_user_"+what, "user.max_"+kind+"_"+what
	all, here := sysctlValue(general), sysctlValue(own)
	if all == "" || here == "" || all == here { // elsewhere they are the same
		return sysctl(general)
	}
	return fmt.Sprintf("the sysctl %s is %s, and %s of this user namespace %s: raise the one that is too low", general, all, own, here)
}
