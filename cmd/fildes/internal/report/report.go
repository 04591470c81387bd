//go:build linux

// Package report is what the doctor has found, as JSON and as a text for people.
package report

// Schema is the version of the JSON form. Fields may be added to it; one that changes or goes away makes it another.
const Schema = 1

// A Report is everything that one run of the doctor has found.
type Report struct {
	Schema  int     `json:"schema"`
	Host    Host    `json:"host"`
	Rows    []Row   `json:"rows"`
	Summary Summary `json:"summary"`
}

// Host is the machine and the process that the checks ran on.
type Host struct {
	Kernel       string            `json:"kernel"`
	Machine      string            `json:"machine"`
	Go           string            `json:"go"`
	GOOS         string            `json:"goos"`
	GOARCH       string            `json:"goarch"`
	GOMAXPROCS   int               `json:"gomaxprocs"`
	PageSize     int               `json:"page_size"`
	ByteOrder    string            `json:"byte_order"` // little or big
	UID          int               `json:"uid"`
	EUID         int               `json:"euid"`
	Seccomp      string            `json:"seccomp"`
	Capabilities map[string]bool   `json:"capabilities"`
	Limits       map[string]string `json:"limits"`
}

// A Row is one check: something done through the public API of one kind of descriptor.
type Row struct {
	Kind   string `json:"kind"`
	Check  string `json:"check"`
	What   string `json:"what"`
	Result Result `json:"result"`
	// Missing is the feature of an unsupported row or the capability of a denied one, where it is known.
	Missing string `json:"missing,omitempty"`
	// Reason is why the result isn't ok.
	Reason string `json:"reason,omitempty"`
	*Timing
}

// Timing is how long an operation took, in nanoseconds.
type Timing struct {
	Samples int     `json:"samples"`
	Median  float64 `json:"ns"`
	// Raw and Ratio are those of the same system calls without the library; zero where there are no such calls.
	Raw   float64 `json:"raw_ns,omitempty"`
	Ratio float64 `json:"ratio,omitempty"`
}

// Result is how a check ended.
type Result string

// The results.
const (
	OK          Result = "ok"          // it works
	Unsupported Result = "unsupported" // the kernel doesn't have it
	Denied      Result = "denied"      // the process isn't allowed to
	Failed      Result = "failed"      // it should work and doesn't
)

// Summary counts the rows by result.
type Summary struct {
	OK          int `json:"ok"`
	Unsupported int `json:"unsupported"`
	Denied      int `json:"denied"`
	Failed      int `json:"failed"`
}

// Add counts one row.
func (s *Summary) Add(r Result) {
	switch r {
	case OK:
		s.OK++
	case Unsupported:
		s.Unsupported++
	case Denied:
		s.Denied++
	default:
		s.Failed++
	}
}
