//go:build linux

package ops

import (
	"bufio"
	"context"
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes/fanotify"
)

// shared is a directory in a file system of its own, in which little else happens.
const shared = "/dev/shm"

// files makes a directory with files, and what makes an event of each.
func files(n int) (change func(), done func()) {
	dir := must(os.MkdirTemp(shared, "fildes-bench-"))
	var paths []string
	for i := range n {
		path := filepath.Join(dir, fmt.Sprintf("file%03d", i))
		check(os.WriteFile(path, nil, 0o600))
		paths = append(paths, path)
	}
	change = func() {
		for _, path := range paths {
			check(unix.Chmod(path, 0o600))
		}
	}
	return change, func() { check(os.RemoveAll(dir)) }
}

// groupQueued reads what is in the queue of a file system's group, with the names. What the other sides' files have left there is read before.
func groupQueued(queued int) Setup {
	return func() (Run, func()) {
		change, done := files(queued)
		g := must(fanotify.New(&fanotify.Options{Report: fanotify.ReportDirFIDName, UnlimitedQueue: true}))
		check(g.Mark(fanotify.Filesystem, shared, fanotify.Attrib, 0))
		batch := fanotify.NewBatch(128 << 10)
		ctx := context.Background()
		run := func(n int, clock Clock) {
			for must(g.TryReadBatch(batch)) > 0 {
				batch.Close()
			}
			for range n {
				change()
				names := 0
				clock.StartTimer()
				k, err := g.ReadBatch(ctx, batch)
				for ev, ok := batch.Next(); ok; ev, ok = batch.Next() {
					en, _ := ev.Entry()
					names += len(en.Name)
				}
				clock.StopTimer()
				if err != nil || k != queued || names != 7*queued {
					fail(fmt.Errorf("%d events with names of %d bytes: %w", k, names, err))
				}
			}
		}
		return run, func() { closeAll(g); done() }
	}
}

// rawGroupQueued does the same as a program in C would.
func rawGroupQueued(queued int) Setup {
	return func() (Run, func()) {
		change, done := files(queued)
		fd := must(unix.FanotifyInit(unix.FAN_REPORT_DFID_NAME|unix.FAN_UNLIMITED_QUEUE|unix.FAN_CLOEXEC|unix.FAN_NONBLOCK, 0))
		check(unix.FanotifyMark(fd, unix.FAN_MARK_ADD|unix.FAN_MARK_FILESYSTEM, unix.FAN_ATTRIB, unix.AT_FDCWD, shared))
		buf := make([]byte, 128<<10)
		run := func(n int, clock Clock) {
			for {
				if _, err := unix.Read(fd, buf); err != nil {
					break
				}
			}
			for range n {
				change()
				k, names := 0, 0
				clock.StartTimer()
				size, err := unix.Read(fd, buf)
				for b := buf[:max(size, 0)]; len(b) > 0; k++ {
					ev := (*unix.FanotifyEventMetadata)(unsafe.Pointer(&b[0]))
					for info := b[ev.Metadata_len:ev.Event_len]; len(info) > 0; {
						size := *(*uint16)(unsafe.Pointer(&info[2]))
						if info[0] == unix.FAN_EVENT_INFO_TYPE_DFID_NAME {
							name := info[20+*(*uint32)(unsafe.Pointer(&info[12])) : size]
							for i, c := range name {
								if c == 0 {
									names += i
									break
								}
							}
						}
						info = info[size:]
					}
					b = b[ev.Event_len:]
				}
				clock.StopTimer()
				if err != nil || k != queued || names != 7*queued {
					fail(fmt.Errorf("%d events with names of %d bytes: %w", k, names, err))
				}
			}
		}
		return run, func() { check(unix.Close(fd)); done() }
	}
}

// listenEnv makes a program that has this package a listener for the file that it names.
const listenEnv = "FILDES_BENCH_LISTEN"

// Listen is for the beginning of a program that measures: if it was started to be a listener, it is one, until it is killed; and so with what it may be for queues, which ends.
func Listen() {
	if spec := os.Getenv(queueEnv); spec != "" {
		play(spec)
		os.Exit(0)
	}
	if path := os.Getenv(listenEnv); path != "" {
		listen(path)
	}
}

func listen(path string) {
	g := must(fanotify.New(&fanotify.Options{Class: fanotify.Content}))
	check(g.Mark(fanotify.Inode, path, fanotify.OpenPerm, 0))
	fmt.Println("ready")
	for ev, err := range g.Events(context.Background()) {
		check(err)
		check(ev.Allow())
	}
}

func ourListener(path string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), listenEnv+"="+path)
	return cmd
}

//go:embed c/listen.c
var listenC []byte

func listenerInC(path string) *exec.Cmd { return exec.Command(compiled("listen", listenC), path) }

// dirfd is AT_FDCWD.
const dirfd = ^uintptr(99)

// A placement says on which cores a thread and a process that it waits for run: -1 is wherever the kernel likes.
type placement func() (thread, process int)

func anywhere() (thread, process int) { return -1, -1 }

func oneCore() (thread, process int) {
	a, _ := twoCores()
	return a, a
}

// placeProcess has a process on a core, with all threads that it has and will have. Go's runtime counts the cores when a program starts, so this one goes on as a program does that may use all.
func placeProcess(pid, core int) {
	var only unix.CPUSet
	only.Set(core)
	for _, task := range must(os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))) {
		check(unix.SchedSetaffinity(must(strconv.Atoi(task.Name())), &only))
	}
}

// asking opens a file about which another process is asked.
func asking(listener func(path string) *exec.Cmd, where placement) Setup {
	return func() (Run, func()) {
		thread, process := where()
		dir := must(os.MkdirTemp("", "fildes-bench-"))
		path := filepath.Join(dir, "file")
		check(os.WriteFile(path, nil, 0o600))
		cmd := listener(path)
		cmd.Stderr = os.Stderr
		out := must(cmd.StdoutPipe())
		check(cmd.Start())
		must(bufio.NewReader(out).ReadString('\n'))
		if process >= 0 {
			placeProcess(cmd.Process.Pid, process)
		}
		name := must(unix.BytePtrFromString(path))
		run := func(n int, clock Clock) {
			if thread >= 0 {
				undo := pin(thread)
				defer undo()
			}
			clock.StartTimer()
			for range n { // raw, so that Go's scheduler doesn't look for other work for the processor that waits
				num, _, e := unix.RawSyscall6(unix.SYS_OPENAT, dirfd, uintptr(unsafe.Pointer(name)), unix.O_RDONLY|unix.O_CLOEXEC, 0, 0, 0)
				if e != 0 {
					fail(e)
				}
				check(unix.Close(int(num)))
			}
			clock.StopTimer()
		}
		return run, func() {
			check(cmd.Process.Kill())
			_ = cmd.Wait()
			check(os.RemoveAll(dir))
		}
	}
}
