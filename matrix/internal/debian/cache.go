package debian

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// maxAge is for how long what Debian has isn't asked again.
const maxAge = 24 * time.Hour

// A Cache is a folder of unpacked kernels. Goroutines and processes may share one.
type Cache struct {
	// Refresh asks Debian again, once per Cache, though it was asked within a day.
	Refresh bool

	dir    string
	opened time.Time
	trust  string // other in tests, whose packages nobody signs

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
	return &Cache{dir: dir, opened: time.Now(), trust: defaultTrust, failed: make(map[source]error)}, nil
}

// Dir is the cache's folder.
func (c *Cache) Dir() string { return c.dir }

// Fetch returns an unpacked kernel. Where it isn't the newest that Debian has, it is fetched, and the old one removed; where Debian can't be
// reached, what the cache has is returned, and progress told.
func (c *Cache) Fetch(ctx context.Context, k Kernel, progress func(format string, args ...any)) (Tree, error) {
	if progress == nil {
		progress = func(string, ...any) {}
	}
	if ctx.Err() != nil {
		return Tree{}, context.Cause(ctx)
	}
	trees := folder(filepath.Join(c.dir, k.folder()))
	unlock, err := lock(ctx, trees.path("lock"), progress)
	if err != nil {
		return Tree{}, err
	}
	defer unlock()

	have, found := trees.newest()
	stamp := trees.path("checked")
	if found && isFresh(stamp, c.since()) {
		return have, nil
	}
	t, err := c.fetch(ctx, k, trees, progress)
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

// fetch asks Debian. The trees are the kernel's, and locked.
func (c *Cache) fetch(ctx context.Context, k Kernel, trees folder, progress func(string, ...any)) (Tree, error) {
	aptDir := filepath.Join(c.dir, k.source().folder())
	unlock, err := lock(ctx, filepath.Join(aptDir, "lock"), progress)
	if err != nil {
		return Tree{}, err
	}
	defer unlock()
	a, err := newApt(aptDir, k.source(), k.source().line(c.trust))
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
	if t, err := loadTree(trees.path(name)); err == nil {
		return t, trees.keepOnly(name)
	}

	part, err := trees.begin(name)
	if err != nil {
		return Tree{}, err
	}
	defer func() { _ = os.RemoveAll(part) }()
	began := time.Now()
	if err := a.download(ctx, part, packages); err != nil {
		return Tree{}, err
	}
	unlock()
	downloaded := time.Now()
	if err := unpack(ctx, part, packages[0]); err != nil {
		return Tree{}, err
	}
	progress("%s: downloaded %s in %.1f s, unpacked it in %.1f s", k.source(), name, downloaded.Sub(began).Seconds(), time.Since(downloaded).Seconds())
	if err := os.Rename(part, trees.path(name)); err != nil {
		return Tree{}, err
	}
	t, err := loadTree(trees.path(name))
	if err != nil {
		return Tree{}, err
	}
	return t, trees.keepOnly(name)
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

// isFresh says whether a stamp is there and younger than since.
func isFresh(stamp string, since time.Time) bool {
	fi, err := os.Stat(stamp)
	return err == nil && fi.ModTime().After(since)
}

func touch(stamp string) error {
	return os.WriteFile(stamp, nil, 0o666)
}
