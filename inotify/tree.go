//go:build linux

package inotify

import (
	"context"
	"errors"
	"iter"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/fildes/fildes/internal/fd"
	"github.com/fildes/fildes/internal/sys"
)

// A TreeEvent says what happened to an entry of a tree.
type TreeEvent struct {
	// Path is the root, as it was given to Add, and the names that lead from there.
	Path string
	// Mask is what happened. A rename within the trees is one event, with MovedFrom and MovedTo. MovedFrom alone is an entry that has left the trees with all below it,
	// MovedTo alone one that has come from elsewhere.
	Mask Mask
	// From is a rename's old path.
	From string
	// Found says of a Create that the entry was found by looking: in a directory that is new to the tree, or after an Overflow.
	Found bool
	// Err is set in an event without Mask: the directory can't be watched, or not be read to its end, and what is below it isn't reported. It may have no permission to be
	// read, or there are too many (fs.inotify.max_user_watches, RLIMIT_NOFILE). One that can't be watched is tried again when its attributes change (chmod), if TreeOptions.Mask has
	// Attrib; what is there then follows as Found. Else it is tried again after an Overflow, or when it is renamed.
	Err error
}

// IsDir says whether the event is about a directory.
func (e TreeEvent) IsDir() bool { return e.Mask.Has(IsDir) }

// TreeOptions are the options of [NewTree]; nil means the zero value.
type TreeOptions struct {
	// Mask is what is reported, of entries and of the roots themselves; 0 means what changes entries: Create, Delete, Modify, CloseWrite, Attrib and Moved. Who wants to know of files that were
	// written needs Create too: of what is found no other event tells. Overflow, Unmounted, and that a root is gone (DeleteSelf, MoveSelf) is always reported.
	Mask Mask
	// Skip says of an entry that it isn't reported, and if it is a directory, that nothing below it is watched. A symbolic link is no directory. It must answer the same each time, quickly, and not use the Tree.
	Skip func(path string, dir bool) bool
	// Existing reports what is there when a root is added, as Found.
	Existing bool
	// FollowLinks watches directories that symbolic links lead to, under the link's path. One that is watched already is reported by its first path only; when that goes away, by another one
	// that leads to it, and what is there follows as Found. If what a link leads to is renamed, the link is reported as MovedFrom, and again as Found, with what it leads to then.
	FollowLinks bool
	// RenameWithin is how long the second half of a rename is waited for; 0 means 10 milliseconds. See [Pairer].
	RenameWithin time.Duration
}

// half is a rename's first half, at the front of rest, whose second isn't there yet. It is the reader's.
type half struct {
	waits, alone bool
	until        time.Time
}

const defaultTreeMask = Create | Delete | Modify | CloseWrite | Attrib | Moved

// A Tree watches directories, with all that is below them and comes to be there.
//
// Each directory has a watch (fs.inotify.max_user_watches) and takes about 200 bytes of the program. A directory that appears is watched, and then looked into, so that nothing is missed; each
// entry is reported once, whether an event told of it or a look. Paths follow the renames of directories. An event is about the past: its path may lead to something else by
// now. Who keeps a picture of the tree from its events (adding what is created or moved to, removing what is deleted or moved away with all below, moving what is renamed with all below,
// forgetting everything on Overflow) has the tree as it is, once all events are read.
//
// After an Overflow all that is there follows as Found, whatever Mask asks for. Unmounted says that a file system is gone with all below its path; what it was mounted on
// follows as Found. What is mounted on a directory that is watched already isn't seen. A root that is deleted or renamed
// is watched no more; of one whose path has changed further up that is noticed, and reported as MoveSelf, only when something new below it isn't found under its path.
//
// A Tree opens directories itself: of directories Access, Open and Close aren't reported.
//
// All methods may be called by several goroutines at once; of several that read, one gets each event. The zero Tree and a nil *Tree refuse every operation with [os.ErrInvalid], a closed
// one with [os.ErrClosed]. /proc must be mounted.
type Tree struct {
	w       *Watcher
	opts    TreeOptions
	reading chan struct{} // held by who reads the queue
	lock    chan struct{} // held for all below

	roots   []*node
	byWatch map[Watch]*node
	ways    map[*node][]*node // those that lead to the same directory
	todo    []*node           // to be looked into, the last one first
	missed  []*node           // weren't where they were thought to be
	doubts  map[doubt]struct{}
	moved   bool            // there was an event since they were looked for
	quiet   *node           // what is found below it isn't reported, if it isn't nil
	ended   uint64          // how many watches we have ended
	crew    *crew           // while a root is added
	windows []opened        // in the order of their ends
	out     []TreeEvent     // to be handed out
	stale   map[Watch]*node // from before an Overflow, until all has been looked into

	pos   int64               // how many bytes of the queue have been dealt with
	rest  []byte              // events that haven't
	taken map[uint32]struct{} // second halves in rest that have
	half  half
	batch Batch

	buffer buffer
	look   look
}

// NewTree makes an empty Tree, and a Watcher for it: see [New].
func NewTree(opts *TreeOptions) (*Tree, error) {
	t := &Tree{
		reading: make(chan struct{}, 1), lock: make(chan struct{}, 1),
		byWatch: make(map[Watch]*node), ways: make(map[*node][]*node), taken: make(map[uint32]struct{}), doubts: make(map[doubt]struct{}),
	}
	if opts != nil {
		t.opts = *opts
	}
	if t.opts.Mask == 0 {
		t.opts.Mask = defaultTreeMask
	}
	if t.opts.Mask&^AllEvents != 0 {
		return nil, fail("new-tree", "", errMask)
	}
	if t.opts.RenameWithin == 0 {
		t.opts.RenameWithin = 10 * time.Millisecond
	}
	w, err := New(nil)
	if err != nil {
		return nil, err
	}
	t.w = w
	return t, nil
}

// Add watches a directory and all below it, and returns when it does. A symbolic link is followed. What is there then isn't reported, unless [TreeOptions.Existing] asks for
// it; what changes afterwards is.
//
// It fails with ENOTDIR for what isn't a directory, with ENOSPC at the limit fs.inotify.max_user_watches, which the error names, and with [os.ErrInvalid] for what is watched already; then nothing of it
// is watched. Directories below that can't be read are reported, and don't make it fail. ctx ends it between two directories.
//
// Up to four threads look into directories at once, one with [TreeOptions.FollowLinks]: credentials and namespaces that only the caller's thread has (runtime.LockOSThread) hold
// for the root alone, as they do for what appears later. [TreeOptions.Skip] is called on the caller's goroutine.
func (t *Tree) Add(ctx context.Context, path string) error {
	return fail("add", path, t.add(ctx, path))
}

func (t *Tree) add(ctx context.Context, path string) error {
	if err := t.enter(ctx); err != nil {
		return err
	}
	defer t.leave()
	full, err := absolute(path)
	if err != nil {
		return err
	}
	for len(t.todo) > 0 { // of earlier roots, which are reported
		if ctx.Err() != nil {
			return fd.ContextError(ctx)
		}
		t.step()
	}
	n := &node{name: path, full: full}
	t.roots = append(t.roots, n)
	defer t.w.fd.Kick(fd.Read) // who waits for events, for what was found
	err = errUnfinished        // if Skip panics
	defer func() {
		if err != nil {
			t.todo = slices.DeleteFunc(t.todo, func(k *node) bool { return k.below(n) })
			t.unreport(n)
			t.forget(n)
		}
	}()
	err = t.plant(ctx, n)
	return err
}

// absolute is a path that doesn't depend on the working directory. It isn't made shorter, because of links.
func absolute(path string) (string, error) {
	if path == "" || path[0] == '/' {
		return path, nil
	}
	dir, err := os.Getwd()
	return dir + "/" + path, err
}

// unreport drops what would be handed out of a root.
func (t *Tree) unreport(n *node) {
	t.out = slices.DeleteFunc(t.out, func(ev TreeEvent) bool {
		return ev.Path == n.name || strings.HasPrefix(ev.Path, n.entry("", false))
	})
}

// Remove ends the watching of a directory that was added, with the same path. What is waiting isn't reported any more.
func (t *Tree) Remove(path string) error { return fail("remove", path, t.remove(path)) }

func (t *Tree) remove(path string) error {
	if err := t.enter(context.Background()); err != nil {
		return err
	}
	defer t.leave()
	for _, n := range t.roots {
		if n.name == path {
			t.unreport(n)
			t.forget(n)
			t.w.fd.Kick(fd.Read) // who waits for events, for another way to what was below it
			return nil
		}
	}
	return errNoRoot
}

// Len is how many directories are watched.
func (t *Tree) Len() int {
	if t.enter(context.Background()) != nil {
		return 0
	}
	defer t.leave()
	return len(t.byWatch)
}

// Read waits for an event and returns it. A done ctx fails the call before anything is taken, with an error that matches ctx.Err() and context.Cause(ctx).
func (t *Tree) Read(ctx context.Context) (TreeEvent, error) {
	var one [1]TreeEvent
	_, err := t.read(ctx, one[:])
	return one[0], fail("read", "", err)
}

// ReadBatch waits for at least one event and fills dst.
func (t *Tree) ReadBatch(ctx context.Context, dst []TreeEvent) (int, error) {
	n, err := t.read(ctx, dst)
	return n, fail("read", "", err)
}

// Events waits as Read does and yields one event after another, until the loop is left or something fails; the error is yielded once, last. No lock is held meanwhile.
func (t *Tree) Events(ctx context.Context) iter.Seq2[TreeEvent, error] {
	return func(yield func(TreeEvent, error) bool) {
		for {
			ev, err := t.Read(ctx)
			if !yield(ev, err) || err != nil {
				return
			}
		}
	}
}

func (t *Tree) read(ctx context.Context, dst []TreeEvent) (int, error) {
	if len(dst) == 0 {
		return 0, errNoRoom
	}
	if err := t.enter(ctx); err != nil {
		return 0, err
	}
	t.leave()
	select {
	case t.reading <- struct{}{}:
	case <-ctx.Done():
		return 0, fd.ContextError(ctx)
	}
	defer func() { <-t.reading }()
	for {
		if n, err := t.hand(ctx, dst); n > 0 || err != nil {
			return n, err
		}
		if err := t.receive(ctx); err != nil {
			return 0, err
		}
	}
}

// hand makes events and hands out what fits.
func (t *Tree) hand(ctx context.Context, dst []TreeEvent) (int, error) {
	if err := t.enter(ctx); err != nil {
		return 0, err
	}
	defer t.leave()
	for len(t.out) < enough && t.progress() {
	}
	n := copy(dst, t.out)
	clear(t.out[:n])
	if t.out = t.out[n:]; len(t.out) == 0 {
		t.out = nil
	}
	return n, nil
}

// enough is how many events are made at a time.
const enough = 256

// enter takes the lock.
func (t *Tree) enter(ctx context.Context) error {
	if t == nil || t.w == nil || ctx == nil {
		return os.ErrInvalid
	}
	if err := t.w.fd.Check(); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return fd.ContextError(ctx)
	}
	select {
	case t.lock <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fd.ContextError(ctx)
	}
}

func (t *Tree) leave() { <-t.lock }

// receive adds what is in the queue to rest, and waits for it: for ever, or as long as a half may be alone.
func (t *Tree) receive(ctx context.Context) error {
	take := func(num int) error {
		select {
		case t.lock <- struct{}{}:
		case <-ctx.Done():
			return fd.ContextError(ctx)
		}
		defer t.leave()
		if len(t.out)+len(t.todo) > 0 { // by an Add
			return nil
		}
		return t.drain(num)
	}
	if !t.half.waits {
		return t.w.fd.Stream(ctx, fd.Read, take)
	}
	if err := t.w.fd.Control(take); err != fd.Again {
		t.half.alone = time.Now().After(t.half.until)
		return err
	}
	wait, cancel := context.WithDeadline(ctx, t.half.until)
	defer cancel()
	err := t.w.fd.Stream(wait, fd.Read, take)
	if err == nil || wait.Err() == nil || !errors.Is(err, wait.Err()) {
		return err
	}
	if ctx.Err() != nil {
		return fd.ContextError(ctx)
	}
	t.half.alone = true
	return nil
}

// drain takes what is in the queue.
func (t *Tree) drain(num int) error {
	if _, err := t.w.take(num, &t.batch); err != nil {
		return err
	}
	t.rest = append(t.rest, t.batch.rest...)
	t.batch.rest = nil
	return nil
}

// pending is how many bytes of the queue are still to be dealt with.
func (t *Tree) pending() int64 {
	n := 0
	_ = t.w.fd.Control(func(num int) (err error) {
		n, err = sys.Unread(num)
		return err
	})
	return int64(len(t.rest) + n)
}

// Close ends the Tree: see [Watcher.Close].
func (t *Tree) Close() error {
	if t == nil || t.w == nil {
		return fail("close", "", os.ErrInvalid)
	}
	return t.w.Close()
}

var errUnfinished = errors.New("it hasn't come to its end")

var (
	errNoRoom  error = invalid("there is no room for an event: the slice is empty")
	errNoRoot  error = invalid("it isn't one of the directories that were added")
	errWatched error = invalid("it is watched already, perhaps as a part of another one")
)
