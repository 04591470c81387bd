//go:build linux

package splice

import (
	"context"
	"io"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes/pipe"
)

func typedPipe(t testing.TB) (*pipe.Reader, *pipe.Writer) {
	t.Helper()
	r, w, err := pipe.New(nil)
	check(t, err)
	t.Cleanup(func() { r.Close(); w.Close() })
	return r, w
}

func memory(t testing.TB, n int) *Memory {
	t.Helper()
	m, err := NewMemory(n)
	check(t, err)
	t.Cleanup(func() { _ = m.Close() })
	return m
}

// What was handed over isn't changed by what happens to the memory afterwards.
func TestVMSplice(t *testing.T) {
	page := os.Getpagesize()
	for _, gift := range []bool{false, true} {
		r, w := typedPipe(t)
		a, b := memory(t, 1), memory(t, 3*page)
		want(t, "the size", len(a.Bytes()), page)
		data := pattern(page + page/2 + 7)
		n := copy(a.Bytes(), data)
		copy(b.Bytes(), data[n:])
		k, err := VMSplice(t.Context(), w, []Piece{{a, n}, {b, len(data) - n}}, &VMSpliceOptions{Gift: gift})
		check(t, err)
		want(t, "the count", k, int64(len(data)))
		for _, m := range []*Memory{a, b} {
			for i := range m.Bytes() {
				m.Bytes()[i] = 0xff
			}
		}
		check(t, a.Close())
		sameBytes(t, "what arrived", readN(t, r, len(data)), data)
	}
}

func TestVMSpliceShort(t *testing.T) {
	page := os.Getpagesize()
	r, w := typedPipe(t)
	size, err := w.Size()
	check(t, err)
	m := memory(t, size+4*page)
	data := pattern(size + 4*page - 5)
	copy(m.Bytes(), data)
	ctx, cancel := context.WithCancel(t.Context())
	var n int64
	result := waiting(t, func() (err error) { n, err = VMSplice(ctx, w, []Piece{{m, len(data)}}, nil); return err })
	if m.Bytes() != nil {
		t.Error("memory that is lent can be seen")
	}
	cancel()
	wantErr(t, "cancelled", result(), context.Canceled)
	want(t, "the count", n, int64(size))
	sameBytes(t, "what arrived", readN(t, r, size), data[:size])
	sameBytes(t, "what stayed", m.Bytes()[size:len(data)], data[size:])
	// It goes on when there is room.
	copy(m.Bytes(), data)
	result = waiting(t, func() (err error) { n, err = VMSplice(t.Context(), w, []Piece{{m, len(data)}}, nil); return err })
	sameBytes(t, "what arrived", readN(t, r, len(data)), data)
	check(t, result())
	// Closed while it is lent.
	copy(m.Bytes(), data)
	result = waiting(t, func() (err error) { n, err = VMSplice(t.Context(), w, []Piece{{m, len(data)}}, nil); return err })
	check(t, m.Close())
	sameBytes(t, "what arrived", readN(t, r, len(data)), data)
	check(t, result())
	wantErr(t, "a second Close", m.Close(), os.ErrClosed)
	_, err = VMSplice(t.Context(), w, []Piece{{m, 1}}, nil)
	wantErr(t, "closed memory", err, os.ErrClosed)
}

func TestVMSpliceRead(t *testing.T) {
	r, w := typedPipe(t)
	p, q := make([]byte, 2), make([]byte, 10)
	var n int
	result := waiting(t, func() (err error) { n, err = VMSpliceRead(t.Context(), [][]byte{p, nil, q}, r); return err })
	_, err := w.Write([]byte("hello"))
	check(t, err)
	check(t, result())
	want(t, "the count", n, 5)
	want(t, "the bytes", string(p)+string(q[:3]), "hello")
	n, err = VMSpliceRead(t.Context(), nil, r)
	check(t, err)
	want(t, "the count", n, 0)
	check(t, w.Close())
	_, err = VMSpliceRead(t.Context(), [][]byte{p}, r)
	want(t, "the error at the end", err, io.EOF)
}

func TestMemoryRefusals(t *testing.T) {
	r, w := typedPipe(t)
	m := memory(t, 10)
	var zero Memory
	var none *Memory
	for _, pieces := range [][]Piece{{{m, -1}}, {{m, len(m.Bytes()) + 1}}, {{m, 1}, {m, 1}}, {{&zero, 1}}, {{nil, 0}}} {
		_, err := VMSplice(t.Context(), w, pieces, nil)
		wantErr(t, "VMSplice", err, os.ErrInvalid)
		if m.Bytes() == nil {
			t.Fatal("the memory didn't come back")
		}
	}
	_, err := NewMemory(0)
	wantErr(t, "NewMemory", err, os.ErrInvalid)
	wantErr(t, "Close", zero.Close(), os.ErrInvalid)
	wantErr(t, "Close", none.Close(), os.ErrInvalid)
	if zero.Bytes() != nil || none.Bytes() != nil {
		t.Error("nothing has bytes")
	}
	_, err = VMSplice(t.Context(), nil, []Piece{{m, 1}}, nil)
	wantErr(t, "no pipe", err, os.ErrInvalid)
	check(t, r.Close())
	n, err := VMSplice(t.Context(), w, []Piece{{m, 1}}, nil)
	wantErr(t, "nobody reads", err, unix.EPIPE)
	want(t, "the count", n, 0)
}

func TestTeeTyped(t *testing.T) {
	r, w := typedPipe(t)
	r2, w2 := typedPipe(t)
	_, err := w.Write([]byte("hello"))
	check(t, err)
	n, err := Tee(t.Context(), w2, r, 100)
	check(t, err)
	want(t, "the count", n, 5)
	sameBytes(t, "the copy", readN(t, r2, 5), []byte("hello"))
	sameBytes(t, "what stays", readN(t, r, 5), []byte("hello"))
	_, err = Tee(t.Context(), nil, r, 1)
	wantErr(t, "no destination", err, os.ErrInvalid)
}
