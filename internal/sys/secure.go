//go:build linux

package sys

import "golang.org/x/sys/unix"

// Secure says whether this program has rights that whoever started it may not have: it is setuid, say. Then its environment isn't to be trusted. AT_SECURE of getauxval(3).
func Secure() bool {
	const secure = 23 // AT_SECURE
	vector, err := unix.Auxv()
	for _, entry := range vector {
		if entry[0] == secure {
			return entry[1] != 0
		}
	}
	return err != nil || unix.Getuid() != unix.Geteuid() || unix.Getgid() != unix.Getegid()
}
