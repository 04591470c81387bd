//go:build linux

package fdtest

import "encoding/binary"

var bigEndian = binary.NativeEndian.Uint16([]byte{0, 1}) == 1
