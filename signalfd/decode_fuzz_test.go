package signalfd

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"testing"
	"time"
)

// told is all that an Info tells, as text.
func told(i Info) string {
	s := fmt.Sprintf("%d %d %d %v", i.Signal, i.Code, i.Errno, i.Origin())
	if pid, uid, ok := i.Sender(); ok {
		s += fmt.Sprintf(" sender %d %d", pid, uid)
	}
	if c, ok := i.Child(); ok {
		s += fmt.Sprintf(" child %d %d %v %v", c.Code, c.Status, c.UserTime, c.SystemTime)
	}
	if v, ok := i.Value(); ok {
		s += fmt.Sprintf(" value %d %#x", v.Int, v.Pointer)
	}
	if v, ok := i.Timer(); ok {
		s += fmt.Sprintf(" timer %d %d", v.ID, v.Overrun)
	}
	if f, ok := i.Fault(); ok {
		s += fmt.Sprintf(" fault %v %#x", f.Code, f.Address)
	}
	if p, ok := i.Poll(); ok {
		s += fmt.Sprintf(" poll %d %#x %d", p.Code, p.Band, p.Of)
	}
	if c, ok := i.Sys(); ok {
		s += fmt.Sprintf(" sys %d %#x %d %d", c.Code, c.CallAddress, c.Number, c.Arch)
	}
	return s
}

// slow tells the same, by structures as C has them.
func slow(t *testing.T, b []byte, abi ABI) string {
	var o binary.ByteOrder = binary.LittleEndian
	if abi.BigEndian {
		o = binary.BigEndian
	}
	get := func(from int, v any) {
		if err := binary.Read(bytes.NewReader(b[from:]), o, v); err != nil {
			t.Fatal(err)
		}
	}
	var h head
	get(0, &h)
	errno, code, sig := h.Second, h.Third, Signal(h.Signal)
	if abi.MIPS {
		errno, code = code, errno
		if other, ok := map[int32]int32{-2: -4, -3: -2, -4: -3}[code]; ok {
			code = other
		}
	}
	if sig > 0 && sig < 32 && abi.MIPS != hereMIPS {
		there := generic
		if abi.MIPS {
			there = onMIPS
		}
		for _, n := range names {
			if n.text == "SIG"+there[sig] {
				sig = n.signal
				break
			}
		}
	}
	union := 12
	if abi.Bits == 64 {
		union = 16
	}
	origin := Claimed
	switch {
	case code > 0:
		origin = FromKernel
	case code == 0 || code == -6:
		origin = FromUser
	}
	s := fmt.Sprintf("%d %d %d %v", sig, code, errno, origin)
	long := func(at int) uint64 {
		if abi.Bits == 64 {
			var v uint64
			get(at, &v)
			return v
		}
		var v uint32
		get(at, &v)
		return uint64(v)
	}
	word := abi.Bits / 8
	var k struct{ A, B, C int32 }
	get(union, &k)
	sender := fmt.Sprintf(" sender %d %d", k.A, uint32(k.B))
	value := fmt.Sprintf(" value %d %#x", k.C, long(union+8))
	var number int32
	get(union+word, &number)
	limits := map[Signal]int32{SIGILL: 11, SIGFPE: 15, SIGSEGV: 10, SIGBUS: 5, SIGTRAP: 6, SIGEMT: 1}
	switch {
	case code == 0 || code == -6:
		return s + sender
	case code == -2:
		return s + value + fmt.Sprintf(" timer %d %d", k.A, k.B)
	case code == -5:
		return s + fmt.Sprintf(" poll 0 %#x %d", uint32(long(union)), number)
	case code < 0:
		return s + sender + value
	case code >= 0x80:
		return s
	case code <= limits[sig]:
		var i Info
		i.Signal, i.Code = sig, Code(code)
		return s + fmt.Sprintf(" fault %v %#x", i.faultCode(), long(union))
	case sig == SIGCHLD && code <= 6:
		times := union + 16
		if abi.Bits == 32 {
			times = union + 12
		}
		return s + sender + fmt.Sprintf(" child %d %d %v %v", code, k.C, time.Duration(long(times))*10*time.Millisecond, time.Duration(long(times+word))*10*time.Millisecond)
	case sig == SIGSYS && code <= 2:
		var arch uint32
		get(union+word+4, &arch)
		return s + fmt.Sprintf(" sys %d %#x %d %d", code, long(union), number, arch)
	case code <= 6:
		return s + fmt.Sprintf(" poll %d %#x %d", code, uint32(long(union)), number)
	}
	return s
}

func FuzzParseInfo(f *testing.F) {
	for sig := range 32 {
		for _, code := range []int32{0, 1, 4, 6, 0x80, -1, -2, -3, -5, -6, -60, 100} {
			b := make([]byte, recordSize)
			for i := range b {
				b[i] = byte(i * 7)
			}
			binary.LittleEndian.PutUint32(b, uint32(sig))
			binary.LittleEndian.PutUint32(b[8:], uint32(code))
			f.Add(b, byte(sig))
		}
	}
	f.Fuzz(func(t *testing.T, b []byte, which byte) {
		abi, err := ABIOf(architectures[int(which)%len(architectures)])
		if err != nil {
			t.Fatal(err)
		}
		i, err := ParseInfo(b, abi)
		if (err == nil) != (len(b) >= recordSize) {
			t.Fatalf("%d bytes: %v", len(b), err)
		}
		if err != nil {
			return
		}
		if got, want := told(i), slow(t, b[:recordSize], abi); got != want {
			t.Errorf("%+v %x:\n%s, not\n%s", abi, b[:recordSize], got, want)
		}
		_, _, _ = i.String(), i.CodeName(), i.Known()
	})
}
