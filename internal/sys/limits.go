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
		return notifyLimit("instances")
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
		return notifyLimit("watches")
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

// notifyLimit names the limit on inotify's watches or instances. A user namespace has one of its own, too.
func notifyLimit(what string) string {
	all, own := sysctlValue("fs.inotify.max_user_"+what), sysctlValue("user.max_inotify_"+what)
	if all == "" || own == "" || all == own { // elsewhere they are the same
		return sysctl("fs.inotify.max_user_" + what)
	}
	return fmt.Sprintf("the sysctl fs.inotify.max_user_%s is %s, and user.max_inotify_%s of this user namespace %s: raise the one that is too low", what, all, what, own)
}
