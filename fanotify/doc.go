// Package fanotify reports what happens to files of whole mounts and file systems, with who did it, and lets a program decide about it: fanotify(7).
package fanotify
