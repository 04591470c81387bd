//go:build linux

package pidfd

import (
	"context"
	"reflect"
	"sync"
	"testing"

	"github.com/fildes/fildes/internal/fdtest"
	"github.com/fildes/fildes/signalfd"
)

// lets is what lets each child end, by its number.
var lets sync.Map

func TestConform(t *testing.T) {
	fdtest.NeedPidfd(t)
	ends := func(h fdtest.Handle) error {
		pid, err := h.(*Process).PID()
		if end, ok := lets.Load(pid); ok && err == nil {
			end.(func())()
		}
		return nil
	}
	fdtest.Conform(t, fdtest.Subject{
		New: func(t testing.TB) (fdtest.Handle, error) {
			cmd := fdtest.Program(context.Background(), t, "cat")
			in, err := cmd.StdinPipe()
			if err != nil {
				return nil, err
			}
			p, err := Start(cmd)
			if err != nil {
				return nil, err
			}
			pid := cmd.Process.Pid
			lets.Store(pid, func() { _ = in.Close() })
			t.Cleanup(func() {
				lets.Delete(pid)
				_ = in.Close()
				_ = cmd.Wait()
			})
			return p, nil
		},
		Zero: new(Process), Nil: (*Process)(nil),
		Args: map[reflect.Type]any{
			reflect.TypeFor[*Process]():        openedPID(t, self),
			reflect.TypeFor[signalfd.Signal](): signalfd.Signal(0), reflect.TypeFor[SignalInfo](): SignalInfo{},
			reflect.TypeFor[Namespace](): UTSNamespace, reflect.TypeFor[[]Namespace](): []Namespace{UTSNamespace},
		},
		Waits: []fdtest.Wait{
			{Name: "Wait", Once: true, Wake: ends, Call: func(ctx context.Context, h fdtest.Handle) error {
				_, err := h.(*Process).Wait(ctx)
				return err
			}},
			{Name: "Reap", Once: true, Wake: ends, Call: func(ctx context.Context, h fdtest.Handle) error {
				_, err := h.(*Process).Reap(ctx)
				return err
			}},
		},
	})
}
