//go:build linux && (386 || arm || mips || mipsle)

package mqueue_test

import (
	"context"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes/internal/fdtest"
)

// A kernel before 5.1, or a filter of that time, doesn't know the calls with 64-bit times.
func TestOldTime(t *testing.T) {
	out, child, err := fdtest.InChild(t)
	if !child {
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	fdtest.Seccomp(t, fdtest.AnswerErrno(unix.ENOSYS), unix.SYS_MQ_TIMEDSEND_TIME64, unix.SYS_MQ_TIMEDRECEIVE_TIME64)
	q := newQueue(t, 1, 16)
	f, err := q.File()
	check(t, err)
	defer f.Close()
	for _, blocking := range []bool{false, true} {
		blocks(t, f, blocking)
		check(t, q.Send(t.Context(), []byte("old"), 3))
		if ok, err := q.TrySend(nil, 0); ok || err != nil {
			t.Error(ok, err)
		}
		wantNext(t, q, "old", 3)
		ctx, cancel := context.WithCancel(t.Context())
		c := fdtest.Go(t, func() error { _, _, err := q.Receive(ctx, make([]byte, 16)); return err }).Parked()
		cancel()
		wantIs(t, c.Err(), context.Canceled)
	}
}
