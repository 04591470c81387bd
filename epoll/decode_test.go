package epoll_test

import (
	"encoding"
	"strings"
	"testing"

	"github.com/fildes/fildes/epoll"
)

var (
	_ encoding.TextMarshaler   = epoll.Readable
	_ encoding.TextUnmarshaler = new(epoll.Events)
)

func TestEventsText(t *testing.T) {
	for e, text := range map[epoll.Events]string{
		0:                                      "0",
		epoll.Readable:                         "Readable",
		epoll.Readable | epoll.EdgeTriggered:   "Readable|EdgeTriggered",
		epoll.Hangup | epoll.Error | 0x4000000: "Error|Hangup|0x4000000",
		epoll.Streaming:                        "Readable|Writable|ReadHangup|EdgeTriggered",
		0x800:                                  "0x800",
	} {
		if got := e.String(); got != text {
			t.Errorf("%#x: %q, want %q", uint32(e), got, text)
		}
	}
	var e epoll.Events
	if err := e.UnmarshalText([]byte(" Hangup | 0x1 | 16 ")); err != nil || e != epoll.Hangup|epoll.Readable {
		t.Error(e, err)
	}
	for _, bad := range []string{"", "readable", "Readable|", "0x100000000", "-1"} {
		if err := e.UnmarshalText([]byte(bad)); err == nil || !strings.HasPrefix(err.Error(), "epoll: events ") {
			t.Errorf("%q: %v, %v", bad, e, err)
		}
	}
}

// FuzzEventsText compares with the obvious: a name or a number for each bit.
func FuzzEventsText(f *testing.F) {
	f.Add(uint32(0))
	f.Add(uint32(epoll.Streaming))
	f.Add(^uint32(0))
	f.Fuzz(func(t *testing.T, v uint32) {
		e := epoll.Events(v)
		text, err := e.MarshalText()
		if err != nil {
			t.Fatal(err)
		}
		var back epoll.Events
		if err := back.UnmarshalText(text); err != nil || back != e {
			t.Fatalf("%#x became %q and then %#x, %v", v, text, uint32(back), err)
		}
		var slow epoll.Events
		for bit := range 32 {
			if b := epoll.Events(1) << bit; v&(1<<bit) != 0 {
				one, err := b.MarshalText()
				if err != nil {
					t.Fatal(err)
				}
				if !strings.HasPrefix(string(one), "0x") && !strings.Contains("|"+string(text)+"|", "|"+string(one)+"|") {
					t.Fatalf("%q lacks %q", text, one)
				}
				slow |= b
			}
		}
		if slow != e || e.PeerClosed() != (v&0x2010 != 0) || e.HungUp() != (v&0x10 != 0) || e.Failed() != (v&8 != 0) || !e.Has(slow) {
			t.Fatalf("%#x", v)
		}
	})
}
