/* A ping-pong as C programs have it, over two message queues that block. mqueue ping THERE BACK sends and waits for the answer as often as each line of its
   standard input says, and then writes a line; when the input ends it sends an empty message. mqueue echo THERE BACK answers, until that one comes. With a
   fourth argument they wait in epoll_wait instead, as a program does that waits for more than one thing. */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>

enum { SIZE = 64 };

static char buf[SIZE];
static int set = -1;

static void watch(mqd_t q)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLET };
	set = epoll_create1(EPOLL_CLOEXEC);
	if (set < 0 || epoll_ctl(set, EPOLL_CTL_ADD, q, &ev))
		err(1, "epoll");
}

static ssize_t receive(mqd_t q)
{
	for (;;) {
		struct epoll_event ev;
		ssize_t n = mq_receive(q, buf, SIZE, NULL);
		if (n >= 0 || set < 0 || errno != EAGAIN)
			return n;
		if (epoll_wait(set, &ev, 1, -1) < 0)
			err(1, "epoll_wait");
	}
}

static void ping(mqd_t there, mqd_t back)
{
	long n;
	puts("ready");
	fflush(stdout);
	while (scanf("%ld", &n) == 1) {
		for (; n > 0; n--) {
			if (mq_send(there, buf, SIZE, 0))
				err(1, "mq_send");
			if (receive(back) != SIZE)
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
	while ((n = receive(there)) == SIZE)
		if (mq_send(back, buf, SIZE, 0))
			err(1, "mq_send");
	if (n)
		err(1, "mq_receive");
}

int main(int argc, char **argv)
{
	mqd_t there, back;
	int pings = argc >= 4 && !strcmp(argv[1], "ping"), flags = argc == 5 ? O_NONBLOCK : 0;
	if (argc != 4 && argc != 5)
		errx(2, "usage: mqueue ping|echo THERE BACK [epoll]");
	there = mq_open(argv[2], (pings ? O_WRONLY : O_RDONLY) | flags);
	back = mq_open(argv[3], (pings ? O_RDONLY : O_WRONLY) | flags);
	if (there == (mqd_t)-1 || back == (mqd_t)-1)
		err(1, "mq_open");
	if (argc == 5)
		watch(pings ? back : there);
	(pings ? ping : echo)(there, back);
	return 0;
}
