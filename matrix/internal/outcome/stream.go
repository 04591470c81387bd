package outcome

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
)

// A Reader reads what go test -json prints, or go tool test2json behind a test binary.
type Reader struct {
	Run, User string    // of the tests
	Show      io.Writer // gets a line per package, and the output of what failed; nil is nobody

	// test2json sees no exit status. So whoever reads a single binary's output says which it is, so that it can't be silent, and
	// how it ended: nil is exit status 0.
	Package string
	Exit    error
}

// event is one line.
type event struct {
	Action  string
	Package string
	Test    string
	Output  string
	Elapsed float64
}

// stream is a Reader at work.
type stream struct {
	Reader
	tests  []Test
	output map[key]*strings.Builder // of what isn't over
	open   []key                    // likewise, in the order of their beginnings
	told   map[string]Result        // of a package, by its tests
	shown  map[string]bool          // the packages of which there was a line
}

type key struct{ pkg, test string }

var (
	line   = regexp.MustCompile(`^(ok|FAIL|exit status)\b`)
	logged = regexp.MustCompile(`^\s+\S+\.go:\d+: (.*)`)
)

// Read returns the tests and packages in the order in which they ended. A package without a result has failed, and so has what it
// was running. Packages without tests are left out.
func (r Reader) Read(in io.Reader) ([]Test, error) {
	s := stream{Reader: r, output: make(map[key]*strings.Builder), told: make(map[string]Result), shown: make(map[string]bool)}
	if s.Show == nil {
		s.Show = io.Discard
	}
	if r.Package != "" {
		s.begin(key{pkg: r.Package})
	}
	for lines := bufio.NewReader(in); ; {
		text, err := lines.ReadString('\n')
		if text != "" {
			s.line(text)
		}
		if err != nil {
			s.finish()
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return s.tests, err
		}
	}
}

func (s *stream) line(text string) {
	var e event
	if json.Unmarshal([]byte(text), &e) != nil {
		s.show(text)
		return
	}
	k := key{e.Package, e.Test}
	switch e.Action {
	case "build-output":
		s.show(e.Output)
	case "start", "run":
		s.begin(k)
	case "output":
		s.begin(k).WriteString(e.Output)
		if e.Test != "" {
			break
		}
		switch e.Output {
		case "PASS\n":
			s.told[e.Package] = Pass
		case "FAIL\n":
			s.told[e.Package] = Fail
		}
		if line.MatchString(e.Output) {
			s.show(e.Output)
			s.shown[e.Package] = true
		}
	case "pass", "fail", "skip":
		s.end(k, Result(e.Action), e.Elapsed)
	}
}

func (s *stream) show(text string) { _, _ = io.WriteString(s.Show, text) }

// begin returns where the output goes.
func (s *stream) begin(k key) *strings.Builder {
	b := s.output[k]
	if b == nil {
		b = new(strings.Builder)
		s.output[k] = b
		s.open = append(s.open, k)
	}
	return b
}

func (s *stream) end(k key, result Result, seconds float64) {
	t := Test{Run: s.Run, User: s.User, Package: k.pkg, Name: k.test, Result: result, Seconds: seconds}
	output := s.begin(k)
	if k.test == "" {
		// Tests that have failed make it 1. Anything else is more than that.
		more := k.pkg == s.Package && s.Exit != nil && (s.told[k.pkg] != Fail || s.Exit.Error() != "exit status 1")
		if more {
			_, _ = fmt.Fprintf(output, "%s: %v\n", k.pkg, s.Exit)
			t.Result = Fail
		}
		t.Died = t.Result == Fail && (more || s.told[k.pkg] != Fail)
		// A benchmark that is over doesn't say so; but what a package was running when it died has failed.
		for _, o := range slices.Clone(s.open) {
			if o.pkg == k.pkg && o.test != "" {
				if s.told[k.pkg] == "" {
					s.begin(o).WriteString("    it was running when its process ended\n")
					s.end(o, Fail, 0)
				}
				s.close(o)
			}
		}
	}
	switch t.Result {
	case Fail:
		t.Output = output.String()
		s.show(t.Output)
	case Pass:
		if k.test == "" && !s.shown[k.pkg] { // a test binary by itself doesn't say it
			s.show(fmt.Sprintf("ok  \t%s\t%.3fs\n", k.pkg, seconds))
		}
	case Skip:
		t.Reason = "no reason given"
		for text := range strings.Lines(output.String()) {
			m := logged.FindStringSubmatch(strings.TrimSuffix(text, "\n"))
			if m == nil {
				continue
			}
			if t.Reason = m[1]; needs.MatchString(t.Reason) {
				break // what is logged after it isn't the reason
			}
		}
	}
	s.close(k)
	if k.test != "" || t.Result != Skip {
		s.tests = append(s.tests, t)
	}
}

func (s *stream) close(k key) {
	delete(s.output, k)
	s.open = slices.DeleteFunc(s.open, func(o key) bool { return o == k })
}

// finish ends what the stream has left open.
func (s *stream) finish() {
	for len(s.open) > 0 {
		k := key{pkg: s.open[0].pkg}
		_, _ = fmt.Fprintf(s.begin(k), "%s: the output ends without a result\n", k.pkg)
		s.end(k, Fail, 0)
	}
}
