//go:build linux

package inotify_test

import (
	"context"
	"os"
	"path/filepath"
	"reflect"
	"syscall"
	"testing"

	"github.com/fildes/fildes/inotify"
	"github.com/fildes/fildes/internal/fdtest"
)

// watching is a Watcher of a directory.
type watching struct {
	*inotify.Watcher
	dir string
}

// wake makes one event.
func wake(h fdtest.Handle) error { return os.Mkdir(filepath.Join(h.(watching).dir, unique()), 0o700) }

func TestConform(t *testing.T) {
	dir, err := os.Open(t.TempDir())
	check(t, err)
	defer dir.Close()
	fdtest.Conform(t, fdtest.Subject{
		New: func(t testing.TB) (fdtest.Handle, error) {
			w, err := inotify.New(nil)
			if err != nil {
				return nil, err
			}
			dir := t.TempDir()
			if _, err := w.Add(dir, inotify.Create, 0); err != nil {
				_ = w.Close()
				return nil, err
			}
			return watching{w, dir}, nil
		},
		Zero: new(inotify.Watcher), Nil: (*inotify.Watcher)(nil),
		Args: map[reflect.Type]any{
			reflect.TypeFor[syscall.Conn]():   dir,
			reflect.TypeFor[inotify.Mask]():   inotify.Create,
			reflect.TypeFor[inotify.Watch]():  inotify.Watch(1),
			reflect.TypeFor[*inotify.Batch](): new(inotify.Batch),
		},
		Waits: []fdtest.Wait{
			{
				Name: "Read",
				Call: func(ctx context.Context, h fdtest.Handle) error {
					_, err := watcherOf(h).Read(ctx)
					return err
				},
				Wake: wake,
			},
			{
				Name: "ReadBatch",
				Call: func(ctx context.Context, h fdtest.Handle) error {
					_, err := watcherOf(h).ReadBatch(ctx, inotify.NewBatch(32)) // one event
					return err
				},
				Wake: wake,
			},
			{
				Name: "Events",
				Call: func(ctx context.Context, h fdtest.Handle) error {
					for _, err := range watcherOf(h).Events(ctx) {
						return err
					}
					return nil
				},
				Wake: wake,
			},
			{
				Name: "Pairer",
				Call: func(ctx context.Context, h fdtest.Handle) error {
					_, err := inotify.NewPairer(watcherOf(h), 0).Read(ctx)
					return err
				},
				Wake: wake,
			},
		},
	})
}

func watcherOf(h fdtest.Handle) *inotify.Watcher {
	if w, ok := h.(watching); ok {
		return w.Watcher
	}
	return h.(*inotify.Watcher)
}
