package debian

import (
	"os"
	"testing"
	"time"
)

// The kernels that there have to be.
var wanted = []Kernel{
	{"amd64", "bullseye-security", `linux-image-5\.10\.0-\d+-amd64`},
	{"amd64", "bookworm-security", `linux-image-6\.1\.0-\d+-amd64`},
	{"amd64", "trixie-backports", `linux-image-\d+\.\d+.*-amd64`},
	{"s390x", "bookworm", `linux-image-6\.1\.0-\d+-s390x`},
	{"arm64", "bookworm-security", `linux-image-6\.1\.0-\d+-arm64`},
	{"amd64", "bookworm-security", `linux-image-6\.12\..*-amd64`},
	{"amd64", "trixie-backports", `linux-image-6\.18\..*-amd64`},
	{"armhf", "bookworm", `linux-image-6\.1\.0-\d+-armmp-lpae`},
	{"i386", "bookworm", `linux-image-6\.1\.0-\d+-686-pae`},
	{"ppc64el", "bookworm", `linux-image-6\.1\.0-\d+-powerpc64le`},
	{"riscv64", "trixie", `linux-image-6\.12\..*-riscv64`},
}

// TestFetch fetches real kernels into the real cache, which takes half a minute and 2 GB.
func TestFetch(t *testing.T) {
	if os.Getenv("FILDES_MATRIX_FETCH") == "" {
		t.Skip("it fetches a gigabyte: set FILDES_MATRIX_FETCH=1")
	}
	c, err := Open("")
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range wanted {
		begin := time.Now()
		tree, err := c.Fetch(t.Context(), k, t.Logf)
		if err != nil {
			t.Error(err)
			continue
		}
		t.Logf("%v: %+v in %v", k, tree, time.Since(begin))
	}
}
