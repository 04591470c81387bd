//go:build linux

package inotify

import (
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

// below says whether n is a, or below it. Nothing is below nil.
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
	way // a file, since it is a symbolic link, but one that leads to a directory
)

func entryOf(dir bool) entry {
	if dir {
		return directory
	}
	return file
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

func created(dir bool) Mask {
	if dir {
		return Create | IsDir
	}
	return Create
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
	t.crew.expect(parent)
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
	t.ended++
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
