//go:build linux

package inotify_test

import (
	"testing"

	"github.com/fildes/fildes/internal/fdtest"
)

var check, wantIs, bounded = fdtest.Check, fdtest.WantIs, fdtest.Bounded

func TestMain(m *testing.M) { fdtest.Main(m) }
