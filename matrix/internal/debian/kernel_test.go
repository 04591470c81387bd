package debian

import (
	"slices"
	"strings"
	"testing"
)

// What Packages files have, shortened.
const packages = `Package: linux-image-6.12.9+deb13-amd64
Version: 6.12.9-1
Depends: kmod, linux-base (>= 4.3~)

Package: linux-image-6.12.117+deb13-amd64
Version: 6.12.117-1
Depends: kmod, linux-base (>= 4.3~), initramfs-tools (>= 0.120+deb8u2) | linux-initramfs-tool
Description: Linux 6.12 for 64-bit PCs
 Version: a line that goes on

Package: linux-image-6.12.118+deb13-amd64-dbg
Version: 6.12.118-1

Package: linux-image-6.12.118+deb13-cloud-amd64
Version: 6.12.118-1

Package: linux-image-6.12.118+deb13-rt-amd64
Version: 6.12.118-1

Package: linux-image-6.12.118+deb13-amd64-unsigned
Version: 6.12.118-1

Package: linux-image-7.3.4+deb13-amd64
Version: 7.3.4-1~bpo13+1
Depends: dracut | linux-initramfs-tool, linux-binary-7.3.4+deb13-amd64 (= 7.3.4-1~bpo13+1), linux-modules-7.3.4+deb13-amd64 (= 7.3.4-1~bpo13+1)

Package: linux-binary-7.3.4+deb13-amd64
Version: 7.3.4-1~bpo13+1
Depends: linux-base-7.3.4+deb13-amd64 (= 7.3.4-1~bpo13+1)

Package: linux-modules-7.3.4+deb13-amd64
Version: 7.3.4-1~bpo13+1
Depends: kmod, linux-binary-7.3.4+deb13-amd64

Package: linux-image-amd64
Version: 7.3.4-1~bpo13+1
Depends: linux-image-7.3.4+deb13-amd64 (= 7.3.4-1~bpo13+1)

Package: bash
Version: 5.2-1
`

func TestChoose(t *testing.T) {
	in, err := readIndex(strings.NewReader(packages))
	if err != nil {
		t.Fatal(err)
	}
	split := []string{"linux-image-7.3.4+deb13-amd64", "linux-binary-7.3.4+deb13-amd64", "linux-modules-7.3.4+deb13-amd64"}
	for name, want := range map[string][]string{
		`linux-image-6\.12\..*-amd64`: {"linux-image-6.12.117+deb13-amd64"},
		`linux-image-\d.*-amd64`:      split,
		`linux-image-amd64`:           append([]string{"linux-image-amd64"}, split...),
	} {
		got, err := Kernel{Arch: "amd64", Suite: "trixie", Name: name}.choose(in)
		if err != nil {
			t.Error(err)
		}
		if names := namesOf(got); !slices.Equal(names, want) {
			t.Errorf("%s: %v, want %v", name, names, want)
		}
	}
}

func TestChooseNone(t *testing.T) {
	for name, want := range map[string]string{
		`linux-image-5\..*`: "packages.debian.org/trixie",
		`linux-image-6.12`:  "packages.debian.org/trixie", // the whole name has to match
		`linux-(`:           "regular expression",
	} {
		_, err := Kernel{Arch: "amd64", Suite: "trixie", Name: name}.choose(index{"linux-image-6.12.1-amd64": {}})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, which doesn't say %q", name, err, want)
		}
	}
}

func TestDependencies(t *testing.T) {
	got := dependencies("kmod, linux-base (>= 4.3~),initramfs-tools (>= 0.120+deb8u2) | linux-initramfs-tool, python3:any")
	want := []string{"kmod", "linux-base", "initramfs-tools", "linux-initramfs-tool", "python3"}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func namesOf(packages []pkg) []string {
	var names []string
	for _, p := range packages {
		names = append(names, p.name)
	}
	return names
}
