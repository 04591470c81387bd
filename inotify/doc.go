// Package inotify is about being told what happens to files: inotify(7).
//
// A [Watcher] watches files and directories, of which the kernel then queues events: that a file was written, closed, renamed, that an entry of a directory was made
// or removed. [Tree] watches directories with all that is below them, and keeps their paths right.
//
//	w, err := inotify.New(nil)
//	if err != nil {
//		return err
//	}
//	defer w.Close()
//	if _, err := w.Add("/etc", inotify.CloseWrite|inotify.MovedTo, inotify.OnlyDir); err != nil {
//		return err
//	}
//	for ev, err := range w.Events(ctx) {
//		if err != nil {
//			return err
//		}
//		fmt.Println(ev.Mask, ev.Name)
//	}
//
// # What the kernel does that surprises
//
// It is a file that is watched, and not a path: hard links and bind mounts of it share one watch, a second Add replaces the first one's mask, and a file that is renamed is still watched, under
// the name that its events had before. An editor that saves by renaming puts another file in its place, and so removes the watch (Attrib, DeleteSelf, Ignored). So watch the directory, and look
// at names.
//
// A directory's watch reports its entries, not what is below them. DeleteSelf comes when the last link and the last descriptor are gone: until then a file
// that was deleted reports Attrib. Ignored is the last event of every watch, whoever removes it.
//
// Two equal events in a row become one, if nobody has read the first. At most fs.inotify.max_queued_events wait; the rest is lost, and Overflow says so: whoever must know then
// has to look at everything again, as Tree does.
//
// A rename is two events with one cookie, MovedFrom and MovedTo, of which one is missing where the other directory isn't watched: a [Pairer] joins them. Events
// don't say who did it. There are none of what other machines do to a network file system, of memory mappings, and in /proc and /sys.
//
// Renaming and removing is reported in the order in which it was done to a directory; but a path that is built from an event is about the past, and may lead to
// something else by now.
//
// # Limits
//
// A user has at most fs.inotify.max_user_instances Watchers (128, usually) and fs.inotify.max_user_watches watches, each of which takes about 1 KiB of the kernel's memory on 64-bit machines. An
// event needs 16 bytes, and its name up to 256 more. A Watcher is a descriptor (RLIMIT_NOFILE). No privilege is needed but permission to read what is watched. inotify came with Linux 2.6.13.
//
// The man pages are inotify(7), inotify_init1(2), inotify_add_watch(2), inotify_rm_watch(2).
package inotify
