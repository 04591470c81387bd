//go:build linux

package mqueue_test

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes/internal/fdtest"
	"github.com/fildes/fildes/mqueue"
)

// compiled is a C program.
func compiled(t testing.TB, source string) string {
	t.Helper()
	gcc := fdtest.NeedProgram(t, "gcc")
	dir := t.TempDir()
	file, program := filepath.Join(dir, "program.c"), filepath.Join(dir, "program")
	check(t, os.WriteFile(file, []byte(source), 0o600))
	if out, err := exec.CommandContext(bounded(t), gcc, "-O1", "-Wall", "-o", program, file, "-lrt").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return program
}

// goodNames are names that a queue may have, of which no other process thinks.
func goodNames(t testing.TB) []string {
	t.Helper()
	unique := newName(t)[1:]
	all := []string{"/" + unique, "/." + unique, "/..." + unique, "/ " + unique, "/" + unique + " ", "/ü" + unique, "/\xff\xfe" + unique, "/\n" + unique, "/" + unique + ".", `/\` + unique,
		"/" + unique + strings.Repeat("x", 255-len(unique)), "/" + unique + strings.Repeat("x", 254-len(unique))}
	for _, name := range all {
		t.Cleanup(func() {
			if err := mqueue.Unlink(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
				t.Error(err)
			}
		})
	}
	return all
}

// badNames are names that none may have, and what the rule is about.
func badNames() map[string]string {
	return map[string]string{
		"":                             "begins with a slash",
		"fildes":                       "begins with a slash",
		"fildes/":                      "begins with a slash",
		"/":                            "more than a slash",
		"/.":                           "more than a slash",
		"/..":                          "more than a slash",
		"//":                           "one slash",
		"//fildes":                     "one slash",
		"/a/b":                         "one slash",
		"/fildes/":                     "one slash",
		"/../fildes":                   "one slash",
		"/a\x00b":                      "NUL",
		"/" + strings.Repeat("x", 256): "255 bytes",
	}
}

func TestNames(t *testing.T) {
	for _, name := range goodNames(t) {
		_, err := mqueue.OpenReceiver(name, nil)
		wantIs(t, err, fs.ErrNotExist)
		wantIs(t, mqueue.Unlink(name), fs.ErrNotExist)
		q, err := mqueue.Open(name, made(1, 8))
		if err != nil {
			t.Errorf("%q: %v", name, err)
			continue
		}
		if q.Name() != name {
			t.Errorf("%q is named %q", name, q.Name())
		}
		check(t, q.Send(t.Context(), []byte("x"), 1))
		wantNext(t, openReceiver(t, name), "x", 1)
		check(t, q.Close())
		check(t, mqueue.Unlink(name))
	}
	for name, rule := range badNames() {
		refused := func(err error) {
			t.Helper()
			if !errors.Is(err, os.ErrInvalid) || !strings.Contains(err.Error(), rule) {
				t.Errorf("%q: %v, not about %q", name, err, rule)
			}
			if errors.Is(err, unix.ENAMETOOLONG) != (rule == "255 bytes") {
				t.Errorf("%q: %v", name, err)
			}
		}
		_, err := mqueue.Open(name, made(1, 8))
		refused(err)
		_, err = mqueue.OpenSender(name, nil)
		refused(err)
		_, err = mqueue.OpenReceiver(name, nil)
		refused(err)
		refused(mqueue.Unlink(name))
	}
}

const openInC = `
#include <fcntl.h>
#include <mqueue.h>
#include <stdio.h>
#include <sys/stat.h>
int main(int argc, char **argv) {
	for (int i = 1; i < argc; i++) {
		struct mq_attr a = {.mq_maxmsg = 1, .mq_msgsize = 8};
		mqd_t q = mq_open(argv[i], O_CREAT | O_EXCL | O_RDWR, 0600, &a);
		putchar(q == (mqd_t)-1 ? '-' : mq_unlink(argv[i]) == 0 ? '+' : '?');
	}
	return 0;
}
`

// The C library takes the names that this package takes, and no others.
func TestNamesInC(t *testing.T) {
	good := goodNames(t)
	args, want := good, strings.Repeat("+", len(good))
	for name := range badNames() {
		if !strings.Contains(name, "\x00") { // C can't have that
			args, want = append(args, name), want+"-"
		}
	}
	out, err := exec.CommandContext(bounded(t), compiled(t, openInC), args...).Output()
	check(t, err)
	if string(out) != want {
		t.Errorf("%s, not %s, of %q", out, want, args)
	}
}
