// Package fildes gives Linux file descriptors a safe, typed and goroutine-friendly API. This package is the core; each kind of
// descriptor has a package of its own beside it, named for its man page: eventfd, timerfd, epoll, pipe, splice.
//
// An [FD] owns one descriptor of a kind that no package knows: a device, say. Its promise is the promise of every handle in
// this module:
//
//   - Nothing outlives its descriptor. A number is used only while a reference is held, so that a handle that is closed while
//     others use it can never act on the stranger that got the number next.
//   - Every wait is a goroutine's wait, not a thread's, and obeys a context, a deadline and Close. Ending one wait doesn't
//     disturb another, nor change a deadline.
//   - Nothing is lost and nothing is hidden: short writes, overflow and what the kernel lacks are visible in the results.
//
// A sensor that speaks through a character device is read like this:
//
//	n, err := unix.Open("/dev/sensor0", unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
//	if err != nil {
//		return err
//	}
//	dev, err := fildes.Adopt(n, "/dev/sensor0")
//	if err != nil {
//		return err
//	}
//	defer dev.Close()
//	k, err := dev.ReadContext(ctx, buf)
//
// # What the kernel does that surprises
//
// O_NONBLOCK isn't a property of a descriptor but of the open file description behind it, which duplicates and other processes
// share. So [Adopt] and [FromFile] open pipes, FIFOs and terminals anew; what can't be opened anew (a socket, an anonymous
// object) has the flag set for everybody who shares it, and while another process clears it, calls here block a thread.
//
// At RLIMIT_NOFILE nothing here fails otherwise than with an error, but Go's poller needs descriptors of its own: a program that is at its limit when it first
// waits or starts a timer is ended by the runtime.
//
// # What this module doesn't do
//
// It runs on Linux only. Elsewhere this package is empty, and only the pure decoders of the packages beside it build.
//
// The man pages are open(2), read(2), readv(2), fcntl(2), close(2) and epoll(7).
package fildes
