package signalfd

import (
	"fmt"
	"iter"
	"math/bits"
	"strings"
)

// A Set is a set of signals. Sets are compared with ==; the zero Set is empty.
type Set struct{ low, high uint64 } // of signal n, bit n-1

// SetOf is the set of some signals. What is no signal isn't in any set.
func SetOf(signals ...Signal) Set {
	var s Set
	for _, sig := range signals {
		switch bit := uint(sig - 1); {
		case sig < 1 || sig > Last:
		case bit < 64:
			s.low |= 1 << bit
		default:
			s.high |= 1 << (bit - 64)
		}
	}
	return s
}

// All is every signal, those that can't be caught included.
func All() Set {
	s := Set{low: ^uint64(0)}
	if Last > 64 {
		s.high = 1<<uint(Last-64) - 1
	}
	return s
}

// Reserved is what this package refuses: SIGKILL and SIGSTOP, which nobody can catch, and what Go's runtime needs itself: SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSTKFLT (SIGEMT on mips), SIGPROF,
// SIGURG, and the signals 32 to 34, which C libraries use between their threads.
func Reserved() Set {
	return SetOf(SIGKILL, SIGSTOP, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSTKFLT, SIGEMT, SIGPROF, SIGURG, 32, 33, 34)
}

// Blockable is what a Go program can have blocked, so that a signalfd(2) gets it: SIGUSR1, SIGUSR2, SIGPIPE, SIGALRM, SIGCONT, SIGTSTP, SIGTTIN, SIGTTOU, SIGXCPU, SIGXFSZ, SIGVTALRM, SIGWINCH, SIGIO, SIGPWR and the
// real-time signals from 35. All others are unblocked by Go's runtime on each thread that it starts.
func Blockable() Set {
	s := SetOf(SIGUSR1, SIGUSR2, SIGPIPE, SIGALRM, SIGCONT, SIGTSTP, SIGTTIN, SIGTTOU, SIGXCPU, SIGXFSZ, SIGVTALRM, SIGWINCH, SIGIO, SIGPWR)
	for sig := rtMin + 1; sig <= Last; sig++ {
		s = s.Union(SetOf(sig))
	}
	return s
}

// Has says whether a signal is in the set.
func (s Set) Has(sig Signal) bool {
	one := SetOf(sig)
	return one != Set{} && s.Intersection(one) == one
}

// Union is what is in one of the sets.
func (s Set) Union(t Set) Set { return Set{s.low | t.low, s.high | t.high} }

// Intersection is what is in both sets.
func (s Set) Intersection(t Set) Set { return Set{s.low & t.low, s.high & t.high} }

// Difference is what is in s and not in t.
func (s Set) Difference(t Set) Set { return Set{s.low &^ t.low, s.high &^ t.high} }

// Len is how many signals are in the set.
func (s Set) Len() int { return bits.OnesCount64(s.low) + bits.OnesCount64(s.high) }

// Signals yields the signals, the lowest first.
func (s Set) Signals() iter.Seq[Signal] {
	return func(yield func(Signal) bool) {
		for k, word := range [...]uint64{s.low, s.high} {
			for ; word != 0; word &= word - 1 {
				if sig := Signal(64*k + bits.TrailingZeros64(word) + 1); sig > Last || !yield(sig) {
					return
				}
			}
		}
	}
}

// String is the names, the lowest signal first, joined with "|", and "0" if there are none.
func (s Set) String() string {
	var parts []string
	for sig := range s.Signals() {
		parts = append(parts, sig.String())
	}
	if parts == nil {
		return "0"
	}
	return strings.Join(parts, "|")
}

// MarshalText returns what String does.
func (s Set) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText accepts names as [Signal.UnmarshalText] does, joined with "|", and "0".
func (s *Set) UnmarshalText(text []byte) error {
	var got Set
	if strings.TrimSpace(string(text)) == "0" {
		*s = got
		return nil
	}
	for part := range strings.SplitSeq(string(text), "|") {
		var sig Signal
		if err := sig.UnmarshalText([]byte(part)); err != nil {
			return fmt.Errorf("signalfd: set %q: there is no signal %q", text, part)
		}
		if sig > Last {
			return fmt.Errorf("signalfd: set %q: this platform has no %v", text, sig)
		}
		got = got.Union(SetOf(sig))
	}
	*s = got
	return nil
}
