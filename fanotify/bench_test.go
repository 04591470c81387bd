//go:build linux

package fanotify_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/fildes/fildes/fanotify"
)

func BenchmarkReadBatch(b *testing.B) {
	for _, n := range []int{1, 16, 512} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			g := newGroup(b, &fanotify.Options{Report: fanotify.ReportDirFIDName})
			dir := home(b)
			mark(b, g, fanotify.Inode, dir, fanotify.Attrib|fanotify.OnChild, 0)
			var files []string
			for i := range n {
				files = append(files, touch(b, filepath.Join(dir, fmt.Sprint(i))))
			}
			batch := fanotify.NewBatch(64 << 10)
			b.ReportAllocs()
			for b.Loop() {
				b.StopTimer()
				for _, f := range files {
					check(b, os.Chmod(f, 0o600))
				}
				b.StartTimer()
				if k, err := g.ReadBatch(b.Context(), batch); k != n || err != nil {
					b.Fatal(k, err)
				}
				for ev, ok := batch.Next(); ok; ev, ok = batch.Next() {
					_, _ = ev.Entry()
				}
			}
		})
	}
}

func BenchmarkAllow(b *testing.B) {
	g, path := guarded(b, fanotify.Options{})
	s := newStranger(b)
	b.ReportAllocs()
	for b.Loop() {
		c := s.open(b, path)
		ev, err := g.Read(b.Context())
		check(b, err)
		check(b, ev.Allow())
		check(b, ev.Close())
		wantErrno(b, "open", c, 0)
	}
}
