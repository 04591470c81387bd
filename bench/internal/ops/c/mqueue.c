/* A ping-pong as C programs have it, over two message queues that block. mqueue ping THERE BACK sends and waits for the answer as often as each line of its
   standard input says, and then writes a line; when the input ends it sends an empty message. mqueue echo THERE BACK answers, until that one comes. */
#include <err.h>
#include <fcntl.h>
#include <mqueue.h>
#include <stdio.h>
#include <string.h>

enum { SIZE = 64 };

static char buf[SIZE];

static void ping(mqd_t there, mqd_t back)
{
	long n;
	puts("ready");
	fflush(stdout);
	while (scanf("%ld", &n) == 1) {
		for (; n > 0; n--) {
			if (mq_send(there, buf, SIZE, 0))
				err(1, "mq_send");
			if (mq_receive(back, buf, SIZE, NULL) != SIZE)
				err(1, "mq_receive");
		}
		puts("done");
		fflush(stdout);
	}
	if (mq_send(there, buf, 0, 0))
		err(1, "mq_send");
}

static void echo(mqd_t there, mqd_t back)
{
	ssize_t n;
	puts("ready");
	fflush(stdout);
	while ((n = mq_receive(there, buf, SIZE, NULL)) == SIZE)
		if (mq_send(back, buf, SIZE, 0))
			err(1, "mq_send");
	if (n)
		err(1, "mq_receive");
}

int main(int argc, char **argv)
{
	mqd_t there, back;
	int pings = argc == 4 && !strcmp(argv[1], "ping");
	if (argc != 4)
		errx(2, "usage: mqueue ping|echo THERE BACK");
	there = mq_open(argv[2], pings ? O_WRONLY : O_RDONLY);
	back = mq_open(argv[3], pings ? O_RDONLY : O_WRONLY);
	if (there == (mqd_t)-1 || back == (mqd_t)-1)
		err(1, "mq_open");
	(pings ? ping : echo)(there, back);
	return 0;
}
