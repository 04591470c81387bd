//go:build linux && !mips && !mipsle && !mips64 && !mips64le

package sys

// siginfoCode is where si_code is in a siginfo_t.
func siginfoCode() int { return 8 }
