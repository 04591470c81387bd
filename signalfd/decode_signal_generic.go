//go:build !(mips || mipsle || mips64 || mips64le)

package signalfd

// The signals, as Linux counts them but on mips. Elsewhere than on Linux they are what the decoders return.
const (
	SIGHUP    Signal = 1  // hang-up of the controlling terminal
	SIGINT    Signal = 2  // Ctrl-C
	SIGQUIT   Signal = 3  // Ctrl-\
	SIGILL    Signal = 4  // illegal instruction
	SIGTRAP   Signal = 5  // breakpoint, or what a debugger asked for
	SIGABRT   Signal = 6  // abort(3)
	SIGBUS    Signal = 7  // bad memory access: alignment, beyond the end of a mapped file, a memory fault
	SIGFPE    Signal = 8  // arithmetic
	SIGKILL   Signal = 9  // ends the process; nobody can catch it
	SIGUSR1   Signal = 10 // the programs' own
	SIGSEGV   Signal = 11 // bad memory access
	SIGUSR2   Signal = 12 // the programs' own
	SIGPIPE   Signal = 13 // a write that nobody can read any more
	SIGALRM   Signal = 14 // alarm(2)
	SIGTERM   Signal = 15 // please end
	SIGSTKFLT Signal = 16 // unused by the kernel
	SIGCHLD   Signal = 17 // a child has ended, stopped or goes on
	SIGCONT   Signal = 18 // goes on
	SIGSTOP   Signal = 19 // stops the process; nobody can catch it
	SIGTSTP   Signal = 20 // Ctrl-Z
	SIGTTIN   Signal = 21 // a read from the terminal in the background
	SIGTTOU   Signal = 22 // a write to the terminal in the background
	SIGURG    Signal = 23 // urgent data on a socket; Go's scheduler uses it
	SIGXCPU   Signal = 24 // RLIMIT_CPU
	SIGXFSZ   Signal = 25 // RLIMIT_FSIZE
	SIGVTALRM Signal = 26 // setitimer(2), ITIMER_VIRTUAL
	SIGPROF   Signal = 27 // setitimer(2), ITIMER_PROF; Go's profiler uses it
	SIGWINCH  Signal = 28 // the terminal's size has changed
	SIGIO     Signal = 29 // a descriptor is ready: fcntl(2), F_SETOWN
	SIGPWR    Signal = 30 // power failure
	SIGSYS    Signal = 31 // a bad system call: seccomp(2)

	SIGEMT = foreign + 7 // emulation trap: mips only
)

// Last is the highest signal: SIGRTMAX.
const Last Signal = 64
