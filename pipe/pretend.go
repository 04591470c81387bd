//go:build linux

package pipe

import (
	"context"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes/internal/fd"
	"github.com/fildes/fildes/internal/sys"
)

// A FIFO is opened for writing only if somebody reads it. A writer that is to wait holds the end that writes nonetheless, and so is a reader too while it
// opens that. Others that wait mustn't take it for one.

// pretending is held meanwhile, against the others of this process.
var pretending sync.RWMutex

// moment is longer than one pretends, unless one's processor is taken away.
const moment = time.Millisecond

// patience is how long one waits for another process that pretends, or asks. Whoever has a FIFO's name for so long does neither.
const patience = time.Second

// pretend runs open while the FIFO, which num is a descriptor of, has a reader.
func pretend(ctx context.Context, num int, open func() error) error {
	file, err := sys.Stat(num)
	if err != nil {
		return err
	}
	release, err := claim(ctx, &file)
	if err != nil {
		return err
	}
	defer release()
	pretending.Lock()
	defer pretending.Unlock()
	both, err := sys.Reopen(num, unix.O_RDWR|unix.O_NONBLOCK)
	if err != nil {
		return err
	}
	err = open()
	_ = sys.Close(both)
	return err
}

// isReader says whether who look sees is a reader, and doesn't pretend: is there for a moment, and still when nobody can pretend who shares our network
// namespace.
func isReader(ctx context.Context, file *unix.Stat_t, look func() (bool, error)) (bool, error) {
	if there, err := look(); !there || err != nil {
		return false, err
	}
	if err := sleep(ctx, moment); err != nil {
		return false, err
	}
	release, err := claim(ctx, file)
	if err != nil {
		return false, err
	}
	defer release()
	return look()
}

// claim keeps the processes of our network namespace from pretending until its result is called. It does so by an abstract Unix socket, which
// leaves nothing behind, needs no permission, and is let go of by whoever is killed. Where it can't be had there is only time to go by.
func claim(ctx context.Context, file *unix.Stat_t) (release func(), err error) {
	name := fmt.Sprintf("fildes/fifo/%d:%d/%d", unix.Major(uint64(file.Dev)), unix.Minor(uint64(file.Dev)), file.Ino)
	end := time.Now().Add(patience)
	for pause := 50 * time.Microsecond; ; pause = min(2*pause, moment) {
		num, taken, err := sys.Claim(name)
		switch {
		case err == nil:
			return func() { _ = sys.Close(num) }, nil
		case !taken || time.Now().After(end):
			return func() {}, nil
		}
		if err := sleep(ctx, pause); err != nil {
			return nil, err
		}
	}
}

// isReadOn says whether somebody reads the pipe of which num is the end that writes: else that is in error.
func isReadOn(num int) (bool, error) {
	pretending.RLock()
	defer pretending.RUnlock()
	got, err := sys.Poll(num, unix.POLLOUT)
	return got&unix.POLLERR == 0, err
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return fd.ContextError(ctx)
	}
}
