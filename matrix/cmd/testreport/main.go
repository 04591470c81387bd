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
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/fildes/fildes/matrix/internal/outcome"
)

func main() {
	run := flag.String("run", "", "what the run is called in the summary")
	allow := flag.String("allow", "", "what the machine may lack: words, separated by commas")
	file := flag.String("state", "", "where counts and skips are kept")
	summary := flag.Bool("summary", false, "print what was kept")
	flag.Parse()
	var err error
	if *summary {
		err = summarize(os.Stdout, *file)
	} else {
		err = read(os.Stdin, os.Stdout, *run, *allow, *file)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "testreport:", err)
		os.Exit(1)
	}
}

func read(in io.Reader, out io.Writer, run, allow, file string) error {
	s, err := load(file)
	if err != nil {
		return err
	}
	tests, err := outcome.Reader{Run: run, Show: out}.Read(in)
	if err != nil {
		return err
	}
	s.add(tests)
	if err := s.save(file); err != nil {
		return err
	}
	lacks := make(map[string]string)
	for word := range strings.SplitSeq(allow, ",") {
		lacks[word] = "-allow"
	}
	failed, missing := 0, ""
	for _, t := range tests {
		if t.Result == outcome.Fail {
			failed++
		}
	}
	for _, p := range outcome.Judge(tests, lacks, nil, false) {
		if p.Result == outcome.Skip {
			missing += fmt.Sprintf("\n%s %s: %s", p.Package, p.Name, p.Reason)
		}
	}
	switch {
	case failed > 0:
		return fmt.Errorf("%s: %d tests or packages failed", run, failed)
	case missing != "":
		return fmt.Errorf("%s: skipped, though the machine must have it:%s", run, missing)
	}
	return nil
}

func summarize(out io.Writer, file string) error {
	s, err := load(file)
	if err != nil {
		return err
	}
	s.print(out)
	return nil
}

func load(file string) (s state, err error) {
	b, err := os.ReadFile(file)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return s, nil
	case err != nil:
		return s, err
	}
	return s, json.Unmarshal(b, &s)
}

func (s *state) save(file string) error {
	b, err := json.Marshal(s)
	if err != nil {
		return err
	}
	return os.WriteFile(file, b, 0o600)
}
