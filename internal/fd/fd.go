//go:build linux

// Package fd is the engine that every kind of descriptor runs on: it owns a number, counts who is using it, waits for
// readiness in Go's own poller, and closes exactly once.
//
// A kind embeds an [FD] as a value. Its methods have one of three forms:
//
//   - one atomic system call that may have to wait: try it at once, raw, between [FD.Take] and [FD.Give] where the state says
//     that nothing is special, else [FD.Await] with the ordinary call;
//   - one system call that never waits: [FD.Control], or Take and Give where each nanosecond counts;
//   - a byte stream, whose calls exclude each other per direction: [FD.Stream].
package fd

import (
	"os"
	"runtime"
	"sync/atomic"

	"github.com/fildes/fildes/internal/sys"
)

// The state word: flags below, references above. Taking a reference is one atomic add, and the sum says all that the fast
// path has to know. Open is a flag that is set, so that the zero FD refuses everything (and can't act on standard input).
// References of the fast path, which last for a raw call that can't block, are counted apart from those that may last for a wait.
const (
	Open   uint32 = 1 << iota // operations are admitted
	closed                    // Close or Release has begun; no operation is admitted
	dead                      // the number is being given up, by whoever set this
	shared                    // others may switch the description's O_NONBLOCK: no raw system calls that depend on it
	predictRead
	predictWrite
	deadlineRead
	deadlineWrite
	settled // shared, and no raw call is under way that didn't know

	fast  = 1 << 9  // one reference of the fast path: 23 bits
	one   = 1 << 32 // one other reference
	count = ^uint64(fast - 1)
)

// A fast path is for a state that equals Open under the mask of its direction.
const (
	life      = Open | closed | dead | shared
	ReadMask  = life | predictRead | deadlineRead
	WriteMask = life | predictWrite | deadlineWrite
	Lifetime  = life // for what never waits
)

// Mode is a direction.
type Mode int

// The directions.
const (
	Read Mode = iota
	Write
)

func (m Mode) predict() uint64  { return uint64(predictRead) << m }
func (m Mode) deadline() uint64 { return uint64(deadlineRead) << m }

// FD owns one descriptor. The zero FD refuses every operation with os.ErrInvalid. It must not be copied.
type FD struct {
	state atomic.Uint64
	owner *owner
	waits atomic.Pointer[waits] // nil until something has to wait
}

// Init makes f the owner of num, which must be open, close-on-exec and non-blocking. others says whether anybody else can
// have the same description. Init is called once, before f is seen by another goroutine.
func (f *FD) Init(num int, others bool) {
	f.owner = newOwner(num)
	s := uint64(Open)
	if others {
		s |= uint64(shared)
	}
	f.state.Store(s)
}

// Take adds a reference of the fast path and returns the state. Whatever it says, Give must follow, without anything that may block before, other than for memory: SetShared spins until then. While
// a reference is held and the state was Open, Num stays what it is; while it wasn't shared, so does O_NONBLOCK.
func (f *FD) Take() uint64 { return f.state.Add(fast) }

// Give takes a reference of the fast path back.
func (f *FD) Give() {
	if s := f.state.Add(^uint64(fast - 1)); uint32(s)&closed != 0 {
		f.settle(s)
	}
}

// hold is Take for what may last.
func (f *FD) hold() uint64 { return f.state.Add(one) }

// drop takes a reference of hold back.
func (f *FD) drop() {
	if s := f.state.Add(^uint64(one - 1)); uint32(s)&closed != 0 {
		f.settle(s)
	}
}

// Num is the number. It may be used only while a reference is held, where the state was Open when it was taken.
func (f *FD) Num() int { return f.owner.num }

// Likely says, without a reference, whether an operation of the direction is admitted and needn't wait, as far as is known.
func (f *FD) Likely(m Mode) bool {
	return f.state.Load()&(uint64(Open)|m.predict()|m.deadline()) == uint64(Open)
}

// SetShared forbids raw system calls from now on, and returns when none is under way that didn't know: the number may then be given to
// others, who may make the description blocking. The caller must not hold a reference of the fast path.
func (f *FD) SetShared() {
	if uint32(f.state.Or(uint64(shared)))&settled != 0 {
		return
	}
	for f.state.Load()&(one-fast) != 0 {
		runtime.Gosched()
	}
	f.state.Or(uint64(settled))
}

// Raw says whether a raw call may be made now, and takes a reference of the fast path if so: Give must follow it.
func (f *FD) Raw() bool {
	if uint32(f.Take())&shared == 0 {
		return true
	}
	f.Give()
	return false
}

// refusal is why a state admits no operation, or nil.
func refusal(s uint64) error {
	switch {
	case uint32(s)&Open != 0:
		return nil
	case uint32(s)&closed != 0:
		return os.ErrClosed
	}
	return os.ErrInvalid
}

// Check returns nil for a handle that is open, else os.ErrClosed or os.ErrInvalid.
func (f *FD) Check() error {
	if f == nil {
		return os.ErrInvalid
	}
	return refusal(f.state.Load())
}

// Control runs op with the number, once, without waiting. Close waits for it.
func (f *FD) Control(op func(fd int) error) error {
	if f == nil {
		return os.ErrInvalid
	}
	s := f.hold()
	defer f.drop()
	if err := refusal(s); err != nil {
		return err
	}
	return op(f.Num())
}

// File returns a duplicate, and remembers that the description is shared.
func (f *FD) File(name string) (file *os.File, err error) {
	err = f.Control(func(num int) error {
		f.SetShared()
		n, err := sys.Dup(num)
		if err == nil {
			file = os.NewFile(uintptr(n), name)
		}
		return err
	})
	return file, err
}
