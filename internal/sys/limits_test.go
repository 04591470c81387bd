//go:build linux

package sys

import (
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestLimit(t *testing.T) {
	for _, c := range []struct {
		err  error
		says string
	}{
		{Error("eventfd2", unix.EMFILE), "RLIMIT_NOFILE is "},
		{Error("eventfd2", unix.ENFILE), "fs.file-max"},
		{Error("epoll_ctl", unix.ENOSPC), "fs.epoll.max_user_watches"},
		{Error("inotify_add_watch", unix.ENOSPC), "fs.inotify.max_user_watches"},
		{Error("inotify_init1", unix.EMFILE), "fs.inotify.max_user_instances"},
		{Error("timerfd_create", unix.ENOMEM), "memory"},
		{Error("write", unix.ENOSPC), ""},
		{Error("read", unix.EIO), ""},
		{nil, ""},
	} {
		got := Limit(c.err)
		if !strings.Contains(got, c.says) || (c.says == "") != (got == "") {
			t.Errorf("%v: %q", c.err, got)
		}
	}
}
