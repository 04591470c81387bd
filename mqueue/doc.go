// Package mqueue is about POSIX message queues: mq_overview(7).
//
// A queue holds messages that processes send to each other, whole, each with a priority; those of the highest priority are received first, and of these the oldest. It has a name, like "/jobs", and stays with its messages until it's unlinked or the
// system goes down. Each message goes to one receiver.
//
//	r, err := mqueue.OpenReceiver("/jobs", &mqueue.Options{Create: true, MaxMessages: 10, MessageSize: 1024})
//	if err != nil {
//		return err
//	}
//	defer r.Close()
//	for m, err := range r.Messages(ctx) {
//		if err != nil {
//			return err
//		}
//		work(m.Data, m.Priority)
//	}
//
// [OpenSender], [OpenReceiver] and [Open] give handles for one direction or both. Their calls are system calls, without cgo and without a C library, whose names for queues they share: a program in C that calls mq_open("/jobs") has the same queue. Waiting takes
// no thread.
//
// # What the kernel does that surprises
//
// A receiver must have room for the longest message that the queue allows, whatever is in it: [SizeError] says how much that is. To read(2) a queue isn't its messages but a line about it: [Receiver.Status].
//
// Names are no paths. They have one slash, at the beginning; the system call wants them without, the C library and this package with it. They belong to an IPC namespace, of which containers have their own: see ipc_namespaces(7). What a process has open stays open when it moves to another one.
//
// What a queue has room for is fixed when it's made. Who opens it with Create gets it as it is, and [Sender.Attr] says how.
//
// A queue that is unlinked while somebody has it open goes on for them, as an unlinked file does. A new queue of that name is another one, which they don't see.
//
// Who waits in mq_receive(3) is given a message before who waits as Go does, or with poll(2) or epoll(7): the kernel hands it over without its ever being in the queue. Several that wait as Go does are all woken by a message, and one gets it.
//
// A full queue makes its senders wait, also for messages of a higher priority than those in it. A process that is killed between receiving a message and working on it has taken that message with it.
//
// # Limits
//
// Without CAP_SYS_RESOURCE a queue has room for fs.mqueue.msg_max (10) messages of fs.mqueue.msgsize_max (8,192) bytes, and an IPC namespace fs.mqueue.queues_max (256) queues. Also with it, all queues of a user take up to RLIMIT_MSGQUEUE (819,200) bytes, for messages that aren't there, too: some ten
// queues as they are by default. Errors name the limit and its value, and [ReadLimits] has all of them. The kernel may have been built without queues (CONFIG_POSIX_MQUEUE), as Android's is: a [fildes.UnsupportedError] then.
//
// The man pages are mq_overview(7), mq_open(3), mq_send(3), mq_receive(3), mq_getattr(3), mq_notify(3) and mq_unlink(3).
package mqueue
