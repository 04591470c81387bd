//go:build linux

package report

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

// A Printer writes a report for people, row by row as they come. No line is wider than Width unless a single word is.
type Printer struct {
	W     io.Writer
	Width int
	Color bool

	kind, reason string // of the row before
	err          error
}

// Columns that don't depend on the width. A kind's name has at most eight letters.
const (
	kindWidth   = 8
	resultWidth = len(Unsupported)
	timeWidth   = 7
	ratioWidth  = 5
	gap         = 2
	fixedWidth  = kindWidth + gap + gap + resultWidth + gap + timeWidth + gap + ratioWidth
	labelWidth  = 12
	minWhat     = 16
)

// whatWidth leaves the last column free: some terminals wrap there, and some programs count bytes, of which µ has two.
func (p *Printer) whatWidth() int { return max(p.Width-fixedWidth-1, minWhat) }

func (p *Printer) printf(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.W, format, args...)
	}
}

// Host writes the header.
func (p *Printer) Host(h Host) error {
	p.fact("kernel", []string{"Linux " + h.Kernel, h.Machine})
	p.fact("program", []string{h.Go, h.GOOS + "/" + h.GOARCH, fmt.Sprintf("GOMAXPROCS %d", h.GOMAXPROCS), "seccomp " + h.Seccomp})
	user := fmt.Sprintf("effective uid %d", h.EUID)
	if h.EUID == 0 {
		user += " (root)"
	}
	p.fact("user", []string{fmt.Sprintf("uid %d", h.UID), user})
	var caps []string
	for _, name := range slices.Sorted(maps.Keys(h.Capabilities)) {
		if h.Capabilities[name] {
			caps = append(caps, name+" "+p.paint(green, "yes"))
		} else {
			caps = append(caps, name+" "+p.paint(yellow, "no"))
		}
	}
	if len(caps) == 0 {
		caps = []string{"unknown"}
	}
	p.fact("capabilities", caps)
	var limits []string
	for _, name := range slices.Sorted(maps.Keys(h.Limits)) {
		limits = append(limits, name+" "+h.Limits[name])
	}
	p.fact("limits", limits)
	p.printf("\n%s\n", p.paint(bold, strings.TrimRight(p.columns("KIND", "CHECK", "RESULT", "TIME", "× RAW"), " ")))
	return p.err
}

// fact writes a labelled list; an item isn't broken.
func (p *Printer) fact(label string, items []string) {
	for i := range items[:len(items)-1] {
		items[i] += ","
	}
	for i, line := range wrap(items, p.Width-labelWidth-gap) {
		if i > 0 {
			label = ""
		}
		p.printf("%s%s%s\n", pad(label, labelWidth), strings.Repeat(" ", gap), line)
	}
}

// Row writes one row, and below it the reason.
func (p *Printer) Row(r Row) error {
	kind := r.Kind
	if kind == p.kind {
		kind = ""
	}
	p.kind = r.Kind
	result, color := string(r.Result), green
	switch r.Result {
	case OK:
	case Unsupported, Denied:
		color = yellow
	default:
		result, color = strings.ToUpper(result), red
	}
	time, ratio := "-", "-"
	if r.Timing != nil {
		time = duration(r.Median)
		if r.Ratio > 0 {
			ratio = significant(r.Ratio)
		}
	}
	what := wrap(strings.Fields(r.What), p.whatWidth())
	p.printf("%s\n", p.columns(kind, what[0], p.paint(color, result), time, ratio))
	for _, line := range what[1:] {
		p.printf("%s%s\n", strings.Repeat(" ", kindWidth+gap), line)
	}
	const indent = kindWidth + gap + 2
	reason := r.Reason
	if reason != "" && reason == p.reason && kind == "" {
		reason = "for the same reason"
	}
	p.reason = r.Reason
	for _, line := range wrap(strings.Fields(printable(reason)), p.Width-indent) {
		p.printf("%s%s\n", strings.Repeat(" ", indent), p.paint(color, line))
	}
	return p.err
}

// Summary writes the last lines.
func (p *Printer) Summary(s Summary) error {
	n := s.OK + s.Unsupported + s.Denied + s.Failed
	p.printf("\n%d checks: %d ok, %d unsupported, %d denied, %d failed.\n", n, s.OK, s.Unsupported, s.Denied, s.Failed)
	if s.OK > 0 {
		const legend = "TIME is the median of one operation, × RAW its ratio to the same system calls made directly."
		for _, line := range wrap(strings.Fields(legend), p.Width) {
			p.printf("%s\n", line)
		}
	}
	return p.err
}

func (p *Printer) columns(kind, what, result, time, ratio string) string {
	space := strings.Repeat(" ", gap)
	return pad(kind, kindWidth) + space + pad(what, p.whatWidth()) + space + pad(result, resultWidth) + space +
		padLeft(time, timeWidth) + space + padLeft(ratio, ratioWidth)
}

// Colours: SGR parameters.
const (
	bold   = "1"
	red    = "1;31"
	green  = "32"
	yellow = "33"
)

func (p *Printer) paint(color, s string) string {
	if !p.Color {
		return s
	}
	return "\x1b[" + color + "m" + s + "\x1b[0m"
}

// width is how many columns s takes, without its colours.
func width(s string) int {
	n := 0
	for s != "" {
		if strings.HasPrefix(s, "\x1b[") {
			if end := strings.IndexByte(s, 'm'); end >= 0 {
				s = s[end+1:]
				continue
			}
		}
		_, size := utf8.DecodeRuneInString(s)
		s = s[size:]
		n++
	}
	return n
}

func pad(s string, n int) string     { return s + strings.Repeat(" ", max(n-width(s), 0)) }
func padLeft(s string, n int) string { return strings.Repeat(" ", max(n-width(s), 0)) + s }
