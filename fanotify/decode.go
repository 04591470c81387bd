package fanotify

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"iter"
	"slices"
)

// struct fanotify_event_metadata.
const (
	headerSize      = 24
	metadataVersion = 3
	noFD            = -1 // FAN_NOFD
)

// Kinds of info records.
const (
	infoFID     = 1
	infoDirName = 2
	infoDir     = 3
	infoPIDFD   = 4
	infoError   = 5
	infoRange   = 6
	infoMount   = 7
	infoOldName = 10
	infoNewName = 12
)

// header is an event's fixed part.
type header struct {
	size    int // of all of it
	fixed   int // of this part
	version uint8
	mask    Mask
	object  int32 // a descriptor's number, or why there is none
	pid     int32
}

// decode returns the header at the beginning of p, unless the event isn't whole.
func decode(p []byte) (h header, ok bool) {
	if len(p) < headerSize {
		return h, false
	}
	h = header{
		size:    int(binary.NativeEndian.Uint32(p)),
		version: p[4],
		fixed:   int(binary.NativeEndian.Uint16(p[6:])),
		mask:    Mask(binary.NativeEndian.Uint64(p[8:])),
		object:  int32(binary.NativeEndian.Uint32(p[16:])),
		pid:     int32(binary.NativeEndian.Uint32(p[20:])),
	}
	return h, h.fixed >= headerSize && h.size >= h.fixed && h.size <= len(p)
}

// count says how many whole events p begins with, and whether nothing follows them.
func count(p []byte) (n int, whole bool) {
	for len(p) >= headerSize {
		size, fixed := uint64(binary.NativeEndian.Uint32(p)), uint64(binary.NativeEndian.Uint16(p[6:]))
		if p[4] != metadataVersion || fixed < headerSize || size < fixed || size > uint64(len(p)) {
			return n, false
		}
		p = p[size:]
		n++
	}
	return n, len(p) == 0
}

// A Record is one of an event's info records, of a kind that this package may not know.
type Record struct {
	Type uint8  // FAN_EVENT_INFO_TYPE_
	Data []byte // without the header, and with the padding that the kernel adds
}

// nextRecord takes the first record off p.
func nextRecord(p Info) (r Record, rest Info, ok bool) {
	if len(p) < 4 {
		return r, nil, false
	}
	n := int(binary.NativeEndian.Uint16(p[2:]))
	if n < 4 || n > len(p) {
		return r, nil, false
	}
	return Record{p[0], p[4:n]}, p[n:], true
}

// find returns the data of the first record of a type.
func find(p Info, typ uint8) ([]byte, bool) {
	for {
		r, rest, ok := nextRecord(p)
		if !ok {
			return nil, false
		}
		if r.Type == typ {
			return r.Data, true
		}
		p = rest
	}
}

// Info is the info records of an event, as the kernel writes them.
type Info []byte

// Records yields them as they came, for those that have no method of their own.
func (i Info) Records() iter.Seq[Record] {
	return func(yield func(Record) bool) {
		for p := i; ; {
			r, rest, ok := nextRecord(p)
			if !ok || !yield(r) {
				return
			}
			p = rest
		}
	}
}

// FSID names a file system, as statfs(2) does.
type FSID [2]int32

// String is the two numbers, in hexadecimal.
func (id FSID) String() string { return fmt.Sprintf("%08x:%08x", uint32(id[0]), uint32(id[1])) }

// A Handle names a file or directory of a file system, for as long as that exists, whatever its path. Two handles are of the same object if they are [Handle.Equal]; nothing else about their
// bytes means anything.
type Handle struct {
	FS   FSID   // the file system that it is in
	Type int32  // which only that understands
	Data []byte // likewise
}

// Equal says whether both name the same object.
func (h Handle) Equal(x Handle) bool {
	return h.FS == x.FS && h.Type == x.Type && bytes.Equal(h.Data, x.Data)
}

// Key is a key for maps: the same for equal handles, and for no others.
func (h Handle) Key() string {
	b := make([]byte, 0, 12+len(h.Data))
	for _, v := range []int32{h.FS[0], h.FS[1], h.Type} {
		b = binary.NativeEndian.AppendUint32(b, uint32(v))
	}
	return string(append(b, h.Data...))
}

// Clone copies the handle out of its Batch.
func (h Handle) Clone() Handle {
	h.Data = slices.Clone(h.Data)
	return h
}

// Valid says whether it names something: the kernel reports FSError of no file in particular with a handle that doesn't.
func (h Handle) Valid() bool { return len(h.Data) > 0 && h.Type != 0xff }

// An Entry is a name in a directory.
type Entry struct {
	// Dir is the directory.
	Dir Handle
	// Name is any bytes but NUL and '/'. It is "." where the event is about the directory itself, and empty if names aren't reported.
	Name []byte
}

// decodeHandle takes a handle off a record's data; the rest is the name.
func decodeHandle(p []byte) (h Handle, rest []byte, ok bool) {
	const fixed = 16 // __kernel_fsid_t, struct file_handle
	if len(p) < fixed {
		return h, nil, false
	}
	n := uint64(binary.NativeEndian.Uint32(p[8:]))
	if n > uint64(len(p)-fixed) {
		return h, nil, false
	}
	h.FS = FSID{int32(binary.NativeEndian.Uint32(p)), int32(binary.NativeEndian.Uint32(p[4:]))}
	h.Type = int32(binary.NativeEndian.Uint32(p[12:]))
	h.Data = p[fixed : fixed+n : fixed+n]
	return h, p[fixed+n:], true
}

func (i Info) entry(types ...uint8) (en Entry, ok bool) {
	for _, typ := range types {
		p, found := find(i, typ)
		if !found {
			continue
		}
		if en.Dir, p, ok = decodeHandle(p); !ok {
			return Entry{}, false
		}
		if typ != infoDir {
			name, _, terminated := bytes.Cut(p, []byte{0})
			if !terminated {
				return Entry{}, false
			}
			en.Name = slices.Clip(name)
		}
		return en, true
	}
	return Entry{}, false
}

// Object is the handle of what it happened to, with ReportFID; of Create, Delete, Moved and Rename with ReportTargetFID too.
func (i Info) Object() (Handle, bool) {
	p, ok := find(i, infoFID)
	if !ok {
		return Handle{}, false
	}
	h, _, ok := decodeHandle(p)
	return h, ok
}

// Entry is where it happened, with ReportDirFID: the directory, and the name in it with ReportName. Of a Rename it is the new name.
func (i Info) Entry() (Entry, bool) { return i.entry(infoDirName, infoNewName, infoDir) }

// OldEntry is where a Rename moved it from. It is missing where the old directory isn't marked, as Entry is where the new one isn't.
func (i Info) OldEntry() (Entry, bool) { return i.entry(infoOldName) }

// FSError is what an FSError event tells: the first error of the file system since the last event (an errno), and how many there were.
func (i Info) FSError() (errno int, count uint32, ok bool) {
	p, ok := find(i, infoError)
	if !ok || len(p) < 8 {
		return 0, 0, false
	}
	return int(int32(binary.NativeEndian.Uint32(p))), binary.NativeEndian.Uint32(p[4:]), true
}

// Range is the part of the file, in bytes, that a PreAccess event is about. A count of 0 is all of it.
func (i Info) Range() (offset int64, count uint64, ok bool) {
	p, ok := find(i, infoRange)
	if !ok || len(p) < 20 {
		return 0, 0, false
	}
	return int64(binary.NativeEndian.Uint64(p[4:])), binary.NativeEndian.Uint64(p[12:]), true
}

// MountID is the mount that a MountAttach or MountDetach is about: the unique id of statmount(2) and of statx(2)'s STATX_MNT_ID_UNIQUE, never used again.
func (i Info) MountID() (id uint64, ok bool) {
	p, ok := find(i, infoMount)
	if !ok || len(p) < 8 {
		return 0, false
	}
	return binary.NativeEndian.Uint64(p[len(p)-8:]), true // some 32-bit kernels pad before it, others don't
}

// pidfdOf is what the PIDFD record says.
func pidfdOf(info Info) (n int32, ok bool) {
	p, ok := find(info, infoPIDFD)
	if !ok || len(p) < 4 {
		return noFD, false
	}
	return int32(binary.NativeEndian.Uint32(p)), true
}
