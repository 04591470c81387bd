//go:build linux

package ops

import (
	"context"
	_ "embed"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes/splice"
)

// An operation of these moves a megabyte: n of them are a stream of n megabytes, from a goroutine that writes to one that reads.
const megabyte = 1 << 20

// A mover gets ready to move all of src to dst, and returns what does it.
type mover func(dst, src file) (move func())

// A file is an end of a move.
type file interface {
	io.ReadWriteCloser
	syscall.Conn
}

func ourCopy(dst, src file) func() {
	return func() {
		c, err := splice.Copy(context.Background(), dst, src)
		check(err)
		if c.Way < splice.ThroughPipe {
			fail(errors.New("Copy went by " + c.Way.String()))
		}
	}
}

func ioCopy(dst, src file) func() { return func() { must(io.Copy(dst, src)) } }

// inC moves by a loop of a C program, whose descriptors block.
func inC(loop string) mover {
	return func(dst, src file) func() {
		in, out := duplicate(src), duplicate(dst)
		cmd := exec.Command(compiled("move", moveC), loop)
		cmd.Stderr = os.Stderr
		cmd.ExtraFiles = []*os.File{in, out}
		gate := must(cmd.StdinPipe())
		check(cmd.Start())
		closeAll(in, out)
		return func() {
			check(gate.Close())
			check(cmd.Wait())
		}
	}
}

//go:embed c/move.c
var moveC []byte

// programs are those that have been compiled.
var programs = struct {
	sync.Mutex
	paths map[string]string
}{paths: make(map[string]string)}

// compiled is the path of a C program.
func compiled(name string, source []byte) string {
	programs.Lock()
	defer programs.Unlock()
	if path := programs.paths[name]; path != "" {
		return path
	}
	path := filepath.Join(must(os.MkdirTemp("", "fildes-bench-")), name)
	check(os.WriteFile(path+".c", source, 0o600))
	cmd := exec.Command("cc", "-O2", "-o", path, path+".c")
	cmd.Stderr = os.Stderr
	check(cmd.Run())
	programs.paths[name] = path
	return path
}

// duplicate makes a descriptor for a child. The description is shared: it becomes a blocking one.
func duplicate(f file) *os.File {
	d, ok := f.(interface{ File() (*os.File, error) })
	if ok {
		dup := must(d.File())
		check(must(dup.SyscallConn()).Control(func(fd uintptr) { check(unix.SetNonblock(int(fd), false)) }))
		return dup
	}
	n := 0
	check(must(f.SyscallConn()).Control(func(fd uintptr) { n = must(unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0)) }))
	return os.NewFile(uintptr(n), "duplicate")
}

// A line makes the two ends of a stream.
type line func() (r, w file)

func pipeLine() (r, w file) { return must2(os.Pipe()) }

func tcpLine() (r, w file) {
	l := must(net.Listen("tcp", "127.0.0.1:0"))
	defer closeAll(l)
	w = must(net.Dial("tcp", l.Addr().String())).(*net.TCPConn)
	r = must(l.Accept()).(*net.TCPConn)
	return r, w
}

func unixLine() (r, w file) {
	p := must(unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0))
	end := func(n int) file {
		f := os.NewFile(uintptr(n), "socket")
		defer closeAll(f)
		return must(net.FileConn(f)).(*net.UnixConn)
	}
	return end(p[0]), end(p[1])
}

// between moves from a line to a line, both of which are made anew for each measurement.
func between(from, to line, by mover) Setup {
	return func() (Run, func()) {
		run := func(n int, clock Clock) {
			src, feed := from()
			drain, dst := to()
			move := by(dst, src)
			clock.StartTimer()
			fed := partner(func() { writeAll(feed, n) })
			drained := partner(func() { readAll(drain) })
			move()
			check(dst.Close())
			drained()
			clock.StopTimer()
			fed()
			closeAll(src, drain)
		}
		return run, func() {}
	}
}

// writeAll writes n megabytes and closes.
func writeAll(w io.WriteCloser, n int) {
	block := make([]byte, megabyte)
	for range n {
		must(w.Write(block))
	}
	check(w.Close())
}

func readAll(r io.Reader) {
	block := make([]byte, megabyte)
	for {
		if _, err := r.Read(block); err == io.EOF {
			return
		} else if err != nil {
			fail(err)
		}
	}
}

// A stock is a file of which the last n megabytes are taken. It is in the page cache.
type stock struct {
	*os.File
	size int64
}

func newStock() *stock {
	return &stock{File: tempFile()}
}

func tempFile() *os.File {
	f := must(os.CreateTemp("", "fildes-bench-"))
	check(os.Remove(f.Name()))
	return f
}

func (s *stock) last(n int) {
	block := make([]byte, megabyte)
	for i := range block {
		block[i] = byte(i)
	}
	for s.size < int64(n)*megabyte {
		must(s.WriteAt(block, s.size))
		s.size += megabyte
	}
	must(s.Seek(s.size-int64(n)*megabyte, io.SeekStart))
}

// fromFile moves a part of a file to a line.
func fromFile(to line, by mover) Setup {
	return func() (Run, func()) {
		src := newStock()
		run := func(n int, clock Clock) {
			src.last(n)
			drain, dst := to()
			move := by(dst, src.File)
			clock.StartTimer()
			drained := partner(func() { readAll(drain) })
			move()
			check(dst.Close())
			drained()
			clock.StopTimer()
			closeAll(drain)
		}
		return run, func() { closeAll(src) }
	}
}

// fileToFile moves a part of a file to another one of the same file system, which is empty.
func fileToFile(by mover) Setup {
	return func() (Run, func()) {
		src, dst := newStock(), tempFile()
		run := func(n int, clock Clock) {
			src.last(n)
			check(dst.Truncate(0))
			must(dst.Seek(0, io.SeekStart))
			move := by(dst, src.File)
			clock.StartTimer()
			move()
			clock.StopTimer()
		}
		return run, func() { closeAll(src, dst) }
	}
}
