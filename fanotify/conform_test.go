//go:build linux

package fanotify_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/fildes/fildes/fanotify"
	"github.com/fildes/fildes/internal/fdtest"
)

// marked is a Group with a mark on a directory.
type marked struct {
	*fanotify.Group
	dir string
}

var entries atomic.Int64

// wake makes one event.
func wake(h fdtest.Handle) error {
	return os.Mkdir(filepath.Join(h.(marked).dir, fmt.Sprint(entries.Add(1))), 0o700)
}

func TestConform(t *testing.T) {
	newGroup(t, &fanotify.Options{Report: fanotify.ReportDirFIDName})
	base := home(t)
	dir, err := os.Open(base)
	check(t, err)
	defer dir.Close()
	fdtest.Conform(t, fdtest.Subject{
		New: func(t testing.TB) (fdtest.Handle, error) {
			g, err := fanotify.New(&fanotify.Options{Report: fanotify.ReportDirFIDName})
			if err != nil {
				return nil, err
			}
			dir := filepath.Join(base, fmt.Sprint(entries.Add(1)))
			check(t, os.Mkdir(dir, 0o700))
			if err := g.Mark(fanotify.Inode, dir, fanotify.Create|fanotify.OnDir, 0); err != nil {
				_ = g.Close()
				return nil, err
			}
			return marked{g, dir}, nil
		},
		Zero: new(fanotify.Group), Nil: (*fanotify.Group)(nil),
		Args: map[reflect.Type]any{
			reflect.TypeFor[syscall.Conn]():    dir,
			reflect.TypeFor[fanotify.Mask]():   fanotify.Open,
			reflect.TypeFor[*fanotify.Batch](): new(fanotify.Batch),
			reflect.TypeFor[fanotify.Handle](): fanotify.Handle{Type: 1, Data: []byte{1}},
		},
		Waits: []fdtest.Wait{
			{
				Name: "Read",
				Call: func(ctx context.Context, h fdtest.Handle) error {
					_, err := groupOf(h).Read(ctx)
					return err
				},
				Wake: wake,
			},
			{
				Name: "ReadBatch",
				Call: func(ctx context.Context, h fdtest.Handle) error {
					_, err := groupOf(h).ReadBatch(ctx, fanotify.NewBatch(0))
					return err
				},
				Wake: wake,
			},
			{
				Name: "Events",
				Call: func(ctx context.Context, h fdtest.Handle) error {
					for _, err := range groupOf(h).Events(ctx) {
						return err
					}
					return nil
				},
				Wake: wake,
			},
		},
	})
}

// A group that decides waits in another way, and its events have descriptors.
func TestConformDeciding(t *testing.T) {
	newGroup(t, &fanotify.Options{Class: fanotify.Content})
	dir, err := os.Open(t.TempDir())
	check(t, err)
	defer dir.Close()
	write := func(h fdtest.Handle) error {
		return os.WriteFile(filepath.Join(h.(marked).dir, fmt.Sprint(entries.Add(1))), nil, 0o600)
	}
	fdtest.Conform(t, fdtest.Subject{
		New: func(t testing.TB) (fdtest.Handle, error) {
			g, err := fanotify.New(&fanotify.Options{Class: fanotify.Content})
			if err != nil {
				return nil, err
			}
			dir := t.TempDir()
			if err := g.Mark(fanotify.Inode, dir, fanotify.CloseWrite|fanotify.OnChild, 0); err != nil {
				_ = g.Close()
				return nil, err
			}
			return marked{g, dir}, nil
		},
		Zero: new(fanotify.Group), Nil: (*fanotify.Group)(nil),
		Args: map[reflect.Type]any{
			reflect.TypeFor[syscall.Conn]():    dir,
			reflect.TypeFor[fanotify.Mask]():   fanotify.Open,
			reflect.TypeFor[*fanotify.Batch](): new(fanotify.Batch),
			reflect.TypeFor[fanotify.Handle](): fanotify.Handle{Type: 1, Data: []byte{1}},
		},
		Waits: []fdtest.Wait{{
			Name: "Read",
			Call: func(ctx context.Context, h fdtest.Handle) error {
				ev, err := groupOf(h).Read(ctx)
				if err == nil {
					err = ev.Close()
				}
				return err
			},
			Wake: write,
		}},
	})
}

func groupOf(h fdtest.Handle) *fanotify.Group {
	if m, ok := h.(marked); ok {
		return m.Group
	}
	return h.(*fanotify.Group)
}
