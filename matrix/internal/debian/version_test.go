package debian

import (
	"os/exec"
	"testing"
)

var versions = []string{
	"0~~", "0~", "0", "0a", "1.0~rc1-1", "1.0-1", "1.0-1a", "1.0-1+b1", "1.0-1.1", "1.0.1-1", "1.00.2-1", "1.9-1", "1.10-1",
	"5.10.262-1", "6.1.99-1", "6.1.192-2", "6.12.9-1~deb12u1", "6.12.117-1~deb12u1", "6.12.117-1~deb12u2", "6.12.117-1", "6.18.15-1~bpo13+1",
	"7.3.4-1~bpo13+1", "7.3.4-1", "7.3.4+x-1", "7.3.10-1", "1:0.1-1", "2:0.1-1",
}

func TestCompareVersions(t *testing.T) {
	for i, a := range versions {
		for j, b := range versions {
			if got, want := sign(compareVersions(a, b)), sign(i-j); got != want {
				t.Errorf("compareVersions(%q, %q) = %d, want %d", a, b, got, want)
			}
		}
	}
	if compareVersions("1.01-1", "1.1-1") != 0 {
		t.Error("a zero in front counts")
	}
}

// TestVersionsDpkg holds the table of TestCompareVersions against dpkg.
func TestVersionsDpkg(t *testing.T) {
	if _, err := exec.LookPath("dpkg"); err != nil {
		t.Skipf("no dpkg: %v", err)
	}
	for i := range versions[1:] {
		if err := exec.Command("dpkg", "--compare-versions", versions[i], "lt", versions[i+1]).Run(); err != nil {
			t.Errorf("dpkg: %s isn't before %s: %v", versions[i], versions[i+1], err)
		}
	}
}

func sign(n int) int { return min(max(n, -1), 1) }
