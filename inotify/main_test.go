//go:build linux

package inotify_test

import (
	"testing"

	"github.com/fildes/fildes/internal/fdtest"
)

func TestMain(m *testing.M) { fdtest.Main(m) }
