//go:build linux

package fdtest

import (
	"fmt"
	"os/exec"
	"runtime"
	"strings"
	"testing"
)

// A Machine is an architecture whose kernel headers can be asked, with the C compiler of it, which only has to check assertions, so that nothing is run. Any gcc of the target will do, and
// so does clang, which has all targets in one package.
type Machine struct{ Arch, Target, Headers string }

// Machines are those that Debian has headers of.
var Machines = []Machine{
	{"386", "i686-linux-gnu", "linux-libc-dev-i386-cross"},
	{"amd64", "x86_64-linux-gnu", "linux-libc-dev-amd64-cross"},
	{"arm", "arm-linux-gnueabihf", "linux-libc-dev-armhf-cross"},
	{"arm64", "aarch64-linux-gnu", "linux-libc-dev-arm64-cross"},
	{"mips", "mips-linux-gnu", "linux-libc-dev-mips-cross"},
	{"mipsle", "mipsel-linux-gnu", "linux-libc-dev-mipsel-cross"},
	{"mips64", "mips64-linux-gnuabi64", "linux-libc-dev-mips64-cross"},
	{"mips64le", "mips64el-linux-gnuabi64", "linux-libc-dev-mips64el-cross"},
	{"ppc64", "powerpc64-linux-gnu", "linux-libc-dev-ppc64-cross"},
	{"ppc64le", "powerpc64le-linux-gnu", "linux-libc-dev-ppc64el-cross"},
	{"riscv64", "riscv64-linux-gnu", "linux-libc-dev-riscv64-cross"},
	{"s390x", "s390x-linux-gnu", "linux-libc-dev-s390x-cross"},
}

// Assert has the compiler check a C source, which needs no more headers than the kernel's.
func (m Machine) Assert(t testing.TB, source string) {
	t.Helper()
	compiler := m.compiler()
	if compiler == nil {
		Need(t, "cross", fmt.Sprintf("no C compiler with headers for %s: install gcc-%s, or clang and %s", m.Arch, m.Target, m.Headers))
	}
	cmd := exec.CommandContext(t.Context(), compiler[0], append(compiler[1:], "-fsyntax-only", "-x", "c", "-")...)
	cmd.Stdin = strings.NewReader(source)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v: %v\n%s", cmd, err, out)
	}
}

// compiler is the beginning of a command that compiles C with the kernel's headers, or nil.
func (m Machine) compiler() []string {
	var candidates [][]string
	if runtime.GOARCH == "amd64" || runtime.GOARCH == "386" { // the same headers serve both
		switch m.Arch {
		case "amd64":
			candidates = append(candidates, []string{"gcc", "-m64"})
		case "386":
			candidates = append(candidates, []string{"gcc", "-m32", "-isystem", "/usr/include/x86_64-linux-gnu"})
		}
	} else if m.Arch == runtime.GOARCH {
		candidates = append(candidates, []string{"gcc"})
	}
	candidates = append(candidates,
		[]string{m.Target + "-gcc"},
		[]string{"clang", "--target=" + m.Target, "-nostdinc", "-isystem", "/usr/" + m.Target + "/include"})
	for _, c := range candidates {
		cmd := exec.Command(c[0], append(c[1:], "-fsyntax-only", "-x", "c", "-")...)
		cmd.Stdin = strings.NewReader("#include <linux/types.h>\n#include <asm/unistd.h>\n")
		if cmd.Run() == nil {
			return c
		}
	}
	return nil
}
