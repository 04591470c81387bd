//go:build linux

package pipe

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes/internal/fd"
	"github.com/fildes/fildes/internal/sys"
)

// A FIFO is opened for writing only if somebody reads it. A writer that is to wait holds the end that writes nonetheless, and so is a reader too while it
// opens that: it pretends. Others that wait mustn't take it for one, so that who pretends and who looks claim the FIFO, one at a time.

// moment is longer than one pretends, unless one's processor is taken away.
const moment = time.Millisecond

// patience is how long one waits for another process's claim. Whoever has one for so long is stopped, or neither looks nor pretends.
const patience = time.Second

// pretend runs open, which opens the FIFO of which num is a descriptor for writing, while it has a reader.
func pretend(ctx context.Context, t *turn, num int, open func() error) error {
	c, err := claimed(ctx, t, num)
	if err != nil {
		return err
	}
	defer c.release()
	both, err := sys.Reopen(num, unix.O_RDWR|unix.O_NONBLOCK)
	if errors.Is(err, unix.EACCES) {
		return errUnreadable
	}
	if err != nil {
		return err
	}
	c.outlast(both)
	err = open()
	_ = sys.Close(both)
	return err
}

// openWritten returns what open, which opens the FIFO of which num is a descriptor for writing, returns if somebody reads it, else errNobody.
func openWritten(ctx context.Context, t *turn, num int, open func() (int, error)) (int, error) {
	c, err := claimed(ctx, t, num)
	if err != nil {
		return -1, err
	}
	defer c.release()
	own, err := open()
	if errors.Is(err, unix.ENXIO) {
		return -1, errNobody
	}
	if err != nil || c.sure() {
		return own, err
	}
	there, err := stays(ctx, func() (bool, error) { return isReadOn(own) })
	if err == nil && !there {
		err = errNobody
	}
	if err != nil {
		_ = sys.Close(own)
		return -1, err
	}
	return own, nil
}

// isReader says whether who look sees is a reader, and doesn't pretend.
func isReader(ctx context.Context, file *unix.Stat_t, look func() (bool, error)) (bool, error) {
	if there, err := look(); !there || err != nil {
		return false, err
	}
	c, err := claimFIFO(ctx, nil, file)
	if err != nil {
		return false, err
	}
	defer c.release()
	if c.sure() {
		return look()
	}
	return stays(ctx, look)
}

// stays tells a reader from who pretends by time alone.
func stays(ctx context.Context, look func() (bool, error)) (bool, error) {
	if there, err := look(); !there || err != nil {
		return false, err
	}
	if err := fd.Sleep(ctx, moment); err != nil {
		return false, err
	}
	return look()
}

// isReadOn says whether somebody reads the pipe of which num is the end that writes: else that is in error.
func isReadOn(num int) (bool, error) {
	got, err := sys.Poll(num, unix.POLLOUT)
	return got&unix.POLLERR == 0, err
}

// A claim keeps the others of this process, and the processes of our network namespace, from pretending and looking. Among processes it is the name of an
// abstract Unix socket, which leaves nothing behind, needs no permission, and is let go of by whoever is killed.
type claim struct {
	file   inode
	holder chan struct{}
	socket int // -1 where it can't be had
}

type inode struct{ dev, ino uint64 }

// claims are those of this process, and whoever waits for one.
var claims struct {
	sync.Mutex
	of map[inode]*claimants
}

type claimants struct {
	holder chan struct{}
	count  int
}

func claimed(ctx context.Context, t *turn, num int) (*claim, error) {
	file, err := sys.Stat(num)
	if err != nil {
		return nil, err
	}
	return claimFIFO(ctx, t, &file)
}

func claimFIFO(ctx context.Context, t *turn, file *unix.Stat_t) (*claim, error) {
	c := &claim{file: inode{uint64(file.Dev), file.Ino}, socket: -1} //nolint:unconvert // it has 32 bits on some
	c.holder = c.join()
	select {
	case c.holder <- struct{}{}:
	default:
		got := false
		err := t.aside(ctx, func() error {
			select {
			case c.holder <- struct{}{}:
				got = true
				return nil
			case <-ctx.Done():
				return fd.ContextError(ctx)
			}
		})
		switch {
		case err != nil && got:
			c.release()
			return nil, err
		case err != nil:
			c.leave()
			return nil, err
		}
	}
	taken := c.bind()
	if !taken {
		return c, nil
	}
	err := t.aside(ctx, func() error {
		end := time.Now().Add(patience)
		for pause := 50 * time.Microsecond; taken && time.Now().Before(end); pause = min(2*pause, moment) {
			if err := fd.Sleep(ctx, pause); err != nil {
				return err
			}
			taken = c.bind()
		}
		return nil
	})
	if err != nil {
		c.release()
		return nil, err
	}
	return c, nil
}

// bind takes the name, unless somebody else has it.
func (c *claim) bind() (taken bool) {
	num, taken, err := sys.Claim(fmt.Sprintf("fildes/fifo/%d:%d/%d", unix.Major(c.file.dev), unix.Minor(c.file.dev), c.file.ino))
	if err == nil {
		c.socket = num
	}
	return taken
}

// join returns what holds a value while somebody has the claim.
func (c *claim) join() chan struct{} {
	claims.Lock()
	defer claims.Unlock()
	all := claims.of[c.file]
	if all == nil {
		all = &claimants{holder: make(chan struct{}, 1)}
		if claims.of == nil {
			claims.of = make(map[inode]*claimants)
		}
		claims.of[c.file] = all
	}
	all.count++
	return all.holder
}

func (c *claim) leave() {
	claims.Lock()
	defer claims.Unlock()
	all := claims.of[c.file]
	if all.count--; all.count == 0 {
		delete(claims.of, c.file)
	}
}

// sure says whether other processes can't pretend meanwhile.
func (c *claim) sure() bool { return c.socket >= 0 }

// outlast makes the claim's number larger than num: a child that is just being made has both too, and its exec closes the smaller one first.
func (c *claim) outlast(num int) {
	if c.socket < 0 || c.socket > num {
		return
	}
	if higher, err := sys.DupFrom(c.socket, num+1); err == nil {
		_ = sys.Close(c.socket)
		c.socket = higher
	}
}

func (c *claim) release() {
	if c.socket >= 0 {
		_ = sys.Close(c.socket)
	}
	<-c.holder
	c.leave()
}

var (
	errNobody     = errors.New("nobody reads the FIFO")
	errUnreadable = errors.New("a writer who can't read has to try again and again")
)
