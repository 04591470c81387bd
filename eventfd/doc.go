// Package eventfd counts events between goroutines and processes: eventfd(2).
//
// An eventfd is a counter of 64 bits that the kernel keeps. [Counter.Add] adds to it, [Counter.Wait] waits until it isn't zero and
// takes its value, which leaves zero. It is the cheapest thing that one side can wait for in an epoll set while the other side, a
// kernel interface, another process or another goroutine, wakes it; that nobody gets a message, only a number, is why any number
// of wake-ups costs the same.
//
//	c, err := eventfd.New(nil)
//	if err != nil {
//		return err
//	}
//	defer c.Close()
//	go func() {
//		for range jobs {
//			c.Add(ctx, 1)
//		}
//	}()
//	n, err := c.Wait(ctx) // how many jobs since the last time
//
// A counter in semaphore mode gives its value away one by one: each Wait takes 1.
//
// # What the kernel does that surprises
//
// The largest value is 2^64-2. (The kernel itself, which can't wait, may make it 2^64-1 when it signals through a counter that is full: the
// descriptor then reports an error to epoll, and Wait returns that value.) An Add that would pass it waits until somebody takes the value, though the descriptor says that it is
// writable as long as 1 can be added. Adding zero is allowed, changes nothing, and still wakes an edge-triggered epoll set. In an
// edge-triggered set each Add is an edge, so that nobody has to read until EAGAIN. A counter that is shared with another process
// is one counter: what one takes the others don't get.
//
// # Limits
//
// A counter is one descriptor (RLIMIT_NOFILE, fs.file-max) and needs no privilege. eventfd2(2) came with Linux 2.6.27.
package eventfd
