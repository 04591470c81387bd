/* The loops that a C program has: move NAME moves descriptor 3 to descriptor 4, to the end. It begins when its standard input ends. */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

enum { IN = 3, OUT = 4, ROOM = 1 << 20 };

static void through_pipe(void)
{
	int p[2];
	if (pipe(p) || fcntl(p[0], F_SETPIPE_SZ, ROOM) < 0)
		err(1, "pipe");
	for (;;) {
		ssize_t n = splice(IN, NULL, p[1], NULL, ROOM, SPLICE_F_MOVE);
		if (n < 0)
			err(1, "splice");
		if (n == 0)
			return;
		while (n > 0) {
			ssize_t k = splice(p[0], NULL, OUT, NULL, n, SPLICE_F_MOVE);
			if (k <= 0)
				err(1, "splice");
			n -= k;
		}
	}
}

static void all(ssize_t (*move)(void))
{
	ssize_t n;
	while ((n = move()) > 0)
		;
	if (n < 0)
		err(1, "move");
}

static ssize_t send_file(void) { return sendfile(OUT, IN, NULL, 0x7ffff000); }
static ssize_t copy_range(void) { return copy_file_range(IN, NULL, OUT, NULL, 0x7ffff000, 0); }

int main(int argc, char **argv)
{
	const char *name = argc == 2 ? argv[1] : "";
	char c;
	if (read(0, &c, 1) < 0)
		err(1, "read");
	if (!strcmp(name, "splice"))
		through_pipe();
	else if (!strcmp(name, "sendfile"))
		all(send_file);
	else if (!strcmp(name, "copy_file_range"))
		all(copy_range);
	else
		errx(2, "usage: move splice|sendfile|copy_file_range");
	return 0;
}
