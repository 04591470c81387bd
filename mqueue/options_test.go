//go:build linux

package mqueue_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes/internal/fdtest"
	"github.com/fildes/fildes/mqueue"
)

func TestOptionsRefused(t *testing.T) {
	name := newName(t)
	for _, o := range []mqueue.Options{
		{Exclusive: true},
		{Create: true, Perm: fs.ModeSetuid | 0o600},
		{Create: true, Perm: 0o4600},
		{Create: true, MaxMessages: -1},
		{Create: true, MessageSize: -1},
		{Create: true, MaxMessages: 1, MessageSize: -5},
	} {
		_, err := mqueue.Open(name, &o)
		wantIs(t, err, os.ErrInvalid)
		_, err = mqueue.OpenSender(name, &o)
		wantIs(t, err, os.ErrInvalid)
		_, err = mqueue.OpenReceiver(name, &o)
		wantIs(t, err, os.ErrInvalid)
	}
	if strconv.IntSize > 32 {
		large := int64(1) << 31
		_, err := mqueue.Open(name, &mqueue.Options{Create: true, MaxMessages: int(large)})
		wantIs(t, err, os.ErrInvalid)
	}
	_, err := mqueue.Open(name, nil)
	wantIs(t, err, fs.ErrNotExist)
}

// Permissions are as asked, whatever the umask, which is the whole process'.
func TestPermissions(t *testing.T) {
	out, child, err := fdtest.InChild(t)
	if !child {
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	for _, mask := range []int{0o077, 0, 0o777} {
		unix.Umask(mask)
		for _, perm := range []fs.FileMode{0, 0o600, 0o666, 0o622, 0o640, 0o400, 0o200, 0o777, 0o022} {
			name := newName(t)
			q, err := mqueue.Open(name, &mqueue.Options{Create: true, Perm: perm, MaxMessages: 1, MessageSize: 8})
			check(t, err)
			s, err := q.Status()
			check(t, err)
			want := perm
			if perm == 0 {
				want = 0o600
			}
			if s.Mode != want {
				t.Errorf("under umask %#o: %#o, not %#o", mask, s.Mode, want)
			}
			check(t, q.Close())
			check(t, mqueue.Unlink(name))
		}
	}
}

func TestCreate(t *testing.T) {
	name := newName(t)
	_, err := mqueue.Open(name, nil)
	wantIs(t, err, fs.ErrNotExist)
	q := open(t, name, made(3, 24))
	_, err = mqueue.OpenSender(name, made(3, 24))
	wantIs(t, err, fs.ErrExist)
	// One that exists is as it is.
	r, err := mqueue.OpenReceiver(name, &mqueue.Options{Create: true, MaxMessages: 2, MessageSize: 8, Perm: 0o666})
	check(t, err)
	defer r.Close()
	want := mqueue.Attr{MaxMessages: 3, MessageSize: 24}
	if a, err := r.Attr(); a != want || err != nil {
		t.Errorf("%+v: %v", a, err)
	}
	if s, err := r.Status(); s.Mode != 0o600 || err != nil {
		t.Errorf("%#o: %v", s.Mode, err)
	}
	check(t, q.Send(t.Context(), make([]byte, 24), 0))
	wantNext(t, r, string(make([]byte, 24)), 0)
}

func TestDefaults(t *testing.T) {
	l, err := mqueue.ReadLimits()
	if errors.Is(err, fs.ErrNotExist) {
		fdtest.Need(t, "mqueue", err.Error())
	}
	check(t, err)
	messages, size := min(l.DefaultMessages, l.MaxMessages), min(l.DefaultSize, l.MessageSize)
	for _, c := range []struct {
		o    mqueue.Options
		want mqueue.Attr
	}{
		{mqueue.Options{}, mqueue.Attr{MaxMessages: messages, MessageSize: size}},
		{mqueue.Options{MaxMessages: 1}, mqueue.Attr{MaxMessages: 1, MessageSize: size}},
		{mqueue.Options{MessageSize: 1}, mqueue.Attr{MaxMessages: messages, MessageSize: 1}},
		{mqueue.Options{MaxMessages: 2, MessageSize: 3}, mqueue.Attr{MaxMessages: 2, MessageSize: 3}},
	} {
		c.o.Create = true
		name := newName(t)
		s, err := mqueue.OpenSender(name, &c.o)
		check(t, err)
		if a, err := s.Attr(); a != c.want || err != nil {
			t.Errorf("%+v, not %+v: %v", a, c.want, err)
		}
		check(t, s.Close())
		check(t, mqueue.Unlink(name))
	}
}

// A handle for one direction takes the permission for it alone.
func TestDirections(t *testing.T) {
	fdtest.NeedUser(t) // root may do all
	for _, c := range []struct {
		perm                fs.FileMode
		send, receive, both bool
	}{{0o600, true, true, true}, {0o200, true, false, false}, {0o400, false, true, false}, {0o077, false, false, false}} {
		name := newName(t)
		q := open(t, name, &mqueue.Options{Create: true, Exclusive: true, Perm: c.perm, MaxMessages: 1, MessageSize: 8})
		s, err := mqueue.OpenSender(name, nil)
		wantAllowed(t, err, c.send)
		_ = s.Close()
		r, err := mqueue.OpenReceiver(name, nil)
		wantAllowed(t, err, c.receive)
		_ = r.Close()
		other, err := mqueue.Open(name, nil)
		wantAllowed(t, err, c.both)
		_ = other.Close()
		// Who has made it has it open for both; to open it anew takes the permissions.
		check(t, q.Send(t.Context(), nil, 0))
		wantNext(t, q, "", 0)
		f, err := q.Inherit()
		wantAllowed(t, err, c.both)
		_ = f.Close()
		f, err = q.File()
		check(t, err)
		dup, err := mqueue.FromFile(f) // without them, the description is shared
		check(t, err)
		check(t, dup.Send(t.Context(), nil, 0))
		check(t, dup.Close())
		check(t, f.Close())
	}
}

func wantAllowed(t *testing.T, err error, want bool) {
	t.Helper()
	if want {
		check(t, err)
	} else {
		wantIs(t, err, fs.ErrPermission)
	}
}

// Of many who make it exclusively, one has made it.
func TestExclusiveRace(t *testing.T) {
	name := newName(t)
	for range fdtest.Rounds(200) {
		var wg sync.WaitGroup
		var won atomic.Int32
		for range 4 {
			wg.Go(func() {
				q, err := mqueue.Open(name, made(1, 8))
				switch {
				case err == nil:
					won.Add(1)
					_ = q.Close()
				case !errors.Is(err, fs.ErrExist):
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if won.Load() != 1 {
			t.Fatalf("%d have made it", won.Load())
		}
		check(t, mqueue.Unlink(name))
	}
}

// While others make and unlink it, a queue can always be made or opened.
func TestCreateRace(t *testing.T) {
	name := newName(t)
	rounds := fmt.Sprint(fdtest.Rounds(1000))
	var ends []func()
	for range 2 {
		_, end := talking(t, peer(bounded(t), t, "race", name, rounds))
		ends = append(ends, end)
	}
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			if err := beRacing([]string{name, rounds}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, end := range ends {
		end()
	}
}

// beRacing makes, opens and unlinks a queue again and again.
func beRacing(args []string) error {
	rounds, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	for i := range rounds {
		q, err := mqueue.Open(args[0], &mqueue.Options{Create: true, MaxMessages: 1 + i%2, MessageSize: 8, Perm: 0o622})
		if err != nil {
			return err
		}
		// It may be another's by now; nobody waits.
		if _, err := q.TrySend([]byte(strings.Repeat("x", i%9)), i); err != nil {
			return err
		}
		if err := q.Close(); err != nil {
			return err
		}
		if err := mqueue.Unlink(args[0]); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// A handle works for as long as it is open, whatever is done with names meanwhile.
func TestPairsUnderChurn(t *testing.T) {
	var wg sync.WaitGroup
	for i := range 4 {
		name := newName(t)
		wg.Go(func() {
			for range fdtest.Rounds(100) {
				r, err := mqueue.OpenReceiver(name, made(1, 8))
				if err != nil {
					t.Error(err)
					return
				}
				s, err := mqueue.OpenSender(name, nil)
				if err == nil {
					err = mqueue.Unlink(name)
				}
				if err == nil {
					err = s.Send(context.Background(), fmt.Append(nil, i), i)
				}
				buf := make([]byte, 8)
				n, p, rerr := r.Receive(context.Background(), buf)
				if err != nil || rerr != nil || string(buf[:n]) != fmt.Sprint(i) || p != i {
					t.Error(err, rerr, buf[:n], p)
				}
				_, _ = r.Close(), s.Close()
			}
		})
	}
	wg.Wait()
}
