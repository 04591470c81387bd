//go:build linux

package fd

import "os"

// An Attachment is something that holds the number elsewhere and must let go of it before it is free: an entry in an epoll
// set.
type Attachment interface {
	// Detach lets go of num. It must not wait for a user of the FD.
	Detach(num int)
	// Move goes on with another FD, which has taken the place of this one.
	Move(to *FD)
}

// Attach makes the closing of f call a.Detach, while the number is still valid.
func (f *FD) Attach(a Attachment) error {
	s := f.hold()
	defer f.drop()
	if err := refusal(s); err != nil {
		return err
	}
	w := f.ensureWaits()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed || w.moved {
		return os.ErrClosed
	}
	if w.attached == nil {
		w.attached = make(map[Attachment]struct{})
	}
	w.attached[a] = struct{}{}
	return nil
}

// Unattach undoes Attach.
func (f *FD) Unattach(a Attachment) {
	s := f.hold()
	defer f.drop()
	if w := f.waits.Load(); refusal(s) == nil && w != nil {
		w.mu.Lock()
		delete(w.attached, a)
		w.mu.Unlock()
	}
}

// MoveAttachments hands all that is attached to f over to another FD; f takes no more.
func (f *FD) MoveAttachments(to *FD) {
	s := f.hold()
	defer f.drop()
	if refusal(s) != nil {
		return
	}
	w := f.ensureWaits()
	w.mu.Lock()
	w.moved = true
	w.mu.Unlock()
	for a := range w.takeAttached() {
		a.Move(to)
	}
}

// detach is called by the last user, before the number is free.
func (w *waits) detach(num int) {
	for a := range w.takeAttached() {
		a.Detach(num)
	}
}

func (w *waits) takeAttached() map[Attachment]struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	as := w.attached
	w.attached = nil
	return as
}
