package debian

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path"
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
	debs, err := fs.Glob(os.DirFS(dir), "*.deb")
	if err != nil {
		return err
	}
	for _, deb := range debs {
		if err := run(ctx, dir, "dpkg-deb", "--extract", deb, "."); err != nil {
			return err
		}
		if err := os.Remove(filepath.Join(dir, deb)); err != nil {
			return err
		}
	}
	t, err := findTree(dir)
	if err != nil {
		return err
	}
	t.Package, t.Version = image.name, image.version
	if t.Image, err = bootable(dir, t.Image); err != nil {
		return err
	}
	b, err := json.MarshalIndent(t, "", "\t")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, treeFile), append(b, '\n'), 0o666)
}

// bootable returns the path of what boots fastest: the image, or what was inside.
func bootable(dir, image string) (string, error) {
	b, err := os.ReadFile(filepath.Join(dir, image))
	if err != nil {
		return "", err
	}
	b, err = extractELF(b)
	if err != nil {
		return "", fmt.Errorf("%s: %w", image, err)
	}
	if b == nil {
		return image, nil
	}
	return image + ".elf", os.WriteFile(filepath.Join(dir, image+".elf"), b, 0o666)
}

// findTree finds the kernel among its packages' files. The paths are relative.
func findTree(dir string) (Tree, error) {
	fsys := os.DirFS(dir)
	modules, err := one(fsys, "lib/modules/*", "usr/lib/modules/*")
	if err != nil {
		return Tree{}, err
	}
	release := path.Base(modules)
	image, err := one(fsys, "boot/vmlinu[xz]-"+release, modules+"/vmlinu[xz]")
	if err != nil {
		return Tree{}, err
	}
	return Tree{Release: release, Image: image, Modules: modules}, nil
}

// one returns the one file that matches a pattern.
func one(fsys fs.FS, patterns ...string) (string, error) {
	var found []string
	for _, p := range patterns {
		paths, err := fs.Glob(fsys, p)
		if err != nil {
			return "", err
		}
		found = append(found, paths...)
	}
	if len(found) != 1 {
		return "", fmt.Errorf("%d files match %s, and one should: Debian lays this kernel out in a new way, which findTree must learn",
			len(found), strings.Join(patterns, " or "))
	}
	return found[0], nil
}
