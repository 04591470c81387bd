//go:build linux

package doctor

import (
	"context"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes/eventfd"
)

var eventfdKind = Kind{
	Name:  "eventfd",
	About: "a counter in the kernel: eventfd(2)",
	Checks: []Check{
		{Name: "add-wait", What: "add 3, wait for the counter: 3", Run: eventfdAddWait},
		{Name: "semaphore", What: "add 1 to a semaphore, wait: 1", Run: eventfdSemaphore},
		{Name: "full", What: "a full counter takes no more", Run: eventfdFull},
		{Name: "park", What: "two goroutines wake each other", Run: eventfdPark},
		{Name: "from-file", What: "tell what a duplicate is", Run: eventfdFromFile},
	},
}

// counter makes a counter that the trial closes.
func (t *Trial) counter(opts *eventfd.Options) (*eventfd.Counter, error) {
	c, err := eventfd.New(opts)
	if err == nil {
		t.Cleanup(func() { _ = c.Close() })
	}
	return c, err
}

func eventfdAddWait(t *Trial) error {
	c, err := t.counter(nil)
	if err != nil {
		return err
	}
	raw, err := t.rawEventFD(0, unix.EFD_NONBLOCK)
	if err != nil {
		return err
	}
	t.Step("wait for the counter that was added to")
	return t.Measure(func() error {
		if err := c.Add(t.ctx, 3); err != nil {
			return err
		}
		n, err := c.Wait(t.ctx)
		if err != nil {
			return err
		}
		return want("the counter", n, 3)
	}, func() error {
		if err := rawAdd(raw, 3); err != nil {
			return err
		}
		_, err := rawTake(raw)
		return err
	})
}

func eventfdSemaphore(t *Trial) error {
	c, err := t.counter(&eventfd.Options{Initial: 2, Semaphore: true})
	if err != nil {
		return err
	}
	raw, err := t.rawEventFD(2, unix.EFD_NONBLOCK|unix.EFD_SEMAPHORE)
	if err != nil {
		return err
	}
	t.Step("wait for the semaphore that was added to")
	err = t.Measure(func() error {
		if err := c.Add(t.ctx, 1); err != nil {
			return err
		}
		n, err := c.Wait(t.ctx)
		if err != nil {
			return err
		}
		return want("what a wait takes", n, 1)
	}, func() error {
		if err := rawAdd(raw, 1); err != nil {
			return err
		}
		_, err := rawTake(raw)
		return err
	})
	if err != nil {
		return err
	}
	for _, expected := range []bool{true, true, false} {
		_, ok, err := c.TryWait()
		if err != nil {
			return err
		}
		if err := want("that there is more to take", ok, expected); err != nil {
			return err
		}
	}
	return nil
}

func eventfdFull(t *Trial) error {
	c, err := t.counter(&eventfd.Options{Initial: eventfd.Max})
	if err != nil {
		return err
	}
	raw, err := t.rawEventFD(0, unix.EFD_NONBLOCK)
	if err != nil {
		return err
	}
	if err := rawAdd(raw, eventfd.Max); err != nil {
		return err
	}
	err = t.Measure(func() error {
		ok, err := c.TryAdd(1)
		if err != nil {
			return err
		}
		return want("that the counter takes more", ok, false)
	}, func() error { return refused("write", rawAdd(raw, 1), unix.EAGAIN) })
	if err != nil {
		return err
	}
	t.Step("an add waits until the counter is taken")
	added := make(chan error, 1)
	go func() { added <- c.Add(t.ctx, 1) }()
	n, err := c.Wait(t.ctx)
	if err == nil {
		err = want[uint64]("the counter", n, eventfd.Max)
	}
	if err := <-added; err != nil {
		return err
	}
	return err
}

func eventfdPark(t *Trial) error {
	ping, err := t.counter(nil)
	if err != nil {
		return err
	}
	pong, err := t.counter(nil)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(t.ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
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
	t.answer(in, out, func() error {
		_, err := rawTake(in)
		return err
	})
	t.Step("wait until the other goroutine has woken up and answered")
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

func eventfdFromFile(t *Trial) error {
	c, err := t.counter(&eventfd.Options{Initial: 1, Semaphore: true})
	if err != nil {
		return err
	}
	f, err := c.File()
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	t.Step("ask what the duplicate is")
	return t.Measure(func() error {
		d, err := eventfd.FromFile(f)
		if err != nil {
			return err
		}
		defer func() { _ = d.Close() }()
		semaphore, err := d.Semaphore()
		if err != nil {
			return err
		}
		return want("that it is a semaphore", semaphore, true)
	}, nil)
}
