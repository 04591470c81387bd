package debian

import (
	"cmp"
	"errors"
	"fmt"
	"hash/crc32"
	"path/filepath"
	"regexp"
)

// A Kernel says which package is wanted: the newest whose name matches.
type Kernel struct {
	Arch  string // Debian's name: amd64, arm64, armhf, i386, ppc64el, riscv64, s390x …
	Suite string // bookworm, bullseye-security, trixie-backports …
	Name  string // a regular expression for the whole name of the package, or the name of a meta-package
}

func (k Kernel) String() string { return k.Suite + "/" + k.Arch + " " + k.Name }

func (k Kernel) source() source { return source{suite: k.Suite, arch: k.Arch} }

// folder is where the kernel's trees are, in the cache. The sum is of what may not be in a file's name.
func (k Kernel) folder() string {
	return filepath.Join("kernels", fmt.Sprintf("%s-%s-%08x", k.Suite, k.Arch, crc32.ChecksumIEEE([]byte(k.Name))))
}

// variant matches the packages that are never meant: debugging symbols and the kernels for other uses.
var variant = regexp.MustCompile(`-(cloud|dbg|rt|unsigned)(-|$)`)

// choose returns the newest package that the kernel may be, and then those it needs.
func (k Kernel) choose(in index) ([]pkg, error) {
	want, err := regexp.Compile("^(?:" + k.Name + ")$")
	if err != nil {
		return nil, fmt.Errorf("the name of a kernel must be a regular expression: %w", err)
	}
	var best pkg
	for name, p := range in {
		if !want.MatchString(name) || variant.MatchString(name) {
			continue
		}
		if best.name == "" || cmp.Or(compareVersions(p.version, best.version), compareVersions(p.name, best.name)) > 0 {
			best = p
		}
	}
	if best.name == "" {
		return nil, errors.New("no package has such a name: look what is at https://packages.debian.org/" + k.Suite + "/kernel/ and correct the kernel's Name or Suite")
	}
	return in.closure(best), nil
}
