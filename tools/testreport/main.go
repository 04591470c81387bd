// Command testreport reads what "go test -json" prints, shows what a person wants to see of it, and remembers what was skipped.
//
//	go test -json ./... | testreport -run "as root" -allow user -state FILE
//	testreport -summary -state FILE
//
// The first form shows a line per package and all that failed, and adds the counts and the skips to FILE. It fails when something failed,
// and when a test was skipped because the machine lacks something ("needs WORD: …") that -allow doesn't list. The second form
// prints a table of all skips and the counts.
package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
)

// event is one line of go test -json.
type event struct {
	Action  string
	Package string
	Test    string
	Output  string
	Elapsed float64
}

// state is what is remembered from one run to the next.
type state struct {
	Passed, Failed, Skipped int
	Skips                   []skip
}

type skip struct{ Run, Package, Test, Reason string }

func main() {
	run := flag.String("run", "", "what the run is called in the summary")
	allow := flag.String("allow", "", "what the machine may lack: words, separated by commas")
	file := flag.String("state", "", "where counts and skips are kept")
	summary := flag.Bool("summary", false, "print what was kept")
	flag.Parse()
	if err := do(*run, strings.Split(*allow, ","), *file, *summary); err != nil {
		fmt.Fprintln(os.Stderr, "testreport:", err)
		os.Exit(1)
	}
}

func do(run string, allow []string, file string, summary bool) error {
	var s state
	b, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(b, &s)
	} else if os.IsNotExist(err) {
		err = nil
	}
	if err != nil {
		return err
	}
	if summary {
		s.print(os.Stdout)
		return nil
	}
	failed, skips := s.read(os.Stdin, os.Stdout, run)
	var missing []string
	for _, k := range skips {
		if m := needs.FindStringSubmatch(k.Reason); m != nil && !slices.Contains(allow, strings.ToLower(m[1])) {
			missing = append(missing, fmt.Sprintf("%s %s: %s", k.Package, k.Test, k.Reason))
		}
	}
	if b, err = json.Marshal(&s); err != nil {
		return err
	}
	if err := os.WriteFile(file, b, 0o600); err != nil {
		return err
	}
	switch {
	case failed > 0:
		return fmt.Errorf("%s: %d tests or packages failed", run, failed)
	case missing != nil:
		return fmt.Errorf("%s: skipped, though the machine must have it:\n%s", run, strings.Join(missing, "\n"))
	}
	return nil
}

var (
	needs  = regexp.MustCompile(`^needs (?:CAP_)?(\w+)`)
	result = regexp.MustCompile(`^(ok|FAIL|\?|---|panic:|exit status)\b|^PASS$`)
	logged = regexp.MustCompile(`^\s+\S+\.go:\d+: (.*)`)
)

// read shows a run and adds it to s.
func (s *state) read(r io.Reader, w io.Writer, run string) (failed int, skips []skip) {
	output := make(map[string][]string) // by package and test
	shown := make(map[string]bool)      // the packages whose result was
	in := bufio.NewReader(r)
	for {
		line, err := in.ReadString('\n')
		if line == "" && err != nil {
			break
		}
		var e event
		if json.Unmarshal([]byte(line), &e) != nil {
			_, _ = io.WriteString(w, line)
			continue
		}
		key := e.Package + " " + e.Test
		switch e.Action {
		case "build-output":
			_, _ = io.WriteString(w, e.Output)
		case "output":
			output[key] = append(output[key], e.Output)
			if e.Test == "" && result.MatchString(e.Output) && e.Output != "PASS\n" && !strings.HasPrefix(e.Output, "?") {
				_, _ = io.WriteString(w, e.Output)
				shown[e.Package] = true
			}
		case "fail":
			failed++
			if e.Test != "" {
				s.Failed++
			}
			_, _ = io.WriteString(w, strings.Join(output[key], ""))
		case "pass":
			if e.Test != "" {
				s.Passed++
			} else if !shown[e.Package] { // a test binary by itself doesn't say it
				_, _ = fmt.Fprintf(w, "ok  \t%s\t%.3fs\n", e.Package, e.Elapsed)
			}
			delete(output, key)
		case "skip":
			if e.Test == "" {
				break // a package without tests
			}
			s.Skipped++
			reason := "no reason given"
			for _, o := range output[key] {
				if m := logged.FindStringSubmatch(o); m != nil {
					reason = m[1]
				}
			}
			skips = append(skips, skip{run, e.Package, e.Test, reason})
		}
	}
	s.Skips = append(s.Skips, skips...)
	return failed, skips
}

// print writes the table: a row for what was skipped for the same reason in the same runs.
func (s *state) print(w io.Writer) {
	runs := make(map[skip][]string)
	for _, k := range s.Skips {
		run := k.Run
		k.Run = ""
		if !slices.Contains(runs[k], run) {
			runs[k] = append(runs[k], run)
		}
	}
	rows := make(map[skip][]string) // the tests of a row
	for k, in := range runs {
		row := skip{Run: strings.Join(in, "; "), Package: k.Package, Reason: k.Reason}
		rows[row] = append(rows[row], k.Test)
	}
	for _, k := range slices.SortedFunc(maps.Keys(rows), func(a, b skip) int {
		return cmp.Or(strings.Compare(a.Package, b.Package), strings.Compare(a.Reason, b.Reason), strings.Compare(a.Run, b.Run))
	}) {
		slices.Sort(rows[k])
		_, _ = fmt.Fprintf(w, "%s: %s\n    in the tests %s\n    of %s\n", k.Package, k.Reason, k.Run, strings.Join(rows[k], ", "))
	}
	if len(rows) == 0 {
		_, _ = fmt.Fprintln(w, "nothing was skipped")
	}
	_, _ = fmt.Fprintf(w, "\n%d passed, %d failed, %d skipped\n", s.Passed, s.Failed, s.Skipped)
}
