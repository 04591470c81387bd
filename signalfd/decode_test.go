package signalfd

import (
	"bytes"
	"encoding"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

var (
	_ encoding.TextMarshaler   = SIGTERM
	_ encoding.TextUnmarshaler = new(Signal)
	_ encoding.TextMarshaler   = Set{}
	_ encoding.TextUnmarshaler = new(Set)
)

func TestSignalText(t *testing.T) {
	for sig, text := range map[Signal]string{
		SIGTERM: "SIGTERM", SIGIO: "SIGIO", RT(0): "SIGRTMIN", RT(5): "SIGRTMIN+5", Last: RT(int(Last - 34)).String(), 33: "signal 33", 0: "signal 0", -1: "signal -1", 1000: "signal 1000",
	} {
		if got := sig.String(); got != text {
			t.Errorf("%d: %q, not %q", int(sig), got, text)
		}
	}
	for sig := Signal(1); sig <= Last; sig++ {
		var back Signal
		if err := back.UnmarshalText([]byte(sig.String())); err != nil || back != sig {
			t.Errorf("%v: %v, %v", sig, back, err)
		}
	}
	for text, sig := range map[string]Signal{
		"term": SIGTERM, " SIGTERM ": SIGTERM, "15": SIGTERM, "SIGPOLL": SIGIO, "cld": SIGCHLD, "IOT": SIGABRT, "RTMIN+1": 35, "SIGRTMAX": Last, "SIGRTMAX-1": Last - 1, "signal 33": 33,
	} {
		var got Signal
		if err := got.UnmarshalText([]byte(text)); err != nil || got != sig {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for _, bad := range []string{"", "0", "-1", "200", "SIG", "SIGNOTHING", "RTMIN-1", "RTMIN+200", "RTMAX+1", "RTMAX-200", "RTMIN+", "signal", "SIGTERM|SIGINT"} {
		got := SIGHUP
		if err := got.UnmarshalText([]byte(bad)); err == nil || !strings.HasPrefix(err.Error(), "signalfd: ") || got != SIGHUP {
			t.Errorf("%q: %v, %v", bad, got, err)
		}
	}
}

func TestSet(t *testing.T) {
	a, b := SetOf(SIGTERM, SIGINT, RT(3)), SetOf(SIGINT, SIGHUP)
	for _, c := range []struct {
		got  Set
		want []Signal
	}{
		{a, []Signal{SIGINT, SIGTERM, RT(3)}},
		{a.Union(b), []Signal{SIGHUP, SIGINT, SIGTERM, RT(3)}},
		{a.Intersection(b), []Signal{SIGINT}},
		{a.Difference(b), []Signal{SIGTERM, RT(3)}},
		{SetOf(0, -1, Last+1, foreign+7, 1<<30), nil},
		{SetOf(Last, 1), []Signal{1, Last}},
	} {
		if got := slices.Collect(c.got.Signals()); !slices.Equal(got, c.want) || c.got.Len() != len(c.want) {
			t.Errorf("%v (%d), not %v", got, c.got.Len(), c.want)
		}
	}
	if All().Len() != int(Last) || !All().Has(SIGKILL) || a.Has(0) || a.Has(SIGHUP) || (Set{}).Has(0) || !a.Has(RT(3)) {
		t.Error(All().Len(), a)
	}
	if both := Blockable().Intersection(Reserved()); both != (Set{}) {
		t.Errorf("%v can't be blocked and is reserved", both)
	}
	for _, s := range []Set{{}, a, All(), Blockable(), Reserved()} {
		var back Set
		text := s.String()
		if err := back.UnmarshalText([]byte(text)); err != nil || back != s {
			t.Errorf("%q: %v, %v", text, back, err)
		}
	}
	if s := a.String(); s != "SIGINT|SIGTERM|SIGRTMIN+3" {
		t.Error(s)
	}
	for _, bad := range []string{"", "SIGTERM|", "SIGTERM,SIGINT", "ALL"} {
		got := a
		if err := got.UnmarshalText([]byte(bad)); err == nil || got != a {
			t.Errorf("%q: %v, %v", bad, got, err)
		}
	}
}

// native32 and the others are siginfo_t as C has it, a member of its union each.
type (
	head    struct{ Signal, Second, Third int32 }
	kill    struct{ PID, UID int32 }
	child32 struct{ PID, UID, Status, User, System int32 }
	child64 struct {
		PID, UID, Status, _ int32
		User, System        int64
	}
	fault32 struct{ Address, Trap, Lower, Upper uint32 }
	fault64 struct{ Address, Trap, Lower, Upper uint64 }
	perf32  struct{ Address, Data, Type, Flags uint32 }
	perf64  struct {
		Address, Data uint64
		Type, Flags   uint32
	}
	sys32 struct {
		Address uint32
		Number  int32
		Arch    uint32
	}
	sys64 struct {
		Address uint64
		Number  int32
		Arch    uint32
	}
	queue32 struct {
		PID, UID int32
		Value    uint32
	}
	queue64 struct {
		PID, UID int32
		Value    uint64
	}
	poll32 struct{ Band, Number int32 }
	poll64 struct {
		Band   int64
		Number int32
	}
)

// encode is a siginfo_t.
func encode(t testing.TB, abi ABI, sig, errno, code int32, union any) []byte {
	t.Helper()
	var o binary.ByteOrder = binary.LittleEndian
	if abi.BigEndian {
		o = binary.BigEndian
	}
	h := head{sig, errno, code}
	if abi.MIPS {
		h = head{sig, code, errno}
	}
	var b bytes.Buffer
	if err := binary.Write(&b, o, h); err != nil {
		t.Fatal(err)
	}
	if abi.Bits == 64 {
		b.Write(make([]byte, 4))
	}
	if err := binary.Write(&b, o, union); err != nil {
		t.Fatal(err)
	}
	return append(b.Bytes(), make([]byte, recordSize-b.Len())...)
}

var architectures = []string{"386", "amd64", "arm", "arm64", "loong64", "mips", "mipsle", "mips64", "mips64le", "ppc64", "ppc64le", "riscv64", "s390x"}

// here is a signal as this platform's constant, and its number in an ABI.
func here(abi ABI, sig Signal) int32 {
	names := generic
	if abi.MIPS {
		names = onMIPS
	}
	return int32(slices.Index(names, sig.String()[len("SIG"):]))
}

func TestParseInfo(t *testing.T) {
	for _, arch := range architectures {
		abi, err := ABIOf(arch)
		if err != nil {
			t.Fatal(err)
		}
		parse := func(sig Signal, errno int32, code Code, narrow, wide any) Info {
			t.Helper()
			union := wide
			if abi.Bits == 32 {
				union = narrow
			}
			i, err := ParseInfo(encode(t, abi, here(abi, sig), errno, int32(code), union), abi)
			if err != nil || i.Signal != sig || i.Errno != int(errno) {
				t.Fatalf("%s: %v, %v", arch, i, err)
			}
			return i
		}
		i := parse(SIGTERM, 0, User, kill{12, 1000}, kill{12, 1000})
		if pid, uid, ok := i.Sender(); pid != 12 || uid != 1000 || !ok || i.Origin() != FromUser || i.String() != "SIGTERM: SI_USER, from process 12 of user 1000" {
			t.Errorf("%s: %v", arch, i)
		}
		i = parse(SIGUSR1, 5, Queued, queue32{12, 1000, 0xfffffffe}, queue64{12, 1000, 0xfffffffefffffffe})
		if v, ok := i.Value(); !ok || v.Int != -2 || uint32(v.Pointer) != 0xfffffffe || i.Origin() != Claimed || !strings.HasSuffix(i.String(), fmt.Sprintf(", as it says, value -2 (%#x)", v.Pointer)) {
			t.Errorf("%s: %v", arch, i)
		}
		i = parse(SIGCHLD, 0, Code(Exited), child32{PID: 7, UID: 8, Status: 3, User: 150, System: 1}, child64{PID: 7, UID: 8, Status: 3, User: 150, System: 1})
		if c, ok := i.Child(); !ok || c != (Child{Exited, 7, 8, 3, 0, 1500 * time.Millisecond, 10 * time.Millisecond}) || i.Origin() != FromKernel {
			t.Errorf("%s: %+v", arch, c)
		}
		status := here(abi, SIGBUS) | 0x80
		i = parse(SIGCHLD, 0, Code(Dumped), child32{PID: 7, Status: status}, child64{PID: 7, Status: status})
		if c, ok := i.Child(); !ok || c.Signal != SIGBUS || c.Status != int(status) || i.String() != "SIGCHLD: CLD_DUMPED, process 7 of user 0, SIGBUS" {
			t.Errorf("%s: %+v", arch, c)
		}
		i = parse(SIGSEGV, 0, Code(OutOfBounds), fault32{0xfffffff0, 0, 1, 0xfffffff1}, fault64{0xfffffffffffffff0, 0, 1, 0xfffffffffffffff1})
		if f, ok := i.Fault(); !ok || f.Code != OutOfBounds || f.Address+1 != f.Upper || uint32(f.Address) != 0xfffffff0 || f.Lower != 1 {
			t.Errorf("%s: %+v", arch, f)
		}
		i = parse(SIGSEGV, 0, Code(ProtectionKey), fault32{1, 0, 5, 0}, sys64{Address: 1}) // the key is the lower half of Lower
		if f, ok := i.Fault(); !ok || f.Code != ProtectionKey || abi.Bits == 32 && f.Key != 5 {
			t.Errorf("%s: %+v", arch, f)
		}
		i = parse(SIGTRAP, 0, Code(PerfEvent), perf32{1, 2, 3, 4}, perf64{1, 2, 3, 4})
		if f, ok := i.Fault(); !ok || f != (Fault{Code: PerfEvent, Address: 1, PerfData: 2, PerfType: 3, PerfFlags: 4}) {
			t.Errorf("%s: %+v", arch, f)
		}
		i = parse(SIGSYS, 9, Code(Seccomp), sys32{0xfffffff0, -5, 7}, sys64{0xfffffffffffffff0, -5, 7})
		if s, ok := i.Sys(); !ok || s.Code != Seccomp || uint32(s.CallAddress) != 0xfffffff0 || s.Number != -5 || s.Arch != 7 {
			t.Errorf("%s: %+v", arch, s)
		}
		i = parse(SIGIO, 0, Code(PollIn), poll32{0x41, 9}, poll64{0x41, 9})
		if p, ok := i.Poll(); !ok || p != (Poll{PollIn, 0x41, 9}) {
			t.Errorf("%s: %+v", arch, p)
		}
		expired := Expired
		if abi.MIPS {
			expired = -3
		}
		i = parse(SIGALRM, 0, expired, queue32{3, 17, 0xfffffffe}, queue64{3, 17, 0xfffffffefffffffe})
		if v, ok := i.Timer(); !ok || v.ID != 3 || v.Overrun != 17 || v.Value.Int != -2 || i.Code != Expired {
			t.Errorf("%s: %v", arch, i)
		}
		for name, b := range map[string][]byte{"short": make([]byte, recordSize-1), "empty": nil} {
			if _, err := ParseInfo(b, abi); err == nil || !strings.HasPrefix(err.Error(), "signalfd: ") {
				t.Errorf("%s, %s: %v", arch, name, err)
			}
		}
	}
	if _, err := ABIOf("vax"); err == nil {
		t.Error("a vax")
	}
	if _, err := ParseInfo(make([]byte, recordSize), ABI{}); err == nil {
		t.Error("an ABI without a size")
	}
}

// What nobody has sent, or can mean, isn't told as if it were.
func TestOrigin(t *testing.T) {
	abi, _ := ABIOf("amd64")
	for _, c := range []struct {
		sig    Signal
		code   Code
		origin Origin
		told   string
	}{
		{SIGCHLD, User, FromUser, "sender"},
		{SIGCHLD, Queued, Claimed, "sender value"}, // a forged one: there is no child
		{SIGCHLD, Thread, FromUser, "sender"},
		{SIGCHLD, Kernel, FromKernel, ""},
		{SIGCHLD, 6, FromKernel, "sender child"},
		{SIGCHLD, 7, FromKernel, ""},
		{SIGSEGV, Kernel, FromKernel, ""},
		{SIGSEGV, User, FromUser, "sender"},
		{SIGSEGV, 10, FromKernel, "fault"},
		{SIGSEGV, 11, FromKernel, ""},
		{SIGSEGV, Descriptor, Claimed, "poll"},
		{SIGBUS, 6, FromKernel, "poll"}, // as the kernel decides
		{SIGUSR1, 1, FromKernel, "poll"},
		{RT(1), 6, FromKernel, "poll"},
		{RT(1), 7, FromKernel, ""},
		{RT(1), Message, Claimed, "sender value"},
		{RT(1), Expired, Claimed, "value timer"},
		{RT(1), -1000, Claimed, "sender value"},
		{SIGTERM, 0x1000, FromKernel, ""},
	} {
		number := int32(c.sig)
		if !c.sig.RealTime() {
			number = here(abi, c.sig)
		}
		i, err := ParseInfo(encode(t, abi, number, 0, int32(c.code), kill{1, 2}), abi)
		if err != nil {
			t.Fatal(err)
		}
		var told []string
		for _, x := range []struct {
			name string
			ok   bool
		}{
			{"sender", third(i.Sender())}, {"child", second(i.Child())}, {"value", second(i.Value())}, {"timer", second(i.Timer())}, {"fault", second(i.Fault())}, {"poll", second(i.Poll())}, {"sys", second(i.Sys())},
		} {
			if x.ok {
				told = append(told, x.name)
			}
		}
		if got := strings.Join(told, " "); got != c.told || i.Origin() != c.origin {
			t.Errorf("%v: %v, %q; not %v, %q", i, i.Origin(), got, c.origin, c.told)
		}
	}
}

func second[T any](_ T, ok bool) bool        { return ok }
func third[T, U any](_ T, _ U, ok bool) bool { return ok }
