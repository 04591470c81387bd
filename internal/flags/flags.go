// Package flags prints and parses the kernel's bit sets.
package flags

import (
	"fmt"
	"strconv"
	"strings"
)

// A Name is a set of bits, usually one, and what it is called.
type Name struct {
	Bits uint64
	Text string
}

// Format joins the names of v's bits with "|". Bits without a name come last, in hexadecimal; no bits at all are "0".
func Format(v uint64, names []Name) string {
	if v == 0 {
		return "0"
	}
	var parts []string
	for _, n := range names {
		if n.Bits != 0 && v&n.Bits == n.Bits {
			parts = append(parts, n.Text)
			v &^= n.Bits
		}
	}
	if v != 0 {
		parts = append(parts, "0x"+strconv.FormatUint(v, 16))
	}
	return strings.Join(parts, "|")
}

// Parse is the inverse of Format. Names and numbers may stand in any order.
func Parse(text string, names []Name) (uint64, error) {
	var v uint64
next:
	for part := range strings.SplitSeq(text, "|") {
		part = strings.TrimSpace(part)
		for _, n := range names {
			if n.Text == part {
				v |= n.Bits
				continue next
			}
		}
		bits, err := strconv.ParseUint(part, 0, 64)
		if err != nil {
			return 0, fmt.Errorf("unknown flag %q", part)
		}
		v |= bits
	}
	return v, nil
}
