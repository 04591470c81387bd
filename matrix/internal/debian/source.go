package debian

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const (
	defaultMirror = "http://deb.debian.org"
	keyring       = "/usr/share/keyrings/debian-archive-keyring.gpg"
)

// A source is where packages come from. Each has lists of its own, as one suite for one architecture is all that apt is told of.
type source struct{ suite, arch string }

func (s source) String() string { return s.suite + "/" + s.arch }

func (s source) folder() string { return filepath.Join("apt", s.suite+"-"+s.arch) }

// line is the source's line of a sources.list(5). Translations and the like aren't fetched.
func (s source) line() string {
	mirror := strings.TrimSuffix(os.Getenv("FILDES_DEBIAN_MIRROR"), "/")
	if mirror == "" {
		mirror = defaultMirror
	}
	archive := "/debian"
	if strings.HasSuffix(s.suite, "-security") {
		archive = "/debian-security"
	}
	return fmt.Sprintf("deb [arch=%s target=Packages signed-by=%s] %s%s %s main\n", s.arch, keyring, mirror, archive, s.suite)
}

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

func newApt(dir string, s source) (*apt, error) {
	for _, d := range []string{"lists/partial", "cache/archives/partial"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o777); err != nil {
			return nil, err
		}
	}
	for name, text := range map[string]string{"apt.conf": fmt.Sprintf(aptConf, dir, s.arch), "sources.list": s.line(), "status": ""} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666); err != nil { //nolint:gosec // nothing secret
			return nil, err
		}
	}
	return &apt{source: s, dir: dir}, nil
}

func (a *apt) stamp() string { return filepath.Join(a.dir, "updated") }

// update fetches the lists, unless they are younger than since.
func (a *apt) update(ctx context.Context, since time.Time, progress func(string, ...any)) error {
	if isFresh(a.stamp(), since) {
		return nil
	}
	if _, err := os.Stat(keyring); err != nil {
		return fmt.Errorf("%w: the keys of Debian's archive are missing: apt-get install debian-archive-keyring", err)
	}
	progress("%s: reading the lists of packages", a.source)
	if err := a.run(ctx, a.dir, "update"); err != nil {
		return err
	}
	return touch(a.stamp())
}

// index reads the source's list of packages, which the last update left.
func (a *apt) index() (index, error) {
	lists, err := filepath.Glob(filepath.Join(a.dir, "lists", "*_Packages"))
	if err != nil {
		return nil, err
	}
	if len(lists) != 1 {
		return nil, fmt.Errorf("the suite %s should have one list of packages for %s and has %d: correct the kernel's Suite or Arch, or remove %s", a.suite, a.arch, len(lists), a.dir)
	}
	return openIndex(lists[0])
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
	return run(ctx, dir, "apt-get", append([]string{"-q", "-c", filepath.Join(a.dir, "apt.conf")}, args...)...)
}

// run runs a program of Debian's. Its error has what the program complained of.
func run(ctx context.Context, dir, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) } // so that apt ends its helpers
	cmd.WaitDelay = 5 * time.Second
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	err := cmd.Run()
	if errors.Is(err, exec.ErrNotFound) {
		return fmt.Errorf("%w: kernels are fetched with Debian's apt-get and dpkg-deb: run this on Debian or in a container of it", err)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, strings.TrimSpace(stderr.String()))
	}
	return nil
}
