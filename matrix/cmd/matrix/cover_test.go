package main

import (
	"os"
	"path/filepath"
	"testing"
)

func TestMergeProfiles(t *testing.T) {
	file := filepath.Join(t.TempDir(), "cover")
	err := mergeProfiles(file, [][]byte{
		[]byte("mode: atomic\na/b.go:1.2,3.4 2 1\na/b.go:5.2,6.4 1 0\n"),
		[]byte("mode: atomic\na/b.go:1.2,3.4 2 4\na/b.go:5.2,6.4 1 0\na/c_s390x.go:1.1,2.2 1 7\n"),
	})
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if want := "mode: atomic\na/b.go:1.2,3.4 2 5\na/b.go:5.2,6.4 1 0\na/c_s390x.go:1.1,2.2 1 7\n"; string(b) != want {
		t.Errorf("merged:\n%s", b)
	}
}

func TestMergeNothing(t *testing.T) {
	if mergeProfiles(filepath.Join(t.TempDir(), "cover"), nil) == nil {
		t.Error("no profile is a profile")
	}
}
