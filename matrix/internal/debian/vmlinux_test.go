package debian

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"io"
	"slices"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
)

func TestExtractELF(t *testing.T) {
	bootable, other := elfWithNote(t, 18), elfWithNote(t, 17)
	for _, test := range []struct {
		name  string
		image []byte
		want  []byte
	}{
		{"xz", bzImage(compressXZ(t, bootable)), bootable},
		{"zstd", bzImage(compressZstd(t, bootable)), bootable},
		{"no PVH entry", bzImage(compressXZ(t, other)), nil},
		{"no ELF", bzImage(compressXZ(t, []byte("MZ"))), nil},
		{"another compression", bzImage([]byte("\x1f\x8b.......")), nil},
		{"no bzImage", bootable, nil},
		{"empty", nil, nil},
	} {
		got, err := extractELF(test.image)
		if err != nil || !bytes.Equal(got, test.want) {
			t.Errorf("%s: %d bytes and %v, want %d bytes", test.name, len(got), err, len(test.want))
		}
	}
}

func TestExtractELFTruncated(t *testing.T) {
	whole := compressXZ(t, elfWithNote(t, 18))
	if _, err := extractELF(bzImage(whole[:len(whole)-8])); err == nil {
		t.Error("a stream without its end is taken for whole")
	}
	image := bzImage(whole)
	for n := range len(image) - len(trailer) {
		if b, err := extractELF(image[:n]); b != nil || err != nil {
			t.Fatalf("an image of which %d bytes are left: %d bytes, %v", n, len(b), err)
		}
	}
}

const trailer = "size and the rest"

// bzImage returns a kernel for x86 that has one sector of setup and a payload.
func bzImage(payload []byte) []byte {
	const gap = 0x2cc
	b := make([]byte, 2*512+gap)
	b[0x1f1] = 1
	copy(b[0x202:], "HdrS")
	binary.LittleEndian.PutUint16(b[0x206:], 0x20f)
	binary.LittleEndian.PutUint32(b[0x248:], gap)
	binary.LittleEndian.PutUint32(b[0x24c:], uint32(len(payload)+4))
	return slices.Concat(b, payload, []byte(trailer))
}

// elfWithNote returns an ELF file whose one segment is a note of Xen's.
func elfWithNote(t *testing.T, kind uint32) []byte {
	t.Helper()
	note := []any{uint32(4), uint32(8), kind, [4]byte{'X', 'e', 'n'}, uint64(0x1000000)}
	h := elf.Header64{Type: uint16(elf.ET_EXEC), Machine: uint16(elf.EM_X86_64), Version: 1, Phoff: 64, Ehsize: 64, Phentsize: 56, Phnum: 1}
	copy(h.Ident[:], "\x7fELF\x02\x01\x01")
	p := elf.Prog64{Type: uint32(elf.PT_NOTE), Off: 64 + 56, Filesz: 24, Memsz: 24}
	var b bytes.Buffer
	for _, v := range append([]any{h, p}, note...) {
		if err := binary.Write(&b, binary.LittleEndian, v); err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}

func compressXZ(t *testing.T, b []byte) []byte {
	return compress(t, b, func(w io.Writer) (io.WriteCloser, error) { return xz.NewWriter(w) })
}

func compressZstd(t *testing.T, b []byte) []byte {
	return compress(t, b, func(w io.Writer) (io.WriteCloser, error) { return zstd.NewWriter(w) })
}

func compress(t *testing.T, b []byte, compressor func(io.Writer) (io.WriteCloser, error)) []byte {
	t.Helper()
	var packed bytes.Buffer
	w, err := compressor(&packed)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return packed.Bytes()
}
