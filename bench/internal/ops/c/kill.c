/* A sender of signals: kill PID SIGNAL sends the signal once for each byte that it reads. */
#include <err.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	char b;
	if (argc != 3)
		errx(1, "usage: kill PID SIGNAL");
	while (read(0, &b, 1) == 1)
		if (kill(atoi(argv[1]), atoi(argv[2])))
			err(1, "kill");
}
