package debian

import (
	"os"
	"path/filepath"
	"strings"
)

// A folder has a kernel's trees: one, or two while a newer one takes the place of the old.
type folder string

// temporary begins the name of what isn't whole.
const temporary = ".tmp-"

func (f folder) path(name string) string { return filepath.Join(string(f), name) }

// trees returns the names of the whole trees.
func (f folder) trees() []string {
	var names []string
	entries, _ := os.ReadDir(string(f))
	for _, e := range entries {
		if e.IsDir() && !strings.HasPrefix(e.Name(), temporary) {
			names = append(names, e.Name())
		}
	}
	return names
}

func (f folder) newest() (newest Tree, found bool) {
	for _, name := range f.trees() {
		t, err := loadTree(f.path(name))
		if err == nil && (!found || compareVersions(t.Version, newest.Version) > 0) {
			newest, found = t, true
		}
	}
	return newest, found
}

// begin makes the folder in which a tree is put together, and removes what others left of theirs.
func (f folder) begin(name string) (string, error) {
	if err := f.sweep(); err != nil {
		return "", err
	}
	part := f.path(temporary + name)
	return part, os.Mkdir(part, 0o777)
}

// keepOnly removes the other trees.
func (f folder) keepOnly(keep string) error {
	if err := f.sweep(); err != nil {
		return err
	}
	for _, name := range f.trees() {
		if name == keep {
			continue
		}
		// What is half removed must not look whole.
		if err := os.Rename(f.path(name), f.path(temporary+name)); err != nil {
			return err
		}
	}
	return f.sweep()
}

func (f folder) sweep() error {
	entries, err := os.ReadDir(string(f))
	if err != nil {
		return err
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), temporary) {
			if err := os.RemoveAll(f.path(e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}
