// Package kernels writes docs/KERNELS.md, and the README's part of it.
package kernels

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/fildes/fildes/matrix/internal/outcome"
)

const head = `# Kernels

What the module does on the kernels and architectures that it is run on. This
file is generated from what ` + "`fildes doctor --json`" + ` and the tests said there, by

%s
which also writes the table of [README.md](../README.md).
`

// commands generate the document.
const commands = `    go -C matrix run ./cmd/matrix --report FILE
    go -C matrix run ./cmd/matrix docs FILE
`

// Write writes the document. It depends on the report only, and of that not on times.
func Write(w io.Writer, r outcome.Report) error {
	var d document
	d.printf(head, commands)
	d.printf("\n## Tested on\n\n%s", testedOn(r))
	d.machines(r)
	d.fixtures(r)
	d.checks(r)
	d.skips(r)
	d.exceptions(r)
	_, err := w.Write(d.Bytes())
	return err
}

type document struct{ bytes.Buffer }

func (d *document) printf(format string, args ...any) { _, _ = fmt.Fprintf(d, format, args...) }

// column is a machine's letter in the tables.
func column(i int) string {
	if i < 26 {
		return string(rune('a' + i))
	}
	return column(i/26-1) + column(i%26)
}

func (d *document) machines(r outcome.Report) {
	d.printf("\n## Machines\n\n" +
		"The letters are the columns of the tables below; the last two columns are how\n" +
		"many tests passed as root and as an ordinary user. Behind qemu-user only the\n" +
		"program's instructions are another machine's; the kernel isn't.\n\n")
	t := table{{"", "machine", "kernel", "page", "order", "root", "user"}}
	for i, m := range r.Machines {
		kernel, order := m.Kernel, "little"
		if m.Emulated {
			kernel = emulated
		}
		if m.BigEndian {
			order = "big"
		}
		page := m.PageSize
		for _, run := range m.Doctor {
			page = cmp.Or(page, run.Host.PageSize)
		}
		t = append(t, []string{
			column(i), m.Name, kernel, fmt.Sprintf("%d KiB", page>>10), order, passed(m, outcome.Root), passed(m, outcome.User),
		})
	}
	d.table(t)
}

// passed counts tests.
func passed(m outcome.Machine, user string) string {
	names := make(map[[2]string]bool) // a test may have run more than once
	for _, t := range m.Tests {
		if t.User == user && t.Result == outcome.Pass && t.Name != "" && t.Package != outcome.Doctor {
			names[[2]string{t.Package, t.Name}] = true
		}
	}
	return strconv.Itoa(len(names))
}

func (d *document) fixtures(r outcome.Report) {
	var n notes
	for _, m := range r.Machines {
		for _, f := range m.Fixtures {
			n.add(note{subject: code(f)}, m.Name)
		}
	}
	n.sort()
	d.notes("\n## Fixtures\n\nWhat the machines have beside the kernel, for the tests:\n\n", n, r)
}

func (d *document) exceptions(r outcome.Report) {
	var n notes
	for _, m := range r.Machines {
		for _, e := range m.Exceptions {
			subject := code(strings.TrimSpace(outcome.Short(e.Package) + " " + e.Test))
			if e.User != "" {
				subject += as(e.User)
			}
			n.add(note{subject: subject, text: e.Reason}, m.Name)
		}
	}
	d.notes("\n## What the emulator can't do\n\nThese tests fail for a reason that isn't the module's. One that begins to work\n"+
		"is a failure until it is struck from the list.\n\n", n, r)
}

func as(user string) string {
	if user == outcome.User {
		return ", as an ordinary user"
	}
	return ", as " + user
}

func code(s string) string { return "`" + s + "`" }
