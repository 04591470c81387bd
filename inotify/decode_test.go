package inotify

import (
	"bytes"
	"encoding"
	"encoding/binary"
	"strings"
	"testing"
)

var (
	_ encoding.TextMarshaler   = Access
	_ encoding.TextUnmarshaler = new(Mask)
	_ encoding.TextMarshaler   = OnlyDir
	_ encoding.TextUnmarshaler = new(AddFlags)
)

func TestText(t *testing.T) {
	for m, text := range map[Mask]string{
		0:                            "0",
		Create | IsDir:               "Create|IsDir",
		CloseWrite | 0x1000:          "CloseWrite|0x1000",
		Close:                        "CloseWrite|CloseNoWrite",
		Unmounted | Ignored:          "Unmounted|Ignored",
		Overflow:                     "Overflow",
		MovedFrom | MovedTo | Modify: "Modify|MovedFrom|MovedTo",
		Access | DeleteSelf | 1<<31:  "Access|DeleteSelf|0x80000000",
	} {
		var back Mask
		if got := m.String(); got != text {
			t.Errorf("%#x: %q, want %q", uint32(m), got, text)
		} else if err := back.UnmarshalText([]byte(got)); err != nil || back != m {
			t.Errorf("%q: %v, %v", got, back, err)
		}
	}
	var f AddFlags
	if err := f.UnmarshalText([]byte("OnlyDir | 0x80000000")); err != nil || f != OnlyDir|OneShot || f.String() != "OnlyDir|OneShot" {
		t.Error(f, err)
	}
	for _, bad := range []string{"", "create", "Create|", "0x100000000", "OnlyDir"} {
		var m Mask
		if err := m.UnmarshalText([]byte(bad)); err == nil || !strings.HasPrefix(err.Error(), "inotify: mask ") {
			t.Errorf("%q: %v, %v", bad, m, err)
		}
	}
}

// record encodes an event as the kernel does.
func record(r Record) []byte {
	var b bytes.Buffer
	size := 0
	if len(r.Name) > 0 {
		size = (len(r.Name) + 16) / 16 * 16
	}
	for _, v := range []uint32{uint32(r.Watch), uint32(r.Mask), r.Cookie, uint32(size)} {
		_ = binary.Write(&b, binary.NativeEndian, v)
	}
	b.Write(r.Name)
	b.Write(make([]byte, size-len(r.Name)))
	return b.Bytes()
}

func TestBatchNext(t *testing.T) {
	all := []Record{
		{1, Create | IsDir, 0, []byte("sub")},
		{-1, Overflow, 0, nil},
		{7, MovedFrom, 42, bytes.Repeat([]byte{0xff}, 255)},
		{7, MovedTo, 42, []byte("sixteen bytes ..")},
		{1<<31 - 1, Modify, 0, nil},
	}
	b := new(Batch)
	for _, r := range all {
		b.rest = append(b.rest, record(r)...)
	}
	if n, whole := count(b.rest); n != len(all) || !whole {
		t.Error(n, whole)
	}
	for _, want := range all {
		got, ok := b.Next()
		if !ok || got.Watch != want.Watch || got.Mask != want.Mask || got.Cookie != want.Cookie || !bytes.Equal(got.Name, want.Name) {
			t.Errorf("%+v, %v, want %+v", got, ok, want)
		}
	}
	if r, ok := b.Next(); ok {
		t.Errorf("one more: %+v", r)
	}
	if _, ok := (*Batch)(nil).Next(); ok {
		t.Error("a nil batch has an event")
	}
}

// FuzzNext compares with a decoder that is slow and obvious.
func FuzzNext(f *testing.F) {
	f.Add([]byte{})
	f.Add(record(Record{1, Create, 0, []byte("name")}))
	f.Add(append(record(Record{1, Create, 2, nil}), 1, 2, 3))
	f.Add(bytes.Repeat([]byte{0xff}, 40))
	f.Fuzz(func(t *testing.T, p []byte) {
		n, whole := count(p)
		b := &Batch{rest: p}
		in := bytes.NewReader(p)
		for i := 0; ; i++ {
			r, ok := b.Next()
			var header struct {
				Watch  int32
				Mask   uint32
				Cookie uint32
				Len    uint32
			}
			slow := binary.Read(in, binary.NativeEndian, &header) == nil && uint64(header.Len) <= uint64(in.Len())
			if ok != slow || ok != (i < n) {
				t.Fatalf("event %d of %d: %v, %v", i, n, ok, slow)
			}
			if !ok {
				if whole != (len(b.rest) == 0) {
					t.Fatalf("whole is %v, and %d bytes are left", whole, len(b.rest))
				}
				return
			}
			name := make([]byte, header.Len)
			_, _ = in.Read(name)
			name, _, _ = bytes.Cut(name, []byte{0})
			if r.Watch != Watch(header.Watch) || r.Mask != Mask(header.Mask) || r.Cookie != header.Cookie || !bytes.Equal(r.Name, name) {
				t.Fatalf("event %d is %+v, not %+v %q", i, r, header, name)
			}
			if ev := r.Event(); ev.Name != string(name) || ev.Watch != r.Watch || ev.Mask != r.Mask || ev.Cookie != r.Cookie {
				t.Fatalf("the copy is %+v", ev)
			}
		}
	})
}
