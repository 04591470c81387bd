// Package pidfd holds processes by descriptors, which mean one process for ever, while a number may mean another one as soon as its process has been reaped.
//
//	cmd := exec.Command("make", "-j8")
//	p, err := pidfd.Start(cmd)
//	if err != nil {
//		return err
//	}
//	defer p.Close()
//	state, err := p.Wait(ctx) // takes no thread; so could a thousand others
//	if ctx.Err() != nil {
//		_ = p.Signal(signalfd.SIGTERM) // of this process, or of none
//	}
//	...
//	err = cmd.Wait() // which doesn't wait for the process any more
//
// A [Process] is made of a number ([Open]), a command ([Start]), what os knows ([FromProcess]), or a descriptor that a socket, fanotify or another process has given ([FromFile]). It can be waited for, signalled and asked,
// gives its descriptors and namespaces to those who may trace it, and can be compared with others.
//
// # Who is told, and who reaps
//
// A process that has ended leaves its number and its exit status until its parent has waited for it: that is reaping.
//
//	of                   a child that has ended       one that was reaped             another's child
//	Process.Wait         how, and leaves it           how (Linux 6.15), or only that  how, if it may be traced or was reaped (Linux 6.15), or only that
//	Process.Reap         how, and reaps it            the same                        refused: it is its parent's
//	Process.Signal       goes nowhere                 refused: it is done             goes nowhere
//	os.Process.Wait      how, and reaps it            refused: no child               refused: no child
//
// Where SIGCHLD is ignored the kernel reaps a child at its end, and it is as one that was reaped.
//
// What this Process itself has reaped it remembers, whatever the kernel.
//
// # What the kernel does that surprises
//
// A process has ended when its last thread has, whenever the one that leads it did. What a thread's Process ([OpenThread]) waits for is that thread; of the one that leads others it is, since Linux 6.15, the last of them, because until
// then each may call execve(2) and take its place.
//
// A pidfd's O_NONBLOCK is for waitid(2), which then fails with EAGAIN instead of waiting, and is shared by all who have the description, os.Process too. A Process leaves it alone: it opens the process anew. Where that can't be done, because
// the process has been reaped already, it waits in an epoll set of its own.
//
// A process in a pid namespace that this one doesn't see has no number here. It can be waited for, but not signalled, and how it has ended isn't told once it is reaped.
//
// # Limits
//
// A Process is one descriptor (RLIMIT_NOFILE), and one more while it waits apart. How many processes there can be: RLIMIT_NPROC, kernel.pid_max, and the cgroup's pids.max.
//
// Man pages: pidfd_open(2), pidfd_send_signal(2), pidfd_getfd(2), waitid(2), setns(2), namespaces(7), credentials(7), PIDFD_GET_INFO of ioctl_pidfd(2).
package pidfd
