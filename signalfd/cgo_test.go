//go:build linux

package signalfd

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/fildes/fildes/internal/fdtest"
	"github.com/fildes/fildes/internal/sys"
)

// threadProgram has threads that C has started, which Go knows nothing of, and a handler that C has set.
const threadProgram = `package main

/*
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static volatile int ended, interrupted, handled, value;
static volatile pid_t tid;
static pthread_t thread;

static void *wait(void *unused) {
	tid = syscall(SYS_gettid);
	while (!ended) {
		struct timespec t = {0, 1000000};
		if (nanosleep(&t, 0) != 0) interrupted++;
	}
	return 0;
}
static int start(void) {
	int e = pthread_create(&thread, 0, wait, 0);
	while (e == 0 && tid == 0) usleep(100);
	return e;
}
static int end(void) { ended = 1; return pthread_join(thread, 0); }
static int tell(int sig) { return pthread_kill(thread, sig); }
static int theTID(void) { return tid; }
static int interruptions(void) { return interrupted; }

static void handle(int sig, siginfo_t *info, void *context) {
	handled++;
	value = info->si_value.sival_int;
}
static int set(int sig) {
	struct sigaction a = {0};
	a.sa_sigaction = handle;
	a.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART;
	return sigaction(sig, &a, 0);
}
static struct sigaction before;
static volatile int chained;
static void chain(int sig, siginfo_t *info, void *context) {
	chained++;
	before.sa_sigaction(sig, info, context);
}
static int setChain(int sig) {
	struct sigaction a = {0};
	a.sa_sigaction = chain;
	a.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART;
	return sigaction(sig, &a, &before);
}
static int unsetChain(int sig) { return sigaction(sig, &before, 0); }
static int chainedTimes(void) { return chained; }
static int handledTimes(void) { return handled; }
static int handledValue(void) { return value; }
*/
import "C"

import (
	"context"
	"errors"
	"log"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/fildes/fildes/signalfd"
)

var self = os.Getpid()

func check(err error) {
	if err != nil {
		log.Output(2, err.Error())
		os.Exit(1)
	}
}

func open(make func(...signalfd.Signal) (*signalfd.Receiver, error), signals ...signalfd.Signal) *signalfd.Receiver {
	r, err := make(signals...)
	check(err)
	return r
}

func want(r *signalfd.Receiver, sig signalfd.Signal, code signalfd.Code, value int32) {
	ctx, cancel := context.WithTimeout(context.Background(), BOUND)
	defer cancel()
	i, err := r.Read(ctx)
	check(err)
	pid, _, _ := i.Sender()
	if v, _ := i.Value(); i.Signal != sig || i.Code != code || pid != self || v.Int != value {
		log.Output(2, i.String())
		os.Exit(1)
	}
}

func refused(sig signalfd.Signal) error {
	_, err := signalfd.Observe(sig)
	return err
}

func main() {
	if e := C.start(); e != 0 {
		log.Fatal(syscall.Errno(e))
	}
	tid := int(C.theTID())
	told := make(chan os.Signal, 1)
	signal.Notify(told, syscall.SIGUSR1)

	r := open(signalfd.Notify, signalfd.RT(5), signalfd.SIGTERM)
	o := open(signalfd.Observe, signalfd.SIGUSR1)
	for range 100 {
		C.tell(C.int(signalfd.RT(5)))
		want(r, signalfd.RT(5), signalfd.Thread, 0)
		C.tell(C.int(signalfd.SIGTERM))
		want(r, signalfd.SIGTERM, signalfd.Thread, 0)
		check(signalfd.QueueThread(self, tid, signalfd.RT(5), signalfd.Value{Int: 7}))
		want(r, signalfd.RT(5), signalfd.Queued, 7)
		C.tell(C.int(signalfd.SIGUSR1))
		want(o, signalfd.SIGUSR1, signalfd.Thread, 0)
		<-told
	}
	if n := C.interruptions(); n == 0 {
		log.Fatal("the thread has had none")
	}

	// Of a handler of C's, before and after.
	C.set(C.int(signalfd.RT(6)))
	c := open(signalfd.Observe, signalfd.RT(6))
	check(signalfd.QueueThread(self, tid, signalfd.RT(6), signalfd.Value{Int: 8}))
	want(c, signalfd.RT(6), signalfd.Queued, 8)
	for end := time.Now().Add(BOUND); C.handledTimes() != 1 || C.handledValue() != 8; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			log.Fatal(C.handledTimes(), C.handledValue())
		}
	}
	C.set(C.int(signalfd.RT(6)))
	if set, err := c.Displaced(); err != nil || set != signalfd.SetOf(signalfd.RT(6)) {
		log.Fatal(set, err)
	}
	check(c.Update(signalfd.SetOf(signalfd.RT(6))))
	check(signalfd.Queue(self, signalfd.RT(6), signalfd.Value{Int: 9}))
	want(c, signalfd.RT(6), signalfd.Queued, 9)
	check(c.Close())

	// Of one that goes on to ours, to which ours can't go on.
	C.setChain(C.int(signalfd.SIGUSR1))
	for _, err := range []error{o.Update(signalfd.SetOf(signalfd.SIGUSR1)), refused(signalfd.SIGUSR1)} {
		if !errors.Is(err, os.ErrInvalid) {
			log.Fatal(err)
		}
	}
	C.tell(C.int(signalfd.SIGUSR1))
	want(o, signalfd.SIGUSR1, signalfd.Thread, 0)
	<-told
	if n := C.chainedTimes(); n != 1 {
		log.Fatal(n)
	}
	C.unsetChain(C.int(signalfd.SIGUSR1))
	check(o.Update(signalfd.SetOf(signalfd.SIGUSR1)))

	// Without us all is as it was.
	check(r.Close())
	check(o.Close())
	C.tell(C.int(signalfd.SIGUSR1))
	<-told
	signal.Reset(syscall.SIGUSR1)
	if e := C.end(); e != 0 {
		log.Fatal(syscall.Errno(e))
	}
	os.Stdout.WriteString("done\n")
}
`

// loaderProgram receives before and after a plugin is loaded that receives too, by the package that they have in common.
const loaderProgram = `package main

import (
	"context"
	"log"
	"os"
	"plugin"
	"time"

	"github.com/fildes/fildes/signalfd"
)

func check(err error) {
	if err != nil {
		log.Output(2, err.Error())
		os.Exit(1)
	}
}

func want(r *signalfd.Receiver, value int32) {
	check(signalfd.Queue(os.Getpid(), signalfd.RT(5), signalfd.Value{Int: value}))
	ctx, cancel := context.WithTimeout(context.Background(), BOUND)
	defer cancel()
	i, err := r.Read(ctx)
	check(err)
	if v, _ := i.Value(); v.Int != value {
		log.Output(2, i.String())
		os.Exit(1)
	}
}

func main() {
	r, err := signalfd.Notify(signalfd.RT(5))
	check(err)
	want(r, 1)
	p, err := plugin.Open(os.Args[1])
	check(err)
	want(r, 2)
	receive, err := p.Lookup("Receive")
	check(err)
	check(receive.(func(time.Duration) error)(BOUND))
	want(r, 3)
	check(r.Close())
	check(receive.(func(time.Duration) error)(BOUND))
	os.Stdout.WriteString("done\n")
}
`

// bareProgram has nothing of the package: the handler is in the plugin.
const bareProgram = `package main

import (
	"log"
	"os"
	"os/signal"
	"plugin"
	"syscall"
	"time"
)

func main() {
	told := make(chan os.Signal, 1)
	signal.Notify(told, syscall.SIGUSR1)
	syscall.Kill(os.Getpid(), syscall.SIGUSR1)
	<-told
	p, err := plugin.Open(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	receive, err := p.Lookup("Receive")
	if err != nil {
		log.Fatal(err)
	}
	for range 3 {
		if err := receive.(func(time.Duration) error)(BOUND); err != nil {
			log.Fatal(err)
		}
		<-told
		syscall.Kill(os.Getpid(), syscall.SIGUSR1)
		<-told
	}
	os.Stdout.WriteString("done\n")
}
`

const pluginProgram = `package main

import (
	"context"
	"fmt"
	"os"
	"syscall"
	"time"

	"github.com/fildes/fildes/signalfd"
)

func Receive(bound time.Duration) error {
	r, err := signalfd.Notify(signalfd.RT(6), signalfd.SIGTERM)
	if err != nil {
		return err
	}
	defer r.Close()
	o, err := signalfd.Observe(signalfd.SIGUSR1)
	if err != nil {
		return err
	}
	defer o.Close()
	ctx, cancel := context.WithTimeout(context.Background(), bound)
	defer cancel()
	for _, x := range []struct {
		r   *signalfd.Receiver
		sig signalfd.Signal
	}{{r, signalfd.RT(6)}, {r, signalfd.SIGTERM}, {o, signalfd.SIGUSR1}} {
		if err := syscall.Kill(os.Getpid(), syscall.Signal(x.sig)); err != nil {
			return err
		}
		i, err := x.r.Read(ctx)
		if err != nil {
			return err
		}
		if pid, _, ok := i.Sender(); i.Signal != x.sig || !ok || pid != os.Getpid() {
			return fmt.Errorf("%v", i)
		}
	}
	return nil
}

func main() {}
`

// builder builds programs with cgo, as modules of their own that get the packages from here.
type builder struct{ dir string }

func newBuilder(t *testing.T) builder {
	t.Helper()
	if testing.Short() {
		t.Skip("it builds programs with cgo")
	}
	if os.Getenv("FDTEST_EXEC") != "" {
		fdtest.Need(t, "cgo", "there is no toolchain where an emulator runs")
	}
	if !sys.Taps {
		fdtest.Need(t, "signal_handler", "no handler on "+runtime.GOARCH)
	}
	for _, name := range []string{"go", "gcc"} {
		if _, err := exec.LookPath(name); err != nil {
			fdtest.Need(t, "cgo", err.Error())
		}
	}
	list := exec.CommandContext(t.Context(), "go", "list", "-deps", ".")
	list.Env = buildEnv()
	if err := list.Run(); err != nil {
		fdtest.Need(t, "cgo", "the module and what it imports aren't here: "+err.Error())
	}
	trial := exec.CommandContext(t.Context(), "go", "build", "runtime/cgo")
	trial.Env = buildEnv()
	if out, err := trial.CombinedOutput(); err != nil {
		fdtest.Need(t, "cgo", "a C compiler and headers for "+runtime.GOARCH+": "+string(out))
	}
	b := builder{t.TempDir()}
	root, err := filepath.Abs("..")
	check(t, err)
	mod, err := os.ReadFile(filepath.Join(root, "go.mod"))
	check(t, err)
	text := strings.Replace(string(mod), "module github.com/fildes/fildes", "module example.com/program", 1)
	text += "\nrequire github.com/fildes/fildes v0.0.0\n\nreplace github.com/fildes/fildes => " + root + "\n"
	check(t, os.WriteFile(filepath.Join(b.dir, "go.mod"), []byte(text), 0o600))
	sum, err := os.ReadFile(filepath.Join(root, "go.sum"))
	check(t, err)
	check(t, os.WriteFile(filepath.Join(b.dir, "go.sum"), sum, 0o600))
	return b
}

// buildEnv has nothing downloaded.
func buildEnv() []string {
	return append(os.Environ(), "CGO_ENABLED=1", "GOWORK=off", "GOFLAGS=-mod=mod", "GOPROXY=off")
}

// build returns the path of what it has built.
func (b builder) build(t *testing.T, name, source string, flags ...string) string {
	t.Helper()
	dir := filepath.Join(b.dir, name)
	check(t, os.Mkdir(dir, 0o700))
	source = strings.ReplaceAll(source, "BOUND", fmt.Sprintf("time.Duration(%d)", fdtest.Bound))
	check(t, os.WriteFile(filepath.Join(dir, "main.go"), []byte(source), 0o600))
	path := filepath.Join(b.dir, name+".out")
	cmd := exec.CommandContext(t.Context(), "go", append(append([]string{"build", "-o", path}, flags...), "./"+name)...)
	cmd.Dir = b.dir
	cmd.Env = buildEnv()
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", cmd, err, out)
	}
	return path
}

func run(t *testing.T, path string, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*fdtest.Bound)
	defer cancel()
	out, err := exec.CommandContext(ctx, path, args...).CombinedOutput()
	if err != nil || string(out) != "done\n" {
		t.Errorf("%v\n%s", err, out)
	}
}

// A thread that C has started has neither Go's signal stack nor a goroutine.
func TestThreadOfC(t *testing.T) {
	b := newBuilder(t)
	run(t, b.build(t, "thread", threadProgram))
}

// A plugin brings the package, or finds the program's.
func TestPlugin(t *testing.T) {
	b := newBuilder(t)
	p := b.build(t, "plugin", pluginProgram, "-buildmode=plugin")
	run(t, b.build(t, "loader", loaderProgram), p)
	run(t, b.build(t, "bare", bareProgram), p)
}
