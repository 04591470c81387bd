//go:build linux

package sys_test

import (
	"fmt"
	"os"
	"regexp"
	"testing"

	"github.com/fildes/fildes/internal/fdtest"
)

// tapSources are the architectures that have a file in common.
var tapSources = map[string]string{"mips": "mipsx", "mipsle": "mipsx", "mips64": "mips64x", "mips64le": "mips64x"}

// The numbers of the system calls that the handlers make, and the size of what they write, are in no Go file.
func TestLayoutOfTaps(t *testing.T) {
	call := regexp.MustCompile(`\$(\d+), (?:AX|R\d+|A7) // (getpid|write)\b`)
	size := regexp.MustCompile(`(?:CMP|MOV|LI)\w*\s.*\$(\d{3,})\b`)
	for _, m := range fdtest.Machines {
		t.Run(m.Arch, func(t *testing.T) {
			t.Parallel()
			name := m.Arch
			if common := tapSources[name]; common != "" {
				name = common
			}
			text, err := os.ReadFile("tap_" + name + ".s")
			if os.IsNotExist(err) && m.Arch == "ppc64" {
				return // Go's runtime calls a handler there through a descriptor: there is no tap
			}
			if err != nil {
				t.Fatal(err)
			}
			source := "#include <linux/signal.h>\n#include <asm/unistd.h>\n"
			calls := call.FindAllSubmatch(text, -1)
			if len(calls) != 2 {
				t.Fatalf("%d system calls were found", len(calls))
			}
			for _, c := range calls {
				source += fmt.Sprintf("_Static_assert(__NR_%s == %s, \"%[1]s\");\n", c[2], c[1])
			}
			sizes := 0
			for _, s := range size.FindAllSubmatch(call.ReplaceAll(text, nil), -1) {
				source += fmt.Sprintf("_Static_assert(sizeof(siginfo_t) == %s, \"size\");\n", s[1])
				sizes++
			}
			if sizes < 2 {
				t.Fatalf("%d sizes were found", sizes)
			}
			m.Assert(t, source)
		})
	}
}
