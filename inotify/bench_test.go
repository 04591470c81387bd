//go:build linux

package inotify_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes/inotify"
)

// twoFiles returns a directory and what makes n events in it, none of which equals its neighbour.
func twoFiles(b *testing.B) (dir string, change func(n int)) {
	dir = b.TempDir()
	var files [2]string
	for i := range files {
		files[i] = filepath.Join(dir, fmt.Sprint(i))
		touch(b, files[i])
	}
	return dir, func(n int) {
		for i := range n {
			if err := unix.Chmod(files[i%2], 0o600); err != nil {
				b.Fatal(err)
			}
		}
	}
}

func BenchmarkReadBatch(b *testing.B) {
	for _, n := range []int{1, 16, 512} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			w := newWatcher(b)
			dir, change := twoFiles(b)
			_, err := w.Add(dir, inotify.Attrib, 0)
			check(b, err)
			batch := new(inotify.Batch)
			b.ReportAllocs()
			for b.Loop() {
				b.StopTimer()
				change(n)
				b.StartTimer()
				if k, err := w.ReadBatch(b.Context(), batch); k != n || err != nil {
					b.Fatal(k, err)
				}
				for _, ok := batch.Next(); ok; _, ok = batch.Next() {
				}
			}
		})
	}
}

func BenchmarkRead(b *testing.B) {
	w := newWatcher(b)
	dir, change := twoFiles(b)
	_, err := w.Add(dir, inotify.Attrib, 0)
	check(b, err)
	b.ReportAllocs()
	for b.Loop() {
		change(1)
		if _, err := w.Read(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkTreeAdd(b *testing.B) {
	root := b.TempDir()
	for i := range 100 {
		for j := range 10 {
			check(b, os.MkdirAll(filepath.Join(root, fmt.Sprint(i), fmt.Sprint(j)), 0o700))
		}
	}
	for b.Loop() {
		tree, err := inotify.NewTree(nil)
		check(b, err)
		check(b, tree.Add(b.Context(), root))
		b.StopTimer()
		check(b, tree.Close())
		b.StartTimer()
	}
}
