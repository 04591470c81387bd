//go:build linux

package fanotify_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes"
	"github.com/fildes/fildes/fanotify"
	"github.com/fildes/fildes/internal/fdtest"
	"github.com/fildes/fildes/internal/fdtest/fixture"
)

func TestFSError(t *testing.T) {
	fdtest.NeedRoot(t)
	dir := fixture.Ext4(t)
	g := newGroup(t, &fanotify.Options{Report: fanotify.ReportFID})
	mark(t, g, fanotify.Filesystem, dir, fanotify.FSError, 0)
	triggers, err := filepath.Glob("/sys/fs/ext4/loop*/trigger_fs_error")
	check(t, err)
	if len(triggers) != 1 {
		t.Fatalf("%q can be triggered", triggers)
	}
	for range 2 {
		check(t, os.WriteFile(triggers[0], []byte("1"), 0))
	}
	ev := next(t, g)
	errno, count, ok := ev.FSError()
	h, hasHandle := ev.Object()
	if ev.Mask != fanotify.FSError || !ok || errno != int(unix.EUCLEAN) || count < 1 || !hasHandle || h.Valid() {
		t.Errorf("%v: errno %d, %d times; %+v", ev.Mask, errno, count, h)
	}
}

func TestPreAccess(t *testing.T) {
	fdtest.NeedRoot(t)
	g := newGroup(t, &fanotify.Options{Class: fanotify.PreContent})
	if err := g.Mark(fanotify.Inode, os.DevNull, fanotify.PreAccess, 0); err != nil {
		lacks(t, err)
	}
	dir := fixture.Ext4(t)
	path := touch(t, filepath.Join(dir, "file"))
	mark(t, g, fanotify.Inode, path, fanotify.PreAccess, 0)
	s := newStranger(t)
	c := s.do(t, "read", path)
	ev := next(t, g)
	if offset, n, ok := ev.Range(); !ok || offset != 0 || n == 0 || ev.Mask != fanotify.PreAccess {
		t.Errorf("%v: %d bytes at %d, %v", ev.Mask, n, offset, ok)
	}
	if err := ev.DenyErrno(syscall.ENOENT); !errors.Is(err, os.ErrInvalid) {
		t.Error(err)
	}
	check(t, ev.DenyErrno(syscall.EBUSY))
	wantErrno(t, "read", c, syscall.EBUSY)
	check(t, ev.Close())
	c = s.do(t, "read", path)
	check(t, next(t, g).Allow())
	wantErrno(t, "read", c, 0)
	check(t, g.Close())
}

func TestMountEvents(t *testing.T) {
	fdtest.NeedRoot(t)
	g := newGroup(t, &fanotify.Options{Report: fanotify.ReportMount})
	mark(t, g, fanotify.MountNamespace, "/proc/self/ns/mnt", fanotify.MountAttach|fanotify.MountDetach, 0)
	dir := fdtest.Tmpfs(t)
	ev := next(t, g)
	attached, ok := ev.MountID()
	if ev.Mask != fanotify.MountAttach || !ok || attached == 0 {
		t.Errorf("%v of %d", ev.Mask, attached)
	}
	check(t, unix.Unmount(dir, unix.UMOUNT_NOFOLLOW))
	ev = next(t, g)
	if id, ok := ev.MountID(); ev.Mask != fanotify.MountDetach || !ok || id != attached {
		t.Errorf("%v of %d, not %d", ev.Mask, id, attached)
	}
}

// On every kernel New either works or says what is missing; what it has, it has.
func TestFeatures(t *testing.T) {
	newGroup(t, &fanotify.Options{Report: fanotify.ReportFID})
	for name, o := range map[string]*fanotify.Options{
		"FAN_REPORT_TID":        {Report: fanotify.ReportFID | fanotify.ReportTID},
		"FAN_REPORT_DIR_FID":    {Report: fanotify.ReportDirFID},
		"FAN_REPORT_NAME":       {Report: fanotify.ReportDirFIDName},
		"FAN_REPORT_TARGET_FID": {Report: fanotify.ReportDirFIDNameTarget},
		"FAN_REPORT_PIDFD":      {Report: fanotify.ReportFID | fanotify.ReportPIDFD},
		"FAN_REPORT_FD_ERROR":   {Report: fanotify.ReportFDError},
		"FAN_REPORT_MNT":        {Report: fanotify.ReportMount},
		"everything":            {Report: fanotify.ReportDirFIDNameTarget | fanotify.ReportPIDFD | fanotify.ReportFDError, UnlimitedQueue: true, UnlimitedMarks: true},
	} {
		g, err := fanotify.New(o)
		if err != nil {
			if !errors.Is(err, errors.ErrUnsupported) && !(errors.Is(err, os.ErrPermission) && os.Geteuid() != 0) {
				t.Errorf("%s: %v", name, err)
			}
			t.Log(name, err)
			continue
		}
		if got := g.Report(); !got.Has(o.Report) {
			t.Errorf("%s: %v of %v", name, got, o.Report)
		}
		check(t, g.Close())
	}
}

func TestLimits(t *testing.T) {
	out, child, err := fdtest.InChild(t)
	if !child {
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		for _, word := range []string{"fanotify", "sys_admin", "group_limit"} {
			if _, why, ok := strings.Cut(out, "needs "+word+": "); ok {
				fdtest.Need(t, word, strings.SplitN(why, "\n", 2)[0])
			}
		}
		return
	}
	newGroup(t, &fanotify.Options{Report: fanotify.ReportFID})
	var groups []*fanotify.Group
	defer func() {
		for _, g := range groups {
			check(t, g.Close())
		}
	}()
	for range 400 {
		g, err := fanotify.New(&fanotify.Options{Report: fanotify.ReportFID})
		if err == nil {
			groups = append(groups, g)
			continue
		}
		oe, ok := errors.AsType[*fildes.OpError](err)
		if !ok || !errors.Is(err, syscall.EMFILE) || !strings.Contains(oe.Hint, "fs.fanotify.max_user_groups") {
			t.Error(err)
		}
		return
	}
	fdtest.Need(t, "group_limit", "fs.fanotify.max_user_groups is more than a test uses up")
}
