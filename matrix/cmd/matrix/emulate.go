package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes/matrix/internal/guest"
)

// emulate runs the jobs on this machine, behind qemu-user; over is called with each that has ended. Only root can run them as both
// users.
func (s *session) emulate(ctx context.Context, over func(*job), _ func(error)) error {
	emulator, err := exec.LookPath(s.m.Emulator)
	if err != nil {
		return err
	}
	s.plan(s.dir)
	if err := s.unpack(); err != nil {
		return err
	}
	var uts unix.Utsname
	if err := unix.Uname(&uts); err != nil {
		return err
	}
	s.up = guest.Frame{Kind: guest.Up, Release: unix.ByteSliceToString(uts.Release[:]), Page: os.Getpagesize()}
	for _, j := range s.jobs {
		j.began = true
		j.end = s.one(ctx, j, emulator)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		over(j)
	}
	return nil
}

// unpack lays the programs and what they read where both users can read them.
func (s *session) unpack() error {
	for _, d := range []string{"bin", "tmp"} {
		if err := os.MkdirAll(filepath.Join(s.dir, d), 0o755); err != nil {
			return err
		}
	}
	var errs []error
	link := func(to, from string) {
		b, err := os.ReadFile(from)
		if err == nil {
			err = os.WriteFile(to, b, 0o755)
		}
		errs = append(errs, err)
	}
	link(filepath.Join(s.dir, "bin/fildes"), s.programs.Fildes)
	for _, t := range s.programs.Tests {
		src := filepath.Join(s.dir, "src", below(t.Package))
		errs = append(errs, os.MkdirAll(src, 0o755))
		link(filepath.Join(s.dir, "bin", filepath.Base(t.Binary)), t.Binary)
		errs = append(errs, testdata(t, func(name, from string) {
			to := filepath.Join(src, name)
			errs = append(errs, os.MkdirAll(filepath.Dir(to), 0o755))
			link(to, from)
		}))
	}
	return errors.Join(append(errs, os.Chmod(s.dir, 0o755), os.Chmod(filepath.Join(s.dir, "tmp"), 0o1777|os.ModeSticky))...)
}

// one runs a job as init would.
func (s *session) one(ctx context.Context, j *job, emulator string) *guest.Frame {
	ctx, cancel := context.WithTimeout(ctx, j.run.Timeout)
	defer cancel()
	home, err := os.MkdirTemp(filepath.Join(s.dir, "tmp"), "home")
	if err == nil {
		err = os.Chown(home, j.run.UID, j.run.UID)
	}
	if err != nil {
		return &guest.Frame{Error: err.Error()}
	}
	cmd := exec.CommandContext(ctx, emulator, j.run.Args...)
	cmd.Dir = j.run.Dir
	cmd.Env = append([]string{"HOME=" + home, "TMPDIR=" + home, "PATH=/usr/bin:/bin", "GOTRACEBACK=all"}, s.env()...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Setpgid:    true,
		Credential: &syscall.Credential{Uid: uint32(j.run.UID), Gid: uint32(j.run.UID), Groups: []uint32{}},
	}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 5 * time.Second
	begin := time.Now()
	err = cmd.Run()
	if cmd.Process != nil {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // what it has left running
	}
	end := &guest.Frame{Elapsed: time.Since(begin)}
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		end.Error = fmt.Sprintf("killed after %v", j.run.Timeout)
	case errors.As(err, &exit):
		end.Error = exit.String()
	case err != nil:
		end.Error = err.Error()
	}
	_, _ = io.Copy(&j.output, &out)
	if j.run.Collect != "" {
		j.content, err = os.ReadFile(j.run.Collect)
		end.Size = len(j.content)
		if err != nil && end.Error == "" {
			end.Error = err.Error()
		}
	}
	return end
}
