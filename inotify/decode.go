package inotify

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"github.com/fildes/fildes/internal/flags"
)

// Mask is a set of events, asked for or reported, and of what is said about them. Bits without a name are kept, and printed as a number.
type Mask uint32

// What can be asked for, of a file or of the entries of a directory.
const (
	Access       Mask = 0x001 // IN_ACCESS: it was read, or executed
	Modify       Mask = 0x002 // IN_MODIFY: it was written or truncated
	Attrib       Mask = 0x004 // IN_ATTRIB: its metadata changed: permissions, owner, times, extended attributes, the number of links
	CloseWrite   Mask = 0x008 // IN_CLOSE_WRITE: who could write has closed it
	CloseNoWrite Mask = 0x010 // IN_CLOSE_NOWRITE: who couldn't write has closed it
	Open         Mask = 0x020 // IN_OPEN: it was opened
	MovedFrom    Mask = 0x040 // IN_MOVED_FROM: an entry was renamed, and this is its old name
	MovedTo      Mask = 0x080 // IN_MOVED_TO: an entry was renamed, and this is its new name
	Create       Mask = 0x100 // IN_CREATE: an entry was made: open, mkdir, link, symlink, mknod, bind
	Delete       Mask = 0x200 // IN_DELETE: an entry was removed
	DeleteSelf   Mask = 0x400 // IN_DELETE_SELF: what is watched was deleted: its last link and its last descriptor are gone
	MoveSelf     Mask = 0x800 // IN_MOVE_SELF: what is watched was renamed
)

// What is reported unasked.
const (
	Unmounted Mask = 0x2000     // IN_UNMOUNT: the file system was unmounted; Ignored follows
	Overflow  Mask = 0x4000     // IN_Q_OVERFLOW: events were lost, because more than fs.inotify.max_queued_events were waiting
	Ignored   Mask = 0x8000     // IN_IGNORED: the watch is gone: removed, or its file deleted or unmounted
	IsDir     Mask = 0x40000000 // IN_ISDIR: the event is about a directory
)

// Presets.
const (
	Close     = CloseWrite | CloseNoWrite // IN_CLOSE
	Moved     = MovedFrom | MovedTo       // IN_MOVE
	AllEvents = Access | Modify | Attrib | Close | Open | Moved | Create | Delete | DeleteSelf | MoveSelf
)

var maskNames = []flags.Name{
	{Bits: uint64(Access), Text: "Access"},
	{Bits: uint64(Modify), Text: "Modify"},
	{Bits: uint64(Attrib), Text: "Attrib"},
	{Bits: uint64(CloseWrite), Text: "CloseWrite"},
	{Bits: uint64(CloseNoWrite), Text: "CloseNoWrite"},
	{Bits: uint64(Open), Text: "Open"},
	{Bits: uint64(MovedFrom), Text: "MovedFrom"},
	{Bits: uint64(MovedTo), Text: "MovedTo"},
	{Bits: uint64(Create), Text: "Create"},
	{Bits: uint64(Delete), Text: "Delete"},
	{Bits: uint64(DeleteSelf), Text: "DeleteSelf"},
	{Bits: uint64(MoveSelf), Text: "MoveSelf"},
	{Bits: uint64(Unmounted), Text: "Unmounted"},
	{Bits: uint64(Overflow), Text: "Overflow"},
	{Bits: uint64(Ignored), Text: "Ignored"},
	{Bits: uint64(IsDir), Text: "IsDir"},
}

var presets = []flags.Name{
	{Bits: uint64(Close), Text: "Close"},
	{Bits: uint64(Moved), Text: "Moved"},
	{Bits: uint64(AllEvents), Text: "AllEvents"},
}

// Has says whether all bits of x are set.
func (m Mask) Has(x Mask) bool { return m&x == x }

// String is the names of the bits joined with "|", those without a name last as a number, and "0" if there are none.
func (m Mask) String() string { return flags.Format(uint64(m), maskNames) }

// MarshalText returns what String does.
func (m Mask) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText accepts names, those of presets too, and numbers joined with "|".
func (m *Mask) UnmarshalText(text []byte) error {
	v, err := parse(text, slices.Concat(maskNames, presets))
	*m = Mask(v)
	return err
}

// AddFlags say how a watch is added. Bits without a name are kept, and printed as a number.
type AddFlags uint32

// How to add.
const (
	// OnlyDir (IN_ONLYDIR) refuses what isn't a directory, with ENOTDIR. Linux 2.6.15.
	OnlyDir AddFlags = 0x01000000
	// DontFollow (IN_DONT_FOLLOW) watches a symbolic link itself. Linux 2.6.15.
	DontFollow AddFlags = 0x02000000
	// ExclUnlink (IN_EXCL_UNLINK) doesn't report what happens to entries of the directory that have been unlinked and are still open. Linux 2.6.36.
	ExclUnlink AddFlags = 0x04000000
	// MaskCreate (IN_MASK_CREATE) refuses a file that this Watcher watches already, with EEXIST. Linux 4.18.
	MaskCreate AddFlags = 0x10000000
	// MaskAdd (IN_MASK_ADD) adds to the mask of a file that is watched already, instead of replacing it.
	MaskAdd AddFlags = 0x20000000
	// OneShot (IN_ONESHOT) removes the watch after one event; Ignored follows it.
	OneShot AddFlags = 0x80000000
)

var addNames = []flags.Name{
	{Bits: uint64(OnlyDir), Text: "OnlyDir"},
	{Bits: uint64(DontFollow), Text: "DontFollow"},
	{Bits: uint64(ExclUnlink), Text: "ExclUnlink"},
	{Bits: uint64(MaskCreate), Text: "MaskCreate"},
	{Bits: uint64(MaskAdd), Text: "MaskAdd"},
	{Bits: uint64(OneShot), Text: "OneShot"},
}

const allFlags = OnlyDir | DontFollow | ExclUnlink | MaskCreate | MaskAdd | OneShot

// Has says whether all bits of x are set.
func (f AddFlags) Has(x AddFlags) bool { return f&x == x }

// String is the names of the bits joined with "|", those without a name last as a number, and "0" if there are none.
func (f AddFlags) String() string { return flags.Format(uint64(f), addNames) }

// MarshalText returns what String does.
func (f AddFlags) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

// UnmarshalText accepts names and numbers joined with "|".
func (f *AddFlags) UnmarshalText(text []byte) error {
	v, err := parse(text, addNames)
	*f = AddFlags(v)
	return err
}

func parse(text []byte, names []flags.Name) (uint32, error) {
	v, err := flags.Parse(string(text), names)
	if err == nil && v > math.MaxUint32 {
		v, err = 0, fmt.Errorf("%#x doesn't fit into 32 bits", v)
	}
	if err != nil {
		return 0, fmt.Errorf("inotify: mask %q: %w", text, err)
	}
	return uint32(v), nil
}

// A Watch names what is watched in a Watcher: the kernel's watch descriptor, which is no file descriptor. The same file has the same Watch, by whatever path it was added. A number
// is used again only after 2^31 others; an event of the old one may then still be waiting, before its Ignored.
type Watch int32

// None is the Watch of an Overflow, which concerns all.
const None Watch = -1

// An Event is one event, with memory of its own.
type Event struct {
	// Watch is what Add returned.
	Watch Watch
	// Mask is what happened.
	Mask Mask
	// Cookie is the same in the two halves of a rename, MovedFrom and MovedTo, and 0 in all else.
	Cookie uint32
	// Name is the entry of the watched directory to which it happened, and empty where it happened to what is watched itself. It is any bytes but NUL and '/'.
	Name string
}

// A Record is an [Event] whose name is in a Batch, and is valid until that is read into again.
type Record struct {
	Watch  Watch  // as in an Event
	Mask   Mask   // as in an Event
	Cookie uint32 // as in an Event
	Name   []byte // as in an Event; who changes it changes the Batch
}

// Event copies the record.
func (r Record) Event() Event { return Event{r.Watch, r.Mask, r.Cookie, string(r.Name)} }

// A Batch is memory for the events of one [Watcher.ReadBatch]. The zero Batch is ready to use, and has room for 16 KiB: 512 to 1,024 events with names that aren't long. It grows only
// where a single event doesn't fit. It must not be used by two goroutines at once.
type Batch struct {
	buf  []byte
	rest []byte // of buf: what Next hasn't returned
}

// NewBatch returns a Batch with room for size bytes. An event takes 16, and its name up to 272 more.
func NewBatch(size int) *Batch {
	return &Batch{buf: make([]byte, min(max(size, headerSize), maxBatch))}
}

const (
	headerSize = 16
	batchSize  = 16 << 10
	maxBatch   = 1 << 20
)

// Next takes the next event out of the batch.
func (b *Batch) Next() (Record, bool) {
	if b == nil {
		return Record{}, false
	}
	r, n := next(b.rest)
	b.rest = b.rest[n:]
	return r, n > 0
}

// next decodes struct inotify_event at the beginning of p, and returns how many bytes it has, which is 0 if it isn't whole.
func next(p []byte) (Record, int) {
	if len(p) < headerSize {
		return Record{}, 0
	}
	n := uint64(headerSize) + uint64(binary.NativeEndian.Uint32(p[12:]))
	if n > uint64(len(p)) {
		return Record{}, 0
	}
	name := p[headerSize:n]
	for i, c := range name { // the kernel pads with NULs
		if c == 0 {
			name = name[:i]
			break
		}
	}
	return Record{
		Watch:  Watch(binary.NativeEndian.Uint32(p)),
		Mask:   Mask(binary.NativeEndian.Uint32(p[4:])),
		Cookie: binary.NativeEndian.Uint32(p[8:]),
		Name:   name,
	}, int(n)
}

// count says how many whole events p begins with, and whether nothing follows them.
func count(p []byte) (n int, whole bool) {
	for len(p) >= headerSize {
		size := uint64(headerSize) + uint64(binary.NativeEndian.Uint32(p[12:]))
		if size > uint64(len(p)) {
			return n, false
		}
		p = p[size:]
		n++
	}
	return n, len(p) == 0
}
