//go:build linux

package mqueue

import (
	"context"
	"errors"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"weak"

	"github.com/fildes/fildes"
	"github.com/fildes/fildes/internal/fd"
	"github.com/fildes/fildes/internal/sys"
)

// A Notification is told once, by a socket, that a message has come into the empty queue.
//
// All methods may be called by several goroutines at once. The zero Notification and a nil *Notification refuse every operation with [os.ErrInvalid], a closed one with [os.ErrClosed]. A Notification must not be copied. One that is
// forgotten without Close leaves this process registered until [Receiver.StopNotify], or until a descriptor of the queue is closed.
type Notification struct {
	fd    fd.FD
	queue weak.Pointer[handle]
	reads sync.Mutex    // else who finds the socket empty could wait for what another has read and not told yet
	why   atomic.Uint32 // sys.QueueWoken or sys.QueueRemoved, once it's known, or closing
}

// closing is set by Close, before it ends the registration itself: who waits isn't to be told that it has been removed.
const closing = 1 << 8

// ErrRemoved is why a Notification won't be told any more: this process has closed a descriptor of the queue, or has called [Receiver.StopNotify].
var ErrRemoved = errors.New("the registration has been removed")

// registry has the queue's handle of each registration that this process may have.
var registry struct {
	sync.Mutex
	of map[sys.Identity]registration
}

type registration struct {
	handle weak.Pointer[handle]
	by     weak.Pointer[Notification] // nil for a signal
}

// Notify registers this process, to be told once when a message comes into the empty queue and nobody waits for it in the kernel: mq_notify(2), with a netlink socket. Of all processes one can be registered with a queue, else it fails with EBUSY.
// The registration ends when it's told, with [Notification.Close] and [Receiver.StopNotify], and when this process closes any descriptor of the queue: also when the Receiver is released, or forgotten, which the Notification doesn't keep it from.
//
// To wait for a message, [Receiver.Receive] is better: it waits without a thread, is never too late for a message that has come already, and any number may wait. Notify is for who mustn't take the message. It doesn't tell of a message that is there already, nor of one that
// goes to who waits in mq_receive(3).
func (r *Receiver) Notify() (*Notification, error) { return r.handle().notify() }

// NotifySignal is [Receiver.Notify] with a signal to this process (SIGEV_SIGNAL), with a value, as its pointer (sival_ptr): its code is SI_MESGQ, and the sender is who has sent the message. The signal comes to a Receiver of package signalfd, or to os/signal, without the value; who hasn't asked for it there has its default, which often ends the process.
func (r *Receiver) NotifySignal(sig syscall.Signal, value uintptr) error {
	return r.handle().notifySignal(sig, value)
}

// StopNotify takes the registration of this process away, whoever made it: mq_notify(2). Without one it does nothing.
func (r *Receiver) StopNotify() error { return r.handle().stopNotify() }

func (h *handle) notify() (*Notification, error) {
	n := new(Notification)
	err := h.engine().Control(func(num int) error {
		socket, err := sys.NetlinkSocket()
		if err != nil {
			return withoutSockets(err)
		}
		registry.Lock()
		defer registry.Unlock()
		if err := sys.NotifyQueueSocket(num, socket, new(sys.QueueCookie)); err != nil {
			_ = sys.Close(socket)
			return err
		}
		n.fd.Init(socket, false)
		n.queue = weak.Make(h)
		h.register(weak.Make(n))
		return nil
	})
	if err != nil {
		return nil, h.fail("notify", err)
	}
	return n, nil
}

// withoutSockets says of a kernel without netlink sockets that it is one.
func withoutSockets(err error) error {
	if errors.Is(err, syscall.EAFNOSUPPORT) || errors.Is(err, syscall.EPROTONOSUPPORT) {
		return &fildes.UnsupportedError{Feature: "a netlink socket, which mq_notify sends to", Err: err}
	}
	return err
}

func (h *handle) notifySignal(sig syscall.Signal, value uintptr) error {
	var err error = errSignal
	if sig > 0 {
		err = h.engine().Control(func(num int) error {
			registry.Lock()
			defer registry.Unlock()
			err := sys.NotifyQueueSignal(num, int(sig), value)
			if err == nil {
				h.register(weak.Pointer[Notification]{})
			}
			return err
		})
	}
	return h.fail("notify-signal", err)
}

func (h *handle) stopNotify() error {
	return h.fail("stop-notify", h.engine().Control(func(num int) error {
		registry.Lock()
		defer registry.Unlock()
		delete(registry.of, h.id)
		return sys.NotifyQueueNone(num)
	}))
}

// register remembers a registration. The caller holds the registry.
func (h *handle) register(by weak.Pointer[Notification]) {
	if registry.of == nil {
		registry.of = make(map[sys.Identity]registration)
	}
	for id, r := range registry.of { // of queues that are gone
		if old := r.handle.Value(); old == nil || old.fd.Check() != nil {
			delete(registry.of, id)
		}
	}
	registry.of[h.id] = registration{weak.Make(h), by}
}

// unregister takes a registration away that was made with h, whose number is num.
func (h *handle) unregister(num int) {
	registry.Lock()
	defer registry.Unlock()
	if registry.of[h.id].handle == weak.Make(h) {
		delete(registry.of, h.id)
		_ = sys.NotifyQueueNone(num)
	}
}

// registered asks, of a queue that this process may be registered with, the descriptor of the registration. The caller holds the registry.
func (s *Status) registered(id sys.Identity) (ok bool, err error) {
	h := registry.of[id].handle.Value()
	if h == nil {
		return false, nil
	}
	err = h.fd.Control(s.read)
	return !errors.Is(err, os.ErrClosed), err
}

func (n *Notification) engine() *fd.FD {
	if n == nil {
		return nil
	}
	return &n.fd
}

func (n *Notification) fail(op string, err error) error { return fail(op, "", err) }

// Wait waits until a message has come. From then on it returns at once. When the registration has ended otherwise it fails with [ErrRemoved].
func (n *Notification) Wait(ctx context.Context) error {
	err := n.engine().Await(ctx, fd.Read, n.look)
	return n.fail("wait", err)
}

// look says how the registration has ended, or Again.
func (n *Notification) look(num int) error {
	if err := n.ask(num); err != nil {
		return err
	}
	switch n.why.Load() {
	case sys.QueueRemoved:
		return ErrRemoved
	case closing:
		return os.ErrClosed
	}
	return nil
}

// ask reads why the registration has ended, unless that is known.
func (n *Notification) ask(num int) error {
	n.reads.Lock()
	defer n.reads.Unlock()
	if n.why.Load() != 0 {
		return nil
	}
	var c sys.QueueCookie
	_, err := sys.Read(num, c[:])
	if err == nil {
		n.why.CompareAndSwap(0, uint32(c[len(c)-1]))
	}
	return err
}

// Close ends the Notification and its registration, if there still is one: mq_notify(2), close(2). It wakes whoever waits, who then fails with [os.ErrClosed]. A second Close returns [os.ErrClosed].
func (n *Notification) Close() error {
	_ = n.engine().Control(func(num int) error {
		registry.Lock()
		defer registry.Unlock()
		h := n.queue.Value()
		if h == nil || registry.of[h.id].by.Value() != n {
			return nil
		}
		delete(registry.of, h.id)
		if n.look(num) != fd.Again {
			return nil
		}
		n.why.CompareAndSwap(0, closing)
		return h.fd.Control(sys.NotifyQueueNone)
	})
	return n.fail("close", n.engine().Close())
}

// SyscallConn lends the socket out, which is readable when the registration has ended, until somebody waits: see [fildes.FD.SyscallConn].
func (n *Notification) SyscallConn() (syscall.RawConn, error) {
	c, err := n.engine().SyscallConn(n.fail)
	return c, n.fail("syscall-conn", err)
}

var errSignal = invalid("signals have numbers from 1 on")
