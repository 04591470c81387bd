//go:build linux

package doctor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes/cmd/fildes/internal/host"
	"github.com/fildes/fildes/epoll"
	"github.com/fildes/fildes/eventfd"
)

var epollKind = Kind{
	Name:         "epoll",
	About:        "a set of descriptors to wait for: epoll(7)",
	Capabilities: []host.Capability{unix.CAP_BLOCK_SUSPEND},
	Sysctls:      []string{"fs.epoll.max_user_watches"},
	Checks: []Check{
		{Name: "eventfd", What: "an eventfd: add, wait, remove", Run: epollEventFD},
		{Name: "pipe", What: "a pipe: add, wait, remove", Run: epollPipe},
		{Name: "conn", What: "a net.Conn: add, wait, remove", Run: epollConn},
		{Name: "edge", What: "edge-triggered: an event per change", Run: epollEdge},
		{Name: "one-shot", What: "one-shot: an event, armed again", Run: epollOneShot},
		{Name: "close", What: "a closed handle has left the set", Run: epollClose},
		{Name: "park", What: "a set wakes a goroutine, and back", Run: epollPark},
	},
}

// poller makes a set that the trial closes. Its values are numbers.
func (t *Trial) poller() (*epoll.Poller[int], error) {
	p, err := epoll.New[int](nil)
	if err == nil {
		t.Cleanup(func() { _ = p.Close() })
	}
	return p, err
}

// rawSet is a set to compare with.
type rawSet struct {
	num int
	buf []unix.EpollEvent
}

func (t *Trial) rawSet() (*rawSet, error) {
	n, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	return &rawSet{n, make([]unix.EpollEvent, 4)}, t.own(os.NewSyscallError("epoll_create1", err), n)
}

func (s *rawSet) control(op, fd int, events uint32) error {
	return os.NewSyscallError("epoll_ctl", unix.EpollCtl(s.num, op, fd, &unix.EpollEvent{Events: events, Fd: int32(fd)}))
}

// wait waits for one event, in the kernel if need be.
func (s *rawSet) wait() error {
	for {
		n, err := unix.EpollWait(s.num, s.buf, -1)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return os.NewSyscallError("epoll_wait", err)
		}
		return want("the number of events", n, 1)
	}
}

// one waits for one event and sees that it is the expected one.
func (t *Trial) one(p *epoll.Poller[int], dst []epoll.Event[int], value int) error {
	n, err := p.Wait(t.ctx, dst)
	if err != nil {
		return err
	}
	if err := want("the number of events", n, 1); err != nil {
		return err
	}
	if !dst[0].Events.Has(epoll.Readable) {
		return fmt.Errorf("the event is %v, not %v", dst[0].Events, epoll.Readable)
	}
	return want("the event's value", dst[0].Value, value)
}

// silent sees that the set has nothing to report.
func (t *Trial) silent(p *epoll.Poller[int]) error {
	ctx, cancel := context.WithTimeout(t.ctx, time.Millisecond)
	defer cancel()
	_, err := p.Wait(ctx, make([]epoll.Event[int], 4))
	return refused("a wait for nothing", err, context.DeadlineExceeded)
}

// roundTrip measures adding what is readable to a set, waiting for its event and removing it.
func (t *Trial) roundTrip(c syscall.Conn, raw int) error {
	p, err := t.poller()
	if err != nil {
		return err
	}
	set, err := t.rawSet()
	if err != nil {
		return err
	}
	dst := make([]epoll.Event[int], 4)
	value := 0
	t.Step("wait for the event of what was added")
	err = t.Measure(func() error {
		value++
		r, err := p.Add(c, epoll.Readable, value)
		if err != nil {
			return err
		}
		if err := t.one(p, dst, value); err != nil {
			return err
		}
		return r.Remove()
	}, func() error {
		if err := set.control(unix.EPOLL_CTL_ADD, raw, unix.EPOLLIN); err != nil {
			return err
		}
		if err := set.wait(); err != nil {
			return err
		}
		return set.control(unix.EPOLL_CTL_DEL, raw, 0)
	})
	if err != nil {
		return err
	}
	t.Step("a set from which all was removed is silent")
	return t.silent(p)
}

func epollEventFD(t *Trial) error {
	c, err := t.counter(&eventfd.Options{Initial: 1})
	if err != nil {
		return err
	}
	raw, err := t.rawEventFD(1, unix.EFD_NONBLOCK)
	if err != nil {
		return err
	}
	return t.roundTrip(c, raw)
}

func epollPipe(t *Trial) error {
	r, w, err := t.pipe()
	if err != nil {
		return err
	}
	if _, err := w.WriteContext(t.ctx, []byte{1}); err != nil {
		return err
	}
	rr, rw, err := t.rawPipe(unix.O_NONBLOCK)
	if err != nil {
		return err
	}
	if _, err := unix.Write(rw, []byte{1}); err != nil {
		return os.NewSyscallError("write", err)
	}
	return t.roundTrip(r, rr)
}

func epollConn(t *Trial) error {
	c, err := t.conn()
	if err != nil {
		return err
	}
	raw, err := t.conn()
	if err != nil {
		return err
	}
	// A duplicate is a descriptor that Go's poller doesn't know.
	f, err := raw.File()
	if err != nil {
		return err
	}
	t.Cleanup(func() { _ = f.Close() })
	if err := raw.Close(); err != nil {
		return err
	}
	n := -1
	rc, err := f.SyscallConn()
	if err != nil {
		return err
	}
	if err := rc.Control(func(fd uintptr) { n = int(fd) }); err != nil {
		return err
	}
	return t.roundTrip(c, n)
}

// conn makes a connection over loopback that has something to read.
func (t *Trial) conn() (*net.TCPConn, error) {
	t.Step("connect to ourselves over loopback")
	var lc net.ListenConfig
	l, err := lc.Listen(t.ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		var err6 error
		if l, err6 = lc.Listen(t.ctx, "tcp", "[::1]:0"); err6 != nil {
			if errors.Is(err, unix.EADDRNOTAVAIL) || errors.Is(err, unix.EAFNOSUPPORT) {
				err = &absentError{"loopback interface", err}
			}
			return nil, err
		}
	}
	defer func() { _ = l.Close() }()
	var d net.Dialer
	peer, err := d.DialContext(t.ctx, "tcp", l.Addr().String())
	if err != nil {
		if errors.Is(err, unix.ENETUNREACH) {
			err = &absentError{"loopback interface", err}
		}
		return nil, err
	}
	t.Cleanup(func() { _ = peer.Close() })
	c, err := l.Accept()
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { _ = c.Close() })
	if _, err := peer.Write([]byte{1}); err != nil {
		return nil, err
	}
	// Until it has arrived.
	t.Step("what was sent over loopback arrives")
	rc, err := c.(*net.TCPConn).SyscallConn()
	if err != nil {
		return nil, err
	}
	end, _ := t.ctx.Deadline()
	if err := c.SetReadDeadline(end); err != nil {
		return nil, err
	}
	b := make([]byte, 1)
	err = rc.Read(func(fd uintptr) bool {
		_, _, err := unix.Recvfrom(int(fd), b, unix.MSG_PEEK|unix.MSG_DONTWAIT)
		return err != unix.EAGAIN
	})
	return c.(*net.TCPConn), err
}

func epollEdge(t *Trial) error {
	c, err := t.counter(nil)
	if err != nil {
		return err
	}
	p, err := t.poller()
	if err != nil {
		return err
	}
	if _, err := p.Add(c, epoll.Readable|epoll.EdgeTriggered, 1); err != nil {
		return err
	}
	raw, err := t.rawEventFD(0, unix.EFD_NONBLOCK)
	if err != nil {
		return err
	}
	set, err := t.rawSet()
	if err != nil {
		return err
	}
	if err := set.control(unix.EPOLL_CTL_ADD, raw, unix.EPOLLIN|unix.EPOLLET); err != nil {
		return err
	}
	dst := make([]epoll.Event[int], 4)
	t.Step("wait for the event of a change")
	err = t.Measure(func() error {
		if err := c.Add(t.ctx, 1); err != nil {
			return err
		}
		return t.one(p, dst, 1)
	}, func() error {
		if err := rawAdd(raw, 1); err != nil {
			return err
		}
		return set.wait()
	})
	if err != nil {
		return err
	}
	t.Step("an edge-triggered set is silent until the next change")
	return t.silent(p)
}

func epollOneShot(t *Trial) error {
	c, err := t.counter(&eventfd.Options{Initial: 1})
	if err != nil {
		return err
	}
	p, err := t.poller()
	if err != nil {
		return err
	}
	const events = epoll.Readable | epoll.OneShot
	r, err := p.Add(c, events, 1)
	if err != nil {
		return err
	}
	raw, err := t.rawEventFD(1, unix.EFD_NONBLOCK)
	if err != nil {
		return err
	}
	set, err := t.rawSet()
	if err != nil {
		return err
	}
	if err := set.control(unix.EPOLL_CTL_ADD, raw, unix.EPOLLIN|unix.EPOLLONESHOT); err != nil {
		return err
	}
	dst := make([]epoll.Event[int], 4)
	t.Step("wait for the event of what was armed again")
	err = t.Measure(func() error {
		if err := t.one(p, dst, 1); err != nil {
			return err
		}
		return r.Modify(events)
	}, func() error {
		if err := set.wait(); err != nil {
			return err
		}
		return set.control(unix.EPOLL_CTL_MOD, raw, unix.EPOLLIN|unix.EPOLLONESHOT)
	})
	if err != nil {
		return err
	}
	if err := t.one(p, dst, 1); err != nil {
		return err
	}
	t.Step("a one-shot registration is silent after its event")
	return t.silent(p)
}

func epollClose(t *Trial) error {
	p, err := t.poller()
	if err != nil {
		return err
	}
	set, err := t.rawSet()
	if err != nil {
		return err
	}
	t.Step("close what is registered")
	err = t.Measure(func() error {
		c, err := eventfd.New(&eventfd.Options{Initial: 1})
		if err != nil {
			return err
		}
		_, err = p.Add(c, epoll.Readable, 1)
		if err := errors.Join(err, c.Close()); err != nil {
			return err
		}
		return want("the number of registrations", p.Len(), 0)
	}, func() error {
		n, err := unix.Eventfd(1, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
		if err != nil {
			return os.NewSyscallError("eventfd2", err)
		}
		err = errors.Join(set.control(unix.EPOLL_CTL_ADD, n, unix.EPOLLIN), set.control(unix.EPOLL_CTL_DEL, n, 0))
		return errors.Join(err, os.NewSyscallError("close", unix.Close(n)))
	})
	if err != nil {
		return err
	}
	t.Step("a set whose handles are closed is silent")
	return t.silent(p)
}

func epollPark(t *Trial) error {
	ping, err := t.counter(nil)
	if err != nil {
		return err
	}
	pong, err := t.counter(nil)
	if err != nil {
		return err
	}
	p, err := t.poller()
	if err != nil {
		return err
	}
	if _, err := p.Add(ping, epoll.Readable, 1); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(t.ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		dst := make([]epoll.Event[int], 4)
		for {
			if _, err := p.Wait(ctx, dst); err != nil {
				return
			}
			if _, err := ping.Wait(ctx); err != nil {
				return
			}
			if pong.Add(ctx, 1) != nil {
				return
			}
		}
	})
	t.Cleanup(func() {
		cancel()
		wg.Wait()
	})
	in, err := t.rawEventFD(0, 0)
	if err != nil {
		return err
	}
	out, err := t.rawEventFD(0, 0)
	if err != nil {
		return err
	}
	set, err := t.rawSet()
	if err != nil {
		return err
	}
	if err := set.control(unix.EPOLL_CTL_ADD, in, unix.EPOLLIN); err != nil {
		return err
	}
	t.answer(in, out, func() error {
		if err := set.wait(); err != nil {
			return err
		}
		_, err := rawTake(in)
		return err
	})
	t.Step("wait until the goroutine that waits for the set has answered")
	return t.Measure(func() error {
		if err := ping.Add(t.ctx, 1); err != nil {
			return err
		}
		_, err := pong.Wait(t.ctx)
		return err
	}, func() error {
		if err := rawAdd(in, 1); err != nil {
			return err
		}
		_, err := rawTake(out)
		return err
	})
}
