//go:build linux

package splice

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"math"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes/internal/fd"
	"github.com/fildes/fildes/internal/sys"
)

// Memory is page-aligned memory outside of Go's heap, which can be handed over to a pipe without being copied: see [VMSplice].
//
// Its methods may be called by several goroutines at once; what is in it is the caller's to guard. The zero Memory and a nil *Memory refuse
// everything with [os.ErrInvalid], a closed one with [os.ErrClosed]. It must be closed: the garbage collector doesn't, because somebody might still hold its
// bytes.
type Memory struct {
	mu     sync.Mutex
	bytes  []byte
	lent   bool // to a call of VMSplice, which gives the memory back to the kernel if it is closed meanwhile
	closed bool
}

// NewMemory maps n bytes of zeros, rounded up to whole pages: mmap(2).
func NewMemory(n int) (*Memory, error) {
	page := os.Getpagesize()
	if n <= 0 || n > math.MaxInt-page {
		return nil, fail("new-memory", "", errSize)
	}
	b, err := sys.MapMemory((n + page - 1) / page * page)
	if err != nil {
		return nil, fail("new-memory", "mmap", err)
	}
	return &Memory{bytes: b}, nil
}

// Bytes is all of the memory; nil after Close and while a VMSplice has it. It must not be used after Close: that would end the program.
func (m *Memory) Bytes() []byte {
	if m == nil {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.lent || m.closed {
		return nil
	}
	return m.bytes
}

// Close gives the memory back: munmap(2), now or when a VMSplice that has it returns. What was handed over to a pipe stays there. A second Close returns
// [os.ErrClosed].
func (m *Memory) Close() error {
	if m == nil {
		return fail("close", "", os.ErrInvalid)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.check(); err != nil {
		return fail("close", "", err)
	}
	m.closed = true
	if m.lent {
		return nil
	}
	return fail("close", "munmap", m.unmap())
}

func (m *Memory) check() error {
	switch {
	case m.closed:
		return os.ErrClosed
	case m.bytes == nil:
		return os.ErrInvalid
	}
	return nil
}

func (m *Memory) unmap() error {
	b := m.bytes
	m.bytes = nil
	return sys.UnmapMemory(b)
}

// lend takes the memory for a call, and giveBack must follow.
func (m *Memory) lend() error {
	if m == nil {
		return os.ErrInvalid
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.check(); err != nil {
		return err
	}
	if m.lent {
		return errLent
	}
	m.lent = true
	return nil
}

func (m *Memory) giveBack() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lent = false
	if m.closed {
		_ = m.unmap()
	}
}

// spoil makes memory that is lent end when it is given back, because the pipe still refers to its pages.
func (m *Memory) spoil() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
}

// A Piece is the first bytes of a Memory.
type Piece struct {
	// Memory is where the bytes are.
	Memory *Memory
	// N is how many they are, from the beginning.
	N int
}

// VMSpliceOptions are the options of [VMSplice]; nil means the zero value.
type VMSpliceOptions struct {
	// Gift says that the kernel may keep the pages for itself, for the page cache of a file say (SPLICE_F_GIFT). It changes nothing for the caller; only whole
	// pages are given away.
	Gift bool
}

var (
	errSize  error = invalid("the size isn't positive")
	errPiece error = invalid("a piece is longer than its memory, or negative")
	errLent  error = invalid("the memory is in use by this call or another")
)

// vmsplice is [VMSplice] into any end.
func vmsplice(ctx context.Context, dst syscall.Conn, pieces []Piece, opts *VMSpliceOptions) (int64, error) {
	switch {
	case ctx == nil:
		return 0, errNoCtx
	case ctx.Err() != nil:
		return 0, fd.ContextError(ctx)
	}
	e, err := newEnd(dst, fd.Write)
	if err != nil {
		return 0, err
	}
	defer e.close()
	var bufs [][]byte
	lent := 0
	defer func() {
		for _, p := range pieces[:lent] {
			p.Memory.giveBack()
		}
	}()
	for _, p := range pieces {
		if err := p.Memory.lend(); err != nil {
			return 0, err
		}
		lent++
		if p.N < 0 || p.N > len(p.Memory.bytes) {
			return 0, errPiece
		}
		bufs = append(bufs, p.Memory.bytes[:p.N])
	}
	flags := unix.SPLICE_F_NONBLOCK
	if opts != nil && opts.Gift {
		flags |= unix.SPLICE_F_GIFT
	}
	done, err := writePages(ctx, e, bufs, flags)
	left := done
	for i, b := range bufs {
		n := min(left, len(b))
		left -= n
		if ferr := forget(b, n); ferr != nil {
			pieces[i].Memory.spoil()
			err = cmp.Or(err, ferr)
		}
	}
	return int64(done), err
}

// writePages hands over all of the buffers.
func writePages(ctx context.Context, e *end, bufs [][]byte, flags int) (done int, err error) {
	var iov []sys.Iovec
	for {
		iov = sys.AppendIovecs(iov[:0], bufs, done)
		if len(iov) == 0 {
			return done, nil
		}
		var k int
		err := e.run(ctx, func(num int) (err error) {
			how := flags
			if how&unix.SPLICE_F_GIFT != 0 && !wholePages(bufs, done) {
				how &^= unix.SPLICE_F_GIFT
			}
			k, err = sys.VmspliceTo(num, iov, how)
			return err
		})
		done += k
		if err == nil && k == 0 {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return done, err
		}
	}
}

// wholePages says whether what is left of the buffers is made of whole pages.
func wholePages(bufs [][]byte, done int) bool {
	page := os.Getpagesize()
	for _, b := range bufs {
		skip := min(done, len(b))
		done -= skip
		if skip < len(b) && (skip%page != 0 || len(b)%page != 0) {
			return false
		}
	}
	return true
}

// forget replaces the pages of the first n bytes, to which the pipe refers, by fresh ones, so that nothing that is done to the memory from now on can
// change what the reader gets. What wasn't handed over stays.
func forget(b []byte, n int) error {
	if n == 0 {
		return nil
	}
	page := os.Getpagesize()
	whole := (n + page - 1) / page * page
	b = b[:cap(b)]
	rest := append([]byte(nil), b[n:whole]...)
	if err := sys.ForgetMemory(b[:whole]); err != nil {
		return fmt.Errorf("the pages that were handed over can't be replaced, and the memory is closed: %w", err)
	}
	copy(b[n:whole], rest)
	return nil
}

// vmspliceRead is [VMSpliceRead] from any end.
func vmspliceRead(ctx context.Context, dst [][]byte, src syscall.Conn) (n int, err error) {
	switch {
	case ctx == nil:
		return 0, errNoCtx
	case ctx.Err() != nil:
		return 0, fd.ContextError(ctx)
	}
	e, err := newEnd(src, fd.Read)
	if err != nil {
		return 0, err
	}
	defer e.close()
	iov := sys.AppendIovecs(nil, dst, 0)
	if len(iov) == 0 {
		return 0, nil
	}
	err = e.run(ctx, func(num int) (err error) {
		n, err = sys.VmspliceFrom(num, iov, unix.SPLICE_F_NONBLOCK)
		return err
	})
	if err == nil && n == 0 {
		err = io.EOF
	}
	return n, err
}
