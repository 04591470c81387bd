package initramfs

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/therootcompany/xz"
)

// A Tree is the modules of a kernel, without the files that depmod(8) makes of them.
type Tree struct {
	release string
	files   map[string]string // by the module's name
	builtin map[string]bool
}

// OpenTree reads the names of a kernel's modules; dir is its lib/modules/RELEASE.
func OpenTree(dir string) (*Tree, error) {
	t := &Tree{release: filepath.Base(dir), files: make(map[string]string), builtin: make(map[string]bool)}
	err := filepath.WalkDir(filepath.Join(dir, "kernel"), func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && strings.Contains(d.Name(), ".ko") {
			t.files[moduleName(path)] = path
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	b, err := os.ReadFile(filepath.Join(dir, "modules.builtin"))
	if errors.Is(err, fs.ErrNotExist) { // from Linux 7.3 on no package has it: what isn't a file may be built in
		t.builtin = nil
		return t, nil
	}
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(b)) {
		t.builtin[moduleName(strings.TrimSpace(line))] = true
	}
	return t, nil
}

// moduleName is a module's name, whichever way its file is spelled and compressed.
func moduleName(path string) string {
	name, _, _ := strings.Cut(filepath.Base(path), ".ko")
	return strings.ReplaceAll(name, "-", "_")
}

// Has says whether the kernel has a module, loadable or built in.
func (t *Tree) Has(name string) bool {
	name = moduleName(name)
	return t.files[name] != "" || t.builtIn(name)
}

func (t *Tree) builtIn(name string) bool {
	return t.builtin[name] || t.builtin == nil && t.files[name] == ""
}

// A Module is a loadable module, ready for finit_module(2).
type Module struct {
	Name    string
	Content []byte
}

// Load returns the modules with all that they depend on, in the order in which they must be loaded. What is built in is left out.
func (t *Tree) Load(names ...string) ([]Module, error) {
	l := loader{tree: t, seen: make(map[string]bool)}
	for _, n := range names {
		if err := l.add(n); err != nil {
			return nil, err
		}
	}
	return l.modules, nil
}

type loader struct {
	tree    *Tree
	seen    map[string]bool
	modules []Module
}

func (l *loader) add(name string) error {
	name = moduleName(name)
	if l.seen[name] || l.tree.builtIn(name) {
		return nil
	}
	l.seen[name] = true
	path := l.tree.files[name]
	if path == "" {
		return fmt.Errorf("kernel %s has no module %s", l.tree.release, name)
	}
	content, err := readModule(path)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	info, err := modinfo(content)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	for _, d := range info.depends {
		if err := l.add(d); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	for _, d := range info.before {
		l.addSoft(d)
	}
	l.modules = append(l.modules, Module{Name: name, Content: content})
	return nil
}

// addSoft adds what a module would like to have. It may be named by the alias of an algorithm, crypto-crc32c for crc32c_generic.
func (l *loader) addSoft(name string) {
	name = strings.TrimPrefix(name, "crypto-")
	for _, n := range []string{name, name + "_generic"} {
		if l.tree.Has(n) {
			mark := len(l.modules)
			if l.add(n) != nil {
				l.modules = l.modules[:mark]
			}
		}
	}
}

func readModule(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	var r io.Reader = f
	switch filepath.Ext(path) {
	case ".ko":
	case ".xz":
		if r, err = xz.NewReader(f, xz.DefaultDictMax); err != nil {
			return nil, err
		}
	default:
		return nil, errors.New("unknown compression")
	}
	return io.ReadAll(r)
}

type info struct{ depends, before []string }

// modinfo reads the strings that a module carries: what it depends on, and what should be loaded before it.
func modinfo(module []byte) (info, error) {
	f, err := elf.NewFile(bytes.NewReader(module))
	if err != nil {
		return info{}, err
	}
	s := f.Section(".modinfo")
	if s == nil {
		return info{}, errors.New("no section .modinfo")
	}
	b, err := s.Data()
	if err != nil {
		return info{}, err
	}
	var i info
	for field := range strings.SplitSeq(string(b), "\x00") {
		key, value, _ := strings.Cut(field, "=")
		switch key {
		case "depends":
			i.depends = slices.DeleteFunc(strings.Split(value, ","), func(s string) bool { return s == "" })
		case "softdep":
			pre, _, _ := strings.Cut(value, "post:")
			if _, names, ok := strings.Cut(pre, "pre:"); ok {
				i.before = append(i.before, strings.Fields(names)...)
			}
		}
	}
	return i, nil
}
