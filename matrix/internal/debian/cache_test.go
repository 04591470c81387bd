package debian

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

var wanted = Kernel{Arch: "amd64", Suite: "test", Name: `linux-image-6\.1\.\d+-amd64`}

func TestFetch(t *testing.T) {
	m := newMirror(t)
	m.add(t, "6.1.9")
	m.add(t, "6.1.10")
	c := m.open(t)
	first := c.fetchOK(t)
	if first.Package != "linux-image-6.1.10-amd64" || first.Release != "6.1.10-amd64" || first.Version != "6.1.10-1" {
		t.Errorf("%+v isn't 6.1.10", first)
	}
	for path, want := range map[string]string{first.Image: "kernel 6.1.10", filepath.Join(first.Modules, "modules.builtin"): ""} {
		if b, err := os.ReadFile(path); err != nil || string(b) != want {
			t.Errorf("%s: %q, %v", path, b, err)
		}
	}

	// A day's answer is enough, for this process and for others.
	m.add(t, "6.1.11")
	for _, c := range []*testCache{c, m.open(t)} {
		c.told = nil
		if again := c.fetchOK(t); again != first || c.told != nil {
			t.Errorf("%+v instead of %+v; told %q", again, first, c.told)
		}
	}
	begin := time.Now()
	c.fetchOK(t)
	if took := time.Since(begin); took > time.Second {
		t.Errorf("a kernel from the cache took %v", took)
	}

	// A newer one takes the place of the old.
	c = m.open(t)
	c.Refresh = true
	second := c.fetchOK(t)
	if second.Release != "6.1.11-amd64" {
		t.Errorf("%+v isn't 6.1.11", second)
	}
	if got := c.trees(); len(got) != 1 {
		t.Errorf("%q are left", got)
	}

	// What is up to date isn't fetched again, though Debian is asked.
	c = m.open(t)
	c.Refresh = true
	if third := c.fetchOK(t); third != second {
		t.Errorf("%+v instead of %+v", third, second)
	}
	if c.says("downloaded") {
		t.Errorf("%q", c.told)
	}
}

func TestFetchOffline(t *testing.T) {
	m := newMirror(t)
	m.add(t, "6.1.9")
	have := m.open(t).fetchOK(t)
	m.remove(t)

	c := m.open(t)
	c.Refresh = true
	if got := c.fetchOK(t); got != have || !c.says("from the cache") {
		t.Errorf("%+v instead of %+v; told %q", got, have, c.told)
	}
	other := wanted
	other.Name = "linux-image-5.*"
	_, err := c.Fetch(t.Context(), other, t.Logf)
	if err == nil || !strings.Contains(err.Error(), other.Name) || !strings.Contains(err.Error(), "FILDES_DEBIAN_MIRROR") {
		t.Errorf("%v doesn't say what to do", err)
	}
	updates := 0
	for _, s := range c.told {
		if strings.Contains(s, "lists") {
			updates++
		}
	}
	if updates != 1 {
		t.Errorf("what failed was tried %d times: %q", updates, c.told)
	}
}

func TestFetchInterrupted(t *testing.T) {
	m := newMirror(t)
	m.add(t, "6.1.9")
	m.truncate(t, "6.1.9")
	c := m.open(t)
	if tree, err := c.Fetch(t.Context(), wanted, t.Logf); err == nil {
		t.Fatalf("%+v of half a package", tree)
	}
	if got := c.trees(); len(got) != 0 {
		t.Fatalf("%q of half a package", got)
	}

	// As a process leaves it that is killed at the worst moments: before the new tree has its name, and while an old one is removed.
	m.add(t, "6.1.9")
	c = m.open(t)
	c.Refresh = true
	f := c.folder()
	for _, name := range []string{"linux-image-6.1.9-amd64_6.1.9-1", "linux-image-6.1.8-amd64_6.1.8-1"} {
		if err := os.MkdirAll(f.path(temporary+name), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(f.path(temporary+name), treeFile), []byte(`{"Version":"6.1.9-1"}`), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if got, ok := f.newest(); ok {
		t.Errorf("half a tree is taken for whole: %+v", got)
	}
	c.fetchOK(t)
	entries, err := os.ReadDir(string(f))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), temporary) {
			t.Errorf("%s is left", e.Name())
		}
	}
}

func TestFetchTogether(t *testing.T) {
	m := newMirror(t)
	m.add(t, "6.1.9")
	caches := []*testCache{m.open(t), m.open(t)} // as two processes have them
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			k := wanted
			k.Name += strings.Repeat("$", i%2) // another kernel from the same source
			if _, err := caches[i/4].Cache.Fetch(t.Context(), k, nil); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

func TestFetchCancelled(t *testing.T) {
	m := newMirror(t)
	m.add(t, "6.1.9")
	c := m.open(t)
	unlock, err := lock(t.Context(), c.folder().path("lock"), t.Logf)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("why")
	progress := func(format string, args ...any) {
		t.Logf(format, args...)
		cancel(why)
	}
	if _, err := c.Fetch(ctx, wanted, progress); !errors.Is(err, why) {
		t.Errorf("%v instead of the context's cause", err)
	}
	unlock()
	if _, err := c.Fetch(ctx, wanted, t.Logf); !errors.Is(err, why) {
		t.Errorf("%v instead of the context's cause", err)
	}
	c.fetchOK(t)
}

func TestFetchWithoutDebian(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	c, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Fetch(t.Context(), wanted, nil)
	if !errors.Is(err, exec.ErrNotFound) || !strings.Contains(err.Error(), "container of Debian") {
		t.Errorf("%v doesn't say what to do", err)
	}
}

func TestOpen(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("FILDES_MATRIX_CACHE", filepath.Join(dir, "a"))
	t.Setenv("XDG_CACHE_HOME", filepath.Join(dir, "b"))
	for _, want := range []string{"a", "b/fildes/matrix"} {
		c, err := Open("")
		if err != nil {
			t.Fatal(err)
		}
		if want = filepath.Join(dir, want); c.Dir() != want {
			t.Errorf("the cache is in %s, want %s", c.Dir(), want)
		}
		t.Setenv("FILDES_MATRIX_CACHE", "")
	}
}

// A testCache remembers what its user is told.
type testCache struct {
	*Cache
	told []string
}

func (c *testCache) fetchOK(t *testing.T) Tree {
	t.Helper()
	tree, err := c.Fetch(t.Context(), wanted, t.Logf)
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

func (c *testCache) Fetch(ctx context.Context, k Kernel, progress func(string, ...any)) (Tree, error) {
	return c.Cache.Fetch(ctx, k, func(format string, args ...any) {
		c.told = append(c.told, fmt.Sprintf(format, args...))
		progress(format, args...)
	})
}

func (c *testCache) says(word string) bool { return strings.Contains(strings.Join(c.told, "\n"), word) }

func (c *testCache) folder() folder { return folder(filepath.Join(c.Dir(), wanted.folder())) }

func (c *testCache) trees() []string { return c.folder().trees() }

// A mirror is an archive on the disk that nobody signed, for the real apt. All caches that it opens are one.
type mirror struct {
	dir, cache string
	index      map[string]string // paragraphs, by version
}

func newMirror(t *testing.T) *mirror {
	t.Helper()
	for _, program := range []string{"apt-get", "dpkg-deb"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("a mirror needs Debian's tools: %v", err)
		}
	}
	m := &mirror{dir: t.TempDir(), cache: t.TempDir(), index: make(map[string]string)}
	t.Setenv("FILDES_DEBIAN_MIRROR", "file:"+m.dir)
	return m
}

func (m *mirror) open(t *testing.T) *testCache {
	t.Helper()
	c, err := Open(m.cache)
	if err != nil {
		t.Fatal(err)
	}
	c.trust = "trusted=yes"
	return &testCache{Cache: c}
}

// add puts a kernel into the mirror.
func (m *mirror) add(t *testing.T, version string) {
	t.Helper()
	release, root := version+"-amd64", t.TempDir()
	control := fmt.Sprintf("Package: linux-image-%s\nVersion: %s-1\nArchitecture: amd64\nMaintainer: Nobody <nobody@example.org>\nDescription: a test\n", release, version)
	write(t, filepath.Join(root, "DEBIAN/control"), control)
	write(t, filepath.Join(root, "boot/vmlinuz-"+release), "kernel "+version)
	write(t, filepath.Join(root, "lib/modules", release, "modules.builtin"), "")
	write(t, m.deb(version), "")
	if out, err := exec.Command("dpkg-deb", "--build", "--root-owner-group", root, m.deb(version)).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	m.publish(t, version, control)
}

// truncate makes half of a package, whose sum is right.
func (m *mirror) truncate(t *testing.T, version string) {
	t.Helper()
	b, err := os.ReadFile(m.deb(version))
	if err != nil {
		t.Fatal(err)
	}
	write(t, m.deb(version), string(b[:len(b)/2]))
	control, _, _ := strings.Cut(m.index[version], "Filename:")
	m.publish(t, version, control)
}

func (m *mirror) publish(t *testing.T, version, control string) {
	t.Helper()
	b, err := os.ReadFile(m.deb(version))
	if err != nil {
		t.Fatal(err)
	}
	m.index[version] = fmt.Sprintf("%sFilename: %s\nSize: %d\nSHA256: %x\n\n", control, filepath.Base(m.deb(version)), len(b), sha256.Sum256(b))
	var list bytes.Buffer
	for _, paragraph := range m.index {
		list.WriteString(paragraph)
	}
	const name = "main/binary-amd64/Packages"
	dist := filepath.Join(m.dir, "debian/dists/test")
	write(t, filepath.Join(dist, name), list.String())
	write(t, filepath.Join(dist, "Release"), fmt.Sprintf("Suite: test\nCodename: test\nArchitectures: amd64\nComponents: main\nDate: %s\nSHA256:\n %x %d %s\n",
		time.Now().UTC().Format(time.RFC1123), sha256.Sum256(list.Bytes()), list.Len(), name))
}

func (m *mirror) deb(version string) string { return filepath.Join(m.dir, "debian", version+".deb") }

func (m *mirror) remove(t *testing.T) {
	t.Helper()
	if err := os.RemoveAll(m.dir); err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
}
