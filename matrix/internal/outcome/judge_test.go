package outcome

import (
	"strings"
	"testing"
)

func TestJudge(t *testing.T) {
	pass := func(name string) Test { return Test{User: Root, Package: pkg, Name: name, Result: Pass} }
	fail := func(name string) Test { return Test{User: Root, Package: pkg, Name: name, Result: Fail} }
	skip := func(user, reason string) Test {
		return Test{User: user, Package: pkg, Name: "S", Result: Skip, Reason: reason}
	}
	says := func(t Test) Test {
		t.Output = "=== RUN   A\n    a_test.go:3: wrong\n--- FAIL: A (0.00s)\n"
		return t
	}
	died := Test{User: Root, Package: pkg, Result: Fail, Died: true}
	all := func(t ...Test) []Test { return t }
	except := func(name, user string) []Exception {
		return []Exception{{Package: "timerfd", Test: name, User: user, Reason: "qemu"}}
	}
	lacks := map[string]string{"proc": "it isn't mounted"}
	for _, c := range []struct {
		name       string
		tests      []Test
		lacks      map[string]string
		exceptions []Exception
		part       bool     // of what the machine has to run
		want       []string // pieces of the problems
	}{
		{name: "all is well", tests: all(pass("A"), pass(""))},
		{name: "the innermost failure is told", tests: all(fail("A/b"), fail("A"), fail("")), want: []string{"timerfd A/b: failed"}},
		{name: "a package that fails by itself", tests: all(pass("A"), died), want: []string{"timerfd: its process failed"}},
		{name: "a package that dies in a test", tests: all(fail("A"), died), want: []string{"A: failed", "timerfd: its process failed"}},

		{name: "what must be there", tests: all(skip(Root, "needs proc: none")), want: []string{"must have it: needs proc: none"}},
		{name: "what may be lacking", tests: all(skip(Root, "needs proc: none")), lacks: lacks},
		{name: "no statement about the machine", tests: all(skip(Root, "the race detector allocates"))},
		{name: "a user isn't root", tests: all(skip(User, "needs root: x"), skip(User, "needs CAP_SYS_TIME: x"), skip(Root, "needs user: x"))},
		{name: "root is root", tests: all(skip(Root, "needs root: x")), want: []string{"must have it"}},
		{name: "nobody in particular", tests: all(skip("", "needs root: x")), want: []string{"must have it"}},
		{name: "nothing misses it", tests: all(pass("A")), lacks: lacks, want: []string{`"proc" may be lacking (it isn't mounted)`}},
		{name: "nothing misses it in a part", tests: all(pass("A")), lacks: lacks, part: true},

		{name: "excepted", tests: all(fail("A"), fail("")), exceptions: except("A", "")},
		{name: "excepted with what is below", tests: all(fail("A/b"), pass("A/c"), fail("A"), fail("")), exceptions: except("A", "")},
		{name: "excepted below", tests: all(fail("A/b"), fail("A"), fail("")), exceptions: except("A/b", "")},
		{
			name: "a failure beside what is excepted below", tests: all(fail("A/b"), says(fail("A")), fail("")), exceptions: except("A/b", ""),
			want: []string{"A: failed itself"},
		},
		{
			name: "a failure beside another's", tests: all(fail("A/b"), fail("A/c"), says(fail("A")), fail("")), exceptions: except("A/b", ""),
			want: []string{"A/c: failed"},
		},
		{name: "not its neighbour", tests: all(fail("A"), fail("AB"), fail("")), exceptions: except("A", ""), want: []string{"AB: failed"}},
		{name: "an excepted package", tests: all(fail("A"), died), exceptions: except("", "")},
		{name: "a test isn't its package", tests: all(fail("A"), died), exceptions: except("A", ""), want: []string{"its process failed"}},
		{
			name: "for the other user", tests: all(fail("A"), fail("")), exceptions: except("A", User), part: true,
			want: []string{"A: failed"},
		},
		{name: "it works", tests: all(pass("A")), exceptions: except("A", ""), want: []string{"A: it works, and is an exception (qemu): strike it"}},
		{name: "it works in a part", tests: all(pass("A")), exceptions: except("A", ""), part: true, want: []string{"strike it"}},
		{name: "it is gone", tests: all(pass("B")), exceptions: except("A", User), want: []string{"timerfd A user is an exception (qemu), and doesn't fail"}},
		{name: "it isn't in this part", tests: all(pass("B")), exceptions: except("A", ""), part: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			problems := Judge(c.tests, c.lacks, c.exceptions, !c.part)
			for i, p := range problems {
				if i >= len(c.want) || !strings.Contains(p.String(), c.want[i]) {
					t.Errorf("%v", p)
				}
			}
			if len(problems) != len(c.want) {
				t.Errorf("%d problems, want %d", len(problems), len(c.want))
			}
		})
	}
}
