package qemu

import (
	"encoding/json"
	"fmt"
	"net"
	"time"
)

// qmp sends one command over QEMU's own socket.
func qmp(socket, command string, arguments any) error {
	c, err := net.DialTimeout("unix", socket, 5*time.Second)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	if err := c.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return err
	}
	in, out := json.NewDecoder(c), json.NewEncoder(c)
	var greeting any
	if err := in.Decode(&greeting); err != nil {
		return err
	}
	type request struct {
		Execute   string `json:"execute"`
		Arguments any    `json:"arguments,omitempty"`
	}
	for _, r := range []request{{Execute: "qmp_capabilities"}, {command, arguments}} {
		if err := out.Encode(r); err != nil {
			return err
		}
		for {
			var answer struct {
				Return *json.RawMessage
				Error  *struct{ Desc string }
			}
			if err := in.Decode(&answer); err != nil {
				return err
			}
			if answer.Error != nil {
				return fmt.Errorf("%s: %s", r.Execute, answer.Error.Desc)
			}
			if answer.Return != nil {
				break
			} // else it's an event
		}
	}
	return nil
}
