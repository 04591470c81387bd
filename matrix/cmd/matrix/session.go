package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fildes/fildes/internal/fdtest/fixture"
	"github.com/fildes/fildes/matrix/internal/build"
	"github.com/fildes/fildes/matrix/internal/debian"
	"github.com/fildes/fildes/matrix/internal/guest"
	"github.com/fildes/fildes/matrix/internal/initramfs"
	"github.com/fildes/fildes/matrix/internal/machine"
	"github.com/fildes/fildes/matrix/internal/qemu"
)

const (
	module  = "github.com/fildes/fildes"
	nobody  = 65534
	aBinary = 5 * time.Minute // for a package's tests
	aGuest  = 30 * time.Minute
)

// The tests of the source and not of what it does run on the developer's machine.
const aboutSource = `^(TestPolicy|TestLayout)`

// A job is one program that a machine runs, and what came of it.
type job struct {
	pkg  string // import path, or empty for doctor
	user string // root or user
	run  guest.Run

	began   bool
	output  strings.Builder
	content []byte // of the file that it was to leave
	end     *guest.Frame
}

// A session is a machine's turn.
type session struct {
	o        options
	m        machine.Machine
	programs build.Programs
	tree     debian.Tree
	images   string // the directory with the images of file systems
	dir      string
	jobs     []*job
	up       guest.Frame
	log      strings.Builder // of the kernel
}

// plan says what runs where: root's view of the folders is the same in a guest and beside an emulator, which has them below base.
func (s *session) plan(base string) {
	for _, user := range []string{"root", "user"} {
		uid := 0
		if user == "user" {
			uid = nobody
			if s.m.Emulated() { // a kernel's limits for a user are for all emulators together
				uid -= 1 + slices.IndexFunc(machine.Table, func(m machine.Machine) bool { return m.Name == s.m.Name })
			}
		}
		for i, t := range s.programs.Tests {
			if !s.o.selects(t.Package) || s.m.Emulated() && below(t.Package) == "internal/fdtest/fixture" {
				continue // qemu-user has the fixtures of this machine, which may be any
			}
			r := guest.Run{UID: uid, Timeout: aBinary + 10*time.Second, Dir: base + "/src/" + below(t.Package)}
			r.Args = []string{
				base + "/bin/" + filepath.Base(t.Binary), "-test.v=test2json", "-test.paniconexit0", "-test.parallel=8", "-test.timeout=" + aBinary.String(),
				"-test.count=" + strconv.Itoa(s.o.count), "-test.skip=" + aboutSource,
			}
			if !s.o.long {
				r.Args = append(r.Args, "-test.short")
			}
			if s.o.tests != "" {
				r.Args = append(r.Args, "-test.run="+s.o.tests)
			}
			if s.o.cover != "" {
				r.Collect = fmt.Sprintf("%s/tmp/cover-%s-%d", base, user, i)
				r.Args = append(r.Args, "-test.coverprofile="+r.Collect)
			}
			s.jobs = append(s.jobs, &job{pkg: t.Package, user: user, run: r})
		}
		if s.o.whole() {
			s.jobs = append(s.jobs, &job{user: user, run: guest.Run{
				Args: []string{base + "/bin/fildes", "doctor", "--json"}, Dir: "/", UID: uid, Timeout: time.Minute,
			}})
		}
	}
}

// below is a package's place in the module.
func below(pkg string) string {
	return strings.TrimPrefix(strings.TrimPrefix(pkg, module), "/")
}

// env is what all programs get.
func (s *session) env() []string {
	env := []string{"FDTEST_FIXTURES=" + strings.Join(s.m.Fixtures, ",")}
	if s.m.Emulated() {
		env = append(env, "FDTEST_EXEC="+s.m.Emulator)
	}
	return env
}

// frame notes what init says. It returns the job that is over, if one is.
func (s *session) frame(f guest.Frame) (over *job) {
	if f.Kind == guest.Up {
		s.up = f
	}
	if f.Run < 0 || f.Run >= len(s.jobs) {
		return nil
	}
	j := s.jobs[f.Run]
	switch f.Kind {
	case guest.Begin:
		j.began = true
	case guest.File:
		b, err := f.Content()
		if err != nil {
			s.log.WriteString("a piece of a file is no base64\n")
		}
		j.content = append(j.content, b...)
	case guest.End:
		if !j.began || j.end != nil {
			s.log.WriteString("a program ended that wasn't running\n")
			return nil
		}
		j.end = &f
		return j
	case guest.Up, guest.Down:
	}
	return nil
}

// current is the job whose output comes now, or nil.
func (s *session) current() *job {
	for _, j := range slices.Backward(s.jobs) {
		if j.began {
			return j
		}
	}
	return nil
}

// boot runs the jobs in a virtual machine; over is called with each that has ended, again before a second try.
func (s *session) boot(ctx context.Context, over func(*job), again func(error)) error {
	s.plan("")
	archive := filepath.Join(s.dir, "initramfs")
	if err := s.pack(archive); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, aGuest, fmt.Errorf("not done after %v", aGuest))
	defer cancel()
	g := qemu.Guest{Machine: s.m, Image: s.tree.Image, Initramfs: archive, Dir: s.dir}
	try := func() error {
		return g.Run(ctx, func(text string) {
			if j := s.current(); j != nil {
				j.output.WriteString(text)
			}
		}, func(f guest.Frame) {
			if j := s.frame(f); j != nil {
				over(j)
			}
		}, &s.log)
	}
	err := try()
	if errors.Is(err, qemu.ErrEmulator) {
		again(err)
		s.log.Reset()
		err = try()
	}
	return err
}

// pack writes the initramfs.
func (s *session) pack(file string) error {
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	w := initramfs.NewWriter(f)
	w.Copy("init", s.programs.Init)
	w.Copy("bin/fildes", s.programs.Fildes)
	w.Dir("dev")
	plan := guest.Plan{Env: s.env()}
	modules, params, err := s.modules()
	if err != nil {
		return err
	}
	for _, m := range modules {
		name := "modules/" + m.Name + ".ko"
		w.File(name, 0o644, m.Content)
		plan.Modules = append(plan.Modules, guest.Module{File: "/" + name, Params: params[m.Name]})
	}
	for _, t := range s.programs.Tests {
		if s.o.selects(t.Package) {
			w.Copy("bin/"+filepath.Base(t.Binary), t.Binary)
		}
		w.Dir("src/" + below(t.Package))
		if err := testdata(t, func(name, from string) { w.Copy("src/"+below(t.Package)+"/"+name, from) }); err != nil {
			return err
		}
	}
	for name := range images {
		if slices.Contains(s.m.Fixtures, name) {
			w.Copy(fixture.Image(name)[1:], imageFile(s.images, name))
		}
	}
	for _, j := range s.jobs {
		plan.Runs = append(plan.Runs, j.run)
	}
	b, err := plan.Encode()
	if err != nil {
		return err
	}
	w.File(guest.PlanFile, 0o644, b)
	return errors.Join(w.Close(), f.Close())
}

// modules returns what the machine's fixtures need, ready to be loaded, and their parameters.
func (s *session) modules() ([]initramfs.Module, map[string]string, error) {
	t, err := initramfs.OpenTree(s.tree.Modules)
	if err != nil {
		return nil, nil, err
	}
	var names []string
	params := make(map[string]string)
	for _, f := range fixture.Table {
		if !slices.Contains(s.m.Fixtures, f.Word) {
			continue
		}
		names = append(names, f.Modules...)
		maps.Copy(params, f.Params)
	}
	modules, err := t.Load(names...)
	return modules, params, err
}

// testdata calls add for each file that a package's tests read.
func testdata(t build.Test, add func(name, from string)) error {
	root := filepath.Join(t.Source, "testdata")
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			add(path.Join("testdata", filepath.ToSlash(strings.TrimPrefix(p, root))), p)
		}
		return err
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
