//go:build linux

package doctor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes/pipe"
)

var pipeKind = Kind{
	Name:    "pipe",
	About:   "pipes and FIFOs: pipe(7), fifo(7)",
	Sysctls: []string{"fs.pipe-max-size", "fs.pipe-user-pages-soft"},
	Checks: []Check{
		{Name: "write-read", What: "write 64 bytes, read them", Run: pipeWriteRead},
		{Name: "packet", What: "a packet that was cut says so", Run: pipePacket},
		{Name: "size", What: "make a pipe of 256 KiB", Run: pipeSize},
		{Name: "broken", What: "a pipe that nobody reads gives EPIPE", Run: pipeBroken},
		{Name: "fifo-open", What: "opening a FIFO waits for a writer", Run: fifoOpen},
		{Name: "fifo-survive", What: "a FIFO's reader outlives its writers", Run: fifoSurvive},
	},
}

// ends makes a pipe that the trial closes.
func (t *Trial) ends(opts *pipe.Options) (*pipe.Reader, *pipe.Writer, error) {
	r, w, err := pipe.New(opts)
	if err == nil {
		t.Cleanup(func() { _, _ = r.Close(), w.Close() })
	}
	return r, w, err
}

func pipeWriteRead(t *Trial) error {
	r, w, err := t.ends(nil)
	if err != nil {
		return err
	}
	rr, rw, err := t.rawPipe(unix.O_NONBLOCK)
	if err != nil {
		return err
	}
	out, in := bytes.Repeat([]byte("fildes. "), 8), make([]byte, 128)
	t.Step("read what was written")
	return t.Measure(func() error {
		if _, err := w.WriteContext(t.ctx, out); err != nil {
			return err
		}
		n, err := r.ReadContext(t.ctx, in)
		if err == nil && !bytes.Equal(in[:n], out) {
			err = fmt.Errorf("%d bytes were written, and %d others read", len(out), n)
		}
		return err
	}, func() error {
		if _, err := unix.Write(rw, out); err != nil {
			return os.NewSyscallError("write", err)
		}
		_, err := unix.Read(rr, in)
		return os.NewSyscallError("read", err)
	})
}

func pipePacket(t *Trial) error {
	r, w, err := t.ends(&pipe.Options{Packet: true})
	if err != nil {
		return err
	}
	t.Step("read a part of a packet")
	return t.Measure(func() error {
		if _, err := w.WriteContext(t.ctx, []byte("packet")); err != nil {
			return err
		}
		n, err := r.ReadContext(t.ctx, make([]byte, 4))
		cut, ok := errors.AsType[*pipe.TruncatedError](err)
		if !ok {
			return refused("the read", err, io.ErrShortBuffer)
		}
		return errors.Join(want("what was read", n, 4), want("the packet's length", cut.Length, 6))
	}, nil)
}

func pipeSize(t *Trial) error {
	r, w, err := t.ends(nil)
	if err != nil {
		return err
	}
	const size = 256 << 10
	t.Step("make the pipe small and large")
	return t.Measure(func() error {
		if _, err := w.SetSize(1); err != nil {
			return err
		}
		if _, err := w.SetSize(size); err != nil {
			return err
		}
		got, err := r.Size()
		if err == nil && got < size {
			err = fmt.Errorf("the pipe holds %d bytes", got)
		}
		return err
	}, nil)
}

func pipeBroken(t *Trial) error {
	r, w, err := t.ends(nil)
	if err != nil {
		return err
	}
	if err := r.Close(); err != nil {
		return err
	}
	return t.Measure(func() error {
		_, err := w.WriteContext(t.ctx, []byte{1})
		return refused("the write", err, unix.EPIPE)
	}, nil)
}

// fifo makes a FIFO in a directory of its own.
func (t *Trial) fifo() (string, error) {
	dir, err := os.MkdirTemp("", "fildes-doctor-")
	if err != nil {
		return "", err
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	path := filepath.Join(dir, "fifo")
	return path, pipe.MakeFIFO(path, 0o600)
}

func fifoOpen(t *Trial) error {
	path, err := t.fifo()
	if err != nil {
		return err
	}
	t.Step("open the other end")
	err = t.Sample(func() (time.Duration, error) {
		opened := make(chan error, 1)
		start := time.Now()
		go func() {
			r, err := pipe.OpenReader(t.ctx, path, nil)
			if err == nil {
				err = r.Close()
			}
			opened <- err
		}()
		w, err := pipe.OpenWriter(t.ctx, path, nil)
		if err == nil {
			err = w.Close()
		}
		if e := <-opened; err == nil {
			err = e
		}
		return time.Since(start), err
	}, nil)
	if err != nil {
		return err
	}
	t.Step("a context ends the wait")
	ctx, cancel := context.WithTimeout(t.ctx, 5*time.Millisecond)
	defer cancel()
	_, err = pipe.OpenReader(ctx, path, nil)
	return refused("the open", err, context.DeadlineExceeded)
}

func fifoSurvive(t *Trial) error {
	path, err := t.fifo()
	if err != nil {
		return err
	}
	r, err := pipe.OpenReader(t.ctx, path, &pipe.OpenOptions{Survive: true})
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }()
	b := make([]byte, 2)
	return t.Measure(func() error {
		w, err := pipe.OpenWriter(t.ctx, path, nil)
		if err != nil {
			return err
		}
		_, err = w.WriteContext(t.ctx, b[:1])
		if err = errors.Join(err, w.Close()); err != nil {
			return err
		}
		n, err := r.ReadContext(t.ctx, b)
		return errors.Join(err, want("what was read", n, 1))
	}, nil)
}
