//go:build linux

package mqueue_test

import (
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes/internal/fdtest"
	"github.com/fildes/fildes/mqueue"
)

// until asks again and again.
func until(t testing.TB, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(fdtest.Bound); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it doesn't happen")
		}
	}
}

// list is List where it can be had; else its error must say so.
func list(t testing.TB) []mqueue.Entry {
	t.Helper()
	entries, err := mqueue.List()
	if err == nil {
		if !slices.IsSortedFunc(entries, func(a, b mqueue.Entry) int { return strings.Compare(a.Name, b.Name) }) {
			t.Error("the list isn't sorted")
		}
		return entries
	}
	if fdtest.HasCap(unix.CAP_SYS_ADMIN) && !errors.Is(err, errors.ErrUnsupported) || !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrPermission) && !errors.Is(err, errors.ErrUnsupported) || !strings.Contains(err.Error(), mqueue.Directory) {
		t.Fatal(err)
	}
	fdtest.Need(t, "mqueue_directory", err.Error())
	return nil
}

// entry is one of the list.
func entry(t testing.TB, name string) mqueue.Entry {
	t.Helper()
	for _, e := range list(t) {
		if e.Name == name {
			return e
		}
	}
	t.Fatalf("%s isn't listed", name)
	return mqueue.Entry{}
}

func TestList(t *testing.T) {
	mounts := func() int { // of queues; others may mount something else meanwhile
		b, err := os.ReadFile("/proc/self/mountinfo")
		check(t, err)
		return strings.Count(string(b), " - mqueue ")
	}
	before := mounts()
	name := newName(t)
	q := open(t, name, &mqueue.Options{Create: true, Exclusive: true, MaxMessages: 3, MessageSize: 20, Perm: 0o644})
	second := newQueue(t, 1, 8)
	check(t, q.Send(t.Context(), make([]byte, 11), 3))
	e := entry(t, name)
	want, err := q.Status()
	check(t, err)
	if e.Err != nil || e.Status != want || want.Messages != 1 || want.Bytes != 11 {
		t.Errorf("%+v, not %+v", e, want)
	}
	entry(t, second.Name())
	wantCount(t, q, 1) // listing takes nothing
	check(t, mqueue.Unlink(name))
	for _, e := range list(t) {
		if e.Name == name {
			t.Errorf("it is unlinked, and listed: %+v", e)
		}
	}
	if after := mounts(); after != before {
		t.Errorf("the mounts went from %d to %d", before, after)
	}
}

// Where it can't be had, the error says why and what to do.
func TestListRefused(t *testing.T) {
	fdtest.NeedUser(t)
	newName(t)
	_, err := mqueue.List()
	var st unix.Statfs_t
	if unix.Statfs(mqueue.Directory, &st) == nil && uint32(st.Type) == 0x19800202 {
		check(t, err) // it's mounted
		return
	}
	if errors.Is(err, errors.ErrUnsupported) {
		fdtest.Need(t, "mqueue_directory", err.Error())
	}
	wantIs(t, err, fs.ErrNotExist, fs.ErrPermission)
	if err == nil || !strings.Contains(err.Error(), "mount -t mqueue none "+mqueue.Directory) {
		t.Error(err)
	}
}

// Listing leaves this process' registrations.
func TestListRegistered(t *testing.T) {
	needNotify(t)
	q := newQueue(t, 1, 16)
	n := notify(t, q)
	want := mqueue.Registration{PID: os.Getpid(), Way: mqueue.BySocket}
	for range 2 {
		if e := entry(t, q.Name()); e.Status.Registration != want || e.Err != nil {
			t.Errorf("%+v", e)
		}
	}
	check(t, q.Send(t.Context(), nil, 0))
	check(t, n.Wait(bounded(t)))
	if e := entry(t, q.Name()); e.Status.Registration != (mqueue.Registration{}) || e.Status.Messages != 1 {
		t.Errorf("%+v", e)
	}
	wantNext(t, q, "", 0)

	check(t, q.NotifySignal(unix.SIGURG, 1))
	want = mqueue.Registration{PID: os.Getpid(), Way: mqueue.BySignal, Signal: int(unix.SIGURG)}
	for range 2 {
		if e := entry(t, q.Name()); e.Status.Registration != want {
			t.Errorf("%+v", e)
		}
	}
	_, err := q.Notify()
	wantIs(t, err, unix.EBUSY)
	check(t, q.StopNotify())
	if e := entry(t, q.Name()); e.Status.Registration != (mqueue.Registration{}) {
		t.Errorf("%+v", e)
	}
}

// Another process' registration is shown, and stays.
func TestListOthersRegistration(t *testing.T) {
	needNotify(t)
	q := newQueue(t, 1, 16)
	cmd := peer(bounded(t), t, "register", q.Name())
	line, end := talking(t, cmd)
	if got := line(); got != "registered" {
		t.Fatal(got)
	}
	for range 2 {
		if e := entry(t, q.Name()); e.Status.Registration != (mqueue.Registration{PID: cmd.Process.Pid, Way: mqueue.BySocket}) {
			t.Errorf("%+v", e)
		}
	}
	end()
}

// Lists are made while queues come and go.
func TestListRace(t *testing.T) {
	list(t)
	name := newName(t)
	c := fdtest.Go(t, func() error { return beRacing([]string{name, "300"}) })
	for !c.Done() {
		for _, e := range list(t) {
			if e.Name == name && e.Err != nil {
				t.Error(e.Err)
			}
		}
	}
	check(t, c.Err())
}
