//go:build linux

package fanotify

import (
	"errors"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes/internal/fd"
	"github.com/fildes/fildes/internal/sys"
)

// A Group is a set of marks and the queue of their events.
//
// All methods may be called by several goroutines at once; of several that read, one gets each event. The zero Group and a nil *Group refuse every operation with [os.ErrInvalid], a
// closed one with [os.ErrClosed]. A Group must not be copied. One that is forgotten without Close is closed by the garbage collector, some time later, which allows what waits for an answer; if others
// have the description too, what was read here then waits until they close it.
type Group struct {
	fd fd.FD

	flags    uint // of fanotify_init
	class    Class
	report   Report
	fallback Verdict
	within   time.Duration // 0 is for ever
	askOwn   bool
	single   bool // events are read one by one, because the kernel loses one silently if its file can't be opened

	mu      sync.Mutex // held for each read of the queue, so that events are handed out in their order
	ahead   Batch      // what Read, Events and the keeper have read ahead
	scratch Batch      // the keeper's

	wanted  atomic.Bool  // somebody has read
	readers atomic.Int32 // those in Read and ReadBatch, who need no keeper to read for them
	pending *pending
	mounts  *mounts
	keeper  keeper
	replied atomic.Int64 // when the last answer was given, as pending.now
	shared  atomic.Bool  // others have the description, and may go on with it
	counts  struct{ own, late, dropped atomic.Uint64 }
}

// Options are the options of [New]; nil means the zero value: a group of the class Notify whose events have descriptors.
type Options struct {
	// Class is Notify, Content or PreContent. Permission events need one of the latter.
	Class Class
	// Report is what events tell.
	Report Report
	// Open is how the files of events are opened: os.O_RDONLY, os.O_WRONLY or os.O_RDWR with os.O_APPEND, unix.O_DSYNC, os.O_SYNC and unix.O_NOATIME. Large files always can be.
	Open int
	// UnlimitedQueue has as many events wait as memory holds, instead of fs.fanotify.max_queued_events. Needs CAP_SYS_ADMIN.
	UnlimitedQueue bool
	// UnlimitedMarks doesn't count the group's marks for fs.fanotify.max_user_marks. Needs CAP_SYS_ADMIN.
	UnlimitedMarks bool
	// Audit allows [Verdict.Audit] and [Event.RespondRule]. Needs CAP_AUDIT_WRITE, and Linux 4.15.
	Audit bool

	// Default is the answer to permission events that end without one, and whose time is over: Allow, which the zero Verdict means too, or Deny.
	Default Verdict
	// Within is how long a permission event may wait for its answer, from when it was read on, before it gets the default; also if nobody reads. 0 is [DefaultWithin]; less is for ever.
	Within time.Duration
	// AskOwn has permission events of this very process handed out too. Else they are allowed at once: who decides must not wait for himself.
	AskOwn bool
}

// DefaultWithin is how long a permission event waits for its answer, if the options don't say otherwise.
const DefaultWithin = 30 * time.Second

// openFlags are those that an event's file may be opened with.
const openFlags = os.O_WRONLY | os.O_RDWR | os.O_APPEND | unix.O_DSYNC | os.O_SYNC | unix.O_NOATIME

var (
	errClass      error = invalid("there is no such class")
	errReport     error = invalid("there is nothing such to report")
	errClassFID   error = invalid("a group that decides can't report file handles: its events have descriptors")
	errNameDir    error = invalid("ReportName needs ReportDirFID")
	errTarget     error = invalid("ReportTargetFID needs ReportName and ReportFID")
	errPIDs       error = invalid("ReportPIDFD and ReportTID exclude each other")
	errMountAlone error = invalid("ReportMount excludes other classes, file handles and ReportFDError")
	errOpen       error = invalid("a file can't be opened like that for an event")
	errDefault    error = invalid("the default is Allow or Deny")
)

func (o *Options) check() error {
	r := o.Report
	switch {
	case o.Class != Notify && o.Class != Content && o.Class != PreContent:
		return errClass
	case r&^allReports != 0:
		return errReport
	case o.Class != Notify && r&handles != 0:
		return errClassFID
	case r.Has(ReportName) && !r.Has(ReportDirFID):
		return errNameDir
	case r.Has(ReportTargetFID) && !r.Has(ReportName|ReportFID):
		return errTarget
	case r.Has(ReportPIDFD | ReportTID):
		return errPIDs
	case r.Has(ReportMount) && (o.Class != Notify || r&(handles|ReportFDError) != 0):
		return errMountAlone
	case o.Open&^openFlags != 0 || o.Open&unix.O_ACCMODE == unix.O_ACCMODE:
		return errOpen
	case o.Default != 0 && o.Default != Allow && o.Default != Deny:
		return errDefault
	}
	return nil
}

// initFlags are fanotify_init's.
func (o *Options) initFlags() uint {
	f := uint(o.Class) | uint(o.Report)
	for _, x := range []struct {
		on  bool
		bit uint
	}{
		{o.UnlimitedQueue, unix.FAN_UNLIMITED_QUEUE},
		{o.UnlimitedMarks, unix.FAN_UNLIMITED_MARKS},
		{o.Audit, unix.FAN_ENABLE_AUDIT},
	} {
		if x.on {
			f |= x.bit
		}
	}
	return f
}

// noFDError remembers that the kernel doesn't have FAN_REPORT_FD_ERROR.
var noFDError atomic.Bool

// New makes a Group: fanotify_init(2), close-on-exec.
//
// What the kernel doesn't have is an [*fildes.UnsupportedError] that names it. Without CAP_SYS_ADMIN the error is EPERM, but for what unprivileged groups may do since Linux 5.13: the class Notify with file
// handles, marks of the scope Inode, and no word about other processes. It fails with EMFILE where the user has as many groups as fs.fanotify.max_user_groups allows, and at
// the limit on descriptors; the error says which.
func New(opts *Options) (*Group, error) {
	var o Options
	if opts != nil {
		o = *opts
	}
	if err := o.check(); err != nil {
		return nil, fail("new", "", err)
	}
	flags, events := o.initFlags(), uint(o.Open)
	num, err := -1, error(syscall.EINVAL)
	// Descriptors that can't be made are told of only so.
	opens := o.Report&(handles|ReportMount) == 0 || o.Report.Has(ReportPIDFD)
	if opens && !o.Report.Has(ReportMount) && !noFDError.Load() {
		num, err = sys.FanotifyInit(flags|uint(ReportFDError), events)
		switch {
		case err == nil:
			flags |= uint(ReportFDError)
		case errors.Is(err, syscall.EINVAL):
			if missingInit(uint(ReportFDError)) {
				noFDError.Store(true)
			}
		}
	}
	if errors.Is(err, syscall.EINVAL) {
		num, err = sys.FanotifyInit(flags, events)
	}
	if err != nil {
		return nil, fail("new", "", explainInit(flags, err))
	}
	g := new(Group)
	g.fd.Init(num, false)
	g.begin(flags, o)
	return g, nil
}

// begin sets what isn't the descriptor.
func (g *Group) begin(flags uint, o Options) {
	g.flags = flags
	g.class, g.report = Class(flags)&(Content|PreContent), Report(flags)&allReports
	g.fallback = max(o.Default, Allow)
	if g.within = o.Within; g.within == 0 {
		g.within = DefaultWithin
	}
	g.within = max(g.within, 0)
	g.askOwn = o.AskOwn
	g.single = g.report&(handles|ReportMount|ReportFDError) == 0
	g.pending = &pending{began: time.Now()}
	g.mounts = new(mounts)
	runtime.AddCleanup(g, (*pending).closeAll, g.pending)
	if g.class != Notify {
		g.replied.Store(-int64(time.Hour))
		g.fd.WaitApart() // who waits for an answer needn't wait for another thread to be woken too
	}
	g.keep()
}

// FromFile makes a Group of a duplicate of f's descriptor: of a group that was inherited or received. f stays the caller's. The marks, the queue and O_NONBLOCK are
// shared; O_NONBLOCK is set, and a read during which another process clears it blocks a thread. Of the options Default, Within and AskOwn count; the others are as the group was made.
//
// Anything but a fanotify group is refused with [os.ErrInvalid]. To tell, /proc must be mounted.
func FromFile(f *os.File, opts *Options) (*Group, error) {
	var o Options
	if opts != nil {
		o = Options{Default: opts.Default, Within: opts.Within, AskOwn: opts.AskOwn}
	}
	if err := o.check(); err != nil {
		return nil, fail("from-file", "", err)
	}
	n, err := fd.FromFile(f)
	if err != nil {
		return nil, fail("from-file", "", err)
	}
	err = fd.CheckAnonymous(n, "[fanotify]")
	var flags uint
	if err == nil {
		flags, _, err = sys.FanotifyFlags(n)
	}
	if err != nil {
		_ = sys.Close(n)
		return nil, fail("from-file", "", err)
	}
	g := new(Group)
	if err := g.fd.Adopt(n); err != nil {
		return nil, fail("from-file", "", err)
	}
	g.shared.Store(true)
	g.begin(flags, o)
	return g, nil
}

// Class is what the group may decide.
func (g *Group) Class() Class {
	if g == nil {
		return Notify
	}
	return g.class
}

// Report is what its events tell: what New was asked for, and ReportFDError where the kernel has it and there are descriptors.
func (g *Group) Report() Report {
	if g == nil {
		return 0
	}
	return g.report
}

// Counts are permission events that the group has answered by itself.
type Counts struct {
	Own     uint64 // of this process, allowed
	Late    uint64 // nobody decided in time
	Dropped uint64 // ended without an answer: closed, left, forgotten
}

// Counts returns them.
func (g *Group) Counts() Counts {
	if g == nil {
		return Counts{}
	}
	return Counts{g.counts.own.Load(), g.counts.late.Load(), g.counts.dropped.Load()}
}

func (g *Group) engine() *fd.FD {
	if g == nil {
		return nil
	}
	return &g.fd
}

// Close ends the group and its marks: close(2). It wakes whoever waits, who then fails with [os.ErrClosed], and ends all events, kept ones too, whose descriptors weren't taken.
// Permission events that have no answer get the group's default: the kernel allows them, so that with Deny the marks are removed first, and what is waiting is read and denied. (An access that begins in that
// instant may still be allowed; if the process is killed, all are.) A second Close returns [os.ErrClosed]. Events that nobody has read are lost.
//
// Where others may have the description ([FromFile], [Group.File]), the marks stay, and only what was read here is answered: when the last of them closes it, the kernel allows the rest.
func (g *Group) Close() error {
	if err := g.engine().Check(); err != nil {
		return fail("close", "", err)
	}
	if g.class != Notify {
		g.settle(g.fallback == Deny && !g.shared.Load())
	}
	err := g.fd.Close()
	if g.keeper.stop(); g.pending != nil {
		g.pending.closeAll()
		g.mounts.closeAll()
	}
	return fail("close", "", err)
}

// settle gives the default to all that has no answer.
func (g *Group) settle(drain bool) {
	g.pending.refuse() // what is read from now on is answered by its reader
	if drain {
		for _, s := range []Scope{Inode, Mount, Filesystem} {
			_ = g.flush(s)
		}
		var b Batch
		for {
			if _, err := g.tryTake(&b); err != nil {
				break
			}
			b.Close()
		}
	}
	for _, r := range g.pending.overdue(nil, true) {
		if g.answer(r, g.fallback, nil) == nil {
			g.counts.dropped.Add(1)
		}
	}
}

// SyscallConn lends the descriptor out: see [fildes.FD.SyscallConn]. Who answers permission events through it answers them for the Group too.
func (g *Group) SyscallConn() (syscall.RawConn, error) {
	failed := func(op string, err error) error { return fail(op, "", err) }
	r, err := g.engine().SyscallConn(failed)
	return r, failed("syscall-conn", err)
}

// File returns a duplicate of the descriptor, for a child process, say; it shares the description, with the marks, the queue and O_NONBLOCK: see [fildes.FD.File]. A group that decides must
// be read by one process at a time, since the kernel knows events by the numbers that their descriptors have in the process that reads; here nothing is read then until somebody calls Read or ReadBatch again.
func (g *Group) File() (*os.File, error) {
	if g != nil {
		g.shared.Store(true)
	}
	f, err := g.engine().File("fanotify")
	return f, fail("file", "", err)
}

// Inherit fails with an error that matches [errors.ErrUnsupported]: a group can't be opened anew, so that a child would get a non-blocking descriptor. A child that knows
// what it gets takes [Group.File]'s.
func (g *Group) Inherit() (*os.File, error) {
	f, err := g.engine().Inherit("fanotify")
	return f, fail("inherit", "", err)
}

// Release ends the Group without closing the descriptor, and returns its number: see [fildes.FD.Release]. The marks stay; events that were read end, with the default for an answer.
func (g *Group) Release() (int, error) {
	n, err := g.engine().Release()
	if err == nil {
		g.keeper.stop()
		g.pending.refuse()
		for _, r := range g.pending.overdue(nil, true) {
			if num, err := g.pending.begin(r); err == nil {
				_ = g.write(n, num, g.fallback, nil)
				g.pending.end(r, true)
			}
		}
		g.pending.closeAll()
		g.mounts.closeAll()
	}
	return n, fail("release", "", err)
}
