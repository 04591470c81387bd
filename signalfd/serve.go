//go:build linux

package signalfd

import "context"

// Handlers are what [Receiver.Serve] calls. Each function may be nil, but Default.
type Handlers struct {
	// Signals has a function for each signal that needs one of its own.
	Signals map[Signal]func(Info) error
	// RealTime is for the real-time signals that have none there.
	RealTime func(Info) error
	// Unknown is for signals with a code that nothing is known of: see [Info.Known].
	Unknown func(Info) error
	// Lost is told how many signals were lost.
	Lost func(n int) error
	// Default is for all that none of the others is for.
	Default func(Info) error
}

// Serve receives signals and calls a function for each, one after the other, until one returns an error, which Serve returns as it is, or reading fails. Nothing is taken in advance: what comes after the
// signal whose function failed, or panicked, is still there for whoever reads next.
func (r *Receiver) Serve(ctx context.Context, h Handlers) error {
	if h.Default == nil {
		return fail("serve", invalid("Handlers.Default must say what is to be done with the rest"))
	}
	for {
		i, err := r.Read(ctx)
		if err != nil {
			return err
		}
		if err := h.call(i); err != nil {
			return err
		}
	}
}

func (h *Handlers) call(i Info) error {
	own := h.Signals[i.Signal]
	switch {
	case i.Lost() > 0 && h.Lost != nil:
		return h.Lost(i.Lost())
	case i.Lost() > 0:
		return h.Default(i)
	case !i.Known() && h.Unknown != nil:
		return h.Unknown(i)
	case own != nil:
		return own(i)
	case i.Signal.RealTime() && h.RealTime != nil:
		return h.RealTime(i)
	}
	return h.Default(i)
}
