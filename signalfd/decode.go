package signalfd

import (
	"encoding/binary"
	"fmt"
	"runtime"
	"strings"
)

const (
	recordSize = 128 // of signalfd_siginfo, and of siginfo_t
	headSize   = 12  // signal, errno and code
)

// An ABI is how a siginfo_t is laid out in memory.
type ABI struct {
	BigEndian bool // the most significant byte is the first
	Bits      int  // of a pointer: 32 or 64
	MIPS      bool // errno and code change places, and other numbers mean other signals
}

// ABIOf is the ABI of programs for an architecture, as GOARCH names it. A 32-bit program on a 64-bit kernel has the ABI of 32 bits.
func ABIOf(goarch string) (ABI, error) {
	switch goarch {
	case "386", "arm":
		return ABI{Bits: 32}, nil
	case "amd64", "arm64", "loong64", "ppc64le", "riscv64":
		return ABI{Bits: 64}, nil
	case "ppc64", "s390x":
		return ABI{BigEndian: true, Bits: 64}, nil
	case "mips", "mipsle":
		return ABI{BigEndian: goarch == "mips", Bits: 32, MIPS: true}, nil
	case "mips64", "mips64le":
		return ABI{BigEndian: goarch == "mips64", Bits: 64, MIPS: true}, nil
	}
	return ABI{}, fmt.Errorf("signalfd: the layout of siginfo_t on %q isn't known", goarch)
}

// ParseInfo decodes a siginfo_t of 128 bytes: of a core dump (the note NT_SIGINFO), ptrace(2) with PTRACE_GETSIGINFO, or waitid(2), of any architecture on any other. The signal is as this platform counts it, and the code
// as most do. waitid(2) gives a Signal of 0 if it has found nothing.
func ParseInfo(b []byte, abi ABI) (Info, error) {
	if len(b) < recordSize {
		return Info{}, fmt.Errorf("signalfd: a siginfo_t has %d bytes, and this has %d", recordSize, len(b))
	}
	if abi.Bits != 32 && abi.Bits != 64 {
		return Info{}, fmt.Errorf("signalfd: a pointer of %d bits isn't known: it is 32 or 64", abi.Bits)
	}
	f := form(0)
	for _, x := range []struct {
		set bool
		bit form
	}{{abi.BigEndian, bigEndian}, {abi.Bits == 64, wide}, {abi.MIPS, mips}} {
		if x.set {
			f |= x.bit
		}
	}
	var i Info
	decode(&i, (*[recordSize]byte)(b), f)
	return i, nil
}

// native is the form of this process's siginfo_t, and with fromFD of what its signalfd(2) gives.
var native = nativeForm()

func nativeForm() (f form) {
	if binary.NativeEndian.Uint16([]byte{0, 1}) == 1 {
		f |= bigEndian
	}
	if ^uintptr(0)>>63 == 1 {
		f |= wide
	}
	if hereMIPS {
		f |= mips
	}
	return f
}

var hereMIPS = strings.HasPrefix(runtime.GOARCH, "mips")

// A form says how the bytes of an Info are to be read.
type form uint8

const (
	bigEndian form = 1 << iota
	wide           // 64 bits
	mips
	fromFD // signalfd_siginfo, which is the same everywhere but for the byte order
)

func (f form) has(x form) bool { return f&x != 0 }

// These are no methods of a binary.ByteOrder: what is given to an interface is allocated.

func (f form) uint16(b []byte) uint16 {
	if f.has(bigEndian) {
		return binary.BigEndian.Uint16(b)
	}
	return binary.LittleEndian.Uint16(b)
}

func (f form) uint32(b []byte) uint32 {
	if f.has(bigEndian) {
		return binary.BigEndian.Uint32(b)
	}
	return binary.LittleEndian.Uint32(b)
}

func (f form) uint64(b []byte) uint64 {
	if f.has(bigEndian) {
		return binary.BigEndian.Uint64(b)
	}
	return binary.LittleEndian.Uint64(b)
}

// decode takes a record.
func decode(i *Info, b *[recordSize]byte, f form) {
	second, third := int32(f.uint32(b[4:])), int32(f.uint32(b[8:]))
	if f.has(mips) && !f.has(fromFD) {
		second, third = third, second
	}
	i.form, i.lost = f, 0
	i.Signal, i.Errno, i.Code = f.signal(Signal(int32(f.uint32(b[:])))), int(second), f.code(Code(third))
	i.rest = [recordSize - headSize]byte(b[headSize:])
}

// signal is a signal as this platform counts.
func (f form) signal(s Signal) Signal {
	if f.has(mips) == hereMIPS || s <= 0 || s >= firstRealTime {
		return s
	}
	there := generic
	if f.has(mips) {
		there = onMIPS
	}
	for _, n := range names {
		if n.text == "SIG"+there[s] {
			return n.signal
		}
	}
	return s
}

var (
	generic = strings.Fields("0 HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT STOP TSTP TTIN TTOU URG XCPU XFSZ VTALRM PROF WINCH IO PWR SYS")
	onMIPS  = strings.Fields("0 HUP INT QUIT ILL TRAP ABRT EMT FPE KILL BUS SEGV SYS PIPE ALRM TERM USR1 USR2 CHLD PWR WINCH URG IO STOP TSTP CONT TTIN TTOU VTALRM PROF XCPU XFSZ")
)

// code is a code as most architectures count.
func (f form) code(c Code) Code {
	if f.has(mips) {
		switch c {
		case -2:
			return AsyncIO
		case -3:
			return Expired
		case -4:
			return Message
		}
	}
	return c
}

// A layout is which fields of an Info there are: a member of the union in siginfo_t.
type layout uint8

const (
	layoutNone layout = iota
	layoutKill
	layoutTimer
	layoutPoll
	layoutFault
	layoutChild
	layoutQueue
	layoutSys
)

// layout is what the kernel's siginfo_layout says.
func (i *Info) layout() layout {
	switch {
	case i.Code == User:
		return layoutKill
	case i.Code >= Kernel:
		return layoutNone
	case i.Code == Expired:
		return layoutTimer
	case i.Code == Descriptor:
		return layoutPoll
	case i.Code == Thread:
		return layoutKill
	case i.Code < 0:
		return layoutQueue
	}
	last, l := Code(0), layoutFault
	switch i.Signal {
	case SIGILL:
		last = Code(BundleUpdate)
	case SIGFPE:
		last = Code(ConditionTrap)
	case SIGSEGV:
		last = Code(ControlFlowCheck)
	case SIGBUS:
		last = Code(MemoryElsewhere)
	case SIGTRAP:
		last = Code(PerfEvent)
	case SIGEMT:
		last = Code(TagOverflow)
	case SIGCHLD:
		last, l = Code(Continued), layoutChild
	case SIGSYS:
		last, l = Code(UserDispatch), layoutSys
	}
	switch {
	case i.Code <= last:
		return l
	case i.Code <= Code(PollHangup):
		return layoutPoll
	}
	return layoutNone
}

// A field is where something is: in a signalfd_siginfo, and in the union of a siginfo_t of 32 and of 64 bits.
type field struct{ record, narrow, wide uint8 }

var (
	fieldPID         = field{12, 0, 0}
	fieldUID         = field{16, 4, 4}
	fieldFD          = field{20, 4, 8}
	fieldTimer       = field{24, 0, 0}
	fieldBand        = field{28, 0, 0}
	fieldOverrun     = field{32, 4, 4}
	fieldTrapNumber  = field{36, 4, 8}
	fieldStatus      = field{40, 8, 8}
	fieldInt         = field{44, 8, 8}
	fieldPointer     = field{48, 8, 8}
	fieldUserTime    = field{56, 12, 16}
	fieldSystemTime  = field{64, 16, 24}
	fieldAddress     = field{72, 0, 0}
	fieldAddressBits = field{80, 4, 8}
	fieldCall        = field{84, 4, 8}
	fieldCallAddress = field{88, 0, 0}
	fieldArch        = field{96, 8, 12}

	fieldLower     = field{0, 8, 16}
	fieldUpper     = field{0, 12, 24}
	fieldKey       = field{0, 8, 16}
	fieldPerfData  = field{0, 4, 8}
	fieldPerfType  = field{0, 8, 16}
	fieldPerfFlags = field{0, 12, 20}
)

func (i *Info) at(f field) []byte {
	switch {
	case i.form.has(fromFD):
		return i.rest[f.record-headSize:]
	case i.form.has(wide):
		return i.rest[4+f.wide:] // the union is aligned
	}
	return i.rest[f.narrow:]
}

func (i *Info) uint16(f field) uint16 { return i.form.uint16(i.at(f)) }
func (i *Info) uint32(f field) uint32 { return i.form.uint32(i.at(f)) }
func (i *Info) int32(f field) int32   { return int32(i.uint32(f)) }

// long is a pointer or a long. In a signalfd_siginfo it has 64 bits, of which a 32-bit kernel means the lower half, and the events of a descriptor have 32.
func (i *Info) long(f field) uint64 {
	if !i.form.has(wide) && !i.form.has(fromFD) || i.form.has(fromFD) && f == fieldBand {
		return uint64(i.uint32(f))
	}
	v := i.form.uint64(i.at(f))
	if !i.form.has(wide) {
		v = uint64(uint32(v))
	}
	return v
}
