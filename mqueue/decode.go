package mqueue

import (
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"time"
)

// Attr is what a queue has room for and what is in it.
type Attr struct {
	// MaxMessages is how many messages the queue has room for, and MessageSize how many bytes each may have.
	MaxMessages, MessageSize int
	// Messages is how many are in it.
	Messages int
}

// Free is how many more messages there is room for.
func (a Attr) Free() int { return max(0, a.MaxMessages-a.Messages) }

// Full says whether a Send would wait.
func (a Attr) Full() bool { return a.Messages >= a.MaxMessages }

// Status is what the file system of the queues knows of one.
type Status struct {
	Attr
	// Bytes is how much the messages in the queue have together.
	Bytes int64
	// Registration says who is to be told when a message comes into the empty queue.
	Registration Registration
	// Mode has the permissions.
	Mode fs.FileMode
	// UID and GID are the owner's.
	UID, GID uint32
	// Used is when a message was last sent or received, or else when the queue was made.
	Used time.Time
}

// A Registration is what mq_notify(2) has been asked for.
type Registration struct {
	// PID is the process that is to be told, as this process' namespace numbers it; 0 if there is none, or none here.
	PID int
	// Way is how.
	Way Way
	// Signal is the signal's number, if it is to be one.
	Signal int
}

// A Way is how a process is told of a message (sigev_notify).
type Way int

// The ways of mq_notify(2).
const (
	BySignal Way = 0 // SIGEV_SIGNAL: a signal with a value
	ByNone   Way = 1 // SIGEV_NONE: not at all, but nobody else can register
	BySocket Way = 2 // SIGEV_THREAD: a message to a netlink socket, of which the C library makes a thread
)

var wayNames = [...]string{"signal", "none", "socket"}

// String is "signal", "none" or "socket", or "Way(7)".
func (w Way) String() string {
	if w < 0 || int(w) >= len(wayNames) {
		return "Way(" + strconv.Itoa(int(w)) + ")"
	}
	return wayNames[w]
}

// parseStatus reads what read(2) returns of a queue: pairs of a name and a number, with a colon.
func parseStatus(text []byte, s *Status) error {
	bad := func() error { return fmt.Errorf("a queue's status is %q: %w", text, fs.ErrInvalid) }
	var found uint // a bit for each of the four
	for pair := range strings.FieldsSeq(string(text)) {
		name, value, _ := strings.Cut(pair, ":")
		n, err := strconv.ParseInt(value, 10, 64)
		number := int(n)
		switch name {
		case "NOTIFY":
			s.Registration.Way, found = Way(number), found|1
		case "SIGNO":
			s.Registration.Signal, found = number, found|2
		case "NOTIFY_PID":
			s.Registration.PID, found = number, found|4
		case "QSIZE":
			s.Bytes, found = n, found|8
			fallthrough
		default: // of a later kernel
			number = 0
			n = 0
		}
		if err != nil || int64(number) != n {
			return bad()
		}
	}
	if found != 15 {
		return bad()
	}
	if s.Registration.PID == 0 {
		s.Registration = Registration{}
	}
	return nil
}
