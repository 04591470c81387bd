//go:build linux

package splice

import (
	"context"

	"github.com/fildes/fildes/pipe"
)

// Tee copies up to n bytes of what is in src into dst, without taking them out of src and without copying them in memory: tee(2), which
// succeeds once. It waits until src has something and dst has room.
//
// It returns how many bytes it copied, which may be less than n, and is never more than is in src and fits into dst. They are the first ones
// of src, and a second Tee would copy them again: go on after they were read, or moved with [Splice]. At the end of src it returns a bare
// [io.EOF].
//
// It fails with EINVAL for two ends of one pipe, with EPIPE where nobody reads dst any more. tee(2) came with Linux 2.6.17.
func Tee(ctx context.Context, dst *pipe.Writer, src *pipe.Reader, n int64) (int64, error) {
	return tee(ctx, dst, src, n)
}

// VMSplice hands the pieces over to a pipe, in their order, without copying them: vmsplice(2), as often as it must. It waits while the
// pipe is full, and returns how many bytes the pipe took, and if those aren't all, why.
//
// Until a reader has copied what it gets (and nobody can know when: it may splice it on), the pipe refers to the pages themselves, and whatever is written to them would change
// what is read. So each page that was handed over is replaced in the Memory by a fresh one, before VMSplice returns (madvise(2), MADV_DONTNEED): the Memory can
// be filled again at once. The bytes handed over read as zeros then; those that were not are still there. A slice of [Memory.Bytes] must not be written to while VMSplice
// runs.
//
// A fresh page costs a page fault, which is about as dear as copying it: this pays where the bytes come into the Memory without being copied, and where they are passed on with [Splice].
//
// It fails with EPIPE where nobody reads any more, and with [os.ErrInvalid] for a Memory that is in use by another call or is listed twice. vmsplice(2)
// came with Linux 2.6.17.
func VMSplice(ctx context.Context, dst *pipe.Writer, pieces []Piece, opts *VMSpliceOptions) (int64, error) {
	n, err := vmsplice(ctx, dst, pieces, opts)
	return n, fail("vmsplice", "vmsplice", err)
}

// VMSpliceRead reads from a pipe into the buffers in their order, and waits until there is something: vmsplice(2), once. The kernel copies the bytes, so that the buffers
// may be any memory: it differs from [pipe.Reader.ReadVectored] only in the system call. It fills at most the first 1,024 (IOV_MAX)
// buffers that aren't empty; at the end it returns a bare [io.EOF].
func VMSpliceRead(ctx context.Context, dst [][]byte, src *pipe.Reader) (int, error) {
	n, err := vmspliceRead(ctx, dst, src)
	return n, fail("vmsplice-read", "vmsplice", err)
}
