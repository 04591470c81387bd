//go:build linux

package mqueue_test

import (
	"fmt"
	"os/exec"
	"testing"
)

const sendInC = `
#include <fcntl.h>
#include <mqueue.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
int main(int argc, char **argv) {
	char text[32];
	mqd_t q = mq_open(argv[1], O_WRONLY);
	if (q == (mqd_t)-1) {
		perror("mq_open");
		return 1;
	}
	for (int i = 0; i < atoi(argv[2]); i++) {
		snprintf(text, sizeof text, "message %d", i);
		if (mq_send(q, text, strlen(text), i % 5) != 0) {
			perror("mq_send");
			return 1;
		}
	}
	return 0;
}
`

const receiveInC = `
#include <fcntl.h>
#include <mqueue.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
int main(int argc, char **argv) {
	char text[33];
	struct mq_attr a = {.mq_maxmsg = 2, .mq_msgsize = 32};
	mqd_t q = mq_open(argv[1], O_RDONLY | O_CREAT | O_EXCL, 0600, &a);
	if (q == (mqd_t)-1) {
		perror("mq_open");
		return 1;
	}
	puts("ready");
	fflush(stdout);
	for (int i = 0; i < atoi(argv[2]); i++) {
		unsigned priority;
		ssize_t n = mq_receive(q, text, 32, &priority);
		if (n < 0) {
			perror("mq_receive");
			return 1;
		}
		text[n] = 0;
		printf("%s %u\n", text, priority);
		fflush(stdout);
	}
	return 0;
}
`

// A Go receiver for a C sender, which blocks while the queue is full.
func TestCSender(t *testing.T) {
	const count = 200
	q := newQueue(t, 3, 32)
	cmd := exec.CommandContext(bounded(t), compiled(t, sendInC), q.Name(), fmt.Sprint(count))
	line, end := talking(t, cmd)
	_ = line
	seen := make(map[string]int)
	for m, err := range openReceiver(t, q.Name()).Messages(bounded(t)) {
		check(t, err)
		seen[string(m.Data)] = m.Priority
		if len(seen) == count {
			break
		}
	}
	end()
	for i := range count {
		if p, ok := seen[fmt.Sprint("message ", i)]; !ok || p != i%5 {
			t.Errorf("message %d: %t, %d", i, ok, p)
		}
	}
	wantCount(t, q, 0)
}

// And the other way, with a queue that C has made.
func TestCReceiver(t *testing.T) {
	const count = 200
	name := newName(t)
	line, end := talking(t, exec.CommandContext(bounded(t), compiled(t, receiveInC), name, fmt.Sprint(count)))
	if got := line(); got != "ready" {
		t.Fatal(got)
	}
	s := openSender(t, name)
	for i := range count {
		check(t, s.Send(bounded(t), fmt.Append(nil, "message ", i), 7))
	}
	for i := range count {
		if got := line(); got != fmt.Sprintf("message %d 7", i) {
			t.Error(got)
		}
	}
	end()
}
