package signalfd

import "strconv"

// A Code says why a signal was sent: si_code. The codes here are of all signals. Others that are positive are of some only, and mean something with these: see [Info.Child], [Info.Fault], [Info.Poll] and [Info.Sys].
// They are counted as most architectures do: those that mips has in another order are translated.
type Code int32

// Why a signal was sent.
const (
	User       Code = 0    // SI_USER: kill(2)
	Kernel     Code = 0x80 // SI_KERNEL: the kernel, which says no more
	Queued     Code = -1   // SI_QUEUE: sigqueue(3)
	Expired    Code = -2   // SI_TIMER: a timer of timer_create(2)
	Message    Code = -3   // SI_MESGQ: a message queue isn't empty any more: mq_notify(3)
	AsyncIO    Code = -4   // SI_ASYNCIO: aio(7)
	Descriptor Code = -5   // SI_SIGIO: a descriptor is ready, and fcntl(2), F_SETSIG chose a signal whose positive codes mean something else
	Thread     Code = -6   // SI_TKILL: tgkill(2), pthread_kill(3), raise(3)
	Detach     Code = -7   // SI_DETHREAD: another thread calls execve(2)
	AsyncName  Code = -60  // SI_ASYNCNL: getaddrinfo_a(3)
)

var codeNames = map[Code]string{
	User: "SI_USER", Kernel: "SI_KERNEL", Queued: "SI_QUEUE", Expired: "SI_TIMER", Message: "SI_MESGQ", AsyncIO: "SI_ASYNCIO", Descriptor: "SI_SIGIO", Thread: "SI_TKILL", Detach: "SI_DETHREAD",
	AsyncName: "SI_ASYNCNL",
}

// String is the C name, or the number of a code that isn't one of all signals.
func (c Code) String() string {
	if name := codeNames[c]; name != "" {
		return name
	}
	return "Code(" + strconv.Itoa(int(c)) + ")"
}

// A ChildCode says what happened to a child: si_code of SIGCHLD and of waitid(2).
type ChildCode int32

// What happened to a child.
const (
	Exited    ChildCode = 1 // CLD_EXITED: it has ended by itself; the status is its exit code
	Killed    ChildCode = 2 // CLD_KILLED: a signal has ended it; the status is that
	Dumped    ChildCode = 3 // CLD_DUMPED: a signal has ended it, and its core was dumped
	Trapped   ChildCode = 4 // CLD_TRAPPED: it has stopped for its tracer
	Stopped   ChildCode = 5 // CLD_STOPPED: a signal has stopped it
	Continued ChildCode = 6 // CLD_CONTINUED: SIGCONT has it go on
)

var childNames = []string{Exited: "CLD_EXITED", Killed: "CLD_KILLED", Dumped: "CLD_DUMPED", Trapped: "CLD_TRAPPED", Stopped: "CLD_STOPPED", Continued: "CLD_CONTINUED"}

// String is the C name.
func (c ChildCode) String() string { return nameOf(childNames, int32(c), "ChildCode") }

// A PollCode says why a descriptor has sent a signal: si_code of SIGIO, or of what fcntl(2), F_SETSIG chose.
type PollCode int32

// Why a descriptor has sent a signal.
const (
	PollIn       PollCode = 1 // POLL_IN: there is something to read
	PollOut      PollCode = 2 // POLL_OUT: there is room to write
	PollMessage  PollCode = 3 // POLL_MSG: there is a message
	PollError    PollCode = 4 // POLL_ERR: an error
	PollPriority PollCode = 5 // POLL_PRI: there is something urgent to read
	PollHangup   PollCode = 6 // POLL_HUP: the other end is gone
)

var pollNames = []string{PollIn: "POLL_IN", PollOut: "POLL_OUT", PollMessage: "POLL_MSG", PollError: "POLL_ERR", PollPriority: "POLL_PRI", PollHangup: "POLL_HUP"}

// String is the C name.
func (c PollCode) String() string { return nameOf(pollNames, int32(c), "PollCode") }

// A SysCode says who has refused a system call: si_code of SIGSYS.
type SysCode int32

// Who has refused a system call.
const (
	Seccomp      SysCode = 1 // SYS_SECCOMP: a seccomp filter
	UserDispatch SysCode = 2 // SYS_USER_DISPATCH: prctl(2), PR_SET_SYSCALL_USER_DISPATCH
)

var sysNames = []string{Seccomp: "SYS_SECCOMP", UserDispatch: "SYS_USER_DISPATCH"}

// String is the C name.
func (c SysCode) String() string { return nameOf(sysNames, int32(c), "SysCode") }

// A FaultCode says what is wrong: an [IllegalCode], [ArithmeticCode], [SegmentCode], [BusCode], [TrapCode] or [EmulationCode], by the signal.
type FaultCode interface {
	// String is the C name, or a number.
	String() string
	fault()
}

// An IllegalCode is what is wrong with an instruction: si_code of SIGILL.
type IllegalCode int32

// What is wrong with an instruction.
const (
	IllegalOpcode       IllegalCode = 1  // ILL_ILLOPC
	IllegalOperand      IllegalCode = 2  // ILL_ILLOPN
	IllegalAddressing   IllegalCode = 3  // ILL_ILLADR: the addressing mode
	IllegalTrap         IllegalCode = 4  // ILL_ILLTRP
	PrivilegedOpcode    IllegalCode = 5  // ILL_PRVOPC
	PrivilegedRegister  IllegalCode = 6  // ILL_PRVREG
	CoprocessorError    IllegalCode = 7  // ILL_COPROC
	InternalStackError  IllegalCode = 8  // ILL_BADSTK
	BadInstructionFetch IllegalCode = 9  // ILL_BADIADDR: unimplemented instruction address
	IllegalBreak        IllegalCode = 10 // __ILL_BREAK: ia64
	BundleUpdate        IllegalCode = 11 // __ILL_BNDMOD: ia64
)

var illegalNames = []string{
	IllegalOpcode: "ILL_ILLOPC", IllegalOperand: "ILL_ILLOPN", IllegalAddressing: "ILL_ILLADR", IllegalTrap: "ILL_ILLTRP", PrivilegedOpcode: "ILL_PRVOPC", PrivilegedRegister: "ILL_PRVREG",
	CoprocessorError: "ILL_COPROC", InternalStackError: "ILL_BADSTK", BadInstructionFetch: "ILL_BADIADDR", IllegalBreak: "__ILL_BREAK", BundleUpdate: "__ILL_BNDMOD",
}

// String is the C name.
func (c IllegalCode) String() string { return nameOf(illegalNames, int32(c), "IllegalCode") }

// An ArithmeticCode is what is wrong with a calculation: si_code of SIGFPE.
type ArithmeticCode int32

// What is wrong with a calculation.
const (
	IntegerDivide   ArithmeticCode = 1  // FPE_INTDIV: an integer was divided by zero
	IntegerOverflow ArithmeticCode = 2  // FPE_INTOVF
	FloatDivide     ArithmeticCode = 3  // FPE_FLTDIV: a floating-point number was divided by zero
	FloatOverflow   ArithmeticCode = 4  // FPE_FLTOVF
	FloatUnderflow  ArithmeticCode = 5  // FPE_FLTUND
	FloatInexact    ArithmeticCode = 6  // FPE_FLTRES
	FloatInvalid    ArithmeticCode = 7  // FPE_FLTINV: invalid operation
	FloatSubscript  ArithmeticCode = 8  // FPE_FLTSUB: subscript out of range
	DecimalOverflow ArithmeticCode = 9  // __FPE_DECOVF: ia64
	DecimalDivide   ArithmeticCode = 10 // __FPE_DECDIV: ia64
	DecimalError    ArithmeticCode = 11 // __FPE_DECERR: ia64
	InvalidASCII    ArithmeticCode = 12 // __FPE_INVASC: ia64
	InvalidDecimal  ArithmeticCode = 13 // __FPE_INVDEC: ia64
	FloatUnknown    ArithmeticCode = 14 // FPE_FLTUNK: the processor doesn't say
	ConditionTrap   ArithmeticCode = 15 // FPE_CONDTRAP: a trap on condition
)

var arithmeticNames = []string{
	IntegerDivide: "FPE_INTDIV", IntegerOverflow: "FPE_INTOVF", FloatDivide: "FPE_FLTDIV", FloatOverflow: "FPE_FLTOVF", FloatUnderflow: "FPE_FLTUND", FloatInexact: "FPE_FLTRES", FloatInvalid: "FPE_FLTINV",
	FloatSubscript: "FPE_FLTSUB", DecimalOverflow: "__FPE_DECOVF", DecimalDivide: "__FPE_DECDIV", DecimalError: "__FPE_DECERR", InvalidASCII: "__FPE_INVASC", InvalidDecimal: "__FPE_INVDEC",
	FloatUnknown: "FPE_FLTUNK", ConditionTrap: "FPE_CONDTRAP",
}

// String is the C name.
func (c ArithmeticCode) String() string { return nameOf(arithmeticNames, int32(c), "ArithmeticCode") }

// A SegmentCode is what is wrong with an address: si_code of SIGSEGV.
type SegmentCode int32

// What is wrong with an address.
const (
	NotMapped        SegmentCode = 1  // SEGV_MAPERR: nothing is mapped there
	NoAccess         SegmentCode = 2  // SEGV_ACCERR: the mapping doesn't allow it
	OutOfBounds      SegmentCode = 3  // SEGV_BNDERR: a bounds check failed
	ProtectionKey    SegmentCode = 4  // SEGV_PKUERR: a protection key doesn't allow it
	ADIDisabled      SegmentCode = 5  // SEGV_ACCADI: sparc: ADI isn't enabled for the mapping
	ADIMismatch      SegmentCode = 6  // SEGV_ADIDERR: sparc: disrupting tag mismatch
	ADIPrecise       SegmentCode = 7  // SEGV_ADIPERR: sparc: precise tag mismatch
	MTEAsynchronous  SegmentCode = 8  // SEGV_MTEAERR: arm64: memory tag mismatch, found later
	MTESynchronous   SegmentCode = 9  // SEGV_MTESERR: arm64: memory tag mismatch
	ControlFlowCheck SegmentCode = 10 // SEGV_CPERR: control-flow protection, as a shadow stack
)

var segmentNames = []string{
	NotMapped: "SEGV_MAPERR", NoAccess: "SEGV_ACCERR", OutOfBounds: "SEGV_BNDERR", ProtectionKey: "SEGV_PKUERR", ADIDisabled: "SEGV_ACCADI", ADIMismatch: "SEGV_ADIDERR", ADIPrecise: "SEGV_ADIPERR",
	MTEAsynchronous: "SEGV_MTEAERR", MTESynchronous: "SEGV_MTESERR", ControlFlowCheck: "SEGV_CPERR",
}

// String is the C name.
func (c SegmentCode) String() string { return nameOf(segmentNames, int32(c), "SegmentCode") }

// A BusCode is what is wrong with a memory access: si_code of SIGBUS.
type BusCode int32

// What is wrong with a memory access.
const (
	Misaligned      BusCode = 1 // BUS_ADRALN
	NoPhysical      BusCode = 2 // BUS_ADRERR: there is no such physical address, or the mapped file is shorter
	ObjectError     BusCode = 3 // BUS_OBJERR: hardware
	MemoryConsumed  BusCode = 4 // BUS_MCEERR_AR: a memory error that the program has met
	MemoryElsewhere BusCode = 5 // BUS_MCEERR_AO: a memory error that it hasn't met yet
)

var busNames = []string{Misaligned: "BUS_ADRALN", NoPhysical: "BUS_ADRERR", ObjectError: "BUS_OBJERR", MemoryConsumed: "BUS_MCEERR_AR", MemoryElsewhere: "BUS_MCEERR_AO"}

// String is the C name.
func (c BusCode) String() string { return nameOf(busNames, int32(c), "BusCode") }

// A TrapCode is what a debugger's trap was: si_code of SIGTRAP.
type TrapCode int32

// What a trap was.
const (
	Breakpoint         TrapCode = 1 // TRAP_BRKPT
	SingleStep         TrapCode = 2 // TRAP_TRACE
	BranchTaken        TrapCode = 3 // TRAP_BRANCH
	HardwareBreakpoint TrapCode = 4 // TRAP_HWBKPT: or a watchpoint
	UnknownTrap        TrapCode = 5 // TRAP_UNK
	PerfEvent          TrapCode = 6 // TRAP_PERF: perf_event_open(2) with sigtrap
)

var trapNames = []string{Breakpoint: "TRAP_BRKPT", SingleStep: "TRAP_TRACE", BranchTaken: "TRAP_BRANCH", HardwareBreakpoint: "TRAP_HWBKPT", UnknownTrap: "TRAP_UNK", PerfEvent: "TRAP_PERF"}

// String is the C name.
func (c TrapCode) String() string { return nameOf(trapNames, int32(c), "TrapCode") }

// An EmulationCode is what an emulation trap was: si_code of SIGEMT.
type EmulationCode int32

// TagOverflow is EMT_TAGOVF: sparc.
const TagOverflow EmulationCode = 1

// String is the C name.
func (c EmulationCode) String() string {
	return nameOf([]string{TagOverflow: "EMT_TAGOVF"}, int32(c), "EmulationCode")
}

func (IllegalCode) fault()    {}
func (ArithmeticCode) fault() {}
func (SegmentCode) fault()    {}
func (BusCode) fault()        {}
func (TrapCode) fault()       {}
func (EmulationCode) fault()  {}

// nameOf is a code's name, or its type and number.
func nameOf(names []string, code int32, typ string) string {
	if code > 0 && int(code) < len(names) && names[code] != "" {
		return names[code]
	}
	return typ + "(" + strconv.Itoa(int(code)) + ")"
}
