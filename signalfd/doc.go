// Package signalfd receives signals with everything that the kernel knows of them: who sent each, why, and with what value.
//
// os/signal tells that there was a SIGTERM. This package tells that process 4711 of user 0 has sent it with kill(2):
//
//	r, err := signalfd.Observe(signalfd.SIGTERM)
//	if err != nil {
//		return err
//	}
//	defer r.Close()
//	for info, err := range r.Events(ctx) {
//		if err != nil {
//			return err
//		}
//		log.Print(info) // SIGTERM: SI_USER, from process 4711 of user 0
//	}
//
// # Four ways
//
//	             signals          sent to                needs                     in order  lost when          the program's own handling
//	[Notify]     not [Reserved]   process, any thread    nothing                   no        8,192 wait         stands still
//	[Observe]    not [Reserved]   process, any thread    nothing                   no        8,192 wait         goes on
//	[NewThread]  not [Reserved]   its thread             a thread                  yes       RLIMIT_SIGPENDING  never sees them
//	[New]        [Blockable]      process, its readers   [BlockAndReexec], or a    yes       RLIMIT_SIGPENDING  never sees them
//	                                                     parent that blocks them
//
// Notify and Observe set a signal handler, of a few instructions, that writes what the kernel says into a pipe and, for Observe, goes on to the handler that was there before. New is signalfd(2)
// itself, which takes signals that are blocked. Go's runtime unblocks SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGABRT, SIGCHLD and others on each thread that it starts, so that New can never have them.
//
// # What the kernel does that surprises
//
// A standard signal that waits already isn't queued again: of ten children that end at once one SIGCHLD may tell. Real-time signals ([RT]) are queued, each with its value, up to
// RLIMIT_SIGPENDING: then sigqueue(3) fails, and a real-time signal of kill(2) is no more than a bit without a sender: [Info.Sender] says process 0 of user 0.
//
// What sigqueue(3) sends is what its sender wrote, the process and the user included, which the kernel only corrects between namespaces: [Info.Origin] says so. Only the kernel can send what [FromKernel] and [FromUser] mark.
//
// Processes are counted as the receiver's pid namespace does, and are 0 where it can't see them. A process that is started has the signals of [New] blocked too, but for what [Unblock] prepares, and starts with none
// of the handlers: where a signal was ignored, and a Receiver of Notify has it, it starts with the default action, as with os/signal.Notify. Between fork and execve(2) a child has the handler still, which then writes nothing, as its process ID
// is another; but process 1 of a container and its child in a pid namespace of its own have the same: what that child is sent in those microseconds is told to its parent.
//
// # Limits
//
// RLIMIT_SIGPENDING is how many signals of a user may wait: a sender with a value gets EAGAIN beyond it. A Receiver of Notify or Observe has a pipe of 1 MiB, which holds 8,192 records, or of a page and 32 where the user
// has many pipes (fs.pipe-user-pages-soft); what doesn't fit is counted: [Receiver.Lost]. Eight such Receivers can have one signal. Their pipes stay open, for the next one, as long as the process lives.
//
// Man pages: signal(7), signalfd(2), sigaction(2), rt_sigqueueinfo(2), kill(2), waitid(2).
package signalfd
