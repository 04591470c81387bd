package debian

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// A Tree is an unpacked kernel. It is only to be read.
type Tree struct {
	Package string // of the image, with the version inside
	Version string // the package's
	Release string // uname -r
	Image   string // the path of vmlinuz or vmlinux: what to boot
	Modules string // the path of lib/modules/RELEASE
}

// treeFile describes a tree, with paths relative to it.
const treeFile = "tree.json"

func loadTree(dir string) (Tree, error) {
	b, err := os.ReadFile(filepath.Join(dir, treeFile))
	if err != nil {
		return Tree{}, err
	}
	var t Tree
	if err := json.Unmarshal(b, &t); err != nil {
		return Tree{}, fmt.Errorf("%s: %w", filepath.Join(dir, treeFile), err)
	}
	t.Image, t.Modules = filepath.Join(dir, t.Image), filepath.Join(dir, t.Modules)
	return t, nil
}

// unpack makes a tree of the packages' files in dir, which are removed.
func unpack(ctx context.Context, dir string, image pkg) error {
	debs, err := filepath.Glob(filepath.Join(dir, "*.deb"))
	if err != nil {
		return err
	}
	for _, deb := range debs {
		if err := run(ctx, dir, "dpkg-deb", "--extract", deb, "."); err != nil {
			return err
		}
		if err := os.Remove(deb); err != nil {
			return err
		}
	}
	t, err := findTree(dir)
	if err != nil {
		return err
	}
	t.Package, t.Version = image.name, image.version
	b, err := json.MarshalIndent(t, "", "\t")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, treeFile), append(b, '\n'), 0o666) //nolint:gosec // nothing secret
}

// findTree finds the kernel among its packages' files. The paths are relative.
func findTree(dir string) (Tree, error) {
	modules, err := one(dir, "lib/modules/*", "usr/lib/modules/*")
	if err != nil {
		return Tree{}, err
	}
	release := filepath.Base(modules)
	image, err := one(dir, "boot/vmlinu[xz]-"+release, filepath.Join(modules, "vmlinu[xz]"))
	if err != nil {
		return Tree{}, err
	}
	elf, err := extractELF(dir, image)
	if err != nil {
		return Tree{}, err
	}
	if elf != "" {
		image = elf
	}
	return Tree{Release: release, Image: image, Modules: modules}, nil
}

// one returns the one file that matches a pattern.
func one(dir string, patterns ...string) (string, error) {
	var found []string
	for _, p := range patterns {
		paths, err := filepath.Glob(filepath.Join(dir, p))
		if err != nil {
			return "", err
		}
		found = append(found, paths...)
	}
	if len(found) != 1 {
		return "", errors.New("the packages should have one " + strings.Join(patterns, " or ") + fmt.Sprintf(" and have %d: this Debian lays kernels out anew, and package debian must learn it", len(found)))
	}
	return filepath.Rel(dir, found[0])
}
