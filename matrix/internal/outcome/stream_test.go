package outcome

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

const pkg = "github.com/fildes/fildes/timerfd"

// lines makes a stream of "action test output" lines about pkg.
func lines(all ...string) string {
	var b strings.Builder
	for _, l := range all {
		f := strings.SplitN(l, " ", 3)
		b.WriteString(`{"Action":"` + f[0] + `","Package":"` + pkg + `"`)
		if f[1] != "-" {
			b.WriteString(`,"Test":"` + f[1] + `"`)
		}
		if len(f) == 3 {
			b.WriteString(`,"Output":"` + f[2] + `\n"`)
		}
		b.WriteString("}\n")
	}
	return b.String()
}

func TestRead(t *testing.T) {
	for _, c := range []struct {
		name   string
		single bool // the stream is of a single binary, which
		exit   error
		text   string
		want   string // the result and name of each, a dead package with a cross
	}{
		{name: "all is well", text: lines("start -", "run A", "output A === RUN", "pass A", "output - PASS", "pass -"), want: "pass A, pass "},
		{name: "a failure", text: lines("run A", "run A/b", "output A/b oops", "fail A/b", "fail A", "output - FAIL", "fail -"), want: "fail A/b, fail A, fail "},
		{name: "a skip", text: lines("run A", "output A     a_test.go:7: needs CAP_KILL: no", "skip A", "output - PASS", "pass -"), want: "skip A, pass "},
		{name: "no tests", text: lines("output - ?   x [no test files]", "skip -"), want: ""},
		{name: "a package that doesn't build", text: lines("output - FAIL x [build failed]", "fail -"), want: "fail +"},
		{name: "a benchmark", text: lines("run BenchmarkA", "output BenchmarkA 1 2 ns/op", "output - PASS", "pass -"), want: "pass "},
		{name: "a leak", text: lines("run A", "pass A", "output - PASS", "output - fdtest: leak", "fail -"), want: "pass A, fail +"},
		{name: "a crash", text: lines("start -", "run A", "run A/b", "output A/b SIGSEGV"), want: "fail A, fail A/b, fail +"},
		{name: "a crash that go test saw", text: lines("start -", "run A", "fail -"), want: "fail A, fail +"},
		{name: "nothing", single: true, text: "", want: "fail +"},
		{name: "nothing but a beginning", text: lines("start -"), want: "fail +"},
		{name: "a binary that ends well", single: true, text: lines("run A", "pass A", "output - PASS", "pass -"), want: "pass A, pass "},
		{
			name: "a binary that leaks", single: true, exit: errors.New("exit status 1"),
			text: lines("run A", "pass A", "output - PASS", "output - fdtest: leak", "pass -"), want: "pass A, fail +",
		},
		{
			name: "a binary with a failure", single: true, exit: errors.New("exit status 1"),
			text: lines("run A", "fail A", "output - FAIL", "fail -"), want: "fail A, fail ",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			var show strings.Builder
			r := Reader{Run: "here root", User: Root, Show: &show}
			if c.single {
				r.Package, r.Exit = pkg, c.exit
			}
			tests, err := r.Read(strings.NewReader(c.text))
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, test := range tests {
				died := map[bool]string{true: "+"}[test.Died]
				got = append(got, string(test.Result)+" "+test.Name+died)
				if test.Run != "here root" || test.User != Root || test.Package != pkg {
					t.Errorf("%+v", test)
				}
				if test.Result == Fail && !strings.Contains(show.String(), test.Output) {
					t.Errorf("%q isn't shown:\n%s", test.Output, &show)
				}
				if c.exit != nil && test.Died && !strings.Contains(test.Output, c.exit.Error()) {
					t.Errorf("%q doesn't say why", test.Output)
				}
			}
			if s := strings.Join(got, ", "); s != c.want {
				t.Errorf("%q, want %q", s, c.want)
			}
		})
	}
}

func TestNeed(t *testing.T) {
	for reason, want := range map[string]string{
		"needs proc: there is none": "proc", "needs CAP_SYS_TIME": "sys_time", "needs root, to become somebody else": "root",
		"the race detector allocates": "", "no reason given": "",
	} {
		if got := (Test{Result: Skip, Reason: reason}).Need(); got != want {
			t.Errorf("%q: %q, want %q", reason, got, want)
		}
	}
	if (Test{Result: Fail, Reason: "needs proc: x"}).Need() != "" {
		t.Error("a failure needs something")
	}
}

func TestReasonIsTheLastThatWasLogged(t *testing.T) {
	tests, err := Reader{}.Read(strings.NewReader("noise\n" +
		lines("run A", "output A     a_test.go:7: first", "output A     a_test.go:9: needs pty: none", "output A --- SKIP: A (0.00s)", "skip A", "output - PASS", "pass -")))
	if err != nil || len(tests) != 2 || tests[0].Reason != "needs pty: none" {
		t.Errorf("%+v, %v", tests, err)
	}
}

func TestReadDoctor(t *testing.T) {
	d, err := ReadDoctor(Root, []byte(`{"schema":1,"host":{"kernel":"6.1.0","goarch":"s390x","page_size":4096,"byte_order":"big","euid":0},"rows":[
		{"kind":"fd","check":"read","what":"read","result":"ok","ns":7},
		{"kind":"fd","check":"write","what":"write","result":"failed","reason":"hangs"},
		{"kind":"fd","check":"splice","what":"splice","result":"unsupported","missing":"splice","reason":"no"}],"summary":{}}`))
	if err != nil || d.Host != (Host{"6.1.0", "s390x", 4096, "big"}) || len(d.Rows) != 3 {
		t.Fatalf("%+v, %v", d, err)
	}
	want := []Result{Pass, Fail, Skip}
	if tests := d.Tests("x"); !slices.EqualFunc(tests, want, func(t Test, r Result) bool { return t.Result == r }) || tests[1].Name != "fd/write" {
		t.Errorf("%+v", tests)
	}
	for _, bad := range []string{"", "panic: x", `{"schema":2,"rows":[{}]}`, `{"schema":1}`} {
		if _, err := ReadDoctor(Root, []byte(bad)); err == nil {
			t.Errorf("%q is a report", bad)
		}
	}
}
