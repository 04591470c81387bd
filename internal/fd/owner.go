//go:build linux

package fd

import (
	"runtime"
	"sync"

	"github.com/fildes/fildes/internal/sys"
)

// An owner holds the number, and is what the collector closes when a handle is forgotten. It is apart from the FD because
// setting and clearing a finalizer costs a third of making and closing an eventfd: an owner keeps its finalizer while it is
// used by one FD after another. Only the FD refers to it.
type owner struct {
	num   int
	waits *waits // set once, if the FD gets one
}

var owners = sync.Pool{New: func() any {
	o := &owner{num: -1}
	runtime.SetFinalizer(o, (*owner).abandon)
	return o
}}

func newOwner(num int) *owner {
	o := owners.Get().(*owner)
	o.num = num
	return o
}

// recycle is called by the last user of an FD that has given up its number.
func (o *owner) recycle() {
	o.num, o.waits = -1, nil
	owners.Put(o)
}

// abandon closes what a forgotten handle owned.
func (o *owner) abandon() {
	if o.num < 0 {
		return
	}
	if o.waits != nil {
		o.waits.wake()
	}
	_ = closeNumber(o.num, o.waits)
}

// closeNumber closes the number by whoever owns it: Go's poller once it was registered there.
func closeNumber(num int, w *waits) error {
	if w == nil {
		return sys.Close(num)
	}
	w.detach(num)
	w.closeApart()
	if w.file != nil {
		return closeError(w.file.Close())
	}
	return sys.Close(num)
}
