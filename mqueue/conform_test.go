//go:build linux

package mqueue_test

import (
	"context"
	"os"
	"reflect"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes/internal/fdtest"
	"github.com/fildes/fildes/mqueue"
)

const (
	conformRoom = 3
	conformSize = 8
)

// peers has the other end of each queue, by its name.
var peers sync.Map

// withPeer makes a queue, empty or full, and a handle of it.
func withPeer(t testing.TB, full bool, open func(name string) (fdtest.Handle, error)) (fdtest.Handle, error) {
	name := newName(t)
	q, err := mqueue.Open(name, made(conformRoom, conformSize))
	if err != nil {
		return nil, err
	}
	peers.Store(name, q)
	t.Cleanup(func() {
		peers.Delete(name)
		_ = q.Close()
	})
	for full {
		ok, err := q.TrySend(nil, 0)
		check(t, err)
		full = ok
	}
	return open(name)
}

type named interface {
	fdtest.Handle
	Name() string
}

func peerOf(h fdtest.Handle) *mqueue.Queue {
	q, _ := peers.Load(h.(named).Name())
	return q.(*mqueue.Queue)
}

func wakeReceiver(h fdtest.Handle) error {
	_, err := peerOf(h).TrySend([]byte("wake"), 0)
	return err
}

func wakeSender(h fdtest.Handle) error {
	var buf [conformSize]byte
	_, _, _, err := peerOf(h).TryReceive(buf[:])
	return err
}

// conformArgs make calls of methods go as far as the descriptor.
var conformArgs = map[reflect.Type]any{reflect.TypeFor[syscall.Signal](): unix.SIGURG, reflect.TypeFor[uintptr](): uintptr(1)}

type sends interface {
	Send(ctx context.Context, msg []byte, priority int) error
}

type receives interface {
	Receive(ctx context.Context, buf []byte) (n, priority int, err error)
}

var sendWait = fdtest.Wait{Name: "Send", Wake: wakeSender, Call: func(ctx context.Context, h fdtest.Handle) error {
	return h.(sends).Send(ctx, []byte("conform"), 1)
}}

var receiveWait = fdtest.Wait{Name: "Receive", Wake: wakeReceiver, Call: func(ctx context.Context, h fdtest.Handle) error {
	_, _, err := h.(receives).Receive(ctx, make([]byte, conformSize))
	return err
}}

func TestConformSender(t *testing.T) {
	fdtest.Conform(t, fdtest.Subject{
		New: func(t testing.TB) (fdtest.Handle, error) {
			return withPeer(t, true, func(name string) (fdtest.Handle, error) {
				s, err := mqueue.OpenSender(name, nil)
				if err != nil {
					return nil, err
				}
				return s, nil
			})
		},
		Zero: new(mqueue.Sender), Nil: (*mqueue.Sender)(nil), Args: conformArgs,
		Waits: []fdtest.Wait{sendWait},
	})
}

func TestConformReceiver(t *testing.T) {
	needNotify(t)
	fdtest.Conform(t, fdtest.Subject{
		New: func(t testing.TB) (fdtest.Handle, error) {
			return withPeer(t, false, func(name string) (fdtest.Handle, error) {
				r, err := mqueue.OpenReceiver(name, nil)
				if err != nil {
					return nil, err
				}
				return r, nil
			})
		},
		Zero: new(mqueue.Receiver), Nil: (*mqueue.Receiver)(nil), Args: conformArgs,
		Waits: []fdtest.Wait{receiveWait, {Name: "Messages", Wake: wakeReceiver, Call: func(ctx context.Context, h fdtest.Handle) error {
			for _, err := range h.(*mqueue.Receiver).Messages(ctx) {
				return err
			}
			return os.ErrProcessDone // the loop is given a message or an error
		}}},
	})
}

func conformQueue(t *testing.T, full bool, w fdtest.Wait) {
	needNotify(t)
	fdtest.Conform(t, fdtest.Subject{
		New: func(t testing.TB) (fdtest.Handle, error) {
			return withPeer(t, full, func(name string) (fdtest.Handle, error) {
				q, err := mqueue.Open(name, nil)
				if err != nil {
					return nil, err
				}
				return q, nil
			})
		},
		Zero: new(mqueue.Queue), Nil: (*mqueue.Queue)(nil), Args: conformArgs,
		Waits: []fdtest.Wait{w},
	})
}

func TestConformQueue(t *testing.T)     { conformQueue(t, false, receiveWait) }
func TestConformQueueFull(t *testing.T) { conformQueue(t, true, sendWait) }

// notification gives a Notification the one method of a Handle that it has no use for.
type notification struct {
	*mqueue.Notification
	of *mqueue.Queue
}

func (n *notification) Release() (num int, err error) {
	c, err := n.SyscallConn()
	if err != nil {
		return -1, err
	}
	cerr := c.Control(func(fd uintptr) { num, err = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0) })
	if cerr != nil {
		return -1, cerr
	}
	if err != nil {
		return -1, err
	}
	return num, n.Close()
}

func TestConformNotification(t *testing.T) {
	needNotify(t)
	fdtest.Conform(t, fdtest.Subject{
		New: func(t testing.TB) (fdtest.Handle, error) {
			q, err := mqueue.Open(newName(t), made(1, conformSize))
			if err != nil {
				return nil, err
			}
			t.Cleanup(func() { _ = q.Close() })
			n, err := q.Notify()
			if err != nil {
				return nil, err
			}
			return &notification{n, q}, nil
		},
		Zero: &notification{Notification: new(mqueue.Notification)}, Nil: new(notification),
		Waits: []fdtest.Wait{{
			Name: "Wait", Once: true,
			Call: func(ctx context.Context, h fdtest.Handle) error { return h.(*notification).Wait(ctx) },
			Wake: func(h fdtest.Handle) error {
				_, err := h.(*notification).of.TrySend(nil, 0)
				return err
			},
		}},
	})
}
