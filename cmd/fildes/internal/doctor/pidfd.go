//go:build linux

package doctor

import (
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes"
	"github.com/fildes/fildes/eventfd"
	"github.com/fildes/fildes/pidfd"
)

var pidfdKind = Kind{
	Name:  "pidfd",
	About: "processes as descriptors: pidfd_open(2)",
	Checks: []Check{
		{Name: "signal", What: "ask whether a signal could be sent", Run: pidfdSignal},
		{Name: "wait", What: "how a child has ended", Run: pidfdWait},
		{Name: "exit", What: "how a reaped child has ended", Run: pidfdExit},
		{Name: "info", What: "ask for IDs and credentials", Run: pidfdInfo},
		{Name: "cgroup", What: "ask for the cgroup", Run: pidfdCgroup},
		{Name: "id", What: "a number that never comes again", Run: pidfdID},
		{Name: "thread", What: "a descriptor of one thread", Run: pidfdThread},
		{Name: "target", What: "signal a thread's process", Run: pidfdTarget},
		{Name: "descriptor", What: "take over a descriptor", Run: pidfdDescriptor},
		{Name: "namespace", What: "open a namespace", Run: pidfdNamespace},
	},
}

// process keeps what the trial closes.
func (t *Trial) process(p *pidfd.Process, err error) (*pidfd.Process, error) {
	if err == nil {
		t.Cleanup(func() { _ = p.Close() })
	}
	return p, err
}

func pidfdSignal(t *Trial) error {
	p, err := t.process(pidfd.Self())
	if err != nil {
		return err
	}
	raw, err := unix.PidfdOpen(os.Getpid(), 0)
	if err := t.own(os.NewSyscallError("pidfd_open", err), raw); err != nil {
		return err
	}
	return t.Measure(func() error { return p.Signal(0) }, func() error {
		return os.NewSyscallError("pidfd_send_signal", unix.PidfdSendSignal(raw, 0, nil, 0))
	})
}

// child runs one that exits with a status, waits for it, and has it reaped after more is done.
func (t *Trial) child(status int, more func(p *pidfd.Process) error) (p *pidfd.Process, err error) {
	cmd := Self(ExitCommand, strconv.Itoa(status))
	p, err = pidfd.Start(cmd)
	if err != nil {
		return nil, err
	}
	t.Step("wait for the child")
	s, err := p.Wait(t.ctx)
	if err == nil {
		err = want("the exit status", s.ExitCode(), status)
	}
	if err == nil {
		err = more(p)
	}
	if err != nil {
		_ = p.Close()
		_, _ = cmd.Process.Kill(), cmd.Wait()
		return nil, err
	}
	_ = cmd.Wait()
	return p, nil
}

func pidfdWait(t *Trial) error {
	_, err := t.process(t.child(3, func(p *pidfd.Process) error {
		return t.Measure(func() error {
			s, err := p.Wait(t.ctx)
			if err == nil {
				err = want("the exit status", s.ExitCode(), 3)
			}
			return err
		}, nil)
	}))
	return err
}

func pidfdExit(t *Trial) error {
	p, err := t.process(t.child(4, func(*pidfd.Process) error { return nil }))
	if err != nil {
		return err
	}
	return t.Measure(func() error {
		s, err := p.Wait(t.ctx)
		if err == nil && !s.Known() {
			err = &fildes.UnsupportedError{Feature: "PIDFD_INFO_EXIT", Since: "6.15"}
		}
		if err == nil {
			err = want("the exit status", s.ExitCode(), 4)
		}
		return err
	}, nil)
}

// info asks for it.
func (t *Trial) info(more func(pidfd.Info) error) error {
	p, err := t.process(pidfd.Self())
	if err != nil {
		return err
	}
	return t.Measure(func() error {
		i, err := p.Info()
		if err != nil {
			return err
		}
		return more(i)
	}, nil)
}

func pidfdInfo(t *Trial) error {
	return t.info(func(i pidfd.Info) error {
		if i.PID != os.Getpid() || i.Parent != os.Getppid() || int(i.User.Real) != os.Getuid() || int(i.Group.Effective) != os.Getegid() {
			return fmt.Errorf("it says %+v", i)
		}
		return nil
	})
}

func pidfdCgroup(t *Trial) error {
	return t.info(func(i pidfd.Info) error {
		if !i.Fields.Has(pidfd.Cgroup) {
			return &fildes.UnsupportedError{Feature: "PIDFD_INFO_CGROUPID", Since: "6.13"}
		}
		return nil
	})
}

func pidfdID(t *Trial) error {
	p, err := t.process(pidfd.Self())
	if err != nil {
		return err
	}
	q, err := t.process(pidfd.Self())
	if err != nil {
		return err
	}
	return t.Measure(func() error {
		a, err := p.ID()
		if err != nil {
			return err
		}
		b, err := q.ID()
		if err != nil {
			return err
		}
		return want("the number", a, b)
	}, nil)
}

func pidfdThread(t *Trial) error {
	return t.Measure(func() error {
		p, err := pidfd.OpenThread(os.Getpid())
		if err != nil {
			return err
		}
		return p.Close()
	}, nil)
}

func pidfdTarget(t *Trial) error {
	p, err := t.process(pidfd.Self())
	if err != nil {
		return err
	}
	return t.Measure(func() error { return p.SignalInfo(0, pidfd.SignalInfo{Target: pidfd.ThreadGroup}) }, nil)
}

func pidfdDescriptor(t *Trial) error {
	c, err := t.counter(&eventfd.Options{Initial: 1})
	if err != nil {
		return err
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	number := -1
	if err := raw.Control(func(n uintptr) { number = int(n) }); err != nil {
		return err
	}
	p, err := t.process(pidfd.Self())
	if err != nil {
		return err
	}
	return t.Measure(func() error {
		f, err := p.Descriptor(number)
		if err != nil {
			return err
		}
		return f.Close()
	}, nil)
}

func pidfdNamespace(t *Trial) error {
	p, err := t.process(pidfd.Self())
	if err != nil {
		return err
	}
	return t.Measure(func() error {
		f, err := p.Namespace(pidfd.MountNamespace)
		if err != nil {
			return err
		}
		return f.Close()
	}, nil)
}

// ExitCommand is the program's hidden command that exits with a status.
const ExitCommand = "__exit"
