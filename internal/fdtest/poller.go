//go:build linux

package fdtest

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// Watched says whether an epoll set of this process, Go's own among them, has the number in it.
func Watched(t testing.TB, num int) bool {
	t.Helper()
	for n, link := range Descriptors() {
		if link != "anon_inode:[eventpoll]" {
			continue
		}
		info, err := os.ReadFile(fmt.Sprintf("/proc/self/fdinfo/%d", n))
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(info)) {
			var tfd int
			if k, _ := fmt.Sscanf(line, "tfd: %d", &tfd); k == 1 && tfd == num {
				return true
			}
		}
	}
	return false
}
