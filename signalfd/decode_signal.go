package signalfd

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// A Signal is a signal's number, as this platform counts. It converts to and from syscall.Signal, and is an [os.Signal].
type Signal int

// RT is the real-time signal SIGRTMIN+n, as the C library counts: SIGRTMIN is 34, below are those that it needs itself (musl needs 34 too). n may be 0 to 30, on mips to 93.
func RT(n int) Signal { return rtMin + Signal(n) }

const rtMin Signal = 34

// RealTime says whether the signal is a real-time one: many of one number can wait, each with its value, and they are delivered in order.
func (s Signal) RealTime() bool { return s >= firstRealTime && s <= Last }

const firstRealTime Signal = 32

// String is the signal's name: "SIGTERM", "SIGRTMIN+2", or "signal 33" for one without.
func (s Signal) String() string {
	switch i := slices.IndexFunc(names, func(n named) bool { return n.signal == s }); {
	case i >= 0:
		return names[i].text
	case s == rtMin:
		return "SIGRTMIN"
	case s > rtMin && s <= Last:
		return "SIGRTMIN+" + strconv.Itoa(int(s-rtMin))
	}
	return "signal " + strconv.Itoa(int(s))
}

// Signal makes it an [os.Signal].
func (s Signal) Signal() {}

// MarshalText returns what String does.
func (s Signal) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText accepts what String gives, names without "SIG", numbers, SIGRTMAX-n, and the other names that some signals have: SIGPOLL, SIGCLD, SIGIOT.
func (s *Signal) UnmarshalText(text []byte) error {
	got, ok := parse(strings.ToUpper(strings.TrimSpace(string(text))))
	if !ok {
		return fmt.Errorf("signalfd: there is no signal %q", text)
	}
	*s = got
	return nil
}

func parse(text string) (Signal, bool) {
	text = strings.TrimPrefix(text, "SIGNAL ")
	if n, err := strconv.Atoi(text); err == nil {
		return Signal(n), n > 0 && Signal(n) <= Last
	}
	text = strings.TrimPrefix(text, "SIG")
	for _, n := range slices.Concat(names, synonyms) {
		if n.text[len("SIG"):] == text {
			return n.signal, true
		}
	}
	if rest, ok := strings.CutPrefix(text, "RTMIN"); ok {
		n, ok := offset(rest, "+")
		return RT(n), ok && RT(n) <= Last
	}
	if rest, ok := strings.CutPrefix(text, "RTMAX"); ok {
		n, ok := offset(rest, "-")
		return Last - Signal(n), ok && Last-Signal(n) >= rtMin
	}
	return 0, false
}

// offset is the n of "+n", or 0 of "".
func offset(text, sign string) (int, bool) {
	if text == "" {
		return 0, true
	}
	digits, ok := strings.CutPrefix(text, sign)
	n, err := strconv.ParseUint(digits, 10, 8)
	return int(n), ok && err == nil
}

// named is a signal's name.
type named struct {
	signal Signal
	text   string
}

var names = []named{
	{SIGHUP, "SIGHUP"}, {SIGINT, "SIGINT"}, {SIGQUIT, "SIGQUIT"}, {SIGILL, "SIGILL"}, {SIGTRAP, "SIGTRAP"}, {SIGABRT, "SIGABRT"}, {SIGBUS, "SIGBUS"}, {SIGFPE, "SIGFPE"},
	{SIGKILL, "SIGKILL"}, {SIGUSR1, "SIGUSR1"}, {SIGSEGV, "SIGSEGV"}, {SIGUSR2, "SIGUSR2"}, {SIGPIPE, "SIGPIPE"}, {SIGALRM, "SIGALRM"}, {SIGTERM, "SIGTERM"}, {SIGCHLD, "SIGCHLD"},
	{SIGCONT, "SIGCONT"}, {SIGSTOP, "SIGSTOP"}, {SIGTSTP, "SIGTSTP"}, {SIGTTIN, "SIGTTIN"}, {SIGTTOU, "SIGTTOU"}, {SIGURG, "SIGURG"}, {SIGXCPU, "SIGXCPU"}, {SIGXFSZ, "SIGXFSZ"},
	{SIGVTALRM, "SIGVTALRM"}, {SIGPROF, "SIGPROF"}, {SIGWINCH, "SIGWINCH"}, {SIGIO, "SIGIO"}, {SIGPWR, "SIGPWR"}, {SIGSYS, "SIGSYS"},
	{SIGSTKFLT, "SIGSTKFLT"}, {SIGEMT, "SIGEMT"},
}

var synonyms = []named{{SIGIO, "SIGPOLL"}, {SIGCHLD, "SIGCLD"}, {SIGABRT, "SIGIOT"}}

// foreign is added to the number of a signal that this platform doesn't have: only ParseInfo returns it.
const foreign Signal = 0x100
