//go:build linux

package watch

import (
	"bufio"
	"encoding/json"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/fildes/fildes/inotify"
)

// A Printer writes events and counts them.
type Printer struct {
	JSON   bool
	Escape bool // of names, for a terminal
	NUL    bool // ends a line instead of a newline

	Events, Overflows, Failures int

	w *bufio.Writer
}

// NewPrinter returns a Printer that writes to w.
func NewPrinter(w io.Writer) *Printer { return &Printer{w: bufio.NewWriter(w)} }

// line is an event in JSON.
type line struct {
	Time     string   `json:"time"`
	Events   []string `json:"events"`
	Path     string   `json:"path,omitempty"`
	RawPath  []byte   `json:"raw_path,omitempty"`
	From     string   `json:"from,omitempty"`
	RawFrom  []byte   `json:"raw_from,omitempty"`
	PID      int      `json:"pid,omitempty"`
	Found    bool     `json:"found,omitempty"`
	Error    string   `json:"error,omitempty"`
	Overflow bool     `json:"overflow,omitempty"`
}

// Print writes an event at once.
func (p *Printer) Print(ev Event) error {
	switch {
	case ev.Err != nil:
		p.Failures++
	case ev.Mask.Has(inotify.Overflow):
		p.Overflows++
	default:
		p.Events++
	}
	if p.JSON {
		p.printJSON(ev)
	} else {
		p.printText(ev)
	}
	return p.w.Flush()
}

func (p *Printer) printJSON(ev Event) {
	l := line{Time: ev.Time.Format(time.RFC3339Nano), Events: []string{}, PID: ev.PID, Found: ev.Found, Overflow: ev.Mask.Has(inotify.Overflow)}
	if ev.Mask != 0 {
		l.Events = strings.Split(ev.Mask.String(), "|")
	}
	l.Path, l.RawPath = name(ev.Path)
	l.From, l.RawFrom = name(ev.From)
	if ev.Err != nil {
		l.Error = ev.Err.Error()
	}
	e := json.NewEncoder(p.w)
	e.SetEscapeHTML(false)
	_ = e.Encode(l) // a bufio.Writer remembers its error
}

// name is a name for JSON, and its bytes if that can't show them.
func name(s string) (text string, raw []byte) {
	if utf8.ValidString(s) {
		return s, nil
	}
	return strings.ToValidUTF8(s, "\uFFFD"), []byte(s)
}

// column is where names begin: most events are shorter.
const column = 18

func (p *Printer) printText(ev Event) {
	what := ev.Mask.String()
	switch {
	case ev.Err != nil:
		what = "Unwatched"
	case ev.Mask.Has(inotify.Overflow):
		what = "Overflow"
	case ev.From != "":
		what = "Renamed"
		if ev.Mask.Has(inotify.IsDir) {
			what += "|IsDir"
		}
	}
	text := what + strings.Repeat(" ", max(column-len(what), 1))
	switch {
	case ev.Err != nil:
		text += p.name(ev.Err.Error())
	case ev.Mask.Has(inotify.Overflow):
		text += "events were lost: more were waiting than max_queued_events allows"
	case ev.From != "":
		text += p.name(ev.From) + " -> " + p.name(ev.Path)
	default:
		text += p.name(ev.Path)
	}
	end := byte('\n')
	if p.NUL {
		end = 0
	}
	_, _ = p.w.WriteString(text)
	_ = p.w.WriteByte(end)
}

// name escapes what a terminal would obey.
func (p *Printer) name(s string) string {
	if !p.Escape || utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return s
	}
	return strconv.Quote(s)
}
