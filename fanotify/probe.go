//go:build linux

package fanotify

import (
	"errors"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes"
	"github.com/fildes/fildes/internal/sys"
)

// features of fanotify_init: the flags with which each can be tried alone, if it is there.
var initFeatures = []struct {
	bit, try    uint
	name, since string
}{
	{uint(ReportTID), uint(ReportTID), "FAN_REPORT_TID", "4.20"},
	{unix.FAN_ENABLE_AUDIT, unix.FAN_ENABLE_AUDIT, "FAN_ENABLE_AUDIT", "4.15"},
	{uint(ReportFID), uint(ReportFID), "FAN_REPORT_FID", "5.1"},
	{uint(ReportDirFID), uint(ReportDirFID), "FAN_REPORT_DIR_FID", "5.9"},
	{uint(ReportName), uint(ReportDirFIDName), "FAN_REPORT_NAME", "5.9"},
	{uint(ReportTargetFID), uint(ReportDirFIDNameTarget), "FAN_REPORT_TARGET_FID", "5.17"},
	{uint(ReportPIDFD), uint(ReportPIDFD), "FAN_REPORT_PIDFD", "5.15"},
	{uint(ReportFDError), uint(ReportFDError), "FAN_REPORT_FD_ERROR", "6.13"},
	{uint(ReportMount), uint(ReportMount), "FAN_REPORT_MNT", "6.14"},
}

// missingInit says whether the kernel refuses to make a group with these flags as unknown.
func missingInit(flags uint) bool {
	n, err := sys.FanotifyInit(flags, 0)
	if err == nil {
		_ = sys.Close(n)
	}
	return errors.Is(err, syscall.EINVAL)
}

// explainInit names what fanotify_init doesn't know.
func explainInit(flags uint, err error) error {
	switch {
	case errors.Is(err, syscall.ENOSYS):
		return &fildes.UnsupportedError{Feature: "fanotify_init", Since: "2.6.37", Err: err}
	case errors.Is(err, syscall.EINVAL):
		for _, f := range initFeatures {
			if flags&f.bit != 0 && missingInit(f.try) {
				return &fildes.UnsupportedError{Feature: f.name, Since: f.since, Err: err}
			}
		}
	}
	return err
}

// features of fanotify_mark.
var markFeatures = []struct {
	flags       uint
	mask        Mask
	name, since string
}{
	{uint(Filesystem), Open, "FAN_MARK_FILESYSTEM", "4.20"},
	{uint(MountNamespace), MountAttach, "FAN_MARK_MNTNS", "6.14"},
	{uint(Evictable), Open, "FAN_MARK_EVICTABLE", "5.19"},
	{uint(Ignore), Open, "FAN_MARK_IGNORE", "6.0"},
	{0, OpenExec, "FAN_OPEN_EXEC", "5.0"},
	{0, OpenExecPerm, "FAN_OPEN_EXEC_PERM", "5.0"},
	{0, OpenPerm, "FAN_OPEN_PERM", "2.6.37, built with CONFIG_FANOTIFY_ACCESS_PERMISSIONS"},
	{0, AccessPerm, "FAN_ACCESS_PERM", "2.6.37, built with CONFIG_FANOTIFY_ACCESS_PERMISSIONS"},
	{0, Attrib, "FAN_ATTRIB", "5.1"},
	{0, Create, "FAN_CREATE", "5.1"},
	{0, Delete, "FAN_DELETE", "5.1"},
	{0, MovedFrom, "FAN_MOVED_FROM", "5.1"},
	{0, MovedTo, "FAN_MOVED_TO", "5.1"},
	{0, DeleteSelf, "FAN_DELETE_SELF", "5.1"},
	{0, MoveSelf, "FAN_MOVE_SELF", "5.1"},
	{0, FSError, "FAN_FS_ERROR", "5.16"},
	{0, Rename, "FAN_RENAME", "5.17"},
	{0, PreAccess, "FAN_PRE_ACCESS", "6.14"},
	{0, MountAttach, "FAN_MNT_ATTACH", "6.14"},
	{0, MountDetach, "FAN_MNT_DETACH", "6.14"},
}

// explainMark names what fanotify_mark doesn't know.
func explainMark(flags uint, mask Mask, err error) error {
	switch {
	case errors.Is(err, syscall.ENOSYS):
		return &fildes.UnsupportedError{Feature: "fanotify_mark", Since: "2.6.37", Err: err}
	case errors.Is(err, syscall.EINVAL):
		for _, f := range markFeatures {
			asked := f.flags == 0 && mask.Has(f.mask) || f.flags != 0 && flags&f.flags == f.flags
			if asked && !sys.FanotifyKnows(f.flags, uint64(f.mask)) {
				return &fildes.UnsupportedError{Feature: f.name, Since: f.since, Err: err}
			}
		}
	}
	return err
}
