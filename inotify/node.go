//go:build linux

package inotify

import (
	"bytes"
	"errors"
	"maps"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes/internal/sys"
)

// A node is a directory of a tree.
type node struct {
	parent *node
	name   string // a root's is as it was given
	full   string // a root's path, for the kernel
	watch  Watch  // 0 if there is none yet
	id     sys.Identity
	kids   map[string]*node
	window *window
	same   *node // is watched, and this is another way to it
	link   bool  // a symbolic link leads to it
	dead   bool  // it isn't in the tree any more
}

// A window is what is known of a directory's entries while events are waiting in the queue that are older than a look at the directory: so each entry is reported once.
type window struct {
	end    int64 // of the queue, when it was looked at
	there  map[string]entry
	looked bool // all that isn't in there wasn't there, or at least hasn't been reported
}

// path is the node's path, as it is reported or, if full is set, for the kernel.
func (n *node) path(full bool) string { return string(n.append(nil, full)) }

func (n *node) append(p []byte, full bool) []byte {
	switch {
	case n.parent != nil:
		p = n.parent.append(p, full)
	case full:
		return append(p, n.full...)
	default:
		return append(p, n.name...)
	}
	if len(p) == 0 || p[len(p)-1] != '/' {
		p = append(p, '/')
	}
	return append(p, n.name...)
}

// entry is the path of an entry.
func (n *node) entry(name string, full bool) string {
	kid := node{parent: n, name: name}
	return kid.path(full)
}

// below says whether n is a, or below it.
func (n *node) below(a *node) bool {
	for ; n != nil; n = n.parent {
		if n == a {
			return true
		}
	}
	return false
}

// reported says whether the reader knows of the entry, as far as we know.
func (n *node) reported(name string) bool {
	if n.window == nil {
		return true
	}
	e, known := n.window.there[name]
	return e != absent || !known && !n.window.looked
}

// announced says whether the entry was reported because of a look at the directory, and an event may tell of it again.
func (n *node) announced(name string, dir bool) bool {
	return n.window != nil && n.window.there[name] == entryOf(dir)
}

// set notes what an entry is, while that matters.
func (n *node) set(name string, e entry) {
	if n.window != nil {
		n.window.there[name] = e
	}
}

// An entry is what is known under a name.
type entry byte

const (
	absent entry = iota
	file
	directory
)

func entryOf(dir bool) entry {
	if dir {
		return directory
	}
	return file
}

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
	if err := t.look(n); err != nil {
		t.unwatched(n, err)
	}
}

// unwatched gives up a directory that can't be watched, unless its path is the past's: then events will tell where it is.
func (t *Tree) unwatched(n *node, err error) {
	switch {
	case n.dead:
	case gone(err) && n.parent == nil:
		t.lose(n)
	case gone(err) && n.link && t.dangles(n):
		t.forget(n)
	case gone(err):
		t.missed = append(t.missed, n)
	default:
		t.out = append(t.out, TreeEvent{Path: n.path(false), Err: fail("add", n.path(false), err)})
		t.forget(n)
	}
}

// dangles says whether there is a symbolic link at n's path, which led nowhere.
func (t *Tree) dangles(n *node) bool {
	typ, err := sys.Lookup(sys.AtWorkingDirectory, n.path(true), false)
	return err == nil && typ == unix.S_IFLNK
}

// gone says that what is looked for isn't at its path.
func gone(err error) bool {
	return errors.Is(err, errMoved) || errors.Is(err, syscall.ENOENT) || errors.Is(err, syscall.ENOTDIR) || errors.Is(err, syscall.ELOOP)
}

var errMoved = errors.New("it has been moved")

// retry looks again for directories that weren't where they were thought to be.
func (t *Tree) retry() {
	for _, n := range t.missed {
		if !n.dead && !n.found() {
			t.todo = append(t.todo, n)
		}
	}
	t.missed = t.missed[:0]
	for _, d := range slices.Collect(maps.Keys(t.doubts)) {
		t.again(d.node, d.name)
	}
}

// uproot gives up the roots whose paths lead elsewhere, because a directory above was renamed: of that there is no event.
func (t *Tree) uproot() {
	for _, n := range slices.Clone(t.roots) {
		if p := t.at(n, n.full, true); n.watch != 0 && (p == nothing || p == another) {
			t.lose(n)
		}
	}
}

// A place is what is at a path.
type place int

const (
	unknown place = iota // the kernel doesn't say
	nothing
	another // directory
	here
)

// at says whether n is at a path now.
func (t *Tree) at(n *node, path string, follow bool) place {
	num, err := sys.OpenDirectoryPath(path, follow)
	switch {
	case err != nil && gone(err):
		return nothing
	case err != nil:
		return unknown
	}
	defer func() { _ = sys.Close(num) }()
	own, err := sys.IdentityOf(num)
	switch {
	case err != nil:
		return unknown
	case n.found() && own == n.id: // which nobody else has while it is watched
		return here
	}
	return another
}

// stays says whether n is still where it is thought to be; where the kernel doesn't say, it does.
func (t *Tree) stays(n *node) bool {
	p := t.at(n, n.path(true), n.follows())
	return p == here || p == unknown && n.found()
}

// found says whether it is known which directory n is.
func (n *node) found() bool { return n.watch != 0 || n.same != nil }

// follows says whether a symbolic link at the path's end is the way to n.
func (n *node) follows() bool { return n.parent == nil || n.link }

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

// look watches a directory, and then finds its entries.
func (t *Tree) look(n *node) error {
	if n.dead {
		return nil
	}
	num, err := t.reach(n)
	if err != nil {
		return err
	}
	kids := len(t.todo)
	defer func() { t.reached(n, num, len(t.todo) > kids) }()
	own, err := sys.IdentityOf(num)
	if err != nil {
		return err
	}
	wd, err := t.watch(num)
	if err != nil {
		return err
	}
	if other := t.byWatch[wd]; other != nil && other != n {
		if t.stays(other) { // a link, or a mount, is a second way to it
			if n.parent == nil {
				return errWatched
			}
			n.same, n.id = other, own
			t.ways[other] = append(t.ways[other], n)
			return nil
		}
		// It was moved here, of which an event will tell that means nothing any more.
		delete(t.byWatch, wd) // it's n's now
		t.lose(other)
		if other.link { // it may lead elsewhere
			t.again(other.parent, other.name)
		}
		if n.dead { // it was below that
			t.unwatch(wd)
			return nil
		}
	}
	n.watch, n.id, n.same = wd, own, nil
	t.byWatch[wd] = n

	t.found = t.found[:0]
	for {
		size, err := sys.ReadEntries(num, t.entries[:])
		if err != nil || size == 0 {
			if err != nil && !errors.Is(err, syscall.ENOENT) { // or it has been deleted meanwhile
				t.out = append(t.out, TreeEvent{Path: n.path(false), Err: fail("add", n.path(false), err)})
			}
			break
		}
		for b := t.entries[:size]; ; {
			name, typ, rest, ok := sys.NextEntry(b)
			if !ok {
				break
			}
			b = rest
			t.find(n, num, name, typ)
		}
	}
	waiting := t.pending()
	if waiting > manyBytes { // or the queue would overflow while there is much to look at
		_ = t.w.fd.Control(t.drain)
	}
	if waiting > 0 {
		t.open(n, waiting, true)
		for name := range bytes.SplitSeq(t.found, []byte{0}) {
			if len(name) > 0 {
				n.window.there[string(name[1:])] = entry(name[0])
			}
		}
	}
	return nil
}

// reach opens a directory.
func (t *Tree) reach(n *node) (int, error) {
	for last := len(t.above) - 1; last >= 0 && !n.below(t.above[last].node); last-- { // it has no more below it: what was found last is looked into first
		t.letGo(last)
	}
	if last := len(t.above) - 1; last >= 0 && t.above[last].node == n.parent {
		num, err := sys.OpenDirectory(t.above[last].open, n.name, n.follows())
		if !errors.Is(err, syscall.EMFILE) && !errors.Is(err, syscall.ENFILE) {
			return num, err
		}
		t.letGo(0)
	}
	num, err := sys.OpenDirectory(sys.AtWorkingDirectory, n.path(true), n.follows())
	if err != nil || n.follows() {
		return num, err
	}
	parent, err := sys.IdentityOfParent(num)
	if err == nil && parent != n.parent.id { // there are two of this path, now and then
		err = errMoved
	}
	if err != nil {
		_ = sys.Close(num)
	}
	return num, err
}

// reached is the end of a look. While a root is added, a directory stays open for those in it.
func (t *Tree) reached(n *node, num int, kids bool) {
	if kids && t.adding && len(t.above) < maxAbove {
		t.above = append(t.above, above{n, num})
		return
	}
	_ = sys.Close(num)
}

// letGo closes what is above, from an entry on.
func (t *Tree) letGo(from int) {
	for _, a := range t.above[from:] {
		_ = sys.Close(a.open)
	}
	t.above = t.above[:from]
}

// above is a directory that is open while those in it are looked into.
type above struct {
	node *node
	open int
}

const maxAbove = 32

// manyBytes of events may be waiting, of what is usually 512 KiB.
const manyBytes = 64 << 10

// find deals with an entry of n, which is open as num, that was found.
func (t *Tree) find(n *node, num int, name []byte, typ byte) {
	dir, link := typ == unix.DT_DIR, false
	if typ == unix.DT_UNKNOWN || typ == unix.DT_LNK && t.opts.FollowLinks {
		dir, link = t.isDir(num, string(name))
	}
	if n.kids[string(name)] != nil { // a directory that is renamed meanwhile may be there twice
		return
	}
	t.found = append(append(append(t.found, byte(entryOf(dir && !link))), name...), 0)
	if !dir && t.quiet {
		return
	}
	entry := string(name)
	if t.skips(n, entry, dir && !link) {
		return
	}
	if !t.quiet {
		t.report(TreeEvent{Path: n.entry(entry, false), Mask: created(dir && !link), Found: true})
	}
	if dir {
		t.push(n, entry, link)
	}
}

// direntType is a directory entry's type for a file's.
func direntType(typ uint32) byte { return byte(typ >> 12) }

func created(dir bool) Mask {
	if dir {
		return Create | IsDir
	}
	return Create
}

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

func (t *Tree) skips(n *node, name string, dir bool) bool {
	return t.opts.Skip != nil && t.opts.Skip(n.entry(name, false), dir)
}

// report hands an event out if it was asked for. What is found after an Overflow is, since all else was lost with it.
func (t *Tree) report(ev TreeEvent) {
	if ev.Mask.Has(IsDir) && ev.Mask&^(Access|Open|Close|IsDir) == 0 { // it may be us
		return
	}
	if ev.Mask&t.opts.Mask != 0 || ev.Mask&(Overflow|Unmounted|DeleteSelf|MoveSelf) != 0 || ev.Found && t.stale != nil {
		t.out = append(t.out, ev)
	}
}

func (n *node) adopt(kid *node) {
	if n.kids == nil {
		n.kids = make(map[string]*node)
	}
	n.kids[kid.name] = kid
}

// push makes a directory one that is to be looked into.
func (t *Tree) push(parent *node, name string, link bool) {
	n := &node{parent: parent, name: name, link: link}
	parent.adopt(n)
	t.todo = append(t.todo, n)
}

// open begins a window, or makes it longer, up to what waits in the queue.
func (t *Tree) open(n *node, waiting int64, looked bool) {
	if n.window == nil {
		n.window = &window{there: make(map[string]entry)}
	}
	n.window.looked = n.window.looked || looked
	n.window.end = t.pos + waiting
	t.windows = append(t.windows, opened{n, n.window.end})
}

// opened is an entry of the list of windows.
type opened struct {
	node *node
	end  int64
}

// shut ends the windows that have passed.
func (t *Tree) shut() {
	for len(t.windows) > 0 && t.windows[0].end <= t.pos {
		if n := t.windows[0].node; n.window != nil && n.window.end <= t.pos {
			n.window = nil
		}
		t.windows[0] = opened{}
		t.windows = t.windows[1:]
	}
}

// forget takes a directory and all below it out of the tree, and ends their watches.
func (t *Tree) forget(n *node) {
	if n.parent != nil && n.parent.kids[n.name] == n {
		delete(n.parent.kids, n.name)
	}
	if n.parent == nil {
		t.roots = slices.DeleteFunc(t.roots, func(r *node) bool { return r == n })
	}
	t.end(n)
}

func (t *Tree) end(n *node) {
	n.dead = true
	if n.watch != 0 && t.byWatch[n.watch] == n {
		delete(t.byWatch, n.watch)
		t.unwatch(n.watch)
	}
	for _, way := range t.ways[n] {
		if way.same = nil; !way.dead {
			t.todo = append(t.todo, way)
		}
	}
	delete(t.ways, n)
	if n.same != nil {
		others := slices.DeleteFunc(t.ways[n.same], func(way *node) bool { return way == n })
		if t.ways[n.same] = others; len(others) == 0 {
			delete(t.ways, n.same)
		}
	}
	for _, kid := range n.kids {
		t.end(kid)
	}
	n.kids = nil
}

// unwatch ends a watch that may be gone already.
func (t *Tree) unwatch(wd Watch) {
	_ = t.w.fd.Control(func(num int) error { return sys.NotifyForget(num, int(wd)) })
}

// lose reports that a directory isn't where it was.
func (t *Tree) lose(n *node) {
	switch {
	case n.parent == nil:
		t.report(TreeEvent{Path: n.name, Mask: MoveSelf})
	case n.parent.reported(n.name):
		t.report(TreeEvent{Path: n.path(false), Mask: movedFrom(!n.link)})
	}
	if n.parent != nil {
		t.open(n.parent, t.pending(), false)
		n.parent.set(n.name, absent)
	}
	t.forget(n)
}
