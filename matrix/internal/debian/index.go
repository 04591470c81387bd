package debian

import (
	"bufio"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
)

// An index is what a suite has of one architecture: the newest version of each package, by name. Only what belongs to kernels is in it.
type index map[string]pkg

type pkg struct {
	name, version string
	depends       []string
}

// part matches the packages that a kernel's files may be in.
var part = regexp.MustCompile(`^linux-(image|binary|modules)-`)

func openIndex(path string) (index, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	return readIndex(f)
}

// readIndex reads a Packages file: paragraphs of fields, with an empty line between them.
func readIndex(r io.Reader) (index, error) {
	in := make(index)
	var p pkg
	add := func() {
		if old, ok := in[p.name]; part.MatchString(p.name) && (!ok || compareVersions(p.version, old.version) > 0) {
			in[p.name] = p
		}
		p = pkg{}
	}
	s := bufio.NewScanner(r)
	s.Buffer(nil, 1<<20) // a Provides may be long
	for s.Scan() {
		if s.Text() == "" {
			add()
			continue
		}
		field, value, _ := strings.Cut(s.Text(), ": ")
		switch field {
		case "Package":
			p.name = value
		case "Version":
			p.version = value
		case "Depends":
			p.depends = dependencies(value)
		}
	}
	add()
	return in, s.Err()
}

// dependencies returns the names in a Depends field, the alternatives too.
func dependencies(field string) []string {
	var names []string
	for d := range strings.FieldsFuncSeq(field, func(r rune) bool { return r == ',' || r == '|' }) {
		name, _, _ := strings.Cut(strings.TrimSpace(d), " ")
		name, _, _ = strings.Cut(name, ":")
		if name != "" {
			names = append(names, name)
		}
	}
	return names
}

// closure returns a package and all that it needs to be a kernel: a meta-package needs an image, whose parts may be packages of their own.
func (in index) closure(p pkg) []pkg {
	all := []pkg{p}
	for i := 0; i < len(all); i++ {
		for _, name := range all[i].depends {
			if d, ok := in[name]; ok && !slices.ContainsFunc(all, func(q pkg) bool { return q.name == name }) {
				all = append(all, d)
			}
		}
	}
	return all
}
