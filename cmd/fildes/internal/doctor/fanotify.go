//go:build linux

package doctor

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes/cmd/fildes/internal/host"
	"github.com/fildes/fildes/fanotify"
)

var fanotifyKind = Kind{
	Name:         "fanotify",
	About:        "events and permissions of files: fanotify(7)",
	Capabilities: []host.Capability{unix.CAP_SYS_ADMIN, unix.CAP_DAC_READ_SEARCH, unix.CAP_AUDIT_WRITE},
	Sysctls:      []string{"fs.fanotify.max_queued_events", "fs.fanotify.max_user_groups", "fs.fanotify.max_user_marks"},
	Checks: []Check{
		{Name: "descriptor", What: "tell of a file, with its descriptor", Needs: unix.CAP_SYS_ADMIN, Run: fanotifyDescriptor},
		{Name: "names", What: "tell of an entry, with its name", Run: fanotifyNames},
		{Name: "target", What: "tell of an entry and of the file", Run: fanotifyTarget},
		{Name: "rename", What: "a rename is one event with both names", Run: fanotifyRename},
		{Name: "filesystem", What: "watch a file system, find a path", Needs: unix.CAP_SYS_ADMIN, Run: fanotifyFilesystem},
		{Name: "pidfd", What: "tell the process by a pidfd", Needs: unix.CAP_SYS_ADMIN, Run: fanotifyPIDFD},
		{Name: "permission", What: "allow an open, deny the next", Needs: unix.CAP_SYS_ADMIN, Run: fanotifyPermission},
		{Name: "audit-rule", What: "deny an open, and tell the audit log", Needs: unix.CAP_AUDIT_WRITE, Run: fanotifyAudit},
		{Name: "ignore", What: "ignore a file of a marked directory", Needs: unix.CAP_SYS_ADMIN, Run: fanotifyIgnore},
		{Name: "fd-error", What: "say why a file couldn't be opened", Needs: unix.CAP_SYS_ADMIN, Run: fanotifyFDError},
		{Name: "fs-error", What: "ask for a file system's errors", Needs: unix.CAP_SYS_ADMIN, Run: fanotifyFSError},
		{Name: "pre-access", What: "know what comes before an access", Needs: unix.CAP_SYS_ADMIN, Run: fanotifyPreAccess},
		{Name: "mounts", What: "ask for mounts and unmounts", Needs: unix.CAP_SYS_ADMIN, Run: fanotifyMounts},
	},
}

// group makes a group.
func (t *Trial) group(o *fanotify.Options) (*fanotify.Group, error) {
	g, err := fanotify.New(o)
	if err == nil {
		t.Cleanup(func() { _ = g.Close() })
	}
	return g, err
}

// marked is the answer to a mark, where file systems differ.
func marked(err error) error {
	if errors.Is(err, syscall.ENODEV) || errors.Is(err, syscall.EOPNOTSUPP) {
		return &absentError{"id or file handle in the file system of TMPDIR", err}
	}
	return err
}

// watched makes a group with a mark on a new directory.
func (t *Trial) watched(report fanotify.Report, mask fanotify.Mask) (*fanotify.Group, string, error) {
	g, err := t.group(&fanotify.Options{Report: report})
	if err != nil {
		return nil, "", err
	}
	dir, err := t.directory()
	if err == nil {
		err = marked(g.Mark(fanotify.Inode, dir, mask, fanotify.OnlyDir))
	}
	return g, dir, err
}

// told reads an event.
func (t *Trial) told(g *fanotify.Group, mask fanotify.Mask, name string) (fanotify.Event, error) {
	t.Step("wait for " + mask.String())
	ev, err := g.Read(t.ctx)
	if err != nil {
		return ev, err
	}
	if en, _ := ev.Entry(); ev.Mask != mask || string(en.Name) != name {
		err = fmt.Errorf("the event is %v of %q, not %v of %q", ev.Mask, en.Name, mask, name)
	}
	return ev, err
}

func fanotifyDescriptor(t *Trial) error {
	g, dir, err := t.watched(0, fanotify.CloseWrite|fanotify.OnChild)
	if err != nil {
		return err
	}
	path := filepath.Join(dir, "file")
	return t.Measure(func() error {
		if err := os.WriteFile(path, page[:16], 0o600); err != nil {
			return err
		}
		ev, err := t.told(g, fanotify.CloseWrite, "")
		if err != nil {
			return err
		}
		defer func() { _ = ev.Close() }()
		if n, err := ev.ReadAt(make([]byte, 16), 0); n != 16 {
			return fmt.Errorf("%d bytes by the event's descriptor: %w", n, err)
		}
		return nil
	}, nil)
}

func fanotifyNames(t *Trial) error {
	g, dir, err := t.watched(fanotify.ReportDirFIDName, fanotify.Create|fanotify.OnDir)
	if err != nil {
		return err
	}
	home, err := fanotify.HandleOf(dir)
	if err != nil {
		return err
	}
	path := filepath.Join(dir, "made")
	return t.Measure(func() error {
		if err := errors.Join(os.Mkdir(path, 0o700), os.Remove(path)); err != nil {
			return err
		}
		ev, err := t.told(g, fanotify.Create|fanotify.OnDir, "made")
		if en, _ := ev.Entry(); err == nil && !en.Dir.Equal(home) {
			err = fmt.Errorf("the directory's handle is %+v, not %+v", en.Dir, home)
		}
		return err
	}, nil)
}

func fanotifyTarget(t *Trial) error {
	g, dir, err := t.watched(fanotify.ReportDirFIDNameTarget, fanotify.Create)
	if err != nil {
		return err
	}
	path := filepath.Join(dir, "made")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		return err
	}
	want, err := fanotify.HandleOf(path)
	if err != nil {
		return err
	}
	ev, err := t.told(g, fanotify.Create, "made")
	if h, _ := ev.Object(); err == nil && !h.Equal(want) {
		err = fmt.Errorf("the file's handle is %+v, not %+v", h, want)
	}
	return err
}

func fanotifyRename(t *Trial) error {
	g, dir, err := t.watched(fanotify.ReportDirFIDName, fanotify.Rename|fanotify.OnDir)
	if err != nil {
		return err
	}
	from, to := "one", "other"
	if err := os.Mkdir(filepath.Join(dir, from), 0o700); err != nil {
		return err
	}
	return t.Measure(func() error {
		if err := os.Rename(filepath.Join(dir, from), filepath.Join(dir, to)); err != nil {
			return err
		}
		ev, err := t.told(g, fanotify.Rename|fanotify.OnDir, to)
		if en, _ := ev.OldEntry(); err == nil && string(en.Name) != from {
			err = fmt.Errorf("the old name is %q, not %q", en.Name, from)
		}
		from, to = to, from
		return err
	}, nil)
}

func fanotifyFilesystem(t *Trial) error {
	g, err := t.group(&fanotify.Options{Report: fanotify.ReportDirFIDName})
	if err != nil {
		return err
	}
	dir, err := t.directory()
	if err == nil {
		err = marked(g.Mark(fanotify.Filesystem, dir, fanotify.Create|fanotify.OnDir, 0))
	}
	if err != nil {
		return err
	}
	path := filepath.Join(dir, "made")
	if err := os.Mkdir(path, 0o700); err != nil {
		return err
	}
	t.Step("find the event among those of others")
	for {
		ev, err := g.Read(t.ctx)
		if err != nil {
			return err
		}
		if !ev.Own() {
			continue
		}
		got, err := ev.Path()
		if errors.Is(err, fanotify.ErrStale) {
			continue
		}
		if err == nil && filepath.Base(got) != "made" {
			err = fmt.Errorf("the path is %s, not %s", got, path)
		}
		return err
	}
}

func fanotifyPIDFD(t *Trial) error {
	g, dir, err := t.watched(fanotify.ReportPIDFD, fanotify.Open|fanotify.OnDir)
	if err != nil {
		return err
	}
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	t.Cleanup(func() { _ = f.Close() })
	ev, err := t.told(g, fanotify.Open, "")
	if err != nil {
		return err
	}
	defer func() { _ = ev.Close() }()
	p, err := ev.TakePIDFD()
	if err == nil {
		err = p.Close()
	}
	return err
}

// deciding makes a group that is asked about opening a new file, by this process too.
func (t *Trial) deciding(o fanotify.Options) (*fanotify.Group, string, error) {
	o.Class, o.AskOwn, o.Within = fanotify.Content, true, rowTime/2
	g, err := t.group(&o)
	if err != nil {
		return nil, "", err
	}
	dir, err := t.directory()
	if err != nil {
		return nil, "", err
	}
	path := filepath.Join(dir, "file")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		return nil, "", err
	}
	return g, path, g.Mark(fanotify.Inode, path, fanotify.OpenPerm, 0)
}

// ask opens the file, and answers by decide.
func (t *Trial) ask(g *fanotify.Group, path string, decide func(fanotify.Event) error) error {
	opened := make(chan error, 1)
	go func() {
		f, err := os.Open(path)
		if err == nil {
			err = f.Close()
		}
		opened <- err
	}()
	ev, err := t.told(g, fanotify.OpenPerm, "")
	if err != nil {
		return err
	}
	err = decide(ev)
	_ = ev.Close()
	if oerr := <-opened; err == nil {
		err = oerr
	}
	return err
}

func fanotifyPermission(t *Trial) error {
	g, path, err := t.deciding(fanotify.Options{})
	if err != nil {
		return err
	}
	return t.Measure(func() error {
		if err := t.ask(g, path, fanotify.Event.Allow); err != nil {
			return err
		}
		return refused("the second open", t.ask(g, path, fanotify.Event.Deny), syscall.EPERM)
	}, nil)
}

func fanotifyAudit(t *Trial) error {
	g, path, err := t.deciding(fanotify.Options{Audit: true})
	if err != nil {
		return err
	}
	var answer error
	err = t.ask(g, path, func(ev fanotify.Event) error {
		answer = ev.RespondRule(fanotify.Deny, fanotify.AuditRule{Number: 1, Subject: fanotify.TrustUnknown, Object: fanotify.TrustUnknown})
		return nil
	})
	if answer != nil {
		return answer
	}
	return refused("the open", err, syscall.EPERM)
}

func fanotifyIgnore(t *Trial) error {
	g, dir, err := t.watched(0, fanotify.Open|fanotify.OnChild)
	if err != nil {
		return err
	}
	quiet, loud := filepath.Join(dir, "quiet"), filepath.Join(dir, "loud")
	for _, path := range []string{quiet, loud} {
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			return err
		}
		if _, err := g.TryReadBatch(new(fanotify.Batch)); err != nil {
			return err
		}
	}
	if err := g.Mark(fanotify.Inode, quiet, fanotify.Open, fanotify.Ignore|fanotify.SurviveModify|fanotify.Evictable); err != nil {
		return err
	}
	for _, path := range []string{quiet, loud} {
		if _, err := os.ReadFile(path); err != nil {
			return err
		}
	}
	ev, err := t.told(g, fanotify.Open, "")
	if err != nil {
		return err
	}
	defer func() { _ = ev.Close() }()
	got, err := ev.Path()
	if err == nil && filepath.Base(got) != "loud" {
		err = fmt.Errorf("the event is of %s", got)
	}
	return err
}

func fanotifyFDError(t *Trial) error {
	_, err := t.group(&fanotify.Options{Report: fanotify.ReportFDError})
	return err
}

func fanotifyFSError(t *Trial) error {
	g, err := t.group(&fanotify.Options{Report: fanotify.ReportFID})
	if err != nil {
		return err
	}
	dir, err := t.directory()
	if err != nil {
		return err
	}
	return marked(g.Mark(fanotify.Filesystem, dir, fanotify.FSError, 0))
}

// fanotifyPreAccess doesn't mind whether the file system has it.
func fanotifyPreAccess(t *Trial) error {
	g, err := t.group(&fanotify.Options{Class: fanotify.PreContent})
	if err != nil {
		return err
	}
	dir, err := t.directory()
	if err != nil {
		return err
	}
	if err = g.Mark(fanotify.Inode, dir, fanotify.PreAccess, 0); errors.Is(err, syscall.EOPNOTSUPP) {
		return nil
	}
	return err
}

func fanotifyMounts(t *Trial) error {
	g, err := t.group(&fanotify.Options{Report: fanotify.ReportMount})
	if err != nil {
		return err
	}
	return g.Mark(fanotify.MountNamespace, "/proc/self/ns/mnt", fanotify.MountAttach|fanotify.MountDetach, 0)
}
