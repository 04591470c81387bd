//go:build linux

package inotify

import (
	"maps"
	"time"

	"github.com/fildes/fildes/internal/sys"
)

// progress looks into the next directory, or deals with the next event, if there is one.
func (t *Tree) progress() bool {
	if len(t.todo) > 0 {
		t.step()
		return true
	}
	t.sweep()
	r, size := next(t.rest)
	if size == 0 {
		t.rest, t.half = nil, half{}
		t.shut()
		switch {
		case len(t.missed)+len(t.doubts) == 0:
			return false
		case t.moved:
			t.moved = false
			t.retry()
			return true
		}
		t.uproot()
		return false
	}
	if r.Mask.Has(MovedFrom) && t.byWatch[r.Watch] != nil {
		to, found := t.other(r.Cookie, size)
		if !found && !t.half.alone {
			if !t.half.waits {
				t.half = half{waits: true, until: time.Now().Add(t.opts.RenameWithin)}
			}
			return false
		}
		t.half = half{}
		ev := r.Event()
		t.deal(size)
		t.from(ev, to)
		return true
	}
	t.half = half{}
	_, taken := t.taken[r.Cookie]
	ev := r.Event()
	t.deal(size)
	if taken && r.Mask.Has(MovedTo) {
		delete(t.taken, ev.Cookie)
		return true
	}
	t.event(ev)
	return true
}

// deal takes an event off the queue. What it is about is dealt with afterwards, when windows that end with it are still open.
func (t *Tree) deal(size int) {
	t.shut()
	t.moved = true
	t.rest = t.rest[size:]
	t.pos += int64(size)
}

// other is the other half of a rename whose first half is at the front.
func (t *Tree) other(cookie uint32, size int) (to Event, found bool) {
	for b := t.rest[size:]; ; {
		r, size := next(b)
		if size == 0 {
			return Event{}, false
		}
		if r.Cookie == cookie && r.Mask.Has(MovedTo) {
			t.taken[cookie] = struct{}{}
			return r.Event(), true
		}
		b = b[size:]
	}
}

// sweep ends the watches that an Overflow has made useless, once it is known which those are.
func (t *Tree) sweep() {
	for wd := range t.stale {
		if t.byWatch[wd] == nil {
			t.unwatch(wd)
		}
	}
	t.stale = nil
}

// event deals with an event that isn't a rename's first half.
func (t *Tree) event(ev Event) {
	if ev.Mask.Has(Overflow) {
		t.overflow()
		return
	}
	n := t.byWatch[ev.Watch]
	switch {
	case n == nil && !ev.Mask.Has(Ignored): // of a directory that was lost sight of
		t.unwatch(ev.Watch)
	case n == nil:
	case ev.Mask.Has(Ignored):
		delete(t.byWatch, n.watch)
		t.forget(n)
	case ev.Mask.Has(Unmounted):
		t.report(TreeEvent{Path: n.path(false), Mask: Unmounted | IsDir})
		parent, name := n.parent, n.name
		t.forget(n)
		if parent != nil { // what it was mounted on comes to light
			t.push(parent, name, false)
		}
	case ev.Mask.Has(MoveSelf) && n.link && !t.stays(n): // or the link leads elsewhere now
		parent, name := n.parent, n.name
		t.lose(n)
		t.again(parent, name)
	case ev.Name == "" && n.parent != nil: // its parent tells too
	case ev.Mask.Has(MoveSelf) && t.at(n, n.full, true) == here: // before it was added, under this name
	case ev.Name == "":
		t.report(TreeEvent{Path: n.name, Mask: ev.Mask})
		if ev.Mask&(DeleteSelf|MoveSelf) != 0 {
			t.forget(n)
		}
	case ev.Mask.Has(Create):
		t.arrive(n, ev.Name, ev.Mask)
	case ev.Mask.Has(MovedTo):
		t.arrive(n, ev.Name, ev.Mask)
	case ev.Mask.Has(Delete):
		t.depart(n, ev.Name, ev.Mask)
	case n.reported(ev.Name) && !t.skips(n, ev.Name, ev.Mask.Has(IsDir)):
		t.report(TreeEvent{Path: n.entry(ev.Name, false), Mask: ev.Mask})
		if ev.Mask.Has(Attrib|IsDir) && n.kids[ev.Name] == nil { // it couldn't be watched, and now perhaps it can
			t.push(n, ev.Name, false)
		}
	}
}

// arrive deals with an entry that has come to be, or was renamed from elsewhere.
func (t *Tree) arrive(n *node, name string, mask Mask) {
	delete(t.doubts, doubt{n, name})
	dir := mask.Has(IsDir)
	if t.skips(n, name, dir) {
		return
	}
	kid := n.kids[name]
	if kid != nil && kid.found() && t.stays(kid) { // found already, by a look
		return
	}
	known := n.announced(name, dir)
	if kid != nil { // what was found has gone again since, of which an event will tell
		t.lose(kid)
		known = false
	} else if n.announced(name, !dir) { // likewise
		t.report(TreeEvent{Path: n.entry(name, false), Mask: movedFrom(!dir)})
	}
	if !known {
		t.report(TreeEvent{Path: n.entry(name, false), Mask: mask})
	}
	n.set(name, entryOf(dir))
	link := false
	if !dir && t.opts.FollowLinks {
		_, link = t.isDir(sys.AtWorkingDirectory, n.entry(name, true))
	}
	if dir || link {
		t.push(n, name, link)
	}
}

// depart deals with an entry that is gone: deleted, or renamed to elsewhere. It returns false if that isn't so.
func (t *Tree) depart(n *node, name string, mask Mask) bool {
	delete(t.doubts, doubt{n, name})
	if t.skips(n, name, mask.Has(IsDir)) {
		return false
	}
	kid := n.kids[name]
	if kid != nil {
		if kid.link == mask.Has(IsDir) || t.stays(kid) { // another one is there again: it was found, or an exchange has put it there
			return false
		}
		t.forget(kid)
	}
	if kid == nil && n.announced(name, !mask.Has(IsDir)) { // likewise
		return false
	}
	if kid != nil || n.reported(name) {
		t.report(TreeEvent{Path: n.entry(name, false), Mask: mask})
	}
	n.set(name, absent)
	return true
}

func movedFrom(dir bool) Mask {
	if dir {
		return MovedFrom | IsDir
	}
	return MovedFrom
}

// from deals with a rename. to's Mask is 0 if it led out of the tree.
func (t *Tree) from(ev, to Event) {
	old, target := t.byWatch[ev.Watch], t.byWatch[to.Watch]
	if to.Mask == 0 || target == nil {
		if t.depart(old, ev.Name, ev.Mask) {
			t.again(old, ev.Name)
		}
		return
	}
	dir := ev.Mask.Has(IsDir)
	if t.skips(old, ev.Name, dir) || t.skips(target, to.Name, dir) {
		t.depart(old, ev.Name, ev.Mask)
		t.arrive(target, to.Name, to.Mask)
		return
	}
	kid, replaced := old.kids[ev.Name], target.kids[to.Name]
	known, sure := kid != nil || !dir && old.reported(ev.Name), true
	switch {
	case kid != nil && (kid.link == dir || target.below(kid) || replaced != kid && kid.below(replaced)): // an exchange has put it there, or a later rename, and it isn't what this is about
		known = false
	case kid != nil:
		// What is known under the old name may have come there later.
		p := t.at(kid, target.entry(to.Name, true), kid.link)
		known, sure = p != another, p == here
	}
	found := kid == nil && (replaced != nil && t.stays(replaced) || replaced == nil && target.announced(to.Name, dir)) // by a look, under the new name
	if !known || found {
		if t.depart(old, ev.Name, ev.Mask) {
			t.again(old, ev.Name)
		}
		t.arrive(target, to.Name, to.Mask)
		return
	}
	t.report(TreeEvent{Path: target.entry(to.Name, false), From: old.entry(ev.Name, false), Mask: ev.Mask | to.Mask})
	if replaced != nil && replaced != kid {
		t.forget(replaced)
	}
	if kid != nil {
		delete(old.kids, ev.Name)
		kid.parent, kid.name = target, to.Name
		target.adopt(kid)
		t.retry()
	}
	old.set(ev.Name, absent)
	target.set(to.Name, entryOf(dir))
	if delete(t.doubts, doubt{target, to.Name}); !sure { // it may have been another one, of an exchange
		t.doubts[doubt{target, to.Name}] = struct{}{}
	}
	t.again(old, ev.Name)
}

// A doubt is whether there is an entry under a name.
type doubt struct {
	node *node
	name string
}

// again looks whether there is an entry under a name that was renamed: in an exchange there is, and no later event says so.
func (t *Tree) again(n *node, name string) {
	d := doubt{n, name}
	delete(t.doubts, d)
	if n.dead {
		return
	}
	num, err := sys.OpenDirectoryPath(n.path(true), n.follows())
	if err != nil {
		t.doubts[d] = struct{}{}
		return
	}
	defer func() { _ = sys.Close(num) }()
	if own, err := sys.IdentityOf(num); err != nil || own != n.id { // another one has its path by now
		t.doubts[d] = struct{}{}
		return
	}
	if typ, err := sys.Lookup(num, name, false); err == nil {
		if kid := n.kids[name]; kid != nil {
			if !kid.found() || t.stays(kid) {
				return
			}
			t.lose(kid)
		}
		t.open(n, t.pending(), false)
		t.find(n, t.entry(num, []byte(name), direntType(typ)), []byte(name), n.below(t.quiet))
	}
}

// bury takes a directory and all below it out of the tree, without more.
func (n *node) bury() {
	n.dead = true
	for _, kid := range n.kids {
		kid.bury()
	}
}

// overflow begins anew.
func (t *Tree) overflow() {
	t.report(TreeEvent{Mask: Overflow})
	if t.stale == nil {
		t.stale = make(map[Watch]*node)
	}
	maps.Copy(t.stale, t.byWatch)
	t.byWatch = make(map[Watch]*node)
	clear(t.taken)
	clear(t.doubts)
	clear(t.ways)
	t.windows, t.missed = nil, nil
	for i, root := range t.roots {
		fresh := &node{name: root.name, full: root.full}
		root.bury()
		t.roots[i] = fresh
		t.todo = append(t.todo, fresh)
	}
}
