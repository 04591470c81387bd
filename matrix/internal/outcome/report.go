package outcome

// A Report is what became of all machines, in the order of their table.
type Report struct {
	Whole    bool // everything ran on every machine
	Machines []Machine
}

// A Machine is one kernel on one architecture, and what was found there.
type Machine struct {
	Name       string
	GOARCH     string
	Kernel     string // exact release
	PageSize   int
	BigEndian  bool `json:",omitempty"`
	Emulated   bool `json:",omitempty"` // the program's instructions only: the kernel is the one below
	Fixtures   []string
	Doctor     []DoctorRun
	Tests      []Test
	Lacks      map[string]string // what tests may need and the machine doesn't have, with the reason
	Exceptions []Exception
	Problems   []string // what was wrong; a machine without any is as it should be
}
