//go:build linux

package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes"
	"github.com/fildes/fildes/mqueue"
	"github.com/fildes/fildes/signalfd"
)

var mqueueKind = Kind{
	Name:    "mqueue",
	About:   "message queues: mq_overview(7)",
	Sysctls: []string{"fs.mqueue.queues_max", "fs.mqueue.msg_max", "fs.mqueue.msgsize_max"},
	Block:   signalfd.SetOf(blockedSignal),
	Checks: []Check{
		{Name: "open", What: "make, open and remove a queue", Run: mqueueOpen},
		{Name: "send-receive", What: "send, receive (32-bit: by time64 calls)", Run: mqueueSendReceive},
		{Name: "priority", What: "receive the highest priority first", Run: mqueuePriority},
		{Name: "full", What: "a full queue takes no more", Run: mqueueFull},
		{Name: "park", What: "two goroutines wake each other", Run: mqueuePark},
		{Name: "status", What: "tell how full it is, and whose", Run: mqueueStatus},
		{Name: "notify-signal", What: "be told of a message by a signal", Run: mqueueNotifySignal},
		{Name: "notify-socket", What: "be told of a message by a socket", Run: mqueueNotifySocket},
		{Name: "from-file", What: "open a descriptor's queue anew", Run: mqueueFromFile},
		{Name: "list", What: "find a queue in the list", Needs: unix.CAP_SYS_ADMIN, Run: mqueueList},
		{Name: "limits", What: "refuse a queue that is too long", Run: mqueueLimits},
	},
}

// queueSize is small: what a queue would take counts against RLIMIT_MSGQUEUE, of all that the user has.
var queueSize = mqueue.Options{Create: true, Exclusive: true, MaxMessages: 4, MessageSize: 64}

// queueName is one that nobody else has.
func queueName(what string) string {
	return fmt.Sprintf("/fildes-doctor-%d-%d-%s", os.Getpid(), time.Now().UnixNano(), what)
}

// newQueue makes a queue that the trial closes. Without keep it has no name any more.
func (t *Trial) newQueue(what string, keep bool) (*mqueue.Queue, error) {
	q, err := mqueue.Open(queueName(what), &queueSize)
	if err != nil {
		return nil, err
	}
	unlink := sync.OnceValue(func() error { return mqueue.Unlink(q.Name()) })
	t.Cleanup(func() {
		_ = unlink()
		_ = q.Close()
	})
	if !keep {
		err = unlink()
	}
	return q, err
}

func mqueueOpen(t *Trial) error {
	name := queueName("open")
	t.Cleanup(func() { _ = mqueue.Unlink(name) })
	return t.Measure(func() error {
		q, err := mqueue.Open(name, &queueSize)
		if err != nil {
			return err
		}
		s, err := mqueue.OpenSender(name, nil)
		if err == nil {
			err = s.Close()
		}
		return errors.Join(err, mqueue.Unlink(name), q.Close())
	}, nil)
}

func mqueueSendReceive(t *Trial) error {
	q, err := t.newQueue("message", false)
	if err != nil {
		return err
	}
	var buf [64]byte
	t.Step("receive what was sent")
	return t.Measure(func() error {
		if err := q.Send(t.ctx, []byte("hello"), 7); err != nil {
			return err
		}
		n, priority, err := q.Receive(t.ctx, buf[:])
		if err != nil {
			return err
		}
		return errors.Join(want("the message", string(buf[:n]), "hello"), want("its priority", priority, 7))
	}, nil)
}

func mqueuePriority(t *Trial) error {
	q, err := t.newQueue("priority", false)
	if err != nil {
		return err
	}
	return t.Measure(func() error {
		for _, p := range []int{1, mqueue.MaxPriority, 0, 1} {
			if err := q.Send(t.ctx, nil, p); err != nil {
				return err
			}
		}
		var buf [64]byte
		for _, expected := range []int{mqueue.MaxPriority, 1, 1, 0} {
			_, p, err := q.Receive(t.ctx, buf[:])
			if err == nil {
				err = want("the priority", p, expected)
			}
			if err != nil {
				return err
			}
		}
		return nil
	}, nil)
}

func mqueueFull(t *Trial) error {
	q, err := t.newQueue("full", false)
	if err != nil {
		return err
	}
	for range queueSize.MaxMessages {
		if err := q.Send(t.ctx, nil, 0); err != nil {
			return err
		}
	}
	err = t.Measure(func() error {
		ok, err := q.TrySend(nil, 0)
		if err != nil {
			return err
		}
		return want("that the queue takes more", ok, false)
	}, nil)
	if err != nil {
		return err
	}
	t.Step("a send waits until a message is received")
	sent := make(chan error, 1)
	go func() { sent <- q.Send(t.ctx, nil, 0) }()
	var buf [64]byte
	if _, _, err := q.Receive(t.ctx, buf[:]); err != nil {
		return err
	}
	return <-sent
}

func mqueuePark(t *Trial) error {
	ping, err := t.newQueue("ping", false)
	if err != nil {
		return err
	}
	pong, err := t.newQueue("pong", false)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(t.ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		var buf [64]byte
		for {
			if _, _, err := ping.Receive(ctx, buf[:]); err != nil {
				return
			}
			if pong.Send(ctx, nil, 0) != nil {
				return
			}
		}
	})
	t.Cleanup(func() {
		cancel()
		wg.Wait()
	})
	var buf [64]byte
	t.Step("wait until the other goroutine has woken up and answered")
	return t.Measure(func() error {
		if err := ping.Send(t.ctx, nil, 0); err != nil {
			return err
		}
		_, _, err := pong.Receive(t.ctx, buf[:])
		return err
	}, nil)
}

func mqueueStatus(t *Trial) error {
	q, err := t.newQueue("status", false)
	if err != nil {
		return err
	}
	if err := q.Send(t.ctx, []byte("hello"), 0); err != nil {
		return err
	}
	return t.Measure(func() error {
		s, err := q.Status()
		if err != nil {
			return err
		}
		expected := mqueue.Attr{MaxMessages: queueSize.MaxMessages, MessageSize: queueSize.MessageSize, Messages: 1}
		return errors.Join(want("its room", s.Attr, expected), want("the bytes in it", s.Bytes, 5), want("its mode", s.Mode, 0o600), want("its owner", int(s.UID), os.Geteuid()))
	}, nil)
}

func mqueueNotifySignal(t *Trial) error {
	r, err := t.receiver(signalfd.New(signalfd.SetOf(blockedSignal)))
	if err != nil {
		return err
	}
	q, err := t.newQueue("signal", false)
	if err != nil {
		return err
	}
	return t.notified(q, func() error { return q.NotifySignal(unix.Signal(blockedSignal), 42) }, func() error {
		t.Step("receive the signal")
		i, err := r.Read(t.ctx)
		if err != nil {
			return err
		}
		v, _ := i.Value()
		return errors.Join(want("the signal's code", i.CodeName(), "SI_MESGQ"), want("the signal's value", v.Pointer, 42), from(i, blockedSignal, v.Int))
	})
}

func mqueueNotifySocket(t *Trial) error {
	q, err := t.newQueue("socket", false)
	if err != nil {
		return err
	}
	var n *mqueue.Notification
	return t.notified(q, func() (err error) {
		n, err = q.Notify()
		return err
	}, func() error {
		t.Step("wait for the socket")
		return errors.Join(n.Wait(t.ctx), n.Close())
	})
}

// notified asks to be told of a message, sends one, and is told.
func (t *Trial) notified(q *mqueue.Queue, ask, told func() error) error {
	var buf [64]byte
	return t.Measure(func() error {
		if err := ask(); err != nil {
			return err
		}
		if err := q.Send(t.ctx, nil, 0); err != nil {
			return err
		}
		if err := told(); err != nil {
			return err
		}
		_, _, err := q.Receive(t.ctx, buf[:])
		return err
	}, nil)
}

func mqueueFromFile(t *Trial) error {
	q, err := t.newQueue("file", true)
	if err != nil {
		return err
	}
	f, err := q.File()
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	return t.Measure(func() error {
		d, err := mqueue.FromFile(f)
		if err != nil {
			return err
		}
		_, err = d.Attr()
		return errors.Join(err, d.Close())
	}, nil)
}

func mqueueList(t *Trial) error {
	q, err := t.newQueue("list", true)
	if err != nil {
		return err
	}
	return t.Measure(func() error {
		entries, err := mqueue.List()
		if errors.Is(err, unix.ENOSYS) && !errors.Is(err, errors.ErrUnsupported) {
			err = &fildes.UnsupportedError{Feature: "fsmount", Since: "5.2", Err: err}
		}
		if err != nil {
			return err
		}
		i := slices.IndexFunc(entries, func(e mqueue.Entry) bool { return e.Name == q.Name() })
		if i < 0 {
			return fmt.Errorf("%s isn't in the list", q.Name())
		}
		return errors.Join(entries[i].Err, want("its mode", entries[i].Status.Mode, fs.FileMode(0o600)))
	}, nil)
}

// mqueueLimits asks for more than anybody may have.
func mqueueLimits(t *Trial) error {
	l, err := mqueue.ReadLimits()
	if err != nil {
		return err
	}
	name := queueName("limits")
	return t.Measure(func() error {
		opts := mqueue.Options{Create: true, Exclusive: true, MaxMessages: 1 << 20}
		q, err := mqueue.Open(name, &opts)
		if err == nil {
			_, _ = mqueue.Unlink(name), q.Close()
		}
		if err := refused("a queue for 1,048,576 messages", err, unix.EINVAL); err != nil {
			return err
		}
		if limit := fmt.Sprintf("%d", l.MaxMessages); !strings.Contains(err.Error(), limit) {
			return fmt.Errorf("the error doesn't have the limit, %s: %w", limit, err)
		}
		return nil
	}, nil)
}
