package mqueue

import (
	"errors"
	"io/fs"
	"testing"
)

func TestParseStatus(t *testing.T) {
	for text, want := range map[string]Status{
		"QSIZE:0          NOTIFY:0     SIGNO:0     NOTIFY_PID:0     \n": {},
		"QSIZE:129        NOTIFY:2     SIGNO:0     NOTIFY_PID:8260  \n": {Bytes: 129, Registration: Registration{PID: 8260, Way: BySocket}},
		"QSIZE:4294967296 NOTIFY:0     SIGNO:34    NOTIFY_PID:1     \n": {Bytes: 1 << 32, Registration: Registration{PID: 1, Signal: 34}},
		"QSIZE:7 NOTIFY:2 SIGNO:5 NOTIFY_PID:0":                         {Bytes: 7}, // what is left of a registration
		"QSIZE:7 NOTIFY:1 SIGNO:0 NOTIFY_PID:9 SOMETHING:3\n":           {Bytes: 7, Registration: Registration{PID: 9, Way: ByNone}},
		"NOTIFY_PID:9 SIGNO:0 NOTIFY:7 QSIZE:1":                         {Bytes: 1, Registration: Registration{PID: 9, Way: 7}},
	} {
		var got Status
		if err := parseStatus([]byte(text), &got); err != nil || got != want {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "\n", "QSIZE:0", "QSIZE:0 NOTIFY:0 SIGNO:0", "QSIZE:0 NOTIFY:0 SIGNO:0 NOTIFY_PID:", "QSIZE:0 NOTIFY:0 SIGNO:0 NOTIFY_PID:x", "QSIZE 0 NOTIFY 0 SIGNO 0 NOTIFY_PID 0",
		"QSIZE:0 QSIZE:1 QSIZE:2 QSIZE:3", "QSIZE:99999999999999999999 NOTIFY:0 SIGNO:0 NOTIFY_PID:0"} {
		if err := parseStatus([]byte(text), new(Status)); !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestWay(t *testing.T) {
	for way, want := range map[Way]string{BySignal: "signal", ByNone: "none", BySocket: "socket", 3: "Way(3)", 7: "Way(7)", -1: "Way(-1)"} {
		if got := way.String(); got != want {
			t.Errorf("%d: %q, not %q", way, got, want)
		}
	}
}

func TestRoom(t *testing.T) {
	for _, c := range []struct {
		a    Attr
		free int
		full bool
	}{
		{Attr{MaxMessages: 3}, 3, false}, {Attr{MaxMessages: 3, Messages: 2}, 1, false}, {Attr{MaxMessages: 3, Messages: 3}, 0, true}, {Attr{MaxMessages: 3, Messages: 4}, 0, true}, {Attr{}, 0, true},
	} {
		if c.a.Free() != c.free || c.a.Full() != c.full {
			t.Errorf("%+v: %d, %t", c.a, c.a.Free(), c.a.Full())
		}
	}
}
