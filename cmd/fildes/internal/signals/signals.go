//go:build linux

// Package signals runs a command, and tells of each signal that reaches this process meanwhile who has sent it.
package signals

import (
	"context"
	"math/big"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes/pidfd"
	"github.com/fildes/fildes/signalfd"
)

// A Record is a signal that has reached this process, or how many were lost.
type Record struct {
	Time   time.Time
	Info   signalfd.Info
	Sender *Sender // nil if none is named, or nobody asked
	Kept   string  // why it wasn't forwarded; empty if it was
}

// A session is a command that runs and the signals that reach this process meanwhile.
type session struct {
	taken   signalfd.Set
	signals *signalfd.Receiver
	command *command
	look    bool
	emit    func(Record)
}

// Run starts a command, hands a Record of each signal to emit, forwards it, and returns how the command has ended. With look, senders are looked up in /proc. It is called once in a process, whose signals
// stay as it has made them.
//
// If the command can't be started, the error is a [StartError].
func Run(cmd *exec.Cmd, look bool, emit func(Record)) (pidfd.State, error) {
	// A write that nobody reads then fails, and doesn't end this process.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)

	s := &session{taken: signalfd.All().Difference(signalfd.Reserved()), look: look, emit: emit}
	// What is ignored is inherited so. Until there is an heir it is left alone.
	ignored := ignored()
	var err error
	s.signals, err = signalfd.Notify(slices.Collect(s.taken.Difference(ignored).Signals())...)
	if err != nil {
		return pidfd.State{}, err
	}
	if s.command, err = start(cmd); err != nil {
		return pidfd.State{}, err
	}
	if ignored.Intersection(s.taken) != (signalfd.Set{}) {
		if err := s.signals.Update(s.taken); err != nil {
			s.command.kill()
			return pidfd.State{}, err
		}
	}
	return s.run()
}

// ignored is what this process was started with. What else Go's runtime hasn't left alone (all but SIGHUP, SIGINT, SIGCONT and those that stop a process) nobody can tell any more.
func ignored() (set signalfd.Set) {
	status, _ := os.ReadFile("/proc/self/status")
	_, rest, _ := strings.Cut(string(status), "\nSigIgn:")
	mask, _, _ := strings.Cut(rest, "\n")
	bits, ok := new(big.Int).SetString(strings.TrimSpace(mask), 16)
	if !ok {
		return set
	}
	for sig := range signalfd.All().Signals() {
		if bits.Bit(int(sig)-1) != 0 {
			set = set.Union(signalfd.SetOf(sig))
		}
	}
	return set
}

// run goes on until the command has ended and all that came before is told.
func (s *session) run() (state pidfd.State, err error) {
	runtime.LockOSThread()
	writeInBackground()
	ctx, end := context.WithCancel(context.Background())
	defer end()
	go func() {
		state, err = s.command.Wait(context.Background())
		end()
	}()
	batch := make([]signalfd.Info, 64)
	for ctx.Err() == nil {
		n, err := s.signals.ReadBatch(ctx, batch)
		s.handle(batch[:n], false)
		if err != nil {
			<-ctx.Done()
		}
	}
	for {
		n, err := s.signals.TryReadBatch(batch)
		if n == 0 || err != nil {
			break
		}
		s.handle(batch[:n], true)
	}
	s.command.reap()
	return state, err
}

// writeInBackground has this thread write to its terminal, though "stty tostop" forbids that in the background: SIGTTOU, which is taken here, would have the kernel try it again, for ever.
func writeInBackground() {
	var set unix.Sigset_t
	set.Val[0] = 1 << (signalfd.SIGTTOU - 1)
	_ = unix.PthreadSigmask(unix.SIG_BLOCK, &set, nil)
}

// handle tells of signals and forwards them.
func (s *session) handle(infos []signalfd.Info, ended bool) {
	child := false
	for _, i := range infos {
		pid, _, named := i.Sender()
		switch {
		case i.Lost() > 0:
			s.emit(Record{Time: time.Now(), Info: i})
			continue
		case i.Signal == signalfd.SIGCHLD && i.Origin() == signalfd.FromKernel:
			child = true
			continue
		case i.Origin() == signalfd.FromUser && pid == os.Getpid():
			continue // such as SIGPIPE, of what couldn't be written
		}
		r := Record{Time: time.Now(), Info: i}
		if s.look && named && pid > 0 {
			r.Sender = LookUp(pid) // before it ends
		}
		r.Kept = "the command has ended"
		if !ended {
			r.Kept = s.command.forward(i)
		}
		s.emit(r)
	}
	// One SIGCHLD may tell of many changes, so that it says nothing of the last.
	if child && !ended && s.command.stopped() {
		s.stop()
	}
}

// stop stops this process as the command is, so that the shell has its terminal again. It is SIGTSTP, which does nothing where no shell is that could let this process go on: SIGSTOP would be for ever.
func (s *session) stop() {
	_ = s.signals.Update(s.taken.Difference(signalfd.SetOf(signalfd.SIGTSTP)))
	_ = pidfd.Raise(signalfd.SIGTSTP, pidfd.SignalInfo{Target: pidfd.Thread}) // of this thread, so that it's over when this returns
	_ = s.signals.Update(s.taken)
}
