//go:build linux

package pidfd

import (
	"context"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes/internal/fdtest"
	"github.com/fildes/fildes/internal/sys"
)

// BenchmarkSignal asks whether a signal could be sent, beside the system call.
func BenchmarkSignal(b *testing.B) {
	p, err := Self()
	check(b, err)
	defer func() { _ = p.Close() }()
	b.Run("ours", func(b *testing.B) {
		for b.Loop() {
			if err := p.Signal(0); err != nil {
				b.Fatal(err)
			}
		}
	})
	num := numberOf(b, p)
	b.Run("raw", func(b *testing.B) {
		for b.Loop() {
			if err := sys.PidfdSendSignal(num, 0, nil, 0); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkWait starts a child, waits for it and reaps it, beside os.
func BenchmarkWait(b *testing.B) {
	b.Run("ours", func(b *testing.B) {
		for b.Loop() {
			c := ending(b, "exit 0")
			c.end()
			if s, err := c.Reap(context.Background()); err != nil || !s.Success() {
				b.Fatal(s, err)
			}
			check(b, c.Close())
		}
	})
	b.Run("os", func(b *testing.B) {
		for b.Loop() {
			c := ending(b, "exit 0")
			c.end()
			if s, err := c.cmd.Process.Wait(); err != nil || !s.Success() {
				b.Fatal(s, err)
			}
			check(b, c.Close())
		}
	})
}

// What the common operations allocate: nothing.
func TestAllocations(t *testing.T) {
	if fdtest.Race {
		t.Skip("the race detector allocates")
	}
	p := openedPID(t, self)
	for name, op := range map[string]func() error{
		"Signal":  func() error { return p.Signal(0) },
		"TryWait": func() error { _, _, err := p.TryWait(); return err },
		"Info":    func() error { _, err := p.Info(); return err },
	} {
		check(t, op())
		if n := testing.AllocsPerRun(100, func() { _ = op() }); n != 0 && (name != "Info" || hasInfo(t, p)) {
			t.Errorf("%s allocates %v times", name, n)
		}
	}
}

// hasInfo says whether the kernel itself tells what Info does.
func hasInfo(t testing.TB, p *Process) (has bool) {
	t.Helper()
	check(t, p.engine().Control(func(num int) error {
		has = !noInfo(sys.PidfdInfo(num, &unix.PidfdInfo{Mask: unix.PIDFD_INFO_PID}))
		return nil
	}))
	return has
}
