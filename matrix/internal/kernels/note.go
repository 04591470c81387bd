package kernels

import (
	"cmp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/fildes/fildes/matrix/internal/outcome"
)

// A note says something of a subject, on some machines.
type note struct{ subject, text string }

// notes are in the order in which they came.
type notes struct {
	all []note
	on  map[note][]string
}

func (n *notes) add(about note, machine string) {
	if n.on == nil {
		n.on = make(map[note][]string)
	}
	if n.on[about] == nil {
		n.all = append(n.all, about)
	}
	if !slices.Contains(n.on[about], machine) {
		n.on[about] = append(n.on[about], machine)
	}
}

func (n *notes) sort() {
	slices.SortStableFunc(n.all, func(a, b note) int {
		return cmp.Or(strings.Compare(a.subject, b.subject), strings.Compare(a.text, b.text))
	})
}

// notes writes them as a list, if there are any.
func (d *document) notes(heading string, n notes, r outcome.Report) {
	if len(n.all) == 0 {
		return
	}
	d.WriteString(heading)
	for _, about := range n.all {
		text := "- " + about.subject + " on " + where(n.on[about], r)
		if about.text != "" {
			text += ": " + about.text
		}
		d.wrap(text)
	}
}

// few is how many machines are listed as the ones that aren't meant.
const few = 3

func where(machines []string, r outcome.Report) string {
	var others []string
	for _, m := range r.Machines {
		if !slices.Contains(machines, m.Name) {
			others = append(others, m.Name)
		}
	}
	switch {
	case len(others) == 0:
		return "all"
	case len(others) <= few && len(others) < len(machines):
		return "all but " + strings.Join(others, ", ")
	}
	return strings.Join(machines, ", ")
}

const width = 80

// wrap writes an item of a list.
func (d *document) wrap(text string) {
	column := 0
	for i, word := range strings.Fields(text) {
		n := utf8.RuneCountInString(word)
		switch {
		case i == 0:
		case column+1+n > width:
			d.WriteString("\n  ")
			column = 2
		default:
			d.WriteString(" ")
			column++
		}
		d.WriteString(word)
		column += n
	}
	d.WriteString("\n")
}

// plain is a text of the kernel's or a program's, which mustn't be taken for Markdown.
func plain(text string) string {
	return strings.NewReplacer("\\", "\\\\", "`", "'", "*", "\\*", "<", "&lt;").Replace(text)
}
