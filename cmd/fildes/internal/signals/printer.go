//go:build linux

package signals

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os/user"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/fildes/fildes/signalfd"
)

// A Printer writes Records.
type Printer struct {
	W      io.Writer
	JSON   bool
	Number bool // users are numbers

	users map[uint32]string
}

// line is a Record in JSON.
type line struct {
	Time      string   `json:"time"`
	Lost      int      `json:"lost,omitempty"`
	Signal    string   `json:"signal,omitempty"`
	Code      string   `json:"code,omitempty"`
	Origin    string   `json:"origin,omitempty"`
	PID       *int     `json:"pid,omitempty"`
	UID       *uint32  `json:"uid,omitempty"`
	User      string   `json:"user,omitempty"`
	Args      []string `json:"command_line,omitempty"`
	RawArgs   [][]byte `json:"raw_command_line,omitempty"`
	Cut       bool     `json:"cut,omitempty"`
	Name      string   `json:"name,omitempty"`
	Gone      bool     `json:"gone,omitempty"`
	Hidden    bool     `json:"hidden,omitempty"`
	Value     *int32   `json:"value,omitempty"`
	Pointer   string   `json:"pointer,omitempty"`
	Forwarded *bool    `json:"forwarded,omitempty"`
	Why       string   `json:"why,omitempty"`
}

// Print writes a Record at once.
func (p *Printer) Print(r Record) error {
	text := p.text
	if p.JSON {
		text = p.json
	}
	_, err := p.W.Write(append(text(r), '\n'))
	return err
}

func (p *Printer) json(r Record) []byte {
	l := line{Time: r.Time.Format(time.RFC3339Nano), Lost: r.Info.Lost()}
	if l.Lost == 0 {
		i, forwarded := r.Info, r.Kept == ""
		l.Signal, l.Code, l.Origin, l.Forwarded, l.Why = i.Signal.String(), i.CodeName(), i.Origin().String(), &forwarded, r.Kept
		if pid, uid, ok := i.Sender(); ok {
			l.PID, l.UID, l.User = &pid, &uid, p.user(uid)
		}
		if v, ok := i.Value(); ok {
			l.Value, l.Pointer = &v.Int, fmt.Sprintf("%#x", v.Pointer)
		}
	}
	if s := r.Sender; s != nil {
		l.Args, l.Cut, l.Name, l.Gone, l.Hidden = s.Args, s.Cut, s.Name, s.Gone, s.Hidden
		if !utf8.ValidString(strings.Join(s.Args, "")) {
			for _, arg := range s.Args {
				l.RawArgs = append(l.RawArgs, []byte(arg))
			}
		}
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(l) // it has nothing that JSON can't say
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// text is a line. What the sender chooses, its command line, comes last, so that it can't pretend to be more.
func (p *Printer) text(r Record) []byte {
	b := r.Time.AppendFormat(nil, "15:04:05.000 ")
	if n := r.Info.Lost(); n > 0 {
		return fmt.Appendf(b, "%d signals were lost: they came faster than they could be told", n)
	}
	b = append(b, r.Info.Signal.String()...)
	if v, ok := r.Info.Value(); ok {
		b = fmt.Appendf(b, " value %d", v.Int)
		if v.Pointer>>32 != 0 {
			b = fmt.Appendf(b, " (%#x)", v.Pointer)
		}
	}
	b = append(b, " from "+p.from(r.Info)...)
	if r.Kept != "" {
		b = append(b, ", not forwarded: "+r.Kept...)
	}
	if r.Sender == nil {
		return b
	}
	if r.Kept != "" {
		b = append(b, ';')
	}
	return append(b, " "+r.Sender.String()...)
}

// from is who has sent a signal.
func (p *Printer) from(i signalfd.Info) string {
	pid, uid, ok := i.Sender()
	switch {
	case !ok && i.Code == signalfd.Kernel && ofTerminal.Difference(ofLeader).Has(i.Signal):
		return "the terminal"
	case !ok && i.Origin() == signalfd.FromKernel:
		return "the kernel (" + i.CodeName() + ")"
	case !ok:
		return "nobody named (" + i.CodeName() + ", claimed)"
	}
	who := "user " + strconv.FormatUint(uint64(uid), 10)
	if name := p.user(uid); name != "" {
		who = escape(name)
	}
	if i.Origin() == signalfd.Claimed {
		who += ", claimed"
	}
	if pid == 0 {
		return "a process that isn't known here (" + who + ")"
	}
	return fmt.Sprintf("%d (%s)", pid, who)
}

// user is a user's name, if there is one and it's asked for.
func (p *Printer) user(uid uint32) string {
	if p.Number {
		return ""
	}
	name, ok := p.users[uid]
	if !ok {
		if u, err := user.LookupId(strconv.FormatUint(uint64(uid), 10)); err == nil {
			name = u.Username
		}
		if p.users == nil {
			p.users = make(map[uint32]string)
		}
		p.users[uid] = name
	}
	return name
}

// String is the command line, or what there is instead, with nothing in it that a terminal would obey.
func (s *Sender) String() string {
	switch {
	case s.Gone:
		return "(gone)"
	case s.Hidden:
		return "(hidden)"
	case s.Args == nil:
		return "[" + escape(s.Name) + "]"
	}
	args := make([]string, len(s.Args))
	for i, arg := range s.Args {
		args[i] = arg
		if arg == "" || strings.ContainsAny(arg, " \"\\'") {
			args[i] = strconv.Quote(arg)
		}
		args[i] = escape(args[i])
	}
	text := strings.Join(args, " ")
	if s.Cut {
		text += " …"
	}
	return text
}

// escape quotes what a terminal would obey.
func escape(s string) string {
	if utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return s
	}
	return strconv.Quote(s)
}
