//go:build linux

package pidfd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes/internal/fd"
	"github.com/fildes/fildes/internal/sys"
	"github.com/fildes/fildes/signalfd"
)

// Wait waits until the process has ended, as a whole, and says how. It takes no thread, any number of goroutines may wait, and the process need not be a child. It reaps nothing: a child stays to be waited for.
//
// How it has ended is known of a child (waitid(2), WNOWAIT), of what ptrace(2) could attach to while nobody has reaped it (/proc/PID/stat), and since Linux 6.15 of all that have been reaped (ioctl(2), PIDFD_GET_INFO).
// Else the State isn't [State.Known].
//
// A done ctx fails the call at once, also when the process has ended, with an error that matches ctx.Err() and context.Cause(ctx).
func (p *Process) Wait(ctx context.Context) (State, error) {
	var s State
	err := p.engine().Await(ctx, fd.Read, func(num int) (err error) {
		s, err = p.look(num)
		return err
	})
	return s, fail("wait", err)
}

// TryWait is [Process.Wait] where it need not wait. It says whether the process has ended.
func (p *Process) TryWait() (s State, ended bool, err error) {
	err = p.engine().Control(func(num int) error {
		s, err = p.look(num)
		return err
	})
	if err == fd.Again {
		return State{}, false, nil
	}
	return s, err == nil, fail("try-wait", err)
}

// Reap waits as [Process.Wait] does and frees what is left of a child: waitid(2). From then on its number may belong to another process, and the signals of this Process fail with [os.ErrProcessDone]. A second Reap, or a Wait,
// returns the same State. If somebody else has reaped the child, Reap returns what Wait does.
//
// It is for children that os doesn't know. Of others os.Process wouldn't know: its Wait, and [exec.Cmd.Wait], fail with ECHILD, and where os works by numbers, a Kill of it, or the end of exec.CommandContext's context, may hit a stranger. For them there is Wait,
// and then their own.
//
// A process that isn't a child is refused with ECHILD, and a thread with [os.ErrInvalid].
func (p *Process) Reap(ctx context.Context) (State, error) {
	var s State
	err := p.engine().Await(ctx, fd.Read, func(num int) error {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.thread {
			return errThread
		}
		if p.reaped != nil {
			s = *p.reaped
			return nil
		}
		var e syscall.Errno
		if s, e = p.waitid(num, true); e == 0 { // what isn't an end, of one that this process traces, isn't to be taken away
			if s, e = p.waitid(num, false); e == 0 {
				p.reaped = &s
				return nil
			}
		}
		if e != unix.ECHILD || !p.child && !gone(num) {
			return errnoOf("waitid", e)
		}
		for n := 0; p.child && n < 100 && !gone(num); n++ { // whoever reaps it is about to
			time.Sleep(100 * time.Microsecond)
		}
		var err error
		s, err = ended(num)
		return err
	})
	return s, fail("reap", err)
}

var errThread error = invalid("a thread isn't reaped")

func errnoOf(call string, e syscall.Errno) error {
	if e == fd.Again {
		return fd.Again
	}
	return sys.Error(call, e)
}

// look says how the process has ended, or Again.
func (p *Process) look(num int) (State, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.reaped != nil {
		return *p.reaped, nil
	}
	if !p.thread {
		if s, e := p.waitid(num, true); e != unix.ECHILD {
			return s, errnoOf("waitid", e)
		}
	}
	return ended(num)
}

// waitid asks for the end of a child. It returns EAGAIN if that is still to come. The caller holds p.mu.
func (p *Process) waitid(num int, keep bool) (State, syscall.Errno) {
	var raw [sys.SignalInfoSize]byte
	s := State{ended: true, known: true, used: true}
	if e := sys.WaitPidfd(num, &raw, &s.usage, keep); e != 0 {
		return State{}, e
	}
	p.child = true
	abi, err := signalfd.ABIOf(runtime.GOARCH)
	if err != nil {
		return State{}, unix.ENOSYS
	}
	info, _ := signalfd.ParseInfo(raw[:], abi)
	c, ok := info.Child()
	if !ok || c.Code != signalfd.Exited && c.Code != signalfd.Killed && c.Code != signalfd.Dumped {
		return State{}, unix.EAGAIN
	}
	s.status = statusOf(c)
	return s, 0
}

// ended is look for a process that isn't a child, or that has been reaped.
func ended(num int) (State, error) {
	ended, _, err := sys.PidfdEnded(num)
	if err != nil {
		return State{}, err
	}
	if !ended {
		return State{}, fd.Again
	}
	info := unix.PidfdInfo{Mask: unix.PIDFD_INFO_EXIT}
	if err := sys.PidfdInfo(num, &info); err == nil && info.Mask&unix.PIDFD_INFO_EXIT != 0 {
		return State{ended: true, known: true, status: syscall.WaitStatus(info.Exit_code)}, nil
	}
	if status, ok := zombieStatus(num); ok {
		return State{ended: true, known: true, status: status}, nil
	}
	info = unix.PidfdInfo{Mask: unix.PIDFD_INFO_EXIT} // it may have been reaped meanwhile
	if err := sys.PidfdInfo(num, &info); err == nil && info.Mask&unix.PIDFD_INFO_EXIT != 0 {
		return State{ended: true, known: true, status: syscall.WaitStatus(info.Exit_code)}, nil
	}
	return State{ended: true}, nil
}

// gone says whether the process has been reaped.
func gone(num int) bool {
	return errors.Is(sys.PidfdSendSignal(num, 0, nil, 0), unix.ESRCH)
}

// zombieStatus is how a process has ended that has not been reaped, by /proc, which shows 0 to those who may not know it.
func zombieStatus(num int) (syscall.WaitStatus, bool) {
	pid, err := procPID(num)
	if err != nil || pid <= 0 {
		return 0, false
	}
	dir := "/proc/" + strconv.Itoa(pid)
	if _, err := os.Readlink(dir + "/exe"); !errors.Is(err, unix.ENOENT) { // a zombie's, to those who may
		return 0, false
	}
	stat, err := os.ReadFile(dir + "/stat")
	if err != nil {
		return 0, false
	}
	status, ok := parseStat(stat)
	if again, err := procPID(num); err != nil || again != pid { // then the number may be another's
		return 0, false
	}
	return status, ok
}

// parseStat finds the exit code of a zombie in /proc/PID/stat, the 52nd field.
func parseStat(stat []byte) (syscall.WaitStatus, bool) {
	_, rest, ok := bytes.Cut(stat[max(bytes.LastIndexByte(stat, ')'), 0):], []byte(") "))
	fields := bytes.Fields(rest)
	if !ok || len(fields) < 50 || string(fields[0]) != "Z" && string(fields[0]) != "X" {
		return 0, false
	}
	n, err := strconv.Atoi(string(fields[49]))
	return syscall.WaitStatus(n), err == nil
}

// procPID is the number that /proc has for a pidfd: -1 when the process has been reaped.
func procPID(num int) (int, error) {
	info, err := sys.ProcInfo(num)
	if err != nil {
		return 0, err
	}
	value, ok := sys.InfoField(info, "Pid")
	if !ok {
		return 0, fmt.Errorf("%s says no Pid: %w", sys.ProcPath(num), os.ErrInvalid)
	}
	return strconv.Atoi(string(value))
}
