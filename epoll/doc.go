// Package epoll waits for many descriptors at once: epoll(7).
//
// A [Poller] is a set of registrations, each of which says for which conditions of which descriptor to look, and carries a value of
// the program's. [Poller.Wait] waits until something is ready and returns a batch of events, with the values. The wait is a
// goroutine's: the set itself waits in Go's poller, and no thread sleeps in the kernel.
//
//	p, err := epoll.New[*session](nil)
//	if err != nil {
//		return err
//	}
//	defer p.Close()
//	if _, err := p.Add(conn, epoll.Readable|epoll.ReadHangup, s); err != nil {
//		return err
//	}
//	for ev, err := range p.Events(ctx) {
//		if err != nil {
//			return err
//		}
//		ev.Value.handle(ev.Events)
//	}
//
// Most programs don't need it. A goroutine per connection is simpler, and faster, as long as most connections are busy or there are
// few of them: each has its own stack to keep its state on. A Poller pays where very many descriptors are mostly idle (a registration
// takes a few hundred bytes, a goroutine that waits a few thousand), where one loop must own all the state, and for conditions that Go's poller doesn't know:
// out-of-band data, edge-triggered readiness of a descriptor that somebody else reads, the hang-up of a peer without reading.
//
// # Events can't go stale
//
// The kernel ties a registration to the open file description, not to the number, and goes on reporting a connection that was closed
// while a duplicate of it lives. A Poller tells its registrations apart by a generation, so that an event never carries the value
// of another registration, whatever became of the number. Handles of this module leave the set when they are closed. A net.Conn
// or an os.File should be removed before it is closed; one that was closed first, while a duplicate lives, can't be taken out of the
// set any more: the first event of it that comes after [Registration.Remove] makes the Poller move to a new set. Edge-triggered registrations may
// then report a state once more.
//
// # What the kernel does that surprises
//
// Error and Hangup are always reported. What is reported when a peer goes away depends on the kind (the events in brackets are there
// if they were asked for):
//
//	                                   Readable  ReadHangup  Hangup  Error
//	TCP, peer closed or CloseWrite        [x]        [x]
//	TCP, both sides shut down             [x]        [x]        x
//	TCP, reset by peer                    [x]        [x]        x      x
//	Unix stream, peer CloseWrite          [x]        [x]
//	Unix stream, peer closed              [x]        [x]        x
//	Unix seqpacket, peer closed           [x]        [x]        x
//	pipe, read end, last writer closed                          x
//	pipe, write end, last reader closed                                x
//	pseudo-terminal, terminal closed                            x
//	pseudo-terminal, master closed        [x]                   x      x
//
// [Events.PeerClosed], [Events.HungUp] and [Events.Failed] ask for them. A socket of a stream that isn't connected yet, nor listening, reports
// Hangup as well: add it after connect(2) has begun.
//
// A connection of net or os stays in Go's own poller too: each edge wakes both, and so [Exclusive] is useless on it, and a goroutine in
// its Read competes with whoever handles the event. A registration with [OneShot] is silent after its event until [Registration.Modify],
// with the same events, arms it again.
//
// A regular file or a directory is always ready and is refused (EPERM). A set may be in another set, five deep, without a loop (ELOOP). Go's
// poller is one of the five, which shows when a Wait has to wait for the first time: it then fails with ELOOP.
//
// # Limits
//
// Each registration counts against the user's fs.epoll.max_user_watches, and takes about 160 bytes of kernel memory; the set is one
// descriptor. Moving to a new set takes both twice for a moment: a Wait that can't have them fails, and the next one tries again. No privilege is needed, but for [WakeUp]. epoll_create1(2) came with Linux 2.6.27.
package epoll
