// Package outcome reads what test binaries and fildes doctor print, and holds it to what a machine is expected to do.
package outcome

import (
	"regexp"
	"strings"
)

// A Test is what became of one test in one run; or, without a name, of a package as a whole.
type Test struct {
	Run     string // the machine and the user, such as "arm64-6.1 root"
	User    string `json:",omitempty"` // Root, User, or empty where nobody cares
	Package string // import path
	Name    string `json:",omitempty"` // TestX/sub
	Result  Result
	Died    bool    `json:",omitempty"` // of a package: it ended without its tests' result, or otherwise than they did
	Reason  string  `json:",omitempty"` // of a skip
	Denied  bool    `json:",omitempty"` // of a skip: for want of a right
	Output  string  `json:",omitempty"` // of a failure
	Seconds float64 `json:",omitempty"`
}

// A Result is one of pass, fail and skip.
type Result string

// The results.
const (
	Pass Result = "pass"
	Fail Result = "fail"
	Skip Result = "skip"
)

// The users that tests and doctor are run as.
const (
	Root = "root"
	User = "user" // an ordinary one
)

var needs = regexp.MustCompile(`^needs (?:CAP_)?(\w+)`)

// Need is the word for what a skipped test lacked, or empty: then the skip isn't a statement about the machine. Doctor's checks are
// words themselves.
func (t Test) Need() string {
	if t.Result == Skip && t.Package == Doctor {
		return t.Name
	}
	if m := needs.FindStringSubmatch(t.Reason); t.Result == Skip && m != nil {
		return strings.ToLower(m[1])
	}
	return ""
}

const module = "github.com/fildes/fildes"

// Short is a package's path within the module; the root's is fildes.
func Short(pkg string) string {
	if pkg == module || pkg == "." {
		return "fildes"
	}
	return strings.TrimPrefix(pkg, module+"/")
}
