package signalfd

import (
	"fmt"
	"strconv"
	"time"
)

// An Info is all that the kernel says of a signal: siginfo_t. What else it says than Signal, Code and Errno depends on them: the methods tell it, where it is valid.
type Info struct { //nolint:recvcheck // what takes it apart doesn't copy it first
	Signal Signal // as this platform counts
	Code   Code   // why, as the signal means it
	Errno  int    // usually 0

	form form
	lost uint32
	rest [recordSize - headSize]byte // as it came
}

// Lost says that so many signals were lost just before, because a Receiver of [Notify] or [Observe] wasn't read and 8,192 were waiting (fewer where the user has many pipes). It is 0 of a signal;
// if it isn't, the Info says nothing else.
func (i Info) Lost() int { return int(i.lost) }

// An Origin says who vouches for an Info.
type Origin int

// Who vouches.
const (
	// FromKernel is a signal of the kernel's own, and all that it says. Only this process itself can forge that.
	FromKernel Origin = iota
	// FromUser is kill(2) or tgkill(2): the kernel says which process has sent it, of which user, and there is no more.
	FromUser
	// Claimed is what the sender has written, every field of it, with rt_sigqueueinfo(2): the process and the user too. Timers, message queues and other parts of the kernel have codes of
	// this kind, and can't be told from who pretends to be them.
	Claimed
)

// String is a word.
func (o Origin) String() string {
	switch o {
	case FromKernel:
		return "kernel"
	case FromUser:
		return "user"
	case Claimed:
		return "claimed"
	}
	return "Origin(" + strconv.Itoa(int(o)) + ")"
}

// Origin says who vouches for what the Info says.
func (i Info) Origin() Origin {
	switch {
	case i.Code > 0:
		return FromKernel
	case i.Code == User || i.Code == Thread:
		return FromUser
	}
	return Claimed
}

// Known says whether it is known what the code means for this signal. Of a code that isn't, a newer kernel's perhaps, no method tells anything, but Origin.
func (i Info) Known() bool { return i.layout() != layoutNone || i.Code == Kernel }

// Sender is the process that has sent the signal, or the child that it tells of, and the real user of that. The process is counted as the receiver's pid namespace does: 0 if it is in none that
// the receiver sees. The user is the overflow user (65534) if the receiver's user namespace has no number for it.
func (i Info) Sender() (pid int, uid uint32, ok bool) {
	switch i.layout() {
	case layoutKill, layoutQueue, layoutChild:
		return int(i.int32(fieldPID)), i.uint32(fieldUID), true
	}
	return 0, 0, false
}

// A Child is what happened to a child: SIGCHLD, waitid(2).
type Child struct {
	Code ChildCode // what happened
	PID  int       // as the receiver's pid namespace counts
	UID  uint32    // its real user
	// Status is the exit code of a child that has Exited. Of others its low 7 bits are Signal, and those above say what else a tracer is told.
	Status int
	Signal Signal // that has ended or stopped it; 0 if it has exited
	// UserTime and SystemTime is what it has spent, with the children that it has waited for, in steps of 10 milliseconds. waitid(2) doesn't say it.
	UserTime, SystemTime time.Duration
}

// Child tells of a child, if the signal does. SIGCHLD is sent once for many: wait for the others too.
func (i Info) Child() (Child, bool) {
	if i.layout() != layoutChild {
		return Child{}, false
	}
	c := Child{
		Code: ChildCode(i.Code), PID: int(i.int32(fieldPID)), UID: i.uint32(fieldUID), Status: int(i.int32(fieldStatus)),
		UserTime: ticks(i.long(fieldUserTime)), SystemTime: ticks(i.long(fieldSystemTime)),
	}
	if c.Code != Exited {
		c.Signal = i.form.signal(Signal(c.Status & 0x7f))
	}
	return c, true
}

// ticks is a clock_t.
func ticks(n uint64) time.Duration { return time.Duration(n) * 10 * time.Millisecond }

// A Fault is what went wrong in a thread: SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGEMT.
type Fault struct {
	Code    FaultCode // what went wrong: its type is the signal's
	Address uint64    // of the memory, or of the instruction
	// AddressBits, of MemoryConsumed and MemoryElsewhere, says how much memory is bad: 2 to the power of it.
	AddressBits int
	// Lower and Upper are the bounds of OutOfBounds; signalfd(2) doesn't tell them.
	Lower, Upper uint64
	// Key is the protection key of ProtectionKey; signalfd(2) doesn't tell it.
	Key uint32
	// TrapNumber is said by signalfd(2) on alpha and sparc.
	TrapNumber int
	// PerfData, PerfType and PerfFlags are said of PerfEvent, but not by signalfd(2): sig_data and type of perf_event_attr, and 1 if the signal was sent later than it happened.
	PerfData  uint64
	PerfType  uint32 // see PerfData
	PerfFlags uint32 // see PerfData
}

// Fault tells of a fault, if the signal is one.
func (i Info) Fault() (Fault, bool) {
	if i.layout() != layoutFault {
		return Fault{}, false
	}
	f := Fault{Code: i.faultCode(), Address: i.long(fieldAddress)}
	switch {
	case f.Code == MemoryConsumed || f.Code == MemoryElsewhere:
		f.AddressBits = int(i.uint16(fieldAddressBits))
	case i.form.has(fromFD):
		f.TrapNumber = int(i.int32(fieldTrapNumber))
	case f.Code == OutOfBounds:
		f.Lower, f.Upper = i.long(fieldLower), i.long(fieldUpper)
	case f.Code == ProtectionKey:
		f.Key = i.uint32(fieldKey)
	case f.Code == PerfEvent:
		f.PerfData, f.PerfType, f.PerfFlags = i.long(fieldPerfData), i.uint32(fieldPerfType), i.uint32(fieldPerfFlags)
	}
	return f, true
}

func (i Info) faultCode() FaultCode {
	switch i.Signal {
	case SIGILL:
		return IllegalCode(i.Code)
	case SIGFPE:
		return ArithmeticCode(i.Code)
	case SIGBUS:
		return BusCode(i.Code)
	case SIGTRAP:
		return TrapCode(i.Code)
	case SIGEMT:
		return EmulationCode(i.Code)
	}
	return SegmentCode(i.Code)
}

// A Poll is a descriptor that has become ready: SIGIO, or what fcntl(2), F_SETSIG chose.
type Poll struct {
	Code PollCode // 0 if the signal's Code is Descriptor
	Band uint32   // what poll(2) would say: POLLIN, POLLOUT, …
	Of   int      // the number that the descriptor had when the signal was asked for
}

// Poll tells of a descriptor, if the signal does.
func (i Info) Poll() (Poll, bool) {
	if i.layout() != layoutPoll {
		return Poll{}, false
	}
	p := Poll{Band: uint32(i.long(fieldBand)), Of: int(i.int32(fieldFD))}
	if i.Code != Descriptor {
		p.Code = PollCode(i.Code)
	}
	return p, true
}

// A Sys is a system call that was refused: SIGSYS.
type Sys struct {
	Code        SysCode // who refused it
	CallAddress uint64  // of the instruction after the call
	Number      int     // of the call
	Arch        uint32  // AUDIT_ARCH_X86_64, …: whose number it is
}

// Sys tells of a system call, if the signal does. [Info.Errno] is what the filter returned as data.
func (i Info) Sys() (Sys, bool) {
	if i.layout() != layoutSys {
		return Sys{}, false
	}
	return Sys{Code: SysCode(i.Code), CallAddress: i.long(fieldCallAddress), Number: int(i.int32(fieldCall)), Arch: i.uint32(fieldArch)}, true
}

// A Value is what a sender attaches to a signal: union sigval, which is a number or a pointer.
type Value struct {
	Int     int32  // sival_int
	Pointer uint64 // as the sender's, of which the number is a part
}

// Value is what the sender has attached: sigqueue(3), mq_notify(3), a timer, aio(7).
func (i Info) Value() (Value, bool) {
	switch i.layout() {
	case layoutQueue, layoutTimer:
		return Value{Int: i.int32(fieldInt), Pointer: i.long(fieldPointer)}, true
	}
	return Value{}, false
}

// A Timer is a timer of timer_create(2) that has expired.
type Timer struct {
	ID      int   // as the kernel counts
	Overrun int   // how often it has expired besides, since the last signal
	Value   Value // what was attached when it was made
}

// Timer tells of a timer, if the signal does.
func (i Info) Timer() (Timer, bool) {
	if i.layout() != layoutTimer {
		return Timer{}, false
	}
	v, _ := i.Value()
	return Timer{ID: int(i.int32(fieldTimer)), Overrun: int(i.int32(fieldOverrun)), Value: v}, true
}

// CodeName is the C name of the code, as this signal means it, or a number.
func (i Info) CodeName() string {
	switch i.layout() {
	case layoutChild:
		return ChildCode(i.Code).String()
	case layoutFault:
		return i.faultCode().String()
	case layoutSys:
		return SysCode(i.Code).String()
	case layoutPoll:
		if i.Code != Descriptor {
			return PollCode(i.Code).String()
		}
	}
	return i.Code.String()
}

// String is a line that tells all: "SIGTERM: SI_USER, from process 12 of user 0".
func (i Info) String() string {
	if i.lost > 0 {
		return fmt.Sprintf("%d signals were lost", i.lost)
	}
	s := i.Signal.String() + ": " + i.CodeName()
	if c, ok := i.Child(); ok {
		s += fmt.Sprintf(", process %d of user %d", c.PID, c.UID)
		if c.Code == Exited {
			return s + fmt.Sprintf(", exit status %d", c.Status)
		}
		return s + ", " + c.Signal.String()
	}
	if pid, uid, ok := i.Sender(); ok {
		s += fmt.Sprintf(", from process %d of user %d", pid, uid)
		if i.Origin() == Claimed {
			s += ", as it says"
		}
	}
	if t, ok := i.Timer(); ok {
		s += fmt.Sprintf(", timer %d, overrun %d", t.ID, t.Overrun)
	}
	if v, ok := i.Value(); ok {
		s += fmt.Sprintf(", value %d (%#x)", v.Int, v.Pointer)
	}
	if f, ok := i.Fault(); ok {
		s += fmt.Sprintf(", address %#x", f.Address)
	}
	if p, ok := i.Poll(); ok {
		s += fmt.Sprintf(", descriptor %d, events %#x", p.Of, p.Band)
	}
	if c, ok := i.Sys(); ok {
		s += fmt.Sprintf(", system call %d of %#x, at %#x", c.Number, c.Arch, c.CallAddress)
	}
	return s
}
