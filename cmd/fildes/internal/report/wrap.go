//go:build linux

package report

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
)

// wrap joins words into lines of at most n columns. A word that is longer has a line of its own.
func wrap(words []string, n int) []string {
	var lines []string
	for _, word := range words {
		last := len(lines) - 1
		if last >= 0 && width(lines[last])+1+width(word) <= n {
			lines[last] += " " + word
		} else {
			lines = append(lines, word)
		}
	}
	return lines
}

// printable replaces what could move the cursor or change colours: a reason may quote anything.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case unicode.IsPrint(r):
			return r
		}
		return '?'
	}, s)
}

// duration prints nanoseconds with three digits that count, in seven columns at most.
func duration(ns float64) string {
	for _, unit := range []string{"ns", "µs", "ms"} {
		if ns < 999.5 {
			return significant(ns) + " " + unit
		}
		ns /= 1000
	}
	return significant(ns) + " s"
}

// significant prints three digits, but no fraction of what has more.
func significant(v float64) string {
	switch {
	case v >= 99.95:
		return fmt.Sprintf("%.0f", v)
	case v >= 9.995:
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return strconv.FormatFloat(v, 'f', 2, 64)
}
