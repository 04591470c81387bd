/* A listener as a C program has it: listen PATH allows each open of a file, until it is killed. */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/fanotify.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	static char buf[16384] __attribute__((aligned(8)));
	int group = fanotify_init(FAN_CLASS_CONTENT | FAN_CLOEXEC, O_RDONLY | O_LARGEFILE | O_CLOEXEC);
	if (argc != 2 || group < 0 || fanotify_mark(group, FAN_MARK_ADD, FAN_OPEN_PERM, AT_FDCWD, argv[1]))
		err(1, "fanotify");
	puts("ready");
	fflush(stdout);
	for (;;) {
		ssize_t n = read(group, buf, sizeof buf);
		struct fanotify_event_metadata *ev = (void *)buf;
		if (n < 0)
			err(1, "read");
		for (; FAN_EVENT_OK(ev, n); ev = FAN_EVENT_NEXT(ev, n)) {
			struct fanotify_response r = { ev->fd, FAN_ALLOW };
			if (write(group, &r, sizeof r) != sizeof r)
				err(1, "write");
			close(ev->fd);
		}
	}
}
