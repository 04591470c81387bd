package outcome

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// An Exception is a test that fails on a machine for a reason that isn't the library's, until it is struck.
type Exception struct {
	Package string // import path, in full or within the module
	Test    string // with all that is below it; empty is the whole package, and what it dies of
	User    string // empty is each
	Reason  string
}

// names says whether it is this test that the exception is about, and covers whether it is that or one below.
func (e Exception) names(t Test) bool {
	return Short(e.Package) == Short(t.Package) && e.Test == t.Name && (e.User == "" || e.User == t.User)
}

func (e Exception) covers(t Test) bool {
	below := e.Test == "" || strings.HasPrefix(t.Name, e.Test+"/")
	if below {
		t.Name = e.Test
	}
	return e.names(t)
}

func (e Exception) String() string {
	return strings.TrimSpace(strings.TrimSpace(Short(e.Package)+" "+e.Test) + " " + e.User)
}

// A Problem is what a machine should have done otherwise, or what its table should say.
type Problem struct {
	Test        // empty where it is about the table
	What string // in a few words
}

func (p Problem) String() string {
	if p.Package == "" {
		return p.What
	}
	where := strings.TrimSpace(Short(p.Package) + " " + p.Name)
	if p.Run != "" {
		where = p.Run + ": " + where
	}
	return where + ": " + p.What
}

// lacking is what each user lacks on every machine.
var lacking = map[string][]string{
	Root: {"user"},
	User: {"root", "sys_time", "wake_alarm", "sys_resource", "sys_admin", "net_admin", "audit_write"},
}

// wordless are the reasons for skips that aren't about the machine.
var wordless = []string{
	"this build has no race detector",
	"the race detector allocates",
	"it type-checks the module and what it imports once per architecture",
	"it builds programs with cgo",
}

// Judge holds the tests of one machine to what it may lack (a word of fdtest.Need, with the reason) and to the exceptions. If they are all
// that the machine has to run, what stands in the two without need is a problem too.
func Judge(tests []Test, lacks map[string]string, exceptions []Exception, whole bool) []Problem {
	var problems []Problem
	covered := func(t Test) bool {
		return slices.ContainsFunc(exceptions, func(e Exception) bool { return e.covers(t) })
	}
	inner := failedInside(tests)
	unexpected := failedInside(slices.DeleteFunc(slices.Clone(tests), covered))
	missed := make(map[string]bool)
	told := make([]bool, len(exceptions)) // those that were needed, or that it was said of that they weren't
	for _, t := range tests {
		for i, e := range exceptions {
			if !e.names(t) || t.Result == Skip {
				continue
			}
			told[i] = true
			if t.Result == Pass {
				problems = append(problems, Problem{t, "it works, and is an exception (" + e.Reason + "): strike it"})
			}
		}
		switch t.Result {
		case Fail:
			switch {
			case covered(t):
			case t.Died || !inner[t.id()]:
				problems = append(problems, Problem{t, failure(t)})
			case t.Name != "" && !unexpected[t.id()] && complains(t):
				problems = append(problems, Problem{t, "failed itself, too, beside what is excepted inside"})
			}
		case Skip:
			word := t.Need()
			_, may := lacks[word]
			missed[word] = true
			switch {
			case may || t.Denied && t.User == User || slices.Contains(lacking[t.User], word):
			case word != "":
				problems = append(problems, Problem{t, "skipped, though the machine must have it: " + t.Reason})
			case !slices.Contains(wordless, t.Reason):
				problems = append(problems, Problem{t, "skipped without the word for what it needs: " + t.Reason})
			}
		case Pass:
		}
	}
	if !whole {
		return problems
	}
	for _, word := range slices.Sorted(maps.Keys(lacks)) {
		if !missed[word] {
			problems = append(problems, Problem{What: fmt.Sprintf("%q may be lacking (%s), and no test misses it: strike it", word, lacks[word])})
		}
	}
	for i, e := range exceptions {
		if !told[i] {
			problems = append(problems, Problem{What: fmt.Sprintf("%v is an exception (%s), and doesn't fail: strike it", e, e.Reason)})
		}
	}
	return problems
}

func failure(t Test) string {
	if t.Died {
		return "its process failed"
	}
	return "failed"
}

// complains says whether a test has printed something of its own, which its failure may be about.
func complains(t Test) bool {
	return slices.ContainsFunc(strings.Split(t.Output, "\n"), logged.MatchString)
}

// id is a test without what became of it.
func (t Test) id() Test { return Test{Run: t.Run, User: t.User, Package: t.Package, Name: t.Name} }

// failedInside has the packages and tests that have failed because one inside has: the one inside is told, and may be excepted.
func failedInside(tests []Test) map[Test]bool {
	outer := make(map[Test]bool)
	for _, t := range tests {
		if t.Result != Fail {
			continue
		}
		for name := t.Name; name != ""; {
			name = name[:max(strings.LastIndexByte(name, '/'), 0)]
			id := t.id()
			id.Name = name
			outer[id] = true
		}
	}
	return outer
}
