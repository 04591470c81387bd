// Package guest is what the runner and the init process in a guest agree on.
package guest

import (
	"encoding/json"
	"time"
)

// PlanFile is where the guest's init finds its Plan, in the initramfs.
const PlanFile = "/matrix/plan.json"

// A Plan is all that a guest does from its boot to its end.
type Plan struct {
	Modules []Module `json:"modules"` // in the order in which they are loaded
	Env     []string `json:"env"`     // of every Run
	Runs    []Run    `json:"runs"`
}

// A Module is a file that finit_module(2) takes, with its parameters.
type Module struct {
	File   string `json:"file"`
	Params string `json:"params"`
}

// A Run is one program, run to its end.
type Run struct {
	Args    []string      `json:"args"`
	Dir     string        `json:"dir"`
	UID     int           `json:"uid"`     // and group
	Timeout time.Duration `json:"timeout"` // then it is killed
	Collect string        `json:"collect"` // a file that the runner wants afterwards, or empty
}

// Encode returns what init reads.
func (p Plan) Encode() ([]byte, error) { return json.Marshal(p) }
