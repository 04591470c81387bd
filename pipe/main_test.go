//go:build linux

package pipe_test

import (
	"os"
	"testing"

	"github.com/fildes/fildes/internal/fdtest"
)

var check, wantIs, bounded = fdtest.Check, fdtest.WantIs, fdtest.Bounded

func TestMain(m *testing.M) {
	if role := os.Getenv(roleEnv); role != "" {
		os.Exit(play(role))
	}
	fdtest.Main(m)
}
