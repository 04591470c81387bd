package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/fildes/fildes/matrix/internal/build"
	"github.com/fildes/fildes/matrix/internal/debian"
	"github.com/fildes/fildes/matrix/internal/machine"
	"github.com/fildes/fildes/matrix/internal/outcome"
)

// run runs the machines named and says how it went.
func run(ctx context.Context, o options, names []string, w io.Writer) error {
	begin := time.Now()
	syscall.Umask(0o022) // what is built is for another user too
	ms, err := o.machines(names)
	if err != nil {
		return err
	}
	if o, err = o.check(names); err != nil {
		return err
	}
	if err := programs(ms); err != nil {
		return err
	}
	root, err := checkout(ctx)
	if err != nil {
		return err
	}
	p := &printer{w: w, o: o}
	dir, err := os.MkdirTemp("", "fildes-matrix-")
	if err != nil {
		return err
	}
	defer func() {
		if err := os.RemoveAll(dir); err != nil {
			p.note("%v", err)
		}
	}()
	if err := os.Chmod(dir, 0o755); err != nil { // qemu-user's programs run here as another user
		return err
	}

	built, trees, err := prepare(ctx, o, ms, root, dir, p)
	if err != nil {
		return err
	}
	if err := makeImages(ctx, dir); err != nil {
		return err
	}
	p.note("prepared in %v", time.Since(begin).Round(time.Second))

	results := make([]*result, len(ms))
	turns := make(chan struct{}, o.atATime())
	var all sync.WaitGroup
	for i, m := range slices.Backward(ms) { // those of amd64, the fastest, come last: no slow one is to run alone
		turns <- struct{}{}
		all.Go(func() {
			defer func() { <-turns }()
			s := &session{o: o, m: m, programs: built[m.GOARCH], tree: trees[i], images: dir, dir: filepath.Join(dir, m.Name)}
			results[i] = s.result(ctx, p)
		})
	}
	all.Wait()

	report := outcome.Report{Whole: o.whole() && len(ms) == len(machine.Table)}
	var profiles [][]byte
	failed := 0
	for _, r := range results {
		report.Machines = append(report.Machines, r.machine)
		profiles = append(profiles, r.profiles...)
		if !r.ok {
			failed++
		}
	}
	if o.report != "" {
		b, err := json.MarshalIndent(report, "", "\t")
		if err == nil {
			err = os.WriteFile(o.report, append(b, '\n'), 0o644)
		}
		if err != nil {
			return err
		}
	}
	if o.cover != "" {
		if err := mergeProfiles(o.cover, profiles); err != nil {
			return err
		}
	}
	p.note("%d of %d machines ok, %v in all", len(ms)-failed, len(ms), time.Since(begin).Round(time.Second))
	if failed > 0 {
		return errFailed
	}
	return nil
}

// programs says what is missing before anything is built.
func programs(ms []machine.Machine) error {
	for _, m := range ms {
		program := m.Emulator
		if !m.Emulated() {
			program = m.System[0]
		} else if os.Geteuid() != 0 {
			return fmt.Errorf("%s runs the tests as root and as another user: be root, or name other machines", m.Name)
		}
		if _, err := exec.LookPath(program); err != nil {
			return fmt.Errorf("%w; docs/MATRIX.md has the names of Debian's packages", err)
		}
	}
	return nil
}

// checkout is the folder of the library's module.
func checkout(ctx context.Context) (string, error) {
	cmd := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", module)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("this command runs in a checkout of %s: %w", module, err)
	}
	return strings.TrimSpace(string(out)), nil
}

// prepare fetches the kernels while it builds the programs.
func prepare(outer context.Context, o options, ms []machine.Machine, root, dir string, p *printer) (map[string]build.Programs, []debian.Tree, error) {
	ctx, cancel := context.WithCancel(outer)
	defer cancel()
	cache, err := debian.Open("")
	if err != nil {
		return nil, nil, err
	}
	trees := make([]debian.Tree, len(ms))
	errs := make([]error, len(ms))
	var fetching sync.WaitGroup
	for i, m := range ms {
		if m.Emulated() {
			continue
		}
		fetching.Go(func() {
			if trees[i], errs[i] = cache.Fetch(ctx, m.Kernel, p.note); errs[i] != nil {
				cancel()
			}
		})
	}
	programs := make(map[string]build.Programs)
	var buildErr error
	for _, m := range ms {
		if _, ok := programs[m.GOARCH]; ok || buildErr != nil {
			continue
		}
		begin := time.Now()
		programs[m.GOARCH], buildErr = build.ForArch(ctx, build.Options{Root: root, Dir: filepath.Join(dir, "build"), Race: o.race, Cover: o.cover != ""}, m.GOARCH)
		if buildErr != nil {
			break
		}
		p.note("built for %s in %v", m.GOARCH, time.Since(begin).Round(100*time.Millisecond))
	}
	if buildErr != nil {
		cancel()
	}
	fetching.Wait()
	// What was cancelled because something else failed is not worth a word.
	all := slices.DeleteFunc(slices.Concat(errs, []error{buildErr}), func(err error) bool { return errors.Is(err, context.Canceled) })
	return programs, trees, errors.Join(append(all, context.Cause(outer))...)
}

// images are the file systems of fixtures: how they are made, and by which package of Debian's.
var images = map[string]struct {
	mib     int64
	command []string
	from    string
}{
	"ext4": {8, []string{"mke2fs", "-q", "-t", "ext4"}, "e2fsprogs"},
	"xfs":  {16, []string{"mkfs.xfs", "-q", "--unsupported", "-m", "reflink=1"}, "xfsprogs"}, // what it doesn't support is the size
}

func makeImages(ctx context.Context, dir string) error {
	for name, i := range images {
		file := imageFile(dir, name)
		f, err := os.Create(file)
		if err == nil {
			err = errors.Join(f.Truncate(i.mib<<20), f.Close())
		}
		if err != nil {
			return err
		}
		program, err := exec.LookPath(i.command[0])
		if err != nil {
			program = "/sbin/" + i.command[0] // where a user's PATH may not lead
		}
		if out, err := exec.CommandContext(ctx, program, append(i.command[1:], file)...).CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w %s (on Debian: apt-get install %s)", i.command[0], err, out, i.from)
		}
	}
	return nil
}

func imageFile(dir, filesystem string) string { return filepath.Join(dir, filesystem+".img") }
