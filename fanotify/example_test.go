//go:build linux

package fanotify_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"time"

	"github.com/fildes/fildes/fanotify"
)

// An on-access scanner: who opens a file below a mount waits for its verdict. It can't wedge the machine: what takes too long, or panics, is allowed, and its own opens are never asked about.
func Example_scanner() {
	g, err := fanotify.New(&fanotify.Options{
		Class:   fanotify.Content,
		Default: fanotify.Allow,
		Within:  5 * time.Second,
	})
	if err != nil {
		log.Fatal(err)
	}
	defer g.Close()
	if err := g.Mark(fanotify.Mount, "/srv", fanotify.OpenPerm|fanotify.OpenExecPerm, 0); err != nil {
		log.Fatal(err)
	}
	if err := scan(context.Background(), g); err != nil {
		log.Fatal(err)
	}
}

// scan decides. Several may scan one group.
func scan(ctx context.Context, g *fanotify.Group) error {
	for ev, err := range g.Events(ctx) {
		if err != nil {
			return err
		}
		if !ev.Asks() {
			continue // Overflow, or a file that couldn't be opened
		}
		infected, err := hasVirus(ev)
		if err == nil && infected {
			err = ev.Deny()
		}
		if err != nil && !errors.Is(err, fanotify.ErrAnswered) {
			log.Print(err) // the round's end allows it
		}
	}
	return nil
}

// hasVirus reads the file by the event's descriptor, which makes no further events.
func hasVirus(file io.ReaderAt) (bool, error) {
	var head [4096]byte
	n, err := file.ReadAt(head[:], 0)
	if err != nil && err != io.EOF {
		return false, err
	}
	return bytes.Contains(head[:n], []byte("EICAR-STANDARD-ANTIVIRUS-TEST-FILE")), nil
}

// Without any right, the directories that are marked can be watched: their handles are known beforehand.
func Example_unprivileged() {
	if err := watchDirectories(context.Background(), os.Args[1:], func(path string, mask fanotify.Mask) { fmt.Println(mask, path) }); err != nil {
		log.Fatal(err)
	}
}

func watchDirectories(ctx context.Context, dirs []string, emit func(path string, mask fanotify.Mask)) error {
	g, err := fanotify.New(&fanotify.Options{Report: fanotify.ReportDirFIDName})
	if err != nil {
		return err
	}
	defer g.Close()
	known := make(map[string]string)
	for _, dir := range dirs {
		h, err := fanotify.HandleOf(dir)
		if err != nil {
			return err
		}
		known[h.Key()] = dir
		const mask = fanotify.Create | fanotify.Delete | fanotify.Moved | fanotify.CloseWrite | fanotify.OnChild | fanotify.OnDir
		if err := g.Mark(fanotify.Inode, dir, mask, fanotify.OnlyDir); err != nil {
			return err
		}
	}
	for ev, err := range g.Events(ctx) {
		if err != nil {
			return err
		}
		if en, ok := ev.Entry(); ok {
			emit(filepath.Join(known[en.Dir.Key()], string(en.Name)), ev.Mask)
		}
	}
	return nil
}
