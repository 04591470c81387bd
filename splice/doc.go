// Package splice moves bytes between descriptors without copying them through the program: splice(2), tee(2), vmsplice(2),
// sendfile(2), copy_file_range(2) and the ioctls with which files share blocks.
//
// [Copy] moves all that one descriptor gives to another, by the best way that the kernel has between the two, and says which that was; a
// [Relay] does so in both directions between two connections. [Splice], [Tee], [VMSplice], [SendFile], [CopyFileRange] and [Clone] are the single ways, each for exactly what its
// system call can do.
//
//	c, err := splice.Copy(ctx, conn, file) // a *net.TCPConn and an *os.File, say
//	if err != nil {
//		// c.Unsent has what left the source and wasn't taken
//		return err
//	}
//	log.Printf("%d bytes by %v", c.Bytes, c.Way)
//
// io.Copy takes some of these ways by itself, where it finds the right types, and doesn't say so. Here they can be asked for, they
// work between any two descriptors, and a wait obeys a context and costs neither a thread nor CPU time.
//
// # Ends
//
// An end is anything that lends its descriptor: a connection of net, an [os.File], a handle of this module. A call waits for the one that isn't ready, in Go's
// poller, and obeys the deadlines and the Close of the end that it waits for; what happens to the other one it finds out when it goes on.
//
// A context ends the wait for a handle of this module, and for an end that Go's poller doesn't have (an inherited standard input, which blocks), without
// any trace. A connection of net or os can only be woken by its deadline, which can't be read back. So a context that is done while a call waits for one, or has waited,
// leaves that connection without the deadline of that direction, whatever it was before; a context that isn't done leaves it alone. A
// [syscall.Conn] of another kind, without SetReadDeadline and SetWriteDeadline, isn't woken at all: its context is looked at between waits.
//
// Package net lets one call at a time wait for a connection to be read, and one for it to be written. While another does, a context doesn't end the wait for that
// call to be over; Close does. The Close of an end that Go's poller doesn't have is noticed within a second.
//
// A terminal that blocks is written to by a description of our own (/proc/self/fd), so that nobody's O_NONBLOCK is touched and a stopped terminal (Ctrl-S) keeps no thread;
// where it can't be opened anew, a write may.
//
// Several calls may use the same end. Each system call moves its bytes as one, and those of different calls mix: nothing is lost, but
// who wants an order must keep it. The same goes for a Write of another goroutine that is half done.
//
// # What the kernel does that surprises
//
// A splice moves references to pages. What is spliced from a file may still change, if somebody writes to the file before the reader has read it.
//
// copy_file_range says of files whose size it doesn't know, such as those of /proc, that they are empty. [Copy] doesn't believe it, and reads.
//
// A file that is open for appending (O_APPEND) takes neither splice nor sendfile (EINVAL) nor copy_file_range (EBADF).
//
// A tee takes nothing out of its source: it copies the same bytes again until somebody reads them.
//
// SPLICE_F_NONBLOCK is about pipes only. An end that is a socket which somebody made blocking keeps a thread in Splice and SendFile when it takes less than it said;
// Copy reads and writes it instead.
//
// EAGAIN doesn't say which end it is about. Both are looked at, with a poll(2) that doesn't wait.
//
// # Limits
//
// One system call moves less than 2 GiB, and usually what a pipe can hold: 64 KiB, or 1 MiB for the pipes that Copy keeps. Those take at most a quarter of the pages that a user's
// pipes may have (fs.pipe-user-pages-soft, 16,384 if it is 0), and go away when they haven't been used for a second; beyond that, and where the kernel gives only tiny
// pipes, Copy reads and writes. A pipe with bytes in it is never used for anything else.
//
// No privilege is needed. splice, tee and vmsplice came with Linux 2.6.17, copy_file_range with 4.5. Splicing some files and devices (/proc, /dev/zero, terminals) came
// and went from version to version.
package splice
