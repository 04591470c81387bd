//go:build linux

package doctor

import (
	"fmt"
	"os"
	"os/signal"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes/signalfd"
)

var signalfdKind = Kind{
	Name:  "signalfd",
	About: "signals with who sent them, why and what: signalfd(2)",
	Block: signalfd.SetOf(blockedSignal),
	Checks: []Check{
		{Name: "new", What: "receive a value that is sent", Run: signalfdNew},
		{Name: "batch", What: "receive 64 values at once", Run: signalfdBatch},
		{Name: "notify", What: "tell who sent SIGUSR1", Run: signalfdNotify},
		{Name: "observe", What: "tell it beside os/signal", Run: signalfdObserve},
		{Name: "thread", What: "receive what is sent to one thread", Run: signalfdThread},
	},
}

// blockedSignal is blocked on all threads of the kind's child.
const blockedSignal = signalfd.Signal(40)

// receiver keeps what the trial closes.
func (t *Trial) receiver(r *signalfd.Receiver, err error) (*signalfd.Receiver, error) {
	if err == nil {
		t.Cleanup(func() { _ = r.Close() })
	}
	return r, err
}

// from says what is wrong with a signal that this process has sent.
func from(i signalfd.Info, sig signalfd.Signal, number int32) error {
	pid, uid, ok := i.Sender()
	v, _ := i.Value()
	if !ok || i.Signal != sig || pid != os.Getpid() || int(uid) != os.Getuid() || v.Int != number {
		return fmt.Errorf("it says %v, which wasn't sent", i)
	}
	return nil
}

func signalfdNew(t *Trial) error { return signalfdBlocked(t, 1) }

func signalfdBatch(t *Trial) error { return signalfdBlocked(t, 64) }

func signalfdBlocked(t *Trial, n int) error {
	r, err := t.receiver(signalfd.New(signalfd.SetOf(blockedSignal)))
	if err != nil {
		return err
	}
	raw, err := t.rawSignalFD(blockedSignal)
	if err != nil {
		return err
	}
	send := func() error {
		for i := range n {
			if err := signalfd.Queue(os.Getpid(), blockedSignal, signalfd.Value{Int: int32(i)}); err != nil {
				return err
			}
		}
		return nil
	}
	infos, records := make([]signalfd.Info, n), make([]byte, n*rawSignalSize)
	t.Step("receive what is there")
	return t.Sample(func() (time.Duration, error) {
		if err := send(); err != nil {
			return 0, err
		}
		start := time.Now()
		got, err := r.ReadBatch(t.ctx, infos)
		took := time.Since(start)
		if err == nil {
			err = want("the number of signals", got, n)
		}
		for i := 0; i < got && err == nil; i++ {
			err = from(infos[i], blockedSignal, int32(i))
		}
		return took, err
	}, func() (time.Duration, error) {
		if err := send(); err != nil {
			return 0, err
		}
		start := time.Now()
		_, err := unix.Read(raw, records)
		return time.Since(start), os.NewSyscallError("read", err)
	})
}

func signalfdNotify(t *Trial) error {
	r, err := t.receiver(signalfd.Notify(signalfd.SIGUSR1))
	if err != nil {
		return err
	}
	return t.Measure(func() error { return t.kill(r) }, nil)
}

// kill sends SIGUSR1 to this process, and receives it.
func (t *Trial) kill(r *signalfd.Receiver) error {
	if err := unix.Kill(os.Getpid(), unix.SIGUSR1); err != nil {
		return os.NewSyscallError("kill", err)
	}
	t.Step("receive the signal")
	i, err := r.Read(t.ctx)
	if err != nil {
		return err
	}
	return from(i, signalfd.SIGUSR1, 0)
}

func signalfdObserve(t *Trial) error {
	known := make(chan os.Signal, 1)
	signal.Notify(known, unix.SIGUSR1)
	t.Cleanup(sync.OnceFunc(func() { signal.Stop(known) }))
	r, err := t.receiver(signalfd.Observe(signalfd.SIGUSR1))
	if err != nil {
		return err
	}
	return t.Measure(func() error {
		if err := t.kill(r); err != nil {
			return err
		}
		t.Step("wait for os/signal")
		select {
		case <-known:
			return nil
		case <-t.ctx.Done():
			return t.ctx.Err()
		}
	}, nil)
}

func signalfdThread(t *Trial) error {
	sig := signalfd.RT(7)
	r, err := t.receiver(signalfd.NewThread(signalfd.SetOf(sig)))
	if err != nil {
		return err
	}
	tid, err := r.Thread()
	if err != nil {
		return err
	}
	return t.Measure(func() error {
		if err := signalfd.QueueThread(os.Getpid(), tid, sig, signalfd.Value{Int: 3}); err != nil {
			return err
		}
		t.Step("receive the signal")
		i, err := r.Read(t.ctx)
		if err != nil {
			return err
		}
		return from(i, sig, 3)
	}, nil)
}
