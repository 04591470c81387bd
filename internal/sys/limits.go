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
		return sysctl("fs.inotify.max_user_instances")
	case errors.Is(err, unix.EMFILE) && call == "fanotify_init" && descriptorLeft():
		return sysctl("fs.fanotify.max_user_groups")
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
		return sysctl("fs.inotify.max_user_watches")
	case errors.Is(err, unix.ENOSPC) && call == "fanotify_mark":
		return sysctl("fs.fanotify.max_user_marks")
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
	b, err := os.ReadFile("/proc/sys/" + strings.ReplaceAll(name, ".", "/"))
	if err != nil {
		return "raise the sysctl " + name
	}
	return fmt.Sprintf("the sysctl %s is %s: raise it", name, strings.TrimSpace(string(b)))
}
