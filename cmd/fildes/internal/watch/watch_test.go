//go:build linux

package watch

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/fildes/fildes/inotify"
	"github.com/fildes/fildes/internal/fdtest"
)

// When watches run out in the middle, what was seen until then is told, then that something may be missed, then the rest.
func TestGoOver(t *testing.T) {
	dir := t.TempDir()
	o := Options{Paths: []string{dir}, Mask: inotify.Create, Recursive: true}
	tree, err := inotify.NewTree(&inotify.TreeOptions{Mask: o.Mask})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tree.Close() }()
	ctx, cancel := context.WithTimeout(t.Context(), fdtest.Bound)
	defer cancel()
	if err := tree.Add(ctx, dir); err != nil {
		t.Fatal(err)
	}
	touch := func(name string) error { return exec.Command("touch", filepath.Join(dir, name)).Run() } // what this process does isn't told
	if err := touch("before"); err != nil {
		t.Fatal(err)
	}
	m, err := mark(o)
	if errors.Is(err, errors.ErrUnsupported) || errors.Is(err, os.ErrPermission) {
		fdtest.Need(t, "sys_admin", err.Error())
	}
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	err = goOver(ctx, tree, m, func(string) error { return touch("after") }, func(ev Event) error {
		got = append(got, ev.Mask.String()+" "+filepath.Base(ev.Path))
		if filepath.Base(ev.Path) == "after" {
			cancel()
		}
		return nil
	})
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if want := []string{"Create before", "Overflow .", "Create after"}; !slices.Equal(got, want) {
		t.Errorf("%q, not %q", got, want)
	}
	if tree.Len() != 0 {
		t.Error("the Tree goes on")
	}
}

func TestMain(m *testing.M) { fdtest.Main(m) }
