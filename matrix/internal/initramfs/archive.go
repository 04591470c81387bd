// Package initramfs packs what a guest starts from: its init, programs, files and kernel modules.
package initramfs

import (
	"io"
	"os"
	"path"
	"strings"

	"github.com/cavaliergopher/cpio"
)

// A Writer writes an initramfs, as the kernel reads it: uncompressed, because unpacking costs a guest more than reading.
type Writer struct {
	w    *cpio.Writer
	dirs map[string]bool
	err  error
}

// NewWriter begins an initramfs.
func NewWriter(w io.Writer) *Writer {
	return &Writer{w: cpio.NewWriter(w), dirs: map[string]bool{"": true, ".": true}}
}

// Close ends it, and returns the first error of all.
func (w *Writer) Close() error {
	if w.err != nil {
		return w.err
	}
	return w.w.Close()
}

// Dir adds a directory and those above it.
func (w *Writer) Dir(name string) {
	name = strings.Trim(path.Clean(name), "/")
	if w.dirs[name] {
		return
	}
	w.dirs[name] = true
	w.Dir(path.Dir(name))
	w.header(&cpio.Header{Name: name, Mode: cpio.TypeDir | 0o755})
}

// File adds a file, and the directories above it.
func (w *Writer) File(name string, perm os.FileMode, content []byte) {
	name = strings.Trim(path.Clean(name), "/")
	w.Dir(path.Dir(name))
	w.header(&cpio.Header{Name: name, Mode: cpio.TypeReg | cpio.FileMode(perm.Perm()), Size: int64(len(content))})
	if w.err == nil {
		_, w.err = w.w.Write(content)
	}
}

// Copy adds a file of this machine.
func (w *Writer) Copy(name, from string) {
	if w.err != nil {
		return
	}
	info, err := os.Stat(from)
	if err != nil {
		w.err = err
		return
	}
	content, err := os.ReadFile(from)
	if err != nil {
		w.err = err
		return
	}
	w.File(name, info.Mode(), content)
}

func (w *Writer) header(h *cpio.Header) {
	if w.err == nil {
		h.Links = 1
		w.err = w.w.WriteHeader(h)
	}
}
