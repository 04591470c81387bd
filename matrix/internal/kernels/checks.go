package kernels

import (
	"cmp"
	"slices"

	"github.com/fildes/fildes/matrix/internal/outcome"
)

const legend = `
## What works

A table per kind of descriptor, a row per check of ` + "`fildes doctor`" + `:

    ✓  it was run and works
    -  the kernel lacks it
    d  the process may not
    ✗  it should work and doesn't

It was run as root. Where it went otherwise for an ordinary user, anywhere, the
next row is the user's.
`

var symbols = map[outcome.Found]string{outcome.OK: "✓", outcome.Unsupported: "-", outcome.Denied: "d", outcome.Failed: "✗"}

var words = map[outcome.Found]string{outcome.Unsupported: "lacking", outcome.Denied: "denied", outcome.Failed: "FAILED"}

type check struct{ kind, name string }

// found has a row per user and machine.
type found map[string][]outcome.Row

func (d *document) checks(r outcome.Report) {
	var order []check
	rows := make(map[check]found)
	for i, m := range r.Machines {
		for _, run := range m.Doctor {
			for _, row := range run.Rows {
				c := check{row.Kind, row.Check}
				if rows[c] == nil {
					order = append(order, c)
					rows[c] = found{outcome.Root: make([]outcome.Row, len(r.Machines)), outcome.User: make([]outcome.Row, len(r.Machines))}
				}
				if rows[c][run.User] != nil {
					rows[c][run.User][i] = row
				}
			}
		}
	}
	d.WriteString(legend)
	var kinds []string
	for _, c := range order {
		if !slices.Contains(kinds, c.kind) {
			kinds = append(kinds, c.kind)
		}
	}
	for _, kind := range kinds {
		d.printf("\n### %s\n\n", kind)
		heading := []string{"check"}
		for i := range r.Machines {
			heading = append(heading, column(i))
		}
		t := table{heading}
		var n notes
		for _, c := range order {
			if c.kind == kind {
				t = append(t, rows[c].cells(c.name)...)
				rows[c].notes(&n, c.name, r)
			}
		}
		d.table(t)
		d.notes("\n", n, r)
	}
}

func (f found) differ(i int) bool {
	root, user := f[outcome.Root][i].Result, f[outcome.User][i].Result
	return root != user && root != "" && user != ""
}

// cells are one row, or two. Where doctor ran as one user only, both have that.
func (f found) cells(name string) table {
	root, user := []string{name}, []string{name + ", user"}
	two := false
	for i := range f[outcome.Root] {
		two = two || f.differ(i)
		r, u := f[outcome.Root][i].Result, f[outcome.User][i].Result
		root = append(root, symbols[cmp.Or(r, u)])
		user = append(user, symbols[cmp.Or(u, r)])
	}
	if two {
		return table{root, user}
	}
	return table{root}
}

// notes say why it doesn't work.
func (f found) notes(n *notes, name string, r outcome.Report) {
	add := func(i int, row outcome.Row, as string) {
		if word := words[row.Result]; word != "" {
			n.add(note{code(name) + as + ": " + word, plain(row.Reason)}, r.Machines[i].Name)
		}
	}
	for i := range r.Machines {
		if root, user := f[outcome.Root][i], f[outcome.User][i]; f.differ(i) {
			add(i, root, as(outcome.Root))
			add(i, user, as(outcome.User))
		} else if root.Result != "" {
			add(i, root, "")
		} else {
			add(i, user, "")
		}
	}
}
