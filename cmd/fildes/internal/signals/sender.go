//go:build linux

package signals

import (
	"errors"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/fildes/fildes/pidfd"
)

// A Sender is what /proc says of a process. Its number may be another's by now.
type Sender struct {
	Args   []string // its command line
	Cut    bool     // which is longer
	Name   string   // of a process without one: a thread of the kernel, or one that has ended and wasn't waited for
	Gone   bool     // nobody has the number any more
	Hidden bool     // nothing can be known
}

// most is how much of a command line is read: its owner makes it as long as it likes, and may send many signals.
const most = 4096

// LookUp reads it.
func LookUp(pid int) *Sender {
	dir := "/proc/" + strconv.Itoa(pid)
	line, err := readMost(dir + "/cmdline")
	s := &Sender{Cut: len(line) > most}
	if line = strings.TrimRight(line[:min(len(line), most)], "\x00"); line != "" {
		s.Args = strings.Split(line, "\x00")
		return s
	}
	if err == nil {
		s.Name, err = readMost(dir + "/comm")
		s.Name = strings.TrimSuffix(s.Name, "\n")
	}
	if err != nil {
		s.Gone = gone(pid)
		s.Hidden = !s.Gone
	}
	return s
}

// readMost reads one byte more than most, if there is.
func readMost(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	b, err := io.ReadAll(io.LimitReader(f, most+1))
	return string(b), err
}

// gone asks the kernel: /proc may hide processes of others.
func gone(pid int) bool {
	p, err := pidfd.Open(pid)
	if err == nil {
		_ = p.Close()
	}
	return errors.Is(err, os.ErrProcessDone)
}
