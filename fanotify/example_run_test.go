//go:build linux

package fanotify_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/fildes/fildes/fanotify"
	"github.com/fildes/fildes/internal/fdtest"
)

func TestScannerExample(t *testing.T) {
	g, good := guarded(t, fanotify.Options{})
	bad := filepath.Join(filepath.Dir(good), "bad")
	check(t, os.WriteFile(bad, []byte("xEICAR-STANDARD-ANTIVIRUS-TEST-FILE"), 0o600))
	mark(t, g, fanotify.Inode, bad, fanotify.OpenPerm, 0)
	ctx, cancel := context.WithCancel(t.Context())
	c := fdtest.Go(t, func() error { return scan(ctx, g) })
	s := newStranger(t)
	wantErrno(t, "good", s.open(t, good), 0)
	wantErrno(t, "bad", s.open(t, bad), syscall.EPERM)
	_, err := os.ReadFile(bad) // our own
	check(t, err)
	cancel()
	if err := c.Err(); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestUnprivilegedExample(t *testing.T) {
	newGroup(t, &fanotify.Options{Report: fanotify.ReportDirFIDName})
	base := home(t)
	dirs := []string{filepath.Join(base, "one"), filepath.Join(base, "two")}
	check(t, errors.Join(os.Mkdir(dirs[0], 0o700), os.Mkdir(dirs[1], 0o700)))
	ctx, cancel := context.WithCancel(bounded(t))
	defer cancel()
	got := make(chan string, 1)
	c := fdtest.Go(t, func() error {
		return watchDirectories(ctx, dirs, func(path string, mask fanotify.Mask) {
			select {
			case got <- mask.String() + " " + path:
			default:
			}
		})
	}).Parked()
	path := filepath.Join(dirs[1], "made")
	check(t, os.Mkdir(path, 0o700))
	if g, want := <-got, "Create|OnDir "+path; g != want {
		t.Errorf("%q, want %q", g, want)
	}
	cancel()
	if err := c.Err(); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
