//go:build linux

package mq

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/fildes/fildes/cmd/fildes/internal/signals"
	"github.com/fildes/fildes/mqueue"
	"github.com/fildes/fildes/signalfd"
)

// An object is a queue in JSON.
type object struct {
	Time        string  `json:"time"`
	Name        string  `json:"name"`
	RawName     []byte  `json:"raw_name,omitempty"`
	Messages    *int    `json:"messages,omitempty"`
	MaxMessages *int    `json:"max_messages,omitempty"`
	MessageSize *int    `json:"message_size,omitempty"`
	Bytes       *int64  `json:"bytes,omitempty"`
	Notify      *notify `json:"notify,omitempty"`
	UID         *uint32 `json:"uid,omitempty"`
	Owner       string  `json:"owner,omitempty"`
	GID         *uint32 `json:"gid,omitempty"`
	Group       string  `json:"group,omitempty"`
	Mode        string  `json:"mode,omitempty"`
	Used        string  `json:"used,omitempty"`
	Error       string  `json:"error,omitempty"`
}

// notify is a registration in JSON.
type notify struct {
	PID    int      `json:"pid"`
	Way    string   `json:"way"`
	Signal string   `json:"signal,omitempty"`
	Args   []string `json:"command_line,omitempty"`
}

func newObject(q Queue, o *owners) object {
	s := &q.Status
	b := object{Time: q.Time.Format(time.RFC3339Nano)}
	b.Name, b.RawName = jsonText(q.Name)
	if q.File {
		b.UID, b.GID = &s.UID, &s.GID
		b.Owner, b.Group = o.users[s.UID], o.groups[s.GID]
		b.Mode, b.Used = mode(s), s.Used.Format(time.RFC3339Nano)
	}
	if q.Attr {
		b.Messages, b.MaxMessages, b.MessageSize = &s.Messages, &s.MaxMessages, &s.MessageSize
	}
	if q.All {
		b.Bytes = &s.Bytes
		if r := s.Registration; r.PID != 0 {
			b.Notify = &notify{PID: r.PID, Way: r.Way.String()}
			if r.Way == mqueue.BySignal {
				b.Notify.Signal = signalfd.Signal(r.Signal).String()
			}
		}
	}
	if q.Err != nil {
		b.Error = q.Err.Error()
	}
	return b
}

// PrintJSON writes each queue as a line.
func PrintJSON(w io.Writer, queues []Queue, processes bool) error {
	o := lookUp(queues)
	for _, q := range queues {
		b := newObject(q, o)
		if b.Notify != nil && processes {
			for _, arg := range signals.LookUp(b.Notify.PID).Args {
				b.Notify.Args = append(b.Notify.Args, strings.ToValidUTF8(arg, "\uFFFD"))
			}
		}
		if err := printJSON(w, b); err != nil {
			return err
		}
	}
	return nil
}

func printJSON(w io.Writer, v any) error {
	_, err := w.Write(line(v))
	return err
}

// line is v, which has nothing that JSON can't say, and a newline. It has nothing that a terminal would obey.
func line(v any) []byte {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(v)
	var escaped []byte
	for _, r := range b.String() {
		if !obeyed(r) {
			escaped = utf8.AppendRune(escaped, r)
			continue
		}
		for _, unit := range utf16.AppendRune(nil, r) {
			escaped = fmt.Appendf(escaped, `\u%04x`, unit)
		}
	}
	return escaped
}

// obeyed says whether a terminal may do more with r than show it. JSON escapes what is below a space.
func obeyed(r rune) bool { return r > '~' && !unicode.IsPrint(r) }

// jsonText is text for JSON, and its bytes if that can't show them.
func jsonText(s string) (text string, raw []byte) {
	if utf8.ValidString(s) {
		return s, nil
	}
	return strings.ToValidUTF8(s, "\uFFFD"), []byte(s)
}

func mode(s *mqueue.Status) string { return fmt.Sprintf("%04o", s.Mode) }
