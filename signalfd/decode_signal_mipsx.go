//go:build mips || mipsle || mips64 || mips64le

package signalfd

// The signals, as Linux counts them on mips.
const (
	SIGHUP    Signal = 1  // hang-up of the controlling terminal
	SIGINT    Signal = 2  // Ctrl-C
	SIGQUIT   Signal = 3  // Ctrl-\
	SIGILL    Signal = 4  // illegal instruction
	SIGTRAP   Signal = 5  // breakpoint, or what a debugger asked for
	SIGABRT   Signal = 6  // abort(3)
	SIGEMT    Signal = 7  // emulation trap
	SIGFPE    Signal = 8  // arithmetic
	SIGKILL   Signal = 9  // ends the process; nobody can catch it
	SIGBUS    Signal = 10 // bad memory access: alignment, beyond the end of a mapped file, a memory fault
	SIGSEGV   Signal = 11 // bad memory access
	SIGSYS    Signal = 12 // a bad system call: seccomp(2)
	SIGPIPE   Signal = 13 // a write that nobody can read any more
	SIGALRM   Signal = 14 // alarm(2)
	SIGTERM   Signal = 15 // please end
	SIGUSR1   Signal = 16 // the programs' own
	SIGUSR2   Signal = 17 // the programs' own
	SIGCHLD   Signal = 18 // a child has ended, stopped or goes on
	SIGPWR    Signal = 19 // power failure
	SIGWINCH  Signal = 20 // the terminal's size has changed
	SIGURG    Signal = 21 // urgent data on a socket; Go's scheduler uses it
	SIGIO     Signal = 22 // a descriptor is ready: fcntl(2), F_SETOWN
	SIGSTOP   Signal = 23 // stops the process; nobody can catch it
	SIGTSTP   Signal = 24 // Ctrl-Z
	SIGCONT   Signal = 25 // goes on
	SIGTTIN   Signal = 26 // a read from the terminal in the background
	SIGTTOU   Signal = 27 // a write to the terminal in the background
	SIGVTALRM Signal = 28 // setitimer(2), ITIMER_VIRTUAL
	SIGPROF   Signal = 29 // setitimer(2), ITIMER_PROF; Go's profiler uses it
	SIGXCPU   Signal = 30 // RLIMIT_CPU
	SIGXFSZ   Signal = 31 // RLIMIT_FSIZE

	SIGSTKFLT = foreign + 16 // not on mips
)

// Last is the highest signal: SIGRTMAX.
const Last Signal = 127
