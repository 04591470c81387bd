package mqueue

import (
	"regexp"
	"strconv"
	"strings"
	"testing"
)

var pair = regexp.MustCompile(`^([^:]*):([+-]?[0-9]+)$`)

// slowStatus reads the same, word by word, with an expression.
func slowStatus(text string) (s Status, ok bool) {
	values := map[string]int64{}
	for _, word := range strings.Fields(text) {
		m := pair.FindStringSubmatch(word)
		if m == nil {
			return s, false
		}
		n, err := strconv.ParseInt(m[2], 10, 64)
		if err != nil || known(m[1]) && int64(int(n)) != n {
			return s, false
		}
		values[m[1]] = n
	}
	for _, name := range []string{"QSIZE", "NOTIFY", "SIGNO", "NOTIFY_PID"} {
		if _, there := values[name]; !there {
			return s, false
		}
	}
	s.Bytes = values["QSIZE"]
	if pid := int(values["NOTIFY_PID"]); pid != 0 {
		s.Registration = Registration{PID: pid, Way: Way(values["NOTIFY"]), Signal: int(values["SIGNO"])}
	}
	return s, true
}

func known(name string) bool { return name == "NOTIFY" || name == "SIGNO" || name == "NOTIFY_PID" }

func FuzzParseStatus(f *testing.F) {
	for _, text := range []string{"QSIZE:0          NOTIFY:0     SIGNO:0     NOTIFY_PID:0     \n", "QSIZE:129 NOTIFY:2 SIGNO:0 NOTIFY_PID:8260 MORE:1\n", "QSIZE:1 QSIZE:2 NOTIFY:-1 SIGNO:+5 NOTIFY_PID:1",
		"", ":", "QSIZE:", "QSIZE:1_0", "QSIZE:0x1", "A:B:1", "QSIZE:9223372036854775808", "NOTIFY_PID:4294967296"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var got Status
		err := parseStatus(text, &got)
		want, ok := slowStatus(string(text))
		if (err == nil) != ok || ok && got != want {
			t.Errorf("%q: %+v, %v, not %+v, %t", text, got, err, want, ok)
		}
		_ = got.Registration.Way.String()
	})
}
