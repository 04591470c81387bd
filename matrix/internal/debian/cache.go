package debian

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// maxAge is for how long what Debian has isn't asked again.
const maxAge = 24 * time.Hour

// temporary begins the name of what isn't whole.
const temporary = ".tmp-"

// A Cache is a folder of unpacked kernels. Goroutines and processes may share one.
type Cache struct {
	// Refresh asks Debian again, once per Cache, though it was asked within a day.
	Refresh bool

	dir    string
	opened time.Time

	mu     sync.Mutex
	failed map[source]error // whose lists can't be had: asked once, however many kernels come from there
}

// Open opens the cache in a folder, which is made if it isn't there. If dir is empty, it is that of $FILDES_MATRIX_CACHE, else fildes/matrix in
// the user's folder for caches.
func Open(dir string) (*Cache, error) {
	if dir == "" {
		dir = os.Getenv("FILDES_MATRIX_CACHE")
	}
	if dir == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			return nil, fmt.Errorf("no folder for the cache of kernels: %w: set FILDES_MATRIX_CACHE to one", err)
		}
		dir = filepath.Join(user, "fildes", "matrix")
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, fmt.Errorf("no cache of kernels: %w: set FILDES_MATRIX_CACHE to a folder that can be written", err)
	}
	return &Cache{dir: dir, opened: time.Now(), failed: make(map[source]error)}, nil
}

// Dir is the cache's folder.
func (c *Cache) Dir() string { return c.dir }

// Fetch returns an unpacked kernel. Where it isn't the newest that Debian has, it is fetched, and the old one removed; where Debian can't be
// reached, what the cache has is returned, and progress told.
func (c *Cache) Fetch(ctx context.Context, k Kernel, progress func(format string, args ...any)) (Tree, error) {
	if progress == nil {
		progress = func(string, ...any) {}
	}
	dir := filepath.Join(c.dir, k.folder())
	unlock, err := lock(ctx, filepath.Join(dir, "lock"), progress)
	if err != nil {
		return Tree{}, err
	}
	defer unlock()

	have, found := newestTree(dir)
	stamp := filepath.Join(dir, "checked")
	if found && isFresh(stamp, c.since()) {
		return have, nil
	}
	t, err := c.fetch(ctx, k, dir, progress)
	switch {
	case err == nil:
		if err := touch(stamp); err != nil {
			return Tree{}, err
		}
		return t, nil
	case ctx.Err() != nil:
		return Tree{}, context.Cause(ctx)
	case found:
		progress("%s: taking %s %s from the cache, for Debian can't be asked: %v", k, have.Package, have.Version, err)
		return have, nil
	default:
		return Tree{}, fmt.Errorf("the kernel %s isn't in the cache %s and can't be fetched: %w", k, c.dir, err)
	}
}

// since is the time that answers must be younger than.
func (c *Cache) since() time.Time {
	if c.Refresh {
		return c.opened
	}
	return time.Now().Add(-maxAge)
}

// fetch asks Debian. Dir is the kernel's, and locked.
func (c *Cache) fetch(ctx context.Context, k Kernel, dir string, progress func(string, ...any)) (Tree, error) {
	aptDir := filepath.Join(c.dir, k.source().folder())
	unlock, err := lock(ctx, filepath.Join(aptDir, "lock"), progress)
	if err != nil {
		return Tree{}, err
	}
	defer unlock()
	a, err := newApt(aptDir, k.source())
	if err != nil {
		return Tree{}, err
	}
	if err := c.update(ctx, a, progress); err != nil {
		return Tree{}, err
	}
	in, err := a.index()
	if err != nil {
		return Tree{}, err
	}
	packages, err := k.choose(in)
	if err != nil {
		return Tree{}, err
	}
	name := packages[0].name + "_" + packages[0].version
	whole := filepath.Join(dir, name)
	if t, err := loadTree(whole); err == nil {
		return t, clean(dir, name)
	}

	if err := clean(dir, ""); err != nil {
		return Tree{}, err
	}
	part := filepath.Join(dir, temporary+name)
	if err := os.Mkdir(part, 0o777); err != nil {
		return Tree{}, err
	}
	begin := time.Now()
	if err := a.download(ctx, part, packages); err != nil {
		return Tree{}, err
	}
	unlock()
	downloaded := time.Now()
	if err := unpack(ctx, part, packages[0]); err != nil {
		return Tree{}, err
	}
	progress("%s: downloaded %s in %.1f s, unpacked in %.1f s", k.source(), name, downloaded.Sub(begin).Seconds(), time.Since(downloaded).Seconds())
	if err := os.Rename(part, whole); err != nil {
		return Tree{}, err
	}
	t, err := loadTree(whole)
	if err != nil {
		return Tree{}, err
	}
	return t, clean(dir, name)
}

// update updates the lists. What failed isn't tried again.
func (c *Cache) update(ctx context.Context, a *apt, progress func(string, ...any)) error {
	c.mu.Lock()
	err := c.failed[a.source]
	c.mu.Unlock()
	if err != nil {
		return err
	}
	err = a.update(ctx, c.since(), progress)
	if err != nil && ctx.Err() == nil {
		c.mu.Lock()
		c.failed[a.source] = err
		c.mu.Unlock()
	}
	return err
}

// newestTree returns the tree that a kernel's folder has: there are two if the removal of the old one was interrupted.
func newestTree(dir string) (best Tree, found bool) {
	names, _ := filepath.Glob(filepath.Join(dir, "*", treeFile))
	for _, name := range names {
		t, err := loadTree(filepath.Dir(name))
		if err == nil && (!found || compareVersions(t.Version, best.Version) > 0) {
			best, found = t, true
		}
	}
	return best, found
}

// clean removes from a kernel's folder what isn't whole, and all trees but one if that is named.
func clean(dir, keep string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		if !e.IsDir() || e.Name() == keep {
			continue
		}
		if !strings.HasPrefix(e.Name(), temporary) {
			if keep == "" {
				continue
			}
			// What is half removed must not look whole.
			part := filepath.Join(dir, temporary+e.Name())
			if err := os.Rename(path, part); err != nil {
				return err
			}
			path = part
		}
		if err := os.RemoveAll(path); err != nil {
			return err
		}
	}
	return nil
}

// isFresh says whether a stamp is there and younger than since.
func isFresh(stamp string, since time.Time) bool {
	fi, err := os.Stat(stamp)
	return err == nil && fi.ModTime().After(since)
}

func touch(stamp string) error {
	return os.WriteFile(stamp, nil, 0o666) //nolint:gosec // nothing secret
}
