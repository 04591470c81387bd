//go:build linux

package splice

import (
	"context"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes/internal/fd"
	"github.com/fildes/fildes/internal/sys"
)

// Options are the options of [Splice]; nil means the zero value.
type Options struct {
	// SrcOffset is where to begin in a source that is a file; it is moved on by what was read, and the file's own offset isn't used. Nil is
	// the file's own offset, which moves.
	SrcOffset *int64
	// DstOffset is where to begin in a destination that is a file; it is moved on by what was written. Nil is the file's own offset, which
	// moves.
	DstOffset *int64
	// More says that more is coming, so that a TCP connection doesn't send a segment that isn't full (SPLICE_F_MORE). The last move must
	// not say so, or the rest is sent with a delay of up to 200 ms.
	More bool
}

// Splice moves n bytes from src to dst without copying them through the program: splice(2), as often as it must. One of the two is
// a pipe; to move between two that aren't, use [Copy].
//
// It waits for the end that isn't ready, and returns how many bytes it moved, and if that isn't n, why: a bare [io.EOF] where src
// ended. Bytes that weren't moved are still in src. A done ctx fails the call before anything is moved; that it ends a wait for a
// connection of net or os is explained in the package's documentation.
//
// Each system call takes bytes from src and puts them into dst as one; between them others may read and write the same ends. An end that
// somebody made blocking, like an inherited standard output, is waited for without a thread, but one that is a socket may keep a
// thread waiting when it takes less than it said.
//
// It fails with EINVAL where neither end is a pipe, both are the same pipe, the other end doesn't know splice, or a file is open for appending
// (O_APPEND); with ESPIPE where a pipe is given an offset; with EPIPE where nobody reads dst any more, which doesn't end the program
// whatever dst's number is. splice(2) came with Linux 2.6.17; no privilege is needed.
func Splice(ctx context.Context, dst, src syscall.Conn, n int64, opts *Options) (int64, error) {
	done, err := splice(ctx, dst, src, n, opts)
	return done, fail("splice", "splice", err)
}

func splice(ctx context.Context, dst, src syscall.Conn, n int64, opts *Options) (int64, error) {
	var o Options
	if opts != nil {
		o = *opts
	}
	if o.SrcOffset != nil && *o.SrcOffset < 0 || o.DstOffset != nil && *o.DstOffset < 0 {
		return 0, errOffset
	}
	p, err := begin(ctx, dst, src, n)
	if err != nil {
		return 0, err
	}
	defer p.close()
	flags := spliceFlags
	if o.More {
		flags |= unix.SPLICE_F_MORE
	}
	return p.move(ctx, n, func(d, s, n int) (int, error) { return sys.Splice(s, o.SrcOffset, d, o.DstOffset, n, flags) })
}

// spliceFlags is how every splice is made: it doesn't wait for a pipe.
const spliceFlags = unix.SPLICE_F_NONBLOCK | unix.SPLICE_F_MOVE

// begin is what all calls of this package begin with.
func begin(ctx context.Context, dst, src syscall.Conn, n int64) (*pair, error) {
	switch {
	case ctx == nil:
		return nil, errNoCtx
	case n < 0:
		return nil, errNegative
	case ctx.Err() != nil:
		return nil, fd.ContextError(ctx)
	}
	return newPair(dst, src)
}

// beginKnowing is begin for what goes different ways between different ends.
func beginKnowing(ctx context.Context, dst, src syscall.Conn, n int64) (*pair, error) {
	p, err := begin(ctx, dst, src, n)
	if err != nil {
		return nil, err
	}
	if err := p.know(); err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

// tee is [Tee] between any two ends.
func tee(ctx context.Context, dst, src syscall.Conn, n int64) (int64, error) {
	p, err := begin(ctx, dst, src, n)
	if err != nil {
		return 0, fail("tee", "tee", err)
	}
	defer p.close()
	done, err := p.move(ctx, min(n, 1), func(d, s, _ int) (int, error) {
		return sys.Tee(s, d, int(min(n, most)), unix.SPLICE_F_NONBLOCK)
	})
	return done, fail("tee", "tee", err)
}
