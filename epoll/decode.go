package epoll

import (
	"fmt"
	"math"

	"github.com/fildes/fildes/internal/flags"
)

// Events is a set of conditions of a descriptor, asked for or reported, and of the ways to report them. Bits without a name
// are kept, and printed as a number.
type Events uint32

// What can be asked for and is reported.
const (
	Readable    Events = 0x001 // EPOLLIN: a read wouldn't wait: data, the end of the stream, a connection to accept
	Priority    Events = 0x002 // EPOLLPRI: something exceptional: out-of-band data on TCP, a changed sysfs or cgroup file
	Writable    Events = 0x004 // EPOLLOUT: a write wouldn't wait, or a connect has ended
	ReadNormal  Events = 0x040 // EPOLLRDNORM: as Readable
	ReadBand    Events = 0x080 // EPOLLRDBAND: priority data; few kinds report it
	WriteNormal Events = 0x100 // EPOLLWRNORM: as Writable
	WriteBand   Events = 0x200 // EPOLLWRBAND: priority data may be written
	Message     Events = 0x400 // EPOLLMSG: the kernel never reports it
	// EPOLLRDHUP: the peer of a stream socket has closed, or shut down, its writing side. Linux 2.6.17.
	ReadHangup Events = 0x2000
)

// What is reported whether it was asked for or not.
const (
	Error   Events = 0x008 // EPOLLERR: an error is pending, an error queue isn't empty, or a pipe has lost its reader
	Hangup  Events = 0x010 // EPOLLHUP: both directions have ended
	Invalid Events = 0x020 // EPOLLNVAL: poll(2)'s word for a bad descriptor; epoll never reports it
)

// How to report.
const (
	// UringWake (EPOLL_URING_WAKE) marks, inside the kernel, a wake-up by an io_uring completion. Linux 6.2.
	UringWake Events = 1 << 27
	// Exclusive (EPOLLEXCLUSIVE) wakes one, or at least not all, of several sets that watch the same object. It goes only with
	// Readable, Writable, WakeUp, EdgeTriggered, Error and Hangup, can't be modified, and can't be used on a set. Linux 4.5.
	Exclusive Events = 1 << 28
	// WakeUp (EPOLLWAKEUP) keeps the system from suspending while the event is being handled. The kernel ignores it without
	// CAP_BLOCK_SUSPEND. Linux 3.5.
	WakeUp Events = 1 << 29
	// OneShot (EPOLLONESHOT) disables the registration after one event, until [Registration.Modify].
	OneShot Events = 1 << 30
	// EdgeTriggered (EPOLLET) reports changes instead of states: after an event, read or write until EAGAIN. One change may be
	// reported more than once.
	EdgeTriggered Events = 1 << 31
)

// Presets.
const (
	// Listening is for a socket that accepts connections, level-triggered, so that one connection may be accepted per event.
	Listening = Readable
	// Streaming is for a stream whose reader and writer go on until EAGAIN: all that happens is reported, once.
	Streaming = Readable | Writable | ReadHangup | EdgeTriggered
)

var names = []flags.Name{
	{Bits: uint64(Readable), Text: "Readable"},
	{Bits: uint64(Priority), Text: "Priority"},
	{Bits: uint64(Writable), Text: "Writable"},
	{Bits: uint64(Error), Text: "Error"},
	{Bits: uint64(Hangup), Text: "Hangup"},
	{Bits: uint64(Invalid), Text: "Invalid"},
	{Bits: uint64(ReadNormal), Text: "ReadNormal"},
	{Bits: uint64(ReadBand), Text: "ReadBand"},
	{Bits: uint64(WriteNormal), Text: "WriteNormal"},
	{Bits: uint64(WriteBand), Text: "WriteBand"},
	{Bits: uint64(Message), Text: "Message"},
	{Bits: uint64(ReadHangup), Text: "ReadHangup"},
	{Bits: uint64(UringWake), Text: "UringWake"},
	{Bits: uint64(Exclusive), Text: "Exclusive"},
	{Bits: uint64(WakeUp), Text: "WakeUp"},
	{Bits: uint64(OneShot), Text: "OneShot"},
	{Bits: uint64(EdgeTriggered), Text: "EdgeTriggered"},
}

// Has says whether all bits of x are set.
func (e Events) Has(x Events) bool { return e&x == x }

// String is the names of the bits joined with "|", those without a name last as a number, and "0" if there are none.
func (e Events) String() string { return flags.Format(uint64(e), names) }

// MarshalText returns what String does.
func (e Events) MarshalText() ([]byte, error) { return []byte(e.String()), nil }

// UnmarshalText accepts names and numbers joined with "|".
func (e *Events) UnmarshalText(text []byte) error {
	v, err := flags.Parse(string(text), names)
	if err != nil {
		return fmt.Errorf("epoll: events %q: %w", text, err)
	}
	if v > math.MaxUint32 {
		return fmt.Errorf("epoll: events %q: %#x doesn't fit into 32 bits", text, v)
	}
	*e = Events(v)
	return nil
}

// PeerClosed says of a connection that nothing more will come than what is there to read: ReadHangup or Hangup. The registration must ask for
// ReadHangup to hear of it from a socket; a pipe reports Hangup unasked. The table in the package's documentation says who
// reports what.
func (e Events) PeerClosed() bool { return e&(ReadHangup|Hangup) != 0 }

// HungUp says that both directions have ended, or that a socket isn't connected yet: Hangup.
func (e Events) HungUp() bool { return e&Hangup != 0 }

// Failed says that the next operation will report an error, or that an error queue is to be read: Error.
func (e Events) Failed() bool { return e&Error != 0 }

// exclusiveWith is what the kernel lets go with Exclusive.
const exclusiveWith = Exclusive | Readable | Writable | Error | Hangup | WakeUp | EdgeTriggered
