//go:build linux

package inotify_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/fildes/fildes/inotify"
)

// React to each file that somebody has finished writing into a directory, or has moved there.
func Example() {
	dir, err := os.MkdirTemp("", "incoming")
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	w, err := inotify.New(nil)
	if err != nil {
		log.Fatal(err)
	}
	defer w.Close()
	if _, err := w.Add(dir, inotify.CloseWrite|inotify.MovedTo, inotify.OnlyDir); err != nil {
		log.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "order.txt"), []byte("two of them"), 0o600); err != nil { // somebody else, usually
		log.Fatal(err)
	}
	for ev, err := range w.Events(context.Background()) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(ev.Mask, ev.Name)
		break
	}
	// Output: CloseWrite order.txt
}

// Do something again whenever a tree has changed and is quiet then, whatever changed: a build, a synchronisation.
func ExampleTree() {
	dir, err := os.MkdirTemp("", "project")
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	t, err := inotify.NewTree(&inotify.TreeOptions{Skip: func(path string, dir bool) bool { return dir && filepath.Base(path) == ".git" }})
	if err != nil {
		log.Fatal(err)
	}
	defer t.Close()
	ctx := context.Background()
	if err := t.Add(ctx, dir); err != nil {
		log.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "src", "deep"), 0o700); err != nil {
		log.Fatal(err)
	}
	changed := make([]inotify.TreeEvent, 100)
	n, err := t.ReadBatch(ctx, changed) // one or more; Overflow would say that there were others
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(n > 0, filepath.Base(changed[0].Path))
	// Output: true src
}

// Joins the halves of renames.
func ExamplePairer() {
	dir, err := os.MkdirTemp("", "names")
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	w, err := inotify.New(nil)
	if err != nil {
		log.Fatal(err)
	}
	defer w.Close()
	if _, err := w.Add(dir, inotify.Moved, 0); err != nil {
		log.Fatal(err)
	}
	old := filepath.Join(dir, "draft")
	if err := os.Mkdir(old, 0o700); err != nil {
		log.Fatal(err)
	}
	if err := os.Rename(old, filepath.Join(dir, "final")); err != nil {
		log.Fatal(err)
	}
	c, err := inotify.NewPairer(w, 0).Read(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(c.Name, c.To.Name)
	// Output: draft final
}
