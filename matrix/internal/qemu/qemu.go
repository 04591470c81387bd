// Package qemu runs guests.
package qemu

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"

	"github.com/fildes/fildes/matrix/internal/guest"
	"github.com/fildes/fildes/matrix/internal/machine"
)

// A Guest is a machine that is about to be switched on.
type Guest struct {
	Machine   machine.Machine
	Image     string // of the kernel
	Initramfs string
	Dir       string // an empty folder for sockets
}

// ErrEmulator is what a guest ends with when qemu's own fault stopped its kernel before init was up. Another try is due.
var ErrEmulator = errors.New("the kernel stopped while it booted, as it does now and then on this emulator")

// toBoot is how long that may take.
const toBoot = 3 * time.Minute

// emulatorsFault is how a kernel ends that patched its own code while qemu ran it.
var emulatorsFault = regexp.MustCompile(`Oops: int3`)

// Run switches a guest on and returns when it is off. What its programs print goes to output, what its init says to frame; log gets
// all that the console showed before init was up and after it was down, which is what the kernel has to say.
func (g Guest) Run(ctx context.Context, output func(string), frame func(guest.Frame), log io.Writer) error {
	m := g.Machine
	args := append(m.System[1:len(m.System):len(m.System)],
		"-kernel", g.Image, "-initrd", g.Initramfs,
		"-append", "console="+m.Console+" quiet loglevel=1 panic=-1 oops=panic mitigations=off rdinit=/init",
		"-nodefaults", "-no-user-config", "-no-reboot", "-display", "none",
		"-chardev", "stdio,id=console,signal=off")
	args = append(args, devices(m, g.Dir)...)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	booting := time.AfterFunc(toBoot, func() { cancel(fmt.Errorf("init wasn't up after %v", toBoot)) })
	defer booting.Stop()
	cmd := exec.CommandContext(ctx, m.System[0], args...)
	cmd.WaitDelay = 5 * time.Second
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	var errs strings.Builder
	cmd.Stderr = &errs
	if err := cmd.Start(); err != nil {
		return err
	}
	stop := serveControl(ctx, g.Dir, m)
	defer stop()

	var up, down bool
	var kernel strings.Builder
	log = io.MultiWriter(log, &kernel)
	var last guest.Frame
	readErr := guest.Read(out, func(s string) {
		if up && !down {
			output(s)
			if !strings.Contains(s, "Kernel panic") && !strings.Contains(s, "Oops") {
				return
			}
		}
		_, _ = io.WriteString(log, s)
	}, func(f guest.Frame) {
		up = up || f.Kind == guest.Up
		if up {
			booting.Stop()
		}
		down = down || f.Kind == guest.Down
		last = f
		frame(f)
	})
	err = errors.Join(readErr, cmd.Wait())
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("switched off: %w", context.Cause(ctx))
	case err != nil:
		return fmt.Errorf("%s: %w\n%s", filepath.Base(m.System[0]), err, errs.String())
	case down && last.Error != "":
		return fmt.Errorf("init: %s", last.Error)
	case !up && emulatorsFault.MatchString(kernel.String()):
		return ErrEmulator
	case !up:
		return errors.New("the guest stopped before its init was up: the kernel's log is above")
	case !down:
		return errors.New("the guest stopped in the middle: the kernel's log is above")
	}
	return nil
}
