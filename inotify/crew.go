//go:build linux

package inotify

import (
	"context"
	"errors"
	"os"
	"runtime"
	"slices"
	"sync"
	"syscall"

	"github.com/fildes/fildes/internal/fd"
	"github.com/fildes/fildes/internal/sys"
)

// A crew adds a root: it looks into many directories, several at once. Only the caller of Add, who looks too, touches the tree, so it settles what the others have seen.
//
// What others have seen may be of the past when it is settled, or of a thread with other rights: so the caller looks again, before it believes that a directory can't be watched, or that
// it is elsewhere, or is watched still when watches were ended meanwhile.
type crew struct {
	open  map[*node]*above
	spare []*look
	poor  bool // descriptors have run out, so no more directories are kept open,
	alone bool // and, when none is, there is one look at a time

	hands sync.WaitGroup
	size  int

	lock  sync.Mutex
	work  sync.Cond // there are looks to be taken, or it's over
	news  sync.Cond // there are some that are done
	looks []*look   // to be taken, the last one first
	away  int       // are taken
	done  []*look
	over  bool
}

// above is a directory that is open for those in it.
type above struct {
	dir   int
	kids  int // to be looked into
	users int // are being looked into
}

const (
	maxAbove = 32 // open directories
	maxLooks = 16 // at hand for others to take
	fewLooks = 4  // are not enough for one more
	maxDone  = 4  // that the caller hasn't settled: a directory may be large
	maxHands = 3  // others; more wait for each other in the kernel
)

// plant looks into a root and all below it.
func (t *Tree) plant(ctx context.Context, root *node) error {
	c := &crew{open: make(map[*node]*above)}
	c.work.L, c.news.L = &c.lock, &c.lock
	if t.crew = c; !t.opts.Existing {
		t.quiet = root
	}
	defer t.planted()
	t.todo = append(t.todo, root)
	for {
		if ctx.Err() != nil {
			return fd.ContextError(ctx)
		}
		l := t.assign()
		if l == nil && !c.await() {
			return nil
		}
		if l != nil {
			t.see(l, &t.buffer)
			if err := t.conclude(l, root); err != nil {
				return err
			}
		}
		for l = c.next(); l != nil; l = c.next() {
			if t.doubtful(l) {
				t.seeAgain(l)
			}
			if err := t.conclude(l, root); err != nil {
				return err
			}
		}
	}
}

// planted ends the crew. What it hasn't come to is still to be done.
func (t *Tree) planted() {
	c := t.crew
	c.lock.Lock()
	c.over = true
	c.work.Broadcast()
	c.lock.Unlock()
	c.hands.Wait()
	for _, l := range c.done {
		t.abandon(l)
	}
	for _, l := range slices.Concat(c.looks, c.done) {
		t.todo = append(t.todo, l.node)
	}
	c.letGo()
	t.crew, t.quiet = nil, nil
}

// abandon undoes a look.
func (t *Tree) abandon(l *look) {
	if l.err != nil {
		return
	}
	_ = sys.Close(l.dir)
	if t.byWatch[l.watch] == nil {
		t.unwatch(l.watch)
	}
}

// assign hands out looks, and returns the caller's own: nil if there is none.
func (t *Tree) assign() *look {
	c := t.crew
	c.lock.Lock()
	defer c.lock.Unlock()
	if c.poor {
		for l := c.pop(); l != nil; l = c.pop() {
			t.todo = append(t.todo, l.node)
			c.leave(l.node.parent, l.above)
		}
		if c.away+len(c.done) > 0 {
			return nil
		}
		c.letGo()
		c.alone = true
	}
	for len(t.todo) > 0 && len(c.looks) < maxLooks {
		n := t.next()
		if n.dead {
			c.leave(n.parent, c.reach(n.parent))
			continue
		}
		l := c.blank()
		t.aim(l, n)
		if l.above == nil { // the path is one of the caller's thread, which may have a mount namespace of its own
			return l
		}
		c.looks = append(c.looks, l)
		c.work.Signal()
	}
	if len(c.looks) > fewLooks*(c.size+1) && !t.opts.FollowLinks && c.size < min(maxHands, runtime.GOMAXPROCS(0)-1) {
		c.size++
		c.hands.Go(func() { t.help(c) })
	}
	return c.pop()
}

// help looks until it's over.
func (t *Tree) help(c *crew) {
	b := new(buffer)
	c.lock.Lock()
	defer c.lock.Unlock()
	for {
		for (len(c.looks) == 0 || len(c.done) >= maxDone) && !c.over {
			c.work.Wait()
		}
		if c.over {
			return
		}
		l := c.pop()
		c.away++
		c.lock.Unlock()
		t.see(l, b)
		c.lock.Lock()
		c.away--
		c.done = append(c.done, l)
		c.news.Signal()
	}
}

// doubtful says that what somebody else has seen isn't to be believed: it failed, or the tree has changed since, or would because of it.
func (t *Tree) doubtful(l *look) bool {
	other := t.byWatch[l.watch]
	return l.err != nil || l.ended != t.ended || other != nil && other != l.node
}

func (t *Tree) seeAgain(l *look) {
	if l.err == nil {
		_ = sys.Close(l.dir)
	}
	before := l.watch
	l.ended = t.ended
	t.see(l, &t.buffer)
	if before != 0 && before != l.watch && t.byWatch[before] == nil {
		t.unwatch(before)
	}
}

// conclude settles a look.
func (t *Tree) conclude(l *look, root *node) error {
	c, n := t.crew, l.node
	err := t.conclusion(l)
	c.leave(n.parent, l.above)
	if cap(l.found) <= len(t.buffer) {
		l.node = nil
		c.spare = append(c.spare, l)
	}
	switch {
	case err == nil:
	case (errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)) && !c.alone:
		c.poor = true
		t.todo = append(t.todo, n)
	case n == root || errors.Is(err, syscall.ENOSPC) && n.below(root) || errors.Is(err, os.ErrClosed):
		return err
	default:
		t.unwatched(n, err)
	}
	return nil
}

func (t *Tree) conclusion(l *look) error {
	if l.node.dead {
		t.abandon(l)
		return nil
	}
	return t.settle(l)
}

// blank is a look to be used.
func (c *crew) blank() *look {
	last := len(c.spare) - 1
	if last < 0 {
		return new(look)
	}
	l := c.spare[last]
	c.spare = c.spare[:last]
	return l
}

// pop takes a look that is to be done; nil if there is none.
func (c *crew) pop() *look {
	last := len(c.looks) - 1
	if last < 0 {
		return nil
	}
	l := c.looks[last]
	c.looks = c.looks[:last]
	return l
}

// next takes one that somebody else has done, in the order in which they were; nil if there is none.
func (c *crew) next() *look {
	c.lock.Lock()
	defer c.lock.Unlock()
	if len(c.done) == 0 {
		return nil
	}
	l := c.done[0]
	c.done = slices.Delete(c.done, 0, 1)
	c.work.Signal()
	return l
}

// await waits for that, and says whether there is one.
func (c *crew) await() bool {
	c.lock.Lock()
	defer c.lock.Unlock()
	for len(c.done) == 0 && c.away > 0 {
		c.news.Wait()
	}
	return len(c.done) > 0
}

// hold keeps a directory open for those that will be found in it, and says whether it does.
func (c *crew) hold(n *node, num int) bool {
	if c == nil || c.poor || len(c.open) == maxAbove {
		return false
	}
	c.open[n] = &above{dir: num}
	return true
}

// expect says that there is one more to be looked into in a directory.
func (c *crew) expect(n *node) {
	if c != nil && c.open[n] != nil {
		c.open[n].kids++
	}
}

// held says that all in it have been found.
func (c *crew) held(n *node) {
	if c != nil && c.open[n] != nil {
		c.close(n, c.open[n])
	}
}

// reach is a directory that is open, to look into one that is in it; nil if it isn't open.
func (c *crew) reach(n *node) *above {
	if c == nil || c.open[n] == nil {
		return nil
	}
	a := c.open[n]
	a.kids--
	a.users++
	return a
}

// leave ends that.
func (c *crew) leave(n *node, a *above) {
	if a != nil {
		a.users--
		c.close(n, a)
	}
}

// close closes a directory that nobody needs any more.
func (c *crew) close(n *node, a *above) {
	if a.users > 0 || a.kids > 0 {
		return
	}
	_ = sys.Close(a.dir)
	delete(c.open, n)
}

// letGo closes all directories.
func (c *crew) letGo() {
	for _, a := range c.open {
		_ = sys.Close(a.dir)
	}
	clear(c.open)
}
