//go:build linux

package inotify_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes/inotify"
)

// Each file in testdata is a behaviour that the documentation promises. A line is a command; paths are below an empty directory.
//
//	watch W PATH MASK [FLAGS]     adds PATH, as W from now on; a W that there is must be the same Watch
//	watch-open W FILE MASK [FLAGS] adds the open FILE
//	refuse ERRNO COMMAND...       the command fails with that
//	remove W
//	touch write read truncate chmod mkdir mknod rmdir rm list PATH
//	utimes PATH WHICH             sets the times to now: access, modify or both
//	mv exchange ln symlink FROM TO
//	open FILE PATH, open-read FILE PATH, path FILE PATH, close FILE
//	read-open write-open read-nothing write-nothing chmod-open allocate FILE
//	expect W MASK [NAME] [COOKIE] the next event; cookies are words, the same for the same number
//	nothing                       no event is waiting
//
// At its end no event may be waiting.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.script")
	check(t, err)
	if len(files) == 0 {
		t.Fatal("there are no scripts")
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".script"), func(t *testing.T) {
			f, err := os.Open(file)
			check(t, err)
			defer f.Close()
			s := &script{
				w: newWatcher(t), dir: t.TempDir(), watches: map[string]inotify.Watch{"-": inotify.None},
				cookies: map[string]uint32{}, open: map[string]*os.File{},
			}
			lines := bufio.NewScanner(f)
			for n := 1; lines.Scan(); n++ {
				words := strings.Fields(lines.Text())
				if len(words) == 0 || strings.HasPrefix(words[0], "#") {
					continue
				}
				if err := s.do(t.Context(), words); err != nil {
					t.Fatalf("%s:%d: %s: %v", file, n, lines.Text(), err)
				}
			}
			check(t, lines.Err())
			if err := s.do(t.Context(), []string{"nothing"}); err != nil {
				t.Fatalf("%s: at the end: %v", file, err)
			}
			for _, f := range s.open {
				check(t, f.Close())
			}
		})
	}
}

type script struct {
	w       *inotify.Watcher
	dir     string
	watches map[string]inotify.Watch
	cookies map[string]uint32
	open    map[string]*os.File
}

var errnos = map[string]error{
	"EEXIST": syscall.EEXIST, "ENOTDIR": syscall.ENOTDIR, "ENOENT": syscall.ENOENT, "EINVAL": syscall.EINVAL,
	"ErrNoWatch": inotify.ErrNoWatch, "ErrInvalid": os.ErrInvalid,
}

func (s *script) path(name string) string { return filepath.Join(s.dir, name) }

func (s *script) do(ctx context.Context, words []string) error {
	command, args := words[0], words[1:]
	arg := func(i int) string {
		if i < len(args) {
			return args[i]
		}
		return ""
	}
	switch command {
	case "refuse":
		want, ok := errnos[arg(0)]
		if !ok {
			return fmt.Errorf("what is %s?", arg(0))
		}
		if err := s.do(ctx, args[1:]); !errors.Is(err, want) {
			return fmt.Errorf("got %w, want %w", err, want)
		}
		return nil
	case "watch", "watch-open":
		var mask inotify.Mask
		var flags inotify.AddFlags
		err := mask.UnmarshalText([]byte(arg(2)))
		if err == nil && arg(3) != "" {
			err = flags.UnmarshalText([]byte(arg(3)))
		}
		if err != nil {
			return err
		}
		var wd inotify.Watch
		if command == "watch" {
			wd, err = s.w.Add(s.path(arg(1)), mask, flags)
		} else {
			wd, err = s.w.AddFile(s.open[arg(1)], mask, flags)
		}
		if err != nil {
			return err
		}
		if old, ok := s.watches[arg(0)]; ok && old != wd {
			return fmt.Errorf("the watch is %d, not %d", wd, old)
		}
		for name, w := range s.watches {
			if w == wd && name != arg(0) {
				return fmt.Errorf("it is %s", name)
			}
		}
		s.watches[arg(0)] = wd
		return nil
	case "remove":
		return s.w.Remove(s.watches[arg(0)])
	case "expect":
		return s.expect(ctx, args)
	case "nothing":
		var b inotify.Batch
		n, err := s.w.TryReadBatch(&b)
		if r, ok := b.Next(); ok {
			return fmt.Errorf("%d events, first %+v", n, r.Event())
		}
		return err
	case "open", "open-read":
		how := os.O_RDWR
		if command == "open-read" {
			how = os.O_RDONLY
		}
		f, err := os.OpenFile(s.path(arg(1)), how, 0)
		s.open[arg(0)] = f
		return err
	case "path":
		n, err := unix.Open(s.path(arg(1)), unix.O_PATH|unix.O_CLOEXEC, 0)
		if err == nil {
			s.open[arg(0)] = os.NewFile(uintptr(n), arg(1))
		}
		return err
	case "close":
		f := s.open[arg(0)]
		delete(s.open, arg(0))
		return f.Close()
	case "write-open", "read-open", "write-nothing", "read-nothing", "chmod-open", "allocate":
		return opened(command, s.open[arg(0)])
	case "utimes":
		times := []unix.Timespec{{Nsec: unix.UTIME_NOW}, {Nsec: unix.UTIME_NOW}}
		switch arg(1) {
		case "access":
			times[1].Nsec = unix.UTIME_OMIT
		case "modify":
			times[0].Nsec = unix.UTIME_OMIT
		}
		return unix.UtimesNanoAt(unix.AT_FDCWD, s.path(arg(0)), times, 0)
	}
	return files(command, s.path(arg(0)), s.path(arg(1)))
}

func opened(command string, f *os.File) error {
	c, err := f.SyscallConn()
	if err != nil {
		return err
	}
	b := make([]byte, 1)
	return errors.Join(c.Control(func(num uintptr) {
		switch num := int(num); command {
		case "write-open":
			_, err = unix.Write(num, b)
		case "read-open":
			_, err = unix.Read(num, b)
		case "write-nothing":
			_, err = unix.Write(num, nil)
		case "read-nothing":
			_, err = unix.Read(num, nil)
		case "chmod-open":
			err = unix.Fchmod(num, 0o640)
		case "allocate":
			err = unix.Fallocate(num, 0, 0, 100)
		}
	}), err)
}

func files(command, a, b string) error {
	switch command {
	case "touch":
		f, err := os.OpenFile(a, os.O_WRONLY|os.O_CREATE, 0o600)
		if err == nil {
			err = f.Close()
		}
		return err
	case "write":
		return os.WriteFile(a, []byte("hello"), 0o600)
	case "read":
		_, err := os.ReadFile(a)
		return err
	case "truncate":
		return os.Truncate(a, 3)
	case "chmod":
		return os.Chmod(a, 0o700)
	case "mkdir":
		return os.Mkdir(a, 0o700)
	case "mknod":
		return unix.Mknod(a, unix.S_IFREG|0o600, 0)
	case "list":
		_, err := os.ReadDir(a)
		return err
	case "rmdir":
		return unix.Rmdir(a)
	case "rm":
		return unix.Unlink(a)
	case "mv":
		return os.Rename(a, b)
	case "exchange":
		return unix.Renameat2(unix.AT_FDCWD, a, unix.AT_FDCWD, b, unix.RENAME_EXCHANGE)
	case "ln":
		return os.Link(a, b)
	case "symlink":
		return os.Symlink(filepath.Base(a), b)
	}
	return fmt.Errorf("what is %s?", command)
}

func (s *script) expect(ctx context.Context, args []string) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	ev, err := s.w.Read(ctx)
	if err != nil {
		return err
	}
	var mask inotify.Mask
	if err := mask.UnmarshalText([]byte(args[1])); err != nil {
		return err
	}
	name, cookie := "", ""
	rest := slices.Clone(args[2:])
	if len(rest) > 0 && !strings.HasPrefix(rest[0], "#") {
		name, rest = rest[0], rest[1:]
	}
	if len(rest) > 0 {
		cookie = rest[0]
	}
	if want, ok := s.watches[args[0]]; !ok || ev.Watch != want || ev.Mask != mask || ev.Name != name || (ev.Cookie != 0) != (cookie != "") {
		return fmt.Errorf("got %v %q of watch %d (%v), cookie %d", ev.Mask, ev.Name, ev.Watch, s.watches, ev.Cookie)
	}
	if known, ok := s.cookies[cookie]; ok && known != ev.Cookie {
		return fmt.Errorf("the cookie is %d, not %d", ev.Cookie, known)
	}
	for name, known := range s.cookies {
		if known == ev.Cookie && name != cookie {
			return fmt.Errorf("the cookie is that of %s", name)
		}
	}
	if cookie != "" {
		s.cookies[cookie] = ev.Cookie
	}
	return nil
}
