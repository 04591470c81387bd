//go:build linux

package pipe

import "io/fs"

// Options are the options of [New]; nil means the zero value, which is a stream of bytes of the kernel's usual size.
type Options struct {
	// Size is how many bytes the pipe is to hold at least, which the kernel rounds up to a power of two of pages; 0 leaves it at
	// what the kernel gives, usually 16 pages. See [Writer.SetSize].
	Size int
	// Packet makes each Write of up to a page one packet, which one Read takes (O_DIRECT). See the package's documentation.
	Packet bool
}

// OpenOptions are the options of [OpenReader] and [OpenWriter]; nil means the zero value, which opens a FIFO that exists and waits for the other
// side.
type OpenOptions struct {
	// NoWait opens at once or not at all. A Reader is opened in any case, and reads the end of the stream until somebody writes; a Writer
	// whom nobody reads isn't: the error is [ErrNoReader].
	NoWait bool
	// Survive makes the handle hold the other end too (O_RDWR), so that it opens at once and outlives everybody on the other side: a
	// Reader never reads the end of the stream, and a Writer never fails because nobody reads. What it then writes stays in the FIFO until
	// somebody reads it, or until the last handle is closed, and is lost then; when the FIFO is full it waits. It needs the permissions to
	// read and to write, and everybody else sees both a reader and a writer.
	Survive bool
	// Packet makes each Write of up to a page one packet (O_DIRECT), and a Reader report a packet that was cut. Both sides must have it: of what a writer without it writes, a Reader with it loses what doesn't fit
	// into its buffer.
	Packet bool
	// Create makes the FIFO if the name doesn't exist, as [MakeFIFO] does, with Perm.
	Create bool
	// Perm is what Create makes the FIFO with, whatever the umask is. Zero is 0600.
	Perm fs.FileMode
	// RemoveOnClose makes Close remove the FIFO if Create made it, and if its name is still this FIFO's: with a FIFO that was there before, or that
	// has been put in its place since, nothing is done. A failed open removes what it made, too. It needs Create.
	RemoveOnClose bool
}
