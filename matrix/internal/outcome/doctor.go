package outcome

import (
	"encoding/json"
	"fmt"
)

// A DoctorRun is what fildes doctor found as one user, without the times.
type DoctorRun struct {
	User string // Root or User
	Host Host
	Rows []Row
}

// Host is the part of doctor's header that decides what can work.
type Host struct {
	Kernel    string `json:"kernel"`
	GOARCH    string `json:"goarch"`
	PageSize  int    `json:"page_size"`
	ByteOrder string `json:"byte_order"`
}

// A Row is one of doctor's checks.
type Row struct {
	Kind    string `json:"kind"`
	Check   string `json:"check"`
	What    string `json:"what"`
	Result  Found  `json:"result"`
	Missing string `json:"missing,omitempty"`
	Reason  string `json:"reason,omitempty"`
}

// Found is doctor's word for how a check ended.
type Found string

// What doctor finds.
const (
	OK          Found = "ok"
	Unsupported Found = "unsupported"
	Denied      Found = "denied"
	Failed      Found = "failed"
)

// doctorSchema is the one that ReadDoctor understands.
const doctorSchema = 1

// ReadDoctor decodes what fildes doctor --json printed.
func ReadDoctor(user string, text []byte) (DoctorRun, error) {
	var d struct {
		Schema int
		Host   Host
		Rows   []Row
	}
	if err := json.Unmarshal(text, &d); err != nil {
		return DoctorRun{}, fmt.Errorf("fildes doctor --json as %s: %w", user, err)
	}
	if d.Schema != doctorSchema || len(d.Rows) == 0 {
		return DoctorRun{}, fmt.Errorf("fildes doctor --json as %s: schema %d with %d rows", user, d.Schema, len(d.Rows))
	}
	return DoctorRun{User: user, Host: d.Host, Rows: d.Rows}, nil
}

// Doctor is the name under which the rows are judged; a row's is kind/check.
const Doctor = "doctor"

// Tests makes a test of each row, to be judged with the others. What is unsupported or denied is no failure.
func (d DoctorRun) Tests(run string) []Test {
	var tests []Test
	for _, row := range d.Rows {
		t := Test{Run: run, User: d.User, Package: Doctor, Name: row.Kind + "/" + row.Check, Result: Skip, Reason: row.Reason}
		switch row.Result {
		case OK:
			t.Result = Pass
		case Failed:
			t.Result, t.Reason, t.Output = Fail, "", row.What+": "+row.Reason+"\n"
		case Denied:
			t.Denied = true
		case Unsupported:
		default:
			t.Result, t.Output = Fail, fmt.Sprintf("an unknown result: %q\n", row.Result)
		}
		tests = append(tests, t)
	}
	return tests
}
