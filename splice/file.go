//go:build linux

package splice

import (
	"context"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes/internal/fd"
	"github.com/fildes/fildes/internal/sys"
)

// Own is an offset: the file's own, which moves on by what is read or written there.
const Own int64 = -1

// SendFile sends n bytes of src, from offset on, to dst, which may be anything that can be written: sendfile(2), as often as it
// must. The next offset is offset plus what is returned; with [Own] it is the file's own.
//
// It waits while dst isn't ready, and returns how many bytes it sent, and if that isn't n, why: a bare [io.EOF] where the file ended. The
// bytes of a file that somebody changes meanwhile may arrive as they were or as they are. ctx and an end that blocks are treated as by
// [Splice]; reading src itself waits for its disk, and keeps a thread.
//
// It fails with EINVAL where src isn't a file that can be mapped (some of /proc, sockets, pipes), or dst is open for appending; [Copy] goes another way
// then.
func SendFile(ctx context.Context, dst syscall.Conn, src *os.File, offset, n int64) (int64, error) {
	done, call, err := sendFile(ctx, dst, src, offset, n)
	return done, fail("send-file", call, err)
}

func sendFile(ctx context.Context, dst syscall.Conn, src *os.File, offset, n int64) (int64, string, error) {
	at, err := position(offset)
	if err != nil {
		return 0, "", err
	}
	p, err := beginKnowing(ctx, dst, src, n)
	if err != nil {
		return 0, "", err
	}
	defer p.close()
	if p.src.kind == unix.S_IFIFO || p.src.kind == unix.S_IFSOCK { // it may have it read, and lose what doesn't fit
		return 0, "sendfile", unix.EINVAL
	}
	return p.sendFile(ctx, at, n)
}

// sendFile also says which system call it made: a pipe that blocks can be waited for only with splice.
func (p *pair) sendFile(ctx context.Context, at *int64, n int64) (int64, string, error) {
	if p.dst.blocks && p.dst.kind == unix.S_IFIFO {
		done, err := p.move(ctx, n, func(d, s, n int) (int, error) { return sys.Splice(s, at, d, nil, n, spliceFlags) })
		return done, "splice", err
	}
	done, err := p.move(ctx, n, func(d, s, n int) (int, error) { return sys.Sendfile(d, s, at, n) })
	return done, "sendfile", err
}

// CopyFileRange copies n bytes of src, from srcOffset on, to dst at dstOffset, within the file system where it can:
// copy_file_range(2), as often as it must. A file system may let both share the blocks. Each offset may be [Own]; the next ones are
// the offsets plus what is returned.
//
// Nothing is waited for but the disk, which keeps a thread. ctx is looked at between calls of at most 64 MiB. It returns how many bytes it copied, and if that isn't n, why: a bare
// [io.EOF] where src ended, or where it is a file whose size isn't known, such as those of /proc: the kernel then says that there is nothing.
//
// It fails with EXDEV between file systems (before Linux 5.3, and since 5.19 where their types differ), EINVAL for anything but regular files and for overlapping
// ranges of one file, EBADF where dst is open for appending, EOPNOTSUPP on some network file systems, EPERM for files that are immutable
// or sealed, and an error that matches [errors.ErrUnsupported] before Linux 4.5. [Copy] goes another way then.
func CopyFileRange(ctx context.Context, dst *os.File, dstOffset int64, src *os.File, srcOffset, n int64) (int64, error) {
	done, err := copyFileRange(ctx, dst, dstOffset, src, srcOffset, n)
	return done, fail("copy-file-range", "copy_file_range", err)
}

func copyFileRange(ctx context.Context, dst *os.File, dstOffset int64, src *os.File, srcOffset, n int64) (int64, error) {
	to, err := position(dstOffset)
	if err != nil {
		return 0, err
	}
	from, err := position(srcOffset)
	if err != nil {
		return 0, err
	}
	p, err := beginKnowing(ctx, dst, src, n)
	if err != nil {
		return 0, err
	}
	defer p.close()
	if !p.src.onDisk() || !p.dst.onDisk() {
		return 0, unix.EINVAL
	}
	return p.copyRange(ctx, to, from, n)
}

const rangeBytes = 64 << 20

func (p *pair) copyRange(ctx context.Context, to, from *int64, n int64) (int64, error) {
	return p.move(ctx, n, func(d, s, n int) (int, error) { return sys.CopyFileRange(s, from, d, to, min(n, rangeBytes)) })
}

// position is what the system calls take: nil for the file's own.
func position(offset int64) (*int64, error) {
	switch {
	case offset == Own:
		return nil, nil //nolint:nilnil // nil is an offset
	case offset < 0:
		return nil, errOffset
	}
	return &offset, nil
}

// Clone makes dst share all of src's blocks, in place of its own: ioctl_ficlone(2). Both must be regular files of one file system
// that can share blocks (btrfs, XFS, bcachefs, some network file systems); dst must be open for writing and not for appending.
//
// It fails with EOPNOTSUPP, which matches [errors.ErrUnsupported], where the file system can't, with EXDEV where there are two, with EINVAL where a file
// isn't regular, with EPERM where dst is immutable.
func Clone(dst, src *os.File) error {
	return fail("clone", "ioctl(FICLONE)", both(dst, src, sys.FileClone))
}

// CloneRange is [Clone] for n bytes of src from srcOffset on, which come to be at dstOffset: ioctl_ficlonerange(2). Offsets and n must be
// multiples of the file system's block size, but that n may go to the end of src, and 0 does. Ranges of one file must not overlap.
func CloneRange(dst *os.File, dstOffset int64, src *os.File, srcOffset, n int64) error {
	return fail("clone-range", "ioctl(FICLONERANGE)", rangeOf(dst, dstOffset, src, srcOffset, n, func(d, s int) error {
		return sys.FileCloneRange(d, dstOffset, s, srcOffset, n)
	}))
}

// Dedupe makes dst share n bytes of src's blocks if both have the same bytes there: ioctl_fideduperange(2). It returns how many bytes are
// shared now, which may be less than n: a file system has a bound for one call (16 MiB, usually), and the caller goes on behind them. Where the bytes differ, nothing is
// changed and the error is [ErrDiffers].
//
// Offsets and n must be multiples of the block size, but that n may go to the end of both. dst must be open for writing, or be the caller's own file. Its other errors are those of
// [CloneRange].
func Dedupe(dst *os.File, dstOffset int64, src *os.File, srcOffset, n int64) (shared int64, err error) {
	err = rangeOf(dst, dstOffset, src, srcOffset, n, func(d, s int) (err error) {
		var differ bool
		shared, differ, err = sys.FileDedupe(d, dstOffset, s, srcOffset, n)
		if differ {
			err = ErrDiffers
		}
		return err
	})
	return shared, fail("dedupe", "ioctl(FIDEDUPERANGE)", err)
}

func rangeOf(dst *os.File, dstOffset int64, src *os.File, srcOffset, n int64, op func(dst, src int) error) error {
	switch {
	case dstOffset < 0 || srcOffset < 0:
		return errOffset
	case n < 0:
		return errNegative
	}
	return both(dst, src, op)
}

// both lends two files.
func both(dst, src *os.File, op func(dst, src int) error) error {
	s, err := newEnd(src, fd.Read)
	if err != nil {
		return err
	}
	d, err := newEnd(dst, fd.Write)
	if err != nil {
		return err
	}
	return s.lend(func(sn int) error { return d.lend(func(dn int) error { return op(dn, sn) }) })
}
