//go:build linux

package fanotify

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes"
	"github.com/fildes/fildes/internal/sys"
)

// A Verdict is the answer to a permission event.
type Verdict uint32

// The verdicts, beside those of [DenyErrno].
const (
	Allow Verdict = 1 // FAN_ALLOW
	Deny  Verdict = 2 // FAN_DENY: it fails with EPERM
)

const (
	withAudit Verdict = 0x10 // FAN_AUDIT
	withInfo  Verdict = 0x20 // FAN_INFO
	decision          = Allow | Deny
)

// DenyErrno is Deny with an error of choice: EPERM, EIO, EBUSY, ETXTBSY, EAGAIN, ENOSPC or EDQUOT, for groups of the class PreContent. Linux 6.14.
func DenyErrno(errno syscall.Errno) Verdict {
	if errno > 0xff {
		return 0 // no verdict
	}
	return Deny | Verdict(errno)<<24
}

// Audit has the kernel write the decision to the audit log too; the group needs the option Audit.
func (v Verdict) Audit() Verdict { return v | withAudit }

// Errno is what the denied call fails with, and 0 for Allow.
func (v Verdict) Errno() syscall.Errno {
	switch {
	case v&decision != Deny:
		return 0
	case v>>24 == 0:
		return syscall.EPERM
	}
	return syscall.Errno(v >> 24)
}

// String is like "Allow", "Deny(EBUSY)" or "Deny|Audit".
func (v Verdict) String() string {
	s := ""
	switch v &^ (withAudit | 0xff<<24) {
	case Allow:
		s = "Allow"
	case Deny:
		s = "Deny"
	default:
		return fmt.Sprintf("Verdict(%#x)", uint32(v))
	}
	if e := v >> 24; e != 0 {
		s += "(" + unix.ErrnoName(syscall.Errno(e)) + ")"
	}
	if v&withAudit != 0 {
		s += "|Audit"
	}
	return s
}

var errVerdict error = invalid("a verdict is Allow, Deny or DenyErrno, with Audit or without")

func (v Verdict) check() error {
	if d := v & decision; d != Allow && d != Deny || v&^(decision|withAudit|0xff<<24) != 0 || d == Allow && v>>24 != 0 {
		return errVerdict
	}
	return nil
}

// An AuditRule tells the audit log why: the rule that decided, and how far it trusts the two sides.
type AuditRule struct {
	Number  uint32 // of the rule
	Subject Trust  // in who asks
	Object  Trust  // in the file
}

// Trust is what an AuditRule says about a side.
type Trust uint32

// The levels of trust.
const (
	Untrusted    Trust = 0
	Trusted      Trust = 1
	TrustUnknown Trust = 2
)

// ErrAnswered is why a decision isn't taken: there has been one, by another goroutine, by the group's default when the time was over, or by the kernel. It matches [syscall.ENOENT].
var ErrAnswered error = answeredError{}

type answeredError struct{}

func (answeredError) Error() string { return "the event has been answered already" }
func (answeredError) Unwrap() error { return syscall.ENOENT }

// Asks says whether the event waits for an answer.
func (e Event) Asks() bool {
	defer runtime.KeepAlive(e.guard)
	return e.group != nil && e.group.pending.waiting(e.ref)
}

// Allow lets the access go on. Of an event's answers the first counts: any other gets [ErrAnswered].
func (e Event) Allow() error { return e.Respond(Allow) }

// Deny refuses the access, with EPERM.
func (e Event) Deny() error { return e.Respond(Deny) }

// DenyErrno refuses the access with an error of choice: see [DenyErrno].
func (e Event) DenyErrno(errno syscall.Errno) error { return e.Respond(DenyErrno(errno)) }

// Respond answers a permission event: write(2) to the group. It never waits. If the kernel refuses the verdict, the event still waits for one.
func (e Event) Respond(v Verdict) error { return fail("respond", "", e.respond(v, nil)) }

// RespondRule is Respond with a record for the audit log. Linux 6.3.
func (e Event) RespondRule(v Verdict, rule AuditRule) error {
	return fail("respond", "", e.respond(v.Audit(), &rule))
}

func (e Event) respond(v Verdict, rule *AuditRule) error {
	defer runtime.KeepAlive(e.guard)
	switch {
	case e.group == nil:
		return os.ErrInvalid
	case e.ref != ref{}:
		return e.group.answer(e.ref, v, rule)
	case e.Mask&Permissions != 0:
		return ErrAnswered // the kernel denied it: it couldn't show the file
	}
	return errNoQuestion
}

// answer gives the one answer to an event. It is claimed and given within one reference to the descriptor, so that Close and Release wait for who has claimed it.
func (g *Group) answer(r ref, v Verdict, rule *AuditRule) error {
	if err := v.check(); err != nil {
		return err
	}
	return g.fd.Control(func(group int) error {
		num, err := g.pending.begin(r)
		if err != nil {
			return err
		}
		return g.conclude(group, r, num, g.write(group, num, v, rule))
	})
}

// conclude says how answering went, and gives the default where nobody else would.
func (g *Group) conclude(group int, r ref, num int32, err error) error {
	gone := errors.Is(err, syscall.ENOENT)
	if g.pending.end(r, err == nil || gone) {
		_ = g.write(group, num, g.fallback, nil)
		g.pending.end(r, true)
	}
	if gone {
		return ErrAnswered
	}
	return err
}

const (
	responseSize = 8  // struct fanotify_response
	ruleSize     = 16 // struct fanotify_response_info_audit_rule
)

func putResponse(b []byte, num int32, v Verdict) {
	binary.NativeEndian.PutUint32(b, uint32(num))
	binary.NativeEndian.PutUint32(b[4:], uint32(v))
}

// write gives the answer to the event that the kernel knows by a number.
func (g *Group) write(group int, num int32, v Verdict, rule *AuditRule) error {
	var b [responseSize + ruleSize]byte
	n := responseSize
	if rule != nil {
		v |= withInfo
		b[8] = 1 // FAN_RESPONSE_INFO_AUDIT_RULE
		binary.NativeEndian.PutUint16(b[10:], ruleSize)
		binary.NativeEndian.PutUint32(b[12:], rule.Number)
		binary.NativeEndian.PutUint32(b[16:], uint32(rule.Subject))
		binary.NativeEndian.PutUint32(b[20:], uint32(rule.Object))
		n += ruleSize
	}
	putResponse(b[:], num, v)
	e := sys.RawWrite(group, b[:n])
	g.replied.Store(int64(g.pending.now()))
	if e == 0 {
		return nil
	}
	return g.refusedReply(group, v, rule != nil, sys.Error("write", e))
}

// refusedReply says what the kernel minds about an answer.
func (g *Group) refusedReply(group int, v Verdict, rule bool, err error) error {
	if !errors.Is(err, syscall.EINVAL) {
		return err
	}
	if v&withAudit != 0 && g.flags&unix.FAN_ENABLE_AUDIT == 0 {
		return errAudit
	}
	if rule {
		var b [responseSize + ruleSize]byte
		b[8] = 1
		binary.NativeEndian.PutUint16(b[10:], ruleSize)
		putResponse(b[:], noFD, Allow|withInfo|withAudit) // to none: it only tells whether the kernel knows the record
		if _, perr := sys.Write(group, b[:]); errors.Is(perr, syscall.EINVAL) {
			return &fildes.UnsupportedError{Feature: "FAN_RESPONSE_INFO_AUDIT_RULE", Since: "6.3", Err: err}
		}
	}
	if v>>24 != 0 {
		if g.class != PreContent {
			return errErrnoClass
		}
		if !sys.FanotifyKnows(0, uint64(PreAccess)) { // which came with it
			return &fildes.UnsupportedError{Feature: "FAN_DENY_ERRNO", Since: "6.14", Err: err}
		}
		return errErrno
	}
	return err
}

// A Response is for [Group.RespondBatch].
type Response struct {
	// Event is what is answered.
	Event Event
	// Verdict is the answer.
	Verdict Verdict
	// Err is set by RespondBatch: nil where the answer was taken.
	Err error
}

// RespondBatch answers many events, up to 1,024 with one system call (writev), and returns how many answers were taken; Err of each Response says which. The error is that of the first that
// wasn't. The events must be of this group.
func (g *Group) RespondBatch(responses []Response) (taken int, err error) {
	if err := g.engine().Check(); err != nil {
		return 0, fail("respond-batch", "", err)
	}
	for len(responses) > 0 {
		n := min(len(responses), sys.MaxIovecs)
		taken += g.respondSome(responses[:n])
		for i := range responses[:n] {
			if err == nil && responses[i].Err != nil {
				err = responses[i].Err
			}
		}
		responses = responses[n:]
	}
	return taken, err
}

// respondSome answers within one reference to the descriptor, as answer does.
func (g *Group) respondSome(rs []Response) (taken int) {
	err := g.fd.Control(func(group int) error {
		taken = g.respondAll(group, rs)
		return nil
	})
	if err != nil {
		for i := range rs {
			rs[i].Err = fail("respond-batch", "", err)
		}
	}
	return taken
}

func (g *Group) respondAll(group int, rs []Response) (taken int) {
	buf := make([]byte, responseSize*len(rs))
	iov := make([]sys.Iovec, 0, len(rs))
	which := make([]int, 0, len(rs)) // of rs, for each of iov
	number := func(i int) int32 { return int32(binary.NativeEndian.Uint32(buf[responseSize*i:])) }
	for i := range rs {
		r := &rs[i]
		err := r.Verdict.check()
		if err == nil && r.Event.group != g {
			err = errOtherGroup
		}
		if err == nil && r.Event.ref == (ref{}) {
			err = errNoQuestion
		}
		var num int32
		if err == nil {
			num, err = g.pending.begin(r.Event.ref)
		}
		if r.Err = fail("respond-batch", "", err); err != nil {
			continue
		}
		b := buf[responseSize*i : responseSize*(i+1) : responseSize*(i+1)]
		putResponse(b, num, r.Verdict)
		iov = sys.AppendIovecs(iov, [][]byte{b}, 0)
		which = append(which, i)
	}
	for len(iov) > 0 {
		k, err := sys.Writev(group, iov) // a response per vector: the kernel takes one of each write
		n := k / responseSize
		for _, i := range which[:n] {
			_ = g.conclude(group, rs[i].Event.ref, number(i), nil)
		}
		taken += n
		if n == 0 {
			if err == nil {
				err = syscall.EINVAL
			}
			i := which[0]
			err = g.refusedReply(group, rs[i].Verdict, false, sys.Named("writev", err))
			rs[i].Err = fail("respond-batch", "", g.conclude(group, rs[i].Event.ref, number(i), err))
			n = 1
		}
		iov, which = iov[n:], which[n:]
	}
	g.replied.Store(int64(g.pending.now()))
	runtime.KeepAlive(rs)
	return taken
}
