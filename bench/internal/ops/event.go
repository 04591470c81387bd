//go:build linux

package ops

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"unsafe"

	"github.com/fsnotify/fsnotify"
	"golang.org/x/sys/unix"

	"github.com/fildes/fildes/inotify"
)

// twoFiles makes a directory, and what makes n events in it, none of which equals its neighbour.
func twoFiles() (dir string, change func(n int), done func()) {
	dir = must(os.MkdirTemp("", "fildes-bench-"))
	var files [2]string
	for i := range files {
		files[i] = filepath.Join(dir, fmt.Sprint("file", i))
		check(os.WriteFile(files[i], nil, 0o600))
	}
	change = func(n int) {
		for i := range n {
			check(unix.Chmod(files[i%2], 0o600))
		}
	}
	return dir, change, func() { check(os.RemoveAll(dir)) }
}

// eventsQueued reads what is in a queue, with the names.
func eventsQueued(queued int) Setup {
	return func() (Run, func()) {
		dir, change, done := twoFiles()
		w := must(inotify.New(nil))
		must(w.Add(dir, inotify.Attrib, 0))
		batch := inotify.NewBatch(64 << 10)
		ctx := context.Background()
		run := func(n int, clock Clock) {
			for range n {
				change(queued)
				names := 0
				clock.StartTimer()
				k, err := w.ReadBatch(ctx, batch)
				for r, ok := batch.Next(); ok; r, ok = batch.Next() {
					names += len(r.Name)
				}
				clock.StopTimer()
				if err != nil || k != queued || names != 5*queued {
					fail(fmt.Errorf("%d events with names of %d bytes: %w", k, names, err))
				}
			}
		}
		return run, func() { closeAll(w); done() }
	}
}

// rawEventsQueued does the same as a program in C would.
func rawEventsQueued(queued int) Setup {
	return func() (Run, func()) {
		dir, change, done := twoFiles()
		fd := must(unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK))
		must(unix.InotifyAddWatch(fd, dir, unix.IN_ATTRIB))
		buf := make([]byte, 64<<10)
		run := func(n int, clock Clock) {
			for range n {
				change(queued)
				k, names := 0, 0
				clock.StartTimer()
				size, err := unix.Read(fd, buf)
				for b := buf[:max(size, 0)]; len(b) > 0; k++ {
					ev := (*unix.InotifyEvent)(unsafe.Pointer(&b[0]))
					name := b[unix.SizeofInotifyEvent : unix.SizeofInotifyEvent+ev.Len]
					for len(name) > 0 && name[len(name)-1] == 0 {
						name = name[:len(name)-1]
					}
					names += len(name)
					b = b[unix.SizeofInotifyEvent+ev.Len:]
				}
				clock.StopTimer()
				if err != nil || k != queued || names != 5*queued {
					fail(fmt.Errorf("%d events with names of %d bytes: %w", k, names, err))
				}
			}
		}
		return run, func() { check(unix.Close(fd)); done() }
	}
}

// drained is how many events are waiting when they are drained: no more than fit into the queue.
const drained = 10_000

// churn makes and removes files.
func churn(dir string) {
	path := filepath.Join(dir, "made and removed")
	for range drained / 2 {
		check(unix.Mknod(path, unix.S_IFREG|0o600, 0))
		check(unix.Unlink(path))
	}
}

func drainOurs() (Run, func()) {
	dir := must(os.MkdirTemp(shared, "fildes-bench-"))
	w := must(inotify.New(nil))
	must(w.Add(dir, inotify.Create|inotify.Delete, 0))
	ctx := context.Background()
	run := func(n int, clock Clock) {
		for range n {
			churn(dir)
			clock.StartTimer()
			k := 0
			for ev, err := range w.Events(ctx) {
				if err != nil || ev.Mask == inotify.Overflow {
					fail(fmt.Errorf("%+v: %w", ev, err))
				}
				if k++; k == drained {
					break
				}
			}
			clock.StopTimer()
		}
	}
	return run, func() { closeAll(w); check(os.RemoveAll(dir)) }
}

func drainFsnotify() (Run, func()) {
	dir := must(os.MkdirTemp(shared, "fildes-bench-"))
	w := must(fsnotify.NewWatcher())
	check(w.Add(dir))
	run := func(n int, clock Clock) {
		for range n {
			churn(dir)
			clock.StartTimer()
			for range drained {
				select {
				case <-w.Events:
				case err := <-w.Errors:
					fail(err)
				}
			}
			clock.StopTimer()
		}
	}
	return run, func() { closeAll(w); check(os.RemoveAll(dir)) }
}

// wood is a tree of 20,000 directories, which all sides plant.
var wood struct {
	root  string
	users int
}

func borrowWood() (root string, done func()) {
	if wood.users++; wood.users == 1 {
		wood.root = must(os.MkdirTemp(shared, "fildes-bench-"))
		for i := range 20 {
			for j := range 30 {
				for k := range 33 {
					check(os.MkdirAll(filepath.Join(wood.root, fmt.Sprint("some", i), fmt.Sprint("thing", j), fmt.Sprint("below", k)), 0o700))
				}
			}
		}
	}
	return wood.root, func() {
		if wood.users--; wood.users == 0 {
			check(os.RemoveAll(wood.root))
		}
	}
}

// planting measures how long it takes to watch all directories of a tree.
func planting(plant func(root string) (done func())) Setup {
	return func() (Run, func()) {
		root, done := borrowWood()
		run := func(n int, clock Clock) {
			for range n {
				clock.StartTimer()
				end := plant(root)
				clock.StopTimer()
				end()
			}
		}
		return run, done
	}
}

func plantTree(root string) func() {
	t := must(inotify.NewTree(nil))
	check(t.Add(context.Background(), root))
	return func() { closeAll(t) }
}

func plantFsnotify(root string) func() {
	w := must(fsnotify.NewWatcher())
	check(eachDirectory(root, w.Add))
	return func() { closeAll(w) }
}

// changes is what a Tree asks for by itself.
const changes = unix.IN_CREATE | unix.IN_DELETE | unix.IN_MOVE | unix.IN_MODIFY | unix.IN_CLOSE_WRITE | unix.IN_ATTRIB | unix.IN_DELETE_SELF | unix.IN_MOVE_SELF | unix.IN_ONLYDIR

func plantRaw(root string) func() {
	fd := must(unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK))
	check(eachDirectory(root, func(path string) error {
		_, err := unix.InotifyAddWatch(fd, path, changes)
		return err
	}))
	return func() { check(unix.Close(fd)) }
}

func eachDirectory(root string, do func(path string) error) error {
	return filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			err = do(path)
		}
		return err
	})
}
