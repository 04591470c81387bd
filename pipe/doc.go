// Package pipe is about pipes, FIFOs and the standard streams: pipe(7), fifo(7), stdin(3).
//
// A pipe is a buffer in the kernel with two ends: what is written into one comes out of the other, in the same order. [New] makes one for goroutines
// and children of this program. A FIFO is a pipe with a name in the file system, for processes that don't know each other: [MakeFIFO] makes the name,
// [OpenReader] and [OpenWriter] open the ends, each of which waits for the other. [Stdin], [Stdout] and [Stderr] are the program's own streams, which are
// often pipes.
//
//	r, w, err := pipe.New(nil)
//	if err != nil {
//		return err
//	}
//	defer r.Close()
//	out, err := w.Inherit() // blocking, for the child; w stays as it is
//	if err != nil {
//		return err
//	}
//	cmd.Stdout = out
//	err = cmd.Start()
//	out.Close()
//	w.Close() // so that the end of the stream comes when the child ends
//	n, err := r.ReadContext(ctx, buf)
//
// A Reader's end of stream is io.EOF, bare. A Writer that nobody reads gets EPIPE. What was closed here is os.ErrClosed.
//
// # Packets
//
// In packet mode (O_DIRECT) each write of up to a page is a packet of its own, and a read takes one. That is for datagrams between processes, without
// sockets. A longer write is several packets. The kernel cuts a packet to the reader's buffer without a word; a [Reader] in packet mode gives a
// [TruncatedError]. A Reader that isn't in packet mode, whose Writer is, can't know. Small packets use a page each, so that a pipe of 16 pages has
// room for 16 of them.
//
// # What the kernel does that surprises
//
// Up to PIPE_BUF (4,096) bytes are written in one piece; more may be mixed with what other processes write. A pipe may be full, and a write wait, though it
// holds fewer bytes than [Reader.Size] says: it counts pages, and a page that is half read or was half filled counts whole.
//
// Opening a FIFO waits for the other side, in a thread; opening it without waiting, for reading, succeeds, and the first read then says that the stream is
// at its end, because nobody writes yet. OpenReader waits without a thread. When the last writer has gone each read says that the stream is at its end, at once:
// a server that goes on with the next client wants [OpenOptions].Survive, or to open anew.
//
// A Writer with Survive needs no reader, and notices none: the FIFO fills up, after which writes wait until their context or deadline ends them.
//
// An O_NONBLOCK that one process sets on its standard input is seen by all that share it: the shell, siblings, children. So those streams are opened
// anew. Neither a socket nor a device can be, and they are refused.
//
// Writing to a broken pipe raises SIGPIPE. The Go runtime ignores it, but for descriptors 1 and 2 as package os writes to them; [Stdout] and [Stderr] do as os does.
//
// A waiting open is noticed by inotify, in one instance for all that wait, and in between holds one descriptor; the first also holds two for a pipe. Where inotify's limits
// (fs.inotify.max_user_instances, fs.inotify.max_user_watches) are met, it looks every 50 milliseconds instead.
//
// # Limits
//
// Each end is a descriptor (RLIMIT_NOFILE, fs.file-max). A pipe holds 16 pages at first, and up to fs.pipe-max-size bytes (1 MiB) without CAP_SYS_RESOURCE; all
// pipes of a user fs.pipe-user-pages-soft pages, beyond which new ones hold two pages or one, and fs.pipe-user-pages-hard. No privilege is needed. Packet mode came with Linux
// 3.4.
//
// The man pages are pipe(7), pipe(2), fifo(7), mkfifo(3), fcntl(2) and splice(2).
package pipe
