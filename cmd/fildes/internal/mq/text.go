//go:build linux

package mq

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/fildes/fildes/cmd/fildes/internal/signals"
	"github.com/fildes/fildes/mqueue"
	"github.com/fildes/fildes/signalfd"
)

const gap = "  "

// Table writes a line per queue. No line is longer than width, if that isn't 0, unless a single name is.
func Table(w io.Writer, queues []Queue, width int) error {
	o := lookUp(queues)
	rows := [][]string{{"NAME", "MESSAGES", "SIZE", "BYTES", "NOTIFY", "OWNER", "MODE"}}
	for _, q := range queues {
		s, row := &q.Status, []string{escape(q.Name), "?", "?", "?", "?", "?", "?"}
		if q.Attr {
			row[1], row[2] = fmt.Sprintf("%d/%d", s.Messages, s.MaxMessages), strconv.Itoa(s.MessageSize)
		}
		if q.All {
			row[3], row[4] = strconv.FormatInt(s.Bytes, 10), registration(s.Registration)
		}
		if q.File {
			row[5], row[6] = named(o.users, s.UID), mode(s)
		}
		rows = append(rows, row)
	}
	return table(w, rows, []bool{false, true, true, true, false, false, false}, width)
}

// table aligns the columns, some of them to the right. A first column that leaves too little for the others is a line of its own.
func table(w io.Writer, rows [][]string, right []bool, width int) error {
	widths := make([]int, len(right))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	if width > 0 {
		others := 0
		for _, n := range widths[1:] {
			others += len(gap) + n
		}
		widths[0] = min(widths[0], max(width-1-others, utf8.RuneCountInString(rows[0][0])))
	}
	for _, row := range rows {
		var b strings.Builder
		if utf8.RuneCountInString(row[0]) > widths[0] {
			b.WriteString(row[0] + "\n")
			row = slices.Concat([]string{""}, row[1:])
		}
		for i, cell := range row {
			if i > 0 {
				b.WriteString(gap)
			}
			space := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			switch {
			case right[i]:
				b.WriteString(space + cell)
			case i == len(row)-1:
				b.WriteString(cell)
			default:
				b.WriteString(cell + space)
			}
		}
		if _, err := io.WriteString(w, b.String()+"\n"); err != nil {
			return err
		}
	}
	return nil
}

// registration is how who is told.
func registration(r mqueue.Registration) string {
	switch {
	case r.PID == 0:
		return "-"
	case r.Way == mqueue.BySignal:
		return fmt.Sprintf("%v %d", signalfd.Signal(r.Signal), r.PID)
	}
	return fmt.Sprintf("%v %d", r.Way, r.PID)
}

// Facts writes all that is known of a queue.
func Facts(w io.Writer, q Queue) error {
	o, s := lookUp([]Queue{q}), &q.Status
	var b strings.Builder
	fact := func(label, format string, args ...any) {
		fmt.Fprintf(&b, "  %-10s"+format+"\n", append([]any{label}, args...)...)
	}
	fmt.Fprintln(&b, escape(q.Name))
	if q.Attr {
		fact("messages", "%d of %d", s.Messages, s.MaxMessages)
		fact("size", "up to %s each", bytes(int64(s.MessageSize)))
	}
	if q.All {
		fact("bytes", "%d in all messages", s.Bytes)
	}
	if q.File {
		fact("owner", "%s, group %s", both(o.users, s.UID), both(o.groups, s.GID))
		fact("mode", "%s", mode(s))
		fact("used", "%s", s.Used.Format(time.DateTime))
	}
	if q.All {
		fact("notify", "%s", told(s.Registration))
	}
	if q.Err != nil {
		fact("unknown", "the rest: receiving from it is refused (%v)", cause(q.Err))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func bytes(n int64) string {
	if n == 1 {
		return "1 byte"
	}
	return fmt.Sprintf("%d bytes", n)
}

// told says who is told and how. What the process chooses, its command line, comes last.
func told(r mqueue.Registration) string {
	if r.PID == 0 {
		return "nobody, or nobody known here"
	}
	who := fmt.Sprintf("process %d %v", r.PID, signals.LookUp(r.PID))
	switch r.Way {
	case mqueue.BySignal:
		return fmt.Sprintf("%v to %s", signalfd.Signal(r.Signal), who)
	case mqueue.BySocket:
		return "by a socket, " + who
	case mqueue.ByNone:
		return "not at all, yet nobody else can be: " + who
	}
	return fmt.Sprintf("%v, %s", r.Way, who)
}

// PrintLimits writes the limits.
func PrintLimits(w io.Writer, l mqueue.Limits, asJSON bool) error {
	if asJSON {
		limit := &l.Bytes
		if l.Bytes < 0 {
			limit = nil
		}
		return printJSON(w, struct {
			Queues          int    `json:"queues_max"`
			MaxMessages     int    `json:"msg_max"`
			MessageSize     int    `json:"msgsize_max"`
			DefaultMessages int    `json:"msg_default"`
			DefaultSize     int    `json:"msgsize_default"`
			Bytes           *int64 `json:"rlimit_msgqueue"`
		}{l.Queues, l.MaxMessages, l.MessageSize, l.DefaultMessages, l.DefaultSize, limit})
	}
	all := "unlimited"
	if l.Bytes >= 0 {
		all = strconv.FormatInt(l.Bytes, 10)
	}
	return table(w, [][]string{
		{"LIMIT", "VALUE", "OF"},
		{"fs.mqueue.queues_max", strconv.Itoa(l.Queues), "queues in the IPC namespace"},
		{"fs.mqueue.msg_max", strconv.Itoa(l.MaxMessages), "messages in a queue"},
		{"fs.mqueue.msgsize_max", strconv.Itoa(l.MessageSize), "bytes in a message"},
		{"fs.mqueue.msg_default", strconv.Itoa(l.DefaultMessages), "messages, where nothing is asked for"},
		{"fs.mqueue.msgsize_default", strconv.Itoa(l.DefaultSize), "bytes in a message, likewise"},
		{"RLIMIT_MSGQUEUE", all, "bytes in all queues of the user"},
	}, []bool{false, true, false}, 0)
}

// escape quotes what a terminal would obey.
func escape(s string) string {
	if utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return s
	}
	return strconv.Quote(s)
}

// Printable is s with escapes for what a terminal would obey.
func Printable(s string) string {
	var b strings.Builder
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		switch part := s[:n]; {
		case unicode.IsPrint(r) && (r != utf8.RuneError || n > 1):
			b.WriteString(part)
		default:
			quoted := strconv.Quote(part)
			b.WriteString(quoted[1 : len(quoted)-1])
		}
		s = s[n:]
	}
	return b.String()
}
