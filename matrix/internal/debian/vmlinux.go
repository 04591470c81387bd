package debian

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"io"

	"github.com/klauspost/compress/zstd"
	"github.com/therootcompany/xz"
)

// extractELF returns the ELF image that is compressed inside a bzImage: an emulated processor would take seconds to unpack it, at every boot. It
// returns nil where the image is of another kind, or where it can't be booted but by its own unpacker.
func extractELF(image []byte) ([]byte, error) {
	r, err := unpacker(payload(image))
	if r == nil || err != nil {
		return nil, err
	}
	b, err := io.ReadAll(r)
	if err != nil || !hasPVH(b) {
		return nil, err
	}
	return b, nil
}

// payload returns what is compressed in a bzImage, or nil. The fields are those of Linux's Documentation/arch/x86/boot.rst.
func payload(b []byte) []byte {
	const (
		setupSects    = 0x1f1
		magic         = 0x202
		version       = 0x206
		payloadOffset = 0x248
		payloadLength = 0x24c
		end           = 0x250
	)
	if len(b) < end || string(b[magic:version]) != "HdrS" || binary.LittleEndian.Uint16(b[version:]) < 0x208 {
		return nil
	}
	first := (int64(b[setupSects])+1)*512 + int64(binary.LittleEndian.Uint32(b[payloadOffset:]))
	last := first + int64(binary.LittleEndian.Uint32(b[payloadLength:])) - 4 // the build adds the unpacked size
	if first > last || last > int64(len(b)) {
		return nil
	}
	return b[first:last]
}

// unpacker returns what unpacks the compressions that Debian has used, or nil.
func unpacker(b []byte) (io.Reader, error) {
	switch {
	case bytes.HasPrefix(b, []byte("\xfd7zXZ\x00")):
		return xz.NewReader(bytes.NewReader(b), 0)
	case bytes.HasPrefix(b, []byte("\x28\xb5\x2f\xfd")):
		return zstd.NewReader(bytes.NewReader(b), zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(1<<30))
	default:
		return nil, nil
	}
}

// hasPVH says whether a file is an ELF image with the entry that qemu starts such images at: the note XEN_ELFNOTE_PHYS32_ENTRY.
func hasPVH(b []byte) bool {
	f, err := elf.NewFile(bytes.NewReader(b))
	if err != nil {
		return false
	}
	for _, p := range f.Progs {
		if p.Type != elf.PT_NOTE {
			continue
		}
		// In a note the type stands before the name.
		if notes, err := io.ReadAll(p.Open()); err == nil && bytes.Contains(notes, []byte("\x12\x00\x00\x00Xen\x00")) {
			return true
		}
	}
	return false
}
