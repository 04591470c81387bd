package debian

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// An apt is apt for one source. One call at a time: apt's own locks fail instead of waiting.
type apt struct {
	source
	dir string // absolute
}

// The machine's hooks are cleared, because they would act on the machine.
const aptConf = `Dir::Etc::SourceList "%[1]s/sources.list";
Dir::Etc::SourceParts "/dev/null";
Dir::State "%[1]s";
Dir::State::Lists "%[1]s/lists";
Dir::State::Status "%[1]s/status";
Dir::Cache "%[1]s/cache";
#clear APT::Architectures;
APT::Architecture "%[2]s";
APT::Architectures "%[2]s";
APT::Sandbox::User "root";
APT::Update::Error-Mode "any";
Acquire::GzipIndexes "false";
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
`

// newApt writes the settings. Lists that came from elsewhere are out of date.
func newApt(dir string, s source, line string) (*apt, error) {
	a := &apt{source: s, dir: dir}
	for _, d := range []string{"lists/partial", "cache/archives/partial"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o777); err != nil {
			return nil, err
		}
	}
	list := filepath.Join(dir, "sources.list")
	if old, err := os.ReadFile(list); err != nil || string(old) != line {
		if err := os.RemoveAll(a.stamp()); err != nil {
			return nil, err
		}
	}
	for path, text := range map[string]string{list: line, a.conf(): fmt.Sprintf(aptConf, dir, s.arch), filepath.Join(dir, "status"): ""} {
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			return nil, err
		}
	}
	return a, nil
}

func (a *apt) conf() string { return filepath.Join(a.dir, "apt.conf") }

// stamp is the file whose time is the last update's.
func (a *apt) stamp() string { return filepath.Join(a.dir, "updated") }

// update fetches the lists, unless they are younger than since.
func (a *apt) update(ctx context.Context, since time.Time, progress func(string, ...any)) error {
	if isFresh(a.stamp(), since) {
		return nil
	}
	progress("%s: reading the lists of packages", a.source)
	if err := a.run(ctx, a.dir, "update"); err != nil {
		return err
	}
	return touch(a.stamp())
}

// index reads the source's list of packages, which the last update left.
func (a *apt) index() (index, error) {
	dir := filepath.Join(a.dir, "lists")
	lists, err := fs.Glob(os.DirFS(dir), "*_Packages")
	if err != nil {
		return nil, err
	}
	if len(lists) != 1 {
		return nil, fmt.Errorf("%s has %d lists of packages for %s, and one was expected: correct the kernel's Suite or Arch, or else remove the folder",
			dir, len(lists), a.source)
	}
	return openIndex(filepath.Join(dir, lists[0]))
}

// download puts packages into a folder.
func (a *apt) download(ctx context.Context, dir string, packages []pkg) error {
	args := []string{"download"}
	for _, p := range packages {
		args = append(args, p.name+"="+p.version)
	}
	return a.run(ctx, dir, args...)
}

func (a *apt) run(ctx context.Context, dir string, args ...string) error {
	err := run(ctx, dir, "apt-get", append([]string{"-q", "-c", a.conf()}, args...)...)
	if _, ok := errors.AsType[*exec.ExitError](err); ok {
		return fmt.Errorf("%w\nIs there a network, has the suite this architecture, is debian-archive-keyring installed? If so, try again later or set "+
			"FILDES_DEBIAN_MIRROR to another mirror than %s", err, cmp.Or(os.Getenv("FILDES_DEBIAN_MIRROR"), defaultMirror))
	}
	return err
}

// run runs a program of Debian's. Its error has what the program complained of.
func run(ctx context.Context, dir, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	cmd.Cancel = func() error { return cmd.Process.Signal(unix.SIGTERM) } // so that apt ends its helpers
	cmd.WaitDelay = 5 * time.Second
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	err := cmd.Run()
	switch {
	case err == nil:
		return nil
	case errors.Is(err, exec.ErrNotFound):
		return fmt.Errorf("%w: kernels are fetched with Debian's apt-get and dpkg-deb: install them, or run this in a container of Debian", err)
	case ctx.Err() != nil:
		return context.Cause(ctx)
	default:
		return fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, bytes.TrimSpace(stderr.Bytes()))
	}
}
