package kernels

import (
	"maps"
	"slices"
	"strings"

	"github.com/fildes/fildes/matrix/internal/outcome"
)

// A lack is one word that tests of a machine missed.
type lack struct {
	users    []string
	reason   string // the first in the order of letters, so that it is always the same
	packages []string
}

// skips writes what the tests missed, by the word for it, and what they left out for reasons without one.
func (d *document) skips(r outcome.Report) {
	var missed, other notes
	in := make(map[note][]string) // the packages whose tests it is about
	for _, m := range r.Machines {
		lacks := make(map[string]*lack)
		for _, t := range m.Tests {
			if t.Result != outcome.Skip || t.Package == outcome.Doctor {
				continue
			}
			word := t.Need()
			if word == "" {
				n := note{subject: plain(t.Reason)}
				other.add(n, m.Name)
				in[n] = with(in[n], outcome.Short(t.Package))
				continue
			}
			l := lacks[word]
			if l == nil {
				l = &lack{reason: t.Reason}
				lacks[word] = l
			}
			l.users = with(l.users, t.User)
			l.reason = min(l.reason, t.Reason)
			l.packages = with(l.packages, outcome.Short(t.Package))
		}
		for _, word := range slices.Sorted(maps.Keys(lacks)) {
			l := lacks[word]
			n := note{subject: code(word), text: m.Lacks[word]}
			if n.text == "" {
				_, reason, _ := strings.Cut(l.reason, ": ")
				n.text = plain(reason)
				if len(l.users) == 1 {
					n.subject += as(l.users[0])
				}
			}
			missed.add(n, m.Name)
			for _, pkg := range l.packages {
				in[n] = with(in[n], pkg)
			}
		}
	}
	d.printf("\n## What the tests missed\n")
	d.notes("\nTests that need one of these were skipped. The word is that of `FDTEST_MUST`; in\n"+
		"brackets are the packages whose tests they are.\n\n", missed.within(in), r)
	d.notes("\nThese were skipped for other reasons:\n\n", other.within(in), r)
}

// with is the sorted list and s.
func with(list []string, s string) []string {
	i, found := slices.BinarySearch(list, s)
	if found {
		return list
	}
	return slices.Insert(list, i, s)
}

// within adds packages to the notes, and sorts them.
func (n *notes) within(packages map[note][]string) notes {
	var all notes
	for _, about := range n.all {
		long := about
		long.subject += " (" + strings.Join(packages[about], ", ") + ")"
		for _, machine := range n.on[about] {
			all.add(long, machine)
		}
	}
	all.sort()
	return all
}
