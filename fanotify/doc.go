// Package fanotify is about being told what happens to files, by whom, on whole mounts and file systems, and about deciding whether it may: fanotify(7).
//
// A [Group] has marks, on files, mounts or file systems, and a queue of events. What an event tells is chosen when the group is made: an open descriptor of its file, or file handles and
// names ([Options.Report]). This prints the path of every file that somebody finishes writing on a file system:
//
//	g, err := fanotify.New(&fanotify.Options{Report: fanotify.ReportDirFIDName})
//	if err != nil {
//		return err
//	}
//	defer g.Close()
//	if err := g.Mark(fanotify.Filesystem, "/srv", fanotify.CloseWrite, 0); err != nil {
//		return err
//	}
//	for ev, err := range g.Events(ctx) {
//		if err != nil {
//			return err
//		}
//		path, err := ev.Path()
//		switch {
//		case errors.Is(err, fanotify.ErrStale):
//			continue // it is gone already
//		case err != nil:
//			return err
//		}
//		fmt.Println(ev.Mask, path, ev.PID)
//	}
//
// # Permission events
//
// A group of the class [Content] or [PreContent] can ask for OpenPerm, AccessPerm, OpenExecPerm and PreAccess: whoever does such a thing waits until the group has answered, and can be killed
// meanwhile, but not interrupted. So a handler that panics, forgets an event, or opens a file that its own group guards, could hang the machine. Here it can't:
//
//   - An event is answered once, by the first of [Event.Allow], [Event.Deny] and their like on any copy of it; the others get [ErrAnswered].
//   - An event that ends unanswered (closed, forgotten, its loop left or panicked through, its batch read into again, its group closed) gets [Options.Default].
//   - So does an event that waits longer than [Options.Within], whatever the handler does, also if nobody reads.
//   - What this process itself does is allowed at once, and isn't handed out, unless [Options.AskOwn] is set; also while nobody reads, for instance because the only goroutine that does waits for it: then it
//     takes some tens of milliseconds. To know of it the group reads ahead; of what nobody reads for long it keeps 512 events, and Overflow for the rest.
//
// What is left to the program:
//
//   - Don't start programs, by os/exec or otherwise, whose files the process itself guards with OpenPerm, OpenExecPerm or AccessPerm, their interpreters and libraries included: until a child has
//     executed its program, Go's runtime can't stop the goroutine that starts it, and the child waits for an answer that then nobody can give. Start helpers before marking, or ignore their files.
//   - Other processes that the decider waits for, such as a logger that opens files, wait for it like any. So does a helper of core_pattern when the decider crashes.
//   - To look into the file, use the event ([Event.ReadAt], [Event.Take]), which makes no further events.
//   - A decider that is stopped (SIGSTOP, a debugger, a frozen cgroup) holds everybody up. When it ends, or is killed, the kernel allows what waits, whatever Default says.
//   - While descriptors are used up, the kernel denies: it can't show the file ([Event.Err]).
//
// # What the kernel does that surprises
//
// Events of one object that nobody has read are joined into one, with all bits: Create and Delete in one event say nothing about the order. Permission events aren't joined. A mark on a directory reports
// its entries only with [OnChild], and directories only with [OnDir]. A Mount mark doesn't report Create, Delete and renames; a Filesystem mark does, and sees what containers do, through whatever mount.
//
// An event about an entry has the directory's handle and the name ([Event.Entry]); that path is about the past when it is read. A handle names a file as long as that exists; [HandleOf] tells the handle of
// a path, without any right, so that a group which may not open handles can know what it watches. FUSE and others have no handles, or no id of the file system: Mark says so.
//
// PID is a number that may be another's by now: [ReportPIDFD] gives a descriptor of the process. Memory mappings, and what other machines do to a network file system, make no events.
//
// # Rights
//
// Everything but the following needs CAP_SYS_ADMIN in the first user namespace: since Linux 5.13 anybody can make a group of the class Notify that reports FID, or DirFID and Name, and mark Inode; it isn't told who did it,
// but for this process itself. Paths from handles need CAP_DAC_READ_SEARCH, [Options.Audit] CAP_AUDIT_WRITE.
//
// # Limits
//
// A user has at most fs.fanotify.max_user_groups groups (128, usually) and fs.fanotify.max_user_marks marks; at most fs.fanotify.max_queued_events events wait for a group, the rest is lost, and
// Overflow says so. fanotify came with Linux 2.6.37; what came later says when, and is an error that names it where the kernel doesn't have it.
//
// The man pages are fanotify(7), fanotify_init(2), fanotify_mark(2), open_by_handle_at(2).
package fanotify
