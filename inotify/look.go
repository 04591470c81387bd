//go:build linux

package inotify

import (
	"bytes"
	"errors"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes/internal/sys"
)

// A look is what the kernel tells of a directory.
type look struct {
	node *node
	// Where it is: a name in a directory that is open, or a path from the working directory.
	above  *above
	name   string
	follow bool
	parent sys.Identity // which it must be in, if it is to be found by its path
	ended  uint64       // Tree.ended, when it was begun

	dir   int // open, unless err is set
	id    sys.Identity
	watch Watch
	found []byte // its entries: what each is, its name, and a NUL
	err   error  // why it isn't watched
	cut   error  // why it couldn't be read to its end
}

// A buffer is for a part of a directory.
type buffer [32 << 10]byte

// next takes a directory that is to be looked into.
func (t *Tree) next() *node {
	last := len(t.todo) - 1
	n := t.todo[last]
	t.todo[last] = nil
	t.todo = t.todo[:last]
	return n
}

// step looks into a directory.
func (t *Tree) step() {
	n := t.next()
	if n.dead {
		return
	}
	l := &t.look
	t.aim(l, n)
	t.see(l, &t.buffer)
	if err := t.settle(l); err != nil {
		t.unwatched(n, err)
	}
	l.node = nil
}

// aim says where a look is to go.
func (t *Tree) aim(l *look, n *node) {
	*l = look{node: n, ended: t.ended, follow: n.follows(), found: l.found}
	if l.above = t.crew.reach(n.parent); l.above != nil {
		l.name = n.name
		return
	}
	l.name = n.path(true)
	if n.parent != nil {
		l.parent = n.parent.id
	}
}

// see watches a directory, and then finds its entries: what is created meanwhile is told by an event, or found, or both. It may be called by several goroutines at once, since it uses
// nothing of the tree that changes.
func (t *Tree) see(l *look, b *buffer) {
	l.found, l.watch, l.cut = l.found[:0], 0, nil
	if l.dir, l.err = l.open(); l.err != nil {
		return
	}
	if l.id, l.err = sys.IdentityOf(l.dir); l.err == nil {
		l.watch, l.err = t.watch(l.dir)
	}
	if l.err != nil {
		_ = sys.Close(l.dir)
		return
	}
	for {
		size, err := sys.ReadEntries(l.dir, b[:])
		if err != nil || size == 0 {
			if !errors.Is(err, syscall.ENOENT) { // or it has been deleted meanwhile
				l.cut = err
			}
			return
		}
		for b := b[:size]; ; {
			name, typ, rest, ok := sys.NextEntry(b)
			if !ok {
				break
			}
			b = rest
			l.found = append(append(append(l.found, byte(t.entry(l.dir, name, typ))), name...), 0)
		}
	}
}

func (l *look) open() (int, error) {
	if l.above != nil {
		return sys.OpenDirectory(l.above.dir, l.name, l.follow)
	}
	num, err := sys.OpenDirectory(sys.AtWorkingDirectory, l.name, l.follow)
	if err != nil || l.follow {
		return num, err
	}
	parent, err := sys.IdentityOfParent(num)
	if err == nil && parent != l.parent { // there are two of this path, now and then
		err = errMoved
	}
	if err != nil {
		_ = sys.Close(num)
	}
	return num, err
}

// watch watches a directory that is open.
func (t *Tree) watch(num int) (wd Watch, err error) {
	mask := t.opts.Mask | Create | Delete | Moved | DeleteSelf | MoveSelf
	err = t.w.fd.Control(func(instance int) error {
		got, err := sys.NotifyAdd(instance, sys.ProcPath(num), uint32(mask)|uint32(OnlyDir))
		wd = Watch(got)
		return err
	})
	return wd, err
}

// entry is what an entry of a directory that is open is.
func (t *Tree) entry(num int, name []byte, typ byte) entry {
	switch {
	case typ == unix.DT_DIR:
		return directory
	case typ == unix.DT_UNKNOWN, typ == unix.DT_LNK && t.opts.FollowLinks:
		switch dir, link := t.isDir(num, string(name)); {
		case link:
			return way
		case dir:
			return directory
		}
	}
	return file
}

// direntType is a directory entry's type for a file's.
func direntType(typ uint32) byte { return byte(typ >> 12) }

// isDir says whether an entry is a directory, perhaps behind a link that is to be followed.
func (t *Tree) isDir(num int, name string) (dir, link bool) {
	typ, err := sys.Lookup(num, name, false)
	if err == nil && typ == unix.S_IFLNK && t.opts.FollowLinks {
		link = true
		typ, err = sys.Lookup(num, name, true)
	}
	dir = err == nil && typ == unix.S_IFDIR
	return dir, link && dir
}

// waiting is how many bytes of the queue are still to be dealt with, now that a directory has been looked into.
func (t *Tree) waiting() int64 {
	n := t.pending()
	if n > manyBytes { // or the queue would overflow while there is much to look at
		_ = t.w.fd.Control(t.drain)
	}
	return n
}

// manyBytes of events may be waiting, of what is usually 512 KiB.
const manyBytes = 64 << 10

// settle makes a look's directory one of the tree, and its entries, of which what waits in the queue now may tell too. It is the end of the look.
func (t *Tree) settle(l *look) error {
	if l.err != nil {
		return l.err
	}
	n, held, settled := l.node, false, false
	defer func() {
		if !held {
			_ = sys.Close(l.dir)
		}
		if !settled { // because Skip panicked
			t.todo = append(t.todo, n)
		}
	}()
	if other := t.byWatch[l.watch]; other != nil && other != n {
		if t.stays(other) { // a link, or a mount, is a second way to it
			settled = true
			if n.parent == nil {
				return errWatched
			}
			n.same, n.id = other, l.id
			t.ways[other] = append(t.ways[other], n)
			return nil
		}
		// It was moved here, of which an event will tell that means nothing any more.
		delete(t.byWatch, l.watch) // it's n's now
		t.lose(other)
		if other.link { // it may lead elsewhere
			t.again(other.parent, other.name)
		}
		if n.dead { // it was below that
			t.unwatch(l.watch)
			settled = true
			return nil
		}
	}
	n.watch, n.id, n.same = l.watch, l.id, nil
	t.byWatch[n.watch] = n
	if l.cut != nil {
		t.out = append(t.out, TreeEvent{Path: n.path(false), Err: fail("add", n.path(false), l.cut)})
	}
	if waiting := t.waiting(); waiting > 0 {
		t.open(n, waiting, true)
	}
	held = t.crew.hold(n, l.dir)
	quiet := n.below(t.quiet)
	for found := l.found; len(found) > 0; {
		end := bytes.IndexByte(found, 0)
		t.find(n, entry(found[0]), found[1:end], quiet)
		found = found[end+1:]
	}
	t.crew.held(n)
	settled = true
	return nil
}

// find deals with an entry of n, which isn't reported if that is to be quiet.
func (t *Tree) find(n *node, e entry, name []byte, quiet bool) {
	if n.kids[string(name)] != nil { // a directory that is renamed meanwhile may be there twice
		return
	}
	if n.window != nil {
		n.set(string(name), entryOf(e == directory))
	}
	if e == file && quiet {
		return
	}
	entry := string(name)
	if t.skips(n, entry, e == directory) {
		return
	}
	if !quiet {
		t.report(TreeEvent{Path: n.entry(entry, false), Mask: created(e == directory), Found: true})
	}
	if e != file {
		t.push(n, entry, e == way)
	}
}
