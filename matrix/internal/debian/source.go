package debian

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

const (
	defaultMirror = "http://deb.debian.org"
	defaultTrust  = "signed-by=/usr/share/keyrings/debian-archive-keyring.gpg"
)

// A source is where packages come from. Each has lists of its own, as one suite for one architecture is all that apt is told of.
type source struct{ suite, arch string }

func (s source) String() string { return s.suite + "/" + s.arch }

func (s source) folder() string { return filepath.Join("apt", s.suite+"-"+s.arch) }

// line is the source's line of a sources.list(5), without translations and the like. Trust says whose signature to accept.
func (s source) line(trust string) string {
	mirror := cmp.Or(strings.TrimSuffix(os.Getenv("FILDES_DEBIAN_MIRROR"), "/"), defaultMirror)
	archive := "debian"
	if strings.HasSuffix(s.suite, "-security") {
		archive = "debian-security"
	}
	return fmt.Sprintf("deb [arch=%s target=Packages %s] %s/%s %s main\n", s.arch, trust, mirror, archive, s.suite)
}
