//go:build linux && (386 || amd64 || arm || arm64 || loong64 || ppc64 || ppc64le || riscv64 || s390x)

package sys

const (
	saSiginfo = 0x4        // SA_SIGINFO
	saOnstack = 0x08000000 // SA_ONSTACK
	saRestart = 0x10000000 // SA_RESTART
)
