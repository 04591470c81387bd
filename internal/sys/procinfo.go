//go:build linux

package sys

import "bytes"

// InfoField returns the value of a line "name: value" of fdinfo's text.
func InfoField(info []byte, name string) ([]byte, bool) {
	for line := range bytes.Lines(info) {
		if k, v, ok := bytes.Cut(line, []byte{':'}); ok && string(bytes.TrimSpace(k)) == name {
			return bytes.TrimSpace(v), true
		}
	}
	return nil, false
}
