//go:build linux

package mq

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// A Screen shows queues on a terminal, with bars. It draws on the terminal's second screen, so that nothing of the first is lost and a change of size is no matter.
type Screen struct {
	W        io.Writer
	Size     func() (columns, rows int) // zero is unknown
	Color    bool
	Interval time.Duration

	last  []Queue
	peaks map[string]int
}

const (
	enter    = "\x1b[?1049h\x1b[?25l" // the second screen, no cursor
	leave    = "\x1b[?25h\x1b[?1049l"
	home     = "\x1b[H"
	eraseEnd = "\x1b[K" // of the line
	eraseAll = "\x1b[J" // what is below
)

// Enter begins.
func (s *Screen) Enter() error {
	_, err := io.WriteString(s.W, enter)
	return err
}

// Leave gives the terminal back as it was.
func (s *Screen) Leave() error {
	_, err := io.WriteString(s.W, leave)
	return err
}

// Show draws queues.
func (s *Screen) Show(queues []Queue) error {
	if s.peaks == nil {
		s.peaks = make(map[string]int)
	}
	for _, q := range queues {
		s.peaks[q.Name] = max(s.peaks[q.Name], q.Status.Messages)
	}
	s.last = queues
	return s.Redraw()
}

// Redraw draws what was shown last.
func (s *Screen) Redraw() error {
	columns, rows := s.Size()
	if columns <= 0 {
		columns = 80
	}
	if rows <= 0 {
		rows = 24
	}
	_, err := io.WriteString(s.W, home+strings.Join(s.lines(columns-1, rows), eraseEnd+"\r\n")+eraseEnd+eraseAll)
	return err
}

// Last writes what was shown last, to stay.
func (s *Screen) Last() error {
	columns, _ := s.Size()
	if columns <= 0 {
		columns = 80
	}
	lines := s.lines(columns-1, len(s.last)+1)
	_, err := io.WriteString(s.W, strings.Join(lines[1:], "\n")+"\n")
	return err
}

// lines are a head and a line per queue, as many as fit.
func (s *Screen) lines(width, rows int) []string {
	now := time.Now()
	if len(s.last) > 0 {
		now = s.last[0].Time
	}
	lines := []string{cut(fmt.Sprintf("%s, every %v; Ctrl-C ends it", now.Format(time.TimeOnly), short(s.Interval)), width)}
	var names, numbers, sizes, peaks []string
	for _, q := range s.last {
		depth, size, peak := q.state(), "", ""
		if q.Attr {
			depth = fmt.Sprintf("%d/%d", q.Status.Messages, q.Status.MaxMessages)
			peak = fmt.Sprintf("peak %d", s.peaks[q.Name])
		}
		if q.All {
			size = bytes(q.Status.Bytes)
		}
		names, numbers, sizes, peaks = append(names, escape(q.Name)), append(numbers, depth), append(sizes, size), append(peaks, peak)
	}
	if len(names) == 0 {
		return append(lines, cut("there are no queues", width))[:min(2, rows)]
	}
	const narrowest = 10 // bar
	others := widest(numbers) + widest(sizes) + widest(peaks) + 4*len(gap)
	name := min(widest(names), max(width-others-narrowest, 8))
	bar := width - others - name
	for i, q := range s.last {
		room := rows - len(lines)
		if room <= 0 {
			break
		}
		if room == 1 && i < len(s.last)-1 {
			return append(lines, cut(fmt.Sprintf("and %d more, for which there is no room", len(s.last)-i), width))
		}
		if bar < 3 { // there is no room for columns
			lines = append(lines, cut(numbers[i]+gap+names[i], width))
			continue
		}
		lines = append(lines, strings.TrimRight(pad(cut(names[i], name), name)+gap+s.bar(q, bar)+gap+left(numbers[i], widest(numbers))+gap+left(sizes[i], widest(sizes))+gap+left(peaks[i], widest(peaks)), " "))
	}
	return lines
}

// short is a time without the zeros after it.
func short(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// bar is how full a queue is: what isn't empty has a mark, and only what is full has all.
func (s *Screen) bar(q Queue, width int) string {
	if !q.Attr || q.Status.MaxMessages == 0 {
		return strings.Repeat(" ", width)
	}
	n := q.Status.Messages * width / q.Status.MaxMessages
	if n == 0 && q.Status.Messages > 0 {
		n = 1
	}
	n = min(n, width)
	marks, rest := strings.Repeat("█", n), strings.Repeat("░", width-n)
	if !s.Color || n == 0 {
		return marks + rest
	}
	color := "32" // green
	switch {
	case q.Status.Full():
		color = "1;31" // red
	case q.Status.Messages*4 >= q.Status.MaxMessages*3:
		color = "33" // yellow
	}
	return "\x1b[" + color + "m" + marks + "\x1b[0m" + rest
}

func widest(texts []string) int {
	return utf8.RuneCountInString(slices.MaxFunc(texts, func(a, b string) int { return utf8.RuneCountInString(a) - utf8.RuneCountInString(b) }))
}

// cut is s in at most n columns.
func cut(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	return string([]rune(s)[:max(n-1, 0)]) + "…"
}

func pad(s string, n int) string { return s + strings.Repeat(" ", max(n-utf8.RuneCountInString(s), 0)) }
func left(s string, n int) string {
	return strings.Repeat(" ", max(n-utf8.RuneCountInString(s), 0)) + s
}
