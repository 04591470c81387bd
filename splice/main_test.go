//go:build linux

package splice

import (
	"testing"

	"github.com/fildes/fildes/internal/fdtest"
)

var check = fdtest.Check

func TestMain(m *testing.M) { fdtest.Main(m) }
