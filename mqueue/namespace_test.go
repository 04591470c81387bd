//go:build linux

package mqueue_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes/internal/fdtest"
	"github.com/fildes/fildes/mqueue"
)

// needIPC is for tests in namespaces of their own.
func needIPC(t testing.TB) {
	t.Helper()
	fdtest.NeedRoot(t)
	fdtest.NeedCap(t, unix.CAP_SYS_ADMIN, "sys_admin")
	if _, err := os.Stat("/proc/self/ns/ipc"); err != nil {
		fdtest.Need(t, "ipc_namespaces", err.Error())
	}
	if os.Getenv("FDTEST_EXEC") != "" {
		fdtest.Need(t, "ipc_namespaces", "an emulator starts no child in one")
	}
}

// listed says what a List has.
func listed() string {
	entries, err := mqueue.List()
	if err != nil {
		return fmt.Sprintf("not there %t, not permitted %t", errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrPermission))
	}
	text := "list"
	for _, e := range entries {
		text += fmt.Sprintf(" %s %d %#o", e.Name, e.Status.UID, e.Status.Mode)
		if e.Err == nil {
			text += fmt.Sprintf(" %d/%d", e.Status.Messages, e.Status.MaxMessages)
		} else {
			text += fmt.Sprintf(" %t", errors.Is(e.Err, fs.ErrPermission))
		}
	}
	return text
}

// beInNamespace says how it is in an IPC namespace of its own.
func beInNamespace(what string) error {
	if what == "ipc" {
		return inIPC()
	}
	_ = unix.Access("/dev/null", 0)
	// Nothing of this is seen outside.
	err := unix.Mount("tmpfs", "/dev", "tmpfs", 0, "mode=755")
	if err == nil {
		err = unix.Mknod("/dev/null", unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3)))
	}
	if err == nil && what != "unmounted" {
		err = os.Mkdir(mqueue.Directory, 0o755)
	}
	if err == nil && what == "mounted" {
		err = unix.Mount("none", mqueue.Directory, "mqueue", 0, "")
	}
	if err != nil {
		return err
	}
	q, err := mqueue.Open("/roots", &mqueue.Options{Create: true, MaxMessages: 1, MessageSize: 8, Perm: 0o620})
	if err != nil {
		return err
	}
	defer q.Close()
	if err := errors.Join(syscall.Setgroups(nil), syscall.Setgid(somebody), syscall.Setuid(somebody)); err != nil {
		return err
	}
	own, err := mqueue.Open("/own", made(2, 8))
	if err != nil {
		return err
	}
	defer own.Close()
	if err := own.Send(context.Background(), nil, 0); err != nil {
		return err
	}
	if what == "mounted" {
		f, err := os.OpenFile(mqueue.Directory+"/own", os.O_RDWR, 0)
		if err != nil {
			return err
		}
		defer f.Close()
		same, err := mqueue.FromFile(f)
		if err != nil {
			return err
		}
		defer same.Close()
		a, err := same.Attr()
		fmt.Println(same.Name(), a.Messages, err)
	}
	_, err = mqueue.Open("/roots", nil)
	fmt.Println("open", errors.Is(err, fs.ErrPermission))
	fmt.Println("unlink", errors.Is(mqueue.Unlink("/roots"), fs.ErrPermission))
	fmt.Println(listed())
	return nil
}

// inIPC has descriptor 3 from another namespace.
func inIPC() error {
	r, err := mqueue.ReceiverFromFile(os.NewFile(3, "inherited"))
	if err != nil {
		return err
	}
	defer r.Close()
	buf := make([]byte, 16)
	n, p, err := r.Receive(context.Background(), buf)
	if err != nil {
		return err
	}
	fmt.Printf("received %s %d\n", buf[:n], p)
	_, err = mqueue.Open(r.Name(), nil)
	fmt.Println("open", errors.Is(err, fs.ErrNotExist))
	fmt.Println(listed())
	q, err := mqueue.Open(r.Name(), made(2, 8)) // another one
	if err != nil {
		return err
	}
	defer q.Close()
	a, err := r.Attr()
	fmt.Println("the old one has room for", a.MaxMessages, err)
	if err := mqueue.Unlink(r.Name()); err != nil {
		return err
	}
	other, err := mqueue.Open("/inside", made(2, 8))
	if err != nil {
		return err
	}
	defer other.Close()
	fmt.Println(listed())
	return nil
}

func wantLines(t *testing.T, line func() string, want ...string) {
	t.Helper()
	for _, w := range want {
		if got := line(); got != w {
			t.Errorf("%q, not %q", got, w)
		}
	}
}

// A child in an IPC namespace of its own has none of the queues here, but for what it is given.
func TestNamespace(t *testing.T) {
	needIPC(t)
	q := newQueue(t, 1, 16)
	f, err := q.Inherit()
	check(t, err)
	defer f.Close()
	cmd := peer(bounded(t), t, "namespace", "ipc")
	cmd.ExtraFiles = []*os.File{f}
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWIPC}
	line, end := talking(t, cmd)
	check(t, q.Send(bounded(t), []byte("outside"), 2))
	wantLines(t, line, "received outside 2", "open true", "list", "the old one has room for 1 <nil>", "list /inside 0 0600 0/2")
	end()
	entry(t, q.Name())
	for _, e := range list(t) {
		if e.Name == "/inside" {
			t.Errorf("%+v", e)
		}
	}
}

// An ordinary user lists what is mounted, without what can't be read; where nothing is mounted, the error says so.
func TestListOfUser(t *testing.T) {
	needIPC(t)
	for what, want := range map[string]string{
		"mounted":   fmt.Sprintf("list /own %d 0600 1/2 /roots 0 0620 true", somebody),
		"unmounted": "not there true, not permitted true",
		"foreign":   "not there true, not permitted true",
	} {
		t.Run(what, func(t *testing.T) {
			cmd := peer(bounded(t), t, "namespace", what)
			cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWIPC, Unshareflags: unix.CLONE_NEWNS}
			line, end := talking(t, cmd)
			if what == "mounted" { // and opened there by its path
				wantLines(t, line, "/own 1 <nil>")
			}
			wantLines(t, line, "open true", "unlink true", want)
			end()
		})
	}
}
