//go:build linux

package fanotify

import (
	"errors"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes/internal/fd"
	"github.com/fildes/fildes/internal/sys"
)

// Mark asks for events of the file at path, of its mount or of its file system: fanotify_mark(2). What is asked for adds to what is marked already. It is the object that is marked, and not
// the path; a mark on a directory is about itself, with OnChild about its entries too, and with OnDir about directories among those.
//
// Without file handles, only Access, Modify, Close, Open, OpenExec and permission events can be asked for. It needs permission to read the file (EACCES), and fails with ENOSPC at
// the limit fs.fanotify.max_user_marks, which the error names with its value. What the kernel doesn't have is an [*fildes.UnsupportedError]; a file system without file handles gives EOPNOTSUPP, one without
// an id ENODEV.
func (g *Group) Mark(scope Scope, path string, mask Mask, flags MarkFlags) error {
	return fail("mark", path, g.markPath(unix.FAN_MARK_ADD, workingDirectory{}, scope, path, mask, flags))
}

// MarkAt is [Group.Mark] for a path that is relative to a directory's descriptor.
func (g *Group) MarkAt(dir syscall.Conn, scope Scope, path string, mask Mask, flags MarkFlags) error {
	return fail("mark-at", path, g.markPath(unix.FAN_MARK_ADD, dir, scope, path, mask, flags))
}

// MarkFile is [Group.Mark] for what a descriptor refers to; for one of O_PATH, /proc must be mounted.
func (g *Group) MarkFile(f syscall.Conn, scope Scope, mask Mask, flags MarkFlags) error {
	return fail("mark-file", "", g.markAt(unix.FAN_MARK_ADD, f, scope, "", mask, flags))
}

// Unmark takes events away from a mark, which ends when none are left. Ignore in flags takes away from what is ignored. What isn't marked gives ENOENT.
func (g *Group) Unmark(scope Scope, path string, mask Mask, flags MarkFlags) error {
	return fail("unmark", path, g.markPath(unix.FAN_MARK_REMOVE, workingDirectory{}, scope, path, mask, flags))
}

// UnmarkAt is [Group.Unmark] for a path that is relative to a directory's descriptor.
func (g *Group) UnmarkAt(dir syscall.Conn, scope Scope, path string, mask Mask, flags MarkFlags) error {
	return fail("unmark-at", path, g.markPath(unix.FAN_MARK_REMOVE, dir, scope, path, mask, flags))
}

// UnmarkFile is [Group.Unmark] for what a descriptor refers to.
func (g *Group) UnmarkFile(f syscall.Conn, scope Scope, mask Mask, flags MarkFlags) error {
	return fail("unmark-file", "", g.markAt(unix.FAN_MARK_REMOVE, f, scope, "", mask, flags))
}

// Flush removes all marks of a scope. Events that are waiting stay.
func (g *Group) Flush(scope Scope) error { return fail("flush", "", g.flush(scope)) }

func (g *Group) flush(scope Scope) error {
	if !scope.known() {
		return errScope
	}
	return g.engine().Control(func(group int) error {
		err := sys.FanotifyMark(group, unix.FAN_MARK_FLUSH|uint(scope), 0, unix.AT_FDCWD, "/")
		return explainMark(uint(scope), 0, err)
	})
}

func (s Scope) known() bool {
	return s == Inode || s == Mount || s == Filesystem || s == MountNamespace
}

// workingDirectory stands for AT_FDCWD.
type workingDirectory struct{ syscall.Conn }

func (g *Group) markPath(cmd uint, dir syscall.Conn, scope Scope, path string, mask Mask, flags MarkFlags) error {
	if err := g.engine().Check(); err != nil {
		return err
	}
	if path == "" {
		return errPath
	}
	if dir == (workingDirectory{}) {
		return g.mark(cmd, scope, unix.AT_FDCWD, path, mask, flags)
	}
	return g.markAt(cmd, dir, scope, path, mask, flags)
}

func (g *Group) markAt(cmd uint, f syscall.Conn, scope Scope, path string, mask Mask, flags MarkFlags) error {
	if err := g.engine().Check(); err != nil {
		return err
	}
	if f == nil {
		return errNoFile
	}
	c, err := f.SyscallConn()
	if err != nil {
		return fd.Normalise(err)
	}
	if cerr := c.Control(func(num uintptr) { err = g.mark(cmd, scope, int(num), path, mask, flags) }); cerr != nil {
		return fd.Normalise(cerr)
	}
	return err
}

var (
	errNoDecision error = invalid("permission events need a group of the class Content or PreContent, and PreAccess one of PreContent")
	errNeedsFID   error = invalid("such events need a group that reports file handles, and a mark of Inode or Filesystem")
	errNeedsName  error = invalid("Rename needs a group that reports names")
	errErrorScope error = invalid("FSError is of a Filesystem")
	errNeedsMount error = invalid("MountAttach and MountDetach, and only they, are of a MountNamespace, in a group with ReportMount")
	errEvictable  error = invalid("only marks of Inode can be Evictable")
	errIgnores    error = invalid("Ignore and IgnoreLegacy exclude each other")
	errPreDir     error = invalid("PreAccess isn't about directories: it excludes OnDir")
)

// markable says what the kernel would refuse with nothing but EINVAL.
func (g *Group) markable(scope Scope, mask Mask, flags MarkFlags) error {
	switch {
	case mask == 0 || mask&^allRequested != 0:
		return errMask
	case flags&^allMarkFlags != 0:
		return errFlags
	case !scope.known():
		return errScope
	case flags.Has(Ignore | IgnoreLegacy):
		return errIgnores
	case flags.Has(Evictable) && scope != Inode:
		return errEvictable
	case (mask&mountEvents != 0) != (scope == MountNamespace) || (scope == MountNamespace) != g.report.Has(ReportMount) || scope == MountNamespace && mask&^mountEvents != 0:
		return errNeedsMount
	case mask&Permissions != 0 && g.class == Notify, mask.Has(PreAccess) && g.class != PreContent:
		return errNoDecision
	case mask.Has(PreAccess | OnDir):
		return errPreDir
	case mask.Has(FSError) && scope != Filesystem:
		return errErrorScope
	case mask&entryEvents != 0 && (g.report&handles == 0 || scope == Mount):
		return errNeedsFID
	case mask.Has(Rename) && !g.report.Has(ReportName):
		return errNeedsName
	}
	return nil
}

func (g *Group) mark(cmd uint, scope Scope, dir int, path string, mask Mask, flags MarkFlags) error {
	if err := g.engine().Check(); err != nil {
		return err
	}
	if err := g.markable(scope, mask, flags); err != nil {
		return err
	}
	all := cmd | uint(scope) | uint(flags)
	return g.fd.Control(func(group int) error {
		err := sys.FanotifyMark(group, all, uint64(mask), dir, path)
		if path == "" && errors.Is(err, syscall.EBADF) { // one of O_PATH is no file to the kernel
			err = sys.FanotifyMark(group, all, uint64(mask), unix.AT_FDCWD, sys.ProcPath(dir))
		}
		return explainMark(all&^unix.FAN_MARK_ADD&^unix.FAN_MARK_REMOVE, mask, err)
	})
}
