// Package build makes the programs that run in the machines.
package build

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// Options say how all programs of a run are built.
type Options struct {
	Root  string // of the checkout
	Dir   string // where the programs go, a folder per architecture
	Race  bool
	Cover bool
}

// Programs are what was built for an architecture: static, so that they need nothing but a kernel.
type Programs struct {
	Init   string
	Fildes string
	Tests  []Test
}

// A Test is the test binary of a package.
type Test struct {
	Package string // import path
	Source  string // its folder in the checkout
	Binary  string
}

// ForArch builds for an architecture of Go's.
func ForArch(ctx context.Context, o Options, arch string) (Programs, error) {
	b := builder{o: o, dir: filepath.Join(o.Dir, arch), env: append(os.Environ(), "GOOS=linux", "GOARCH="+arch, "CGO_ENABLED=0")}
	if err := os.MkdirAll(filepath.Join(b.dir, "tests"), 0o755); err != nil {
		return Programs{}, err
	}
	p := Programs{Init: filepath.Join(b.dir, "init"), Fildes: filepath.Join(b.dir, "fildes")}
	if _, err := b.run(ctx, "matrix", "build", "-ldflags=-s -w", "-o", p.Init, "./cmd/guestinit"); err != nil {
		return Programs{}, err
	}
	if _, err := b.run(ctx, "cmd/fildes", "build", "-ldflags=-s -w", "-o", p.Fildes, "."); err != nil {
		return Programs{}, err
	}
	args := []string{"test", "-c", "-o", filepath.Join(b.dir, "tests") + string(filepath.Separator)}
	ldflags := "-w"
	if o.Race {
		cc, err := compiler(arch)
		if err != nil {
			return Programs{}, err
		}
		b.env = append(b.env, "CGO_ENABLED=1", "CC="+cc)
		ldflags = "-w -linkmode external -extldflags -static"
		args = append(args, "-race")
	}
	if o.Cover {
		args = append(args, "-cover", "-covermode=atomic", "-coverpkg=./...")
	}
	var err error
	if p.Tests, err = b.tests(ctx); err != nil {
		return Programs{}, err
	}
	_, err = b.run(ctx, ".", append(args, "-ldflags="+ldflags, "./...")...)
	return p, err
}

type builder struct {
	o   Options
	dir string
	env []string
}

// run runs the go command in a module of the checkout.
func (b *builder) run(ctx context.Context, module string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir, cmd.Env = filepath.Join(b.o.Root, module), b.env
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s in %s: %w\n%s", strings.Join(cmd.Args, " "), cmd.Dir, err, errs.String())
	}
	return out, nil
}

// tests lists the packages of the library that have tests.
func (b *builder) tests(ctx context.Context) ([]Test, error) {
	out, err := b.run(ctx, ".", "list", "-json=ImportPath,Dir,TestGoFiles,XTestGoFiles", "./...")
	if err != nil {
		return nil, err
	}
	var tests []Test
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p struct {
			ImportPath, Dir           string
			TestGoFiles, XTestGoFiles []string
		}
		switch err := d.Decode(&p); {
		case err == io.EOF:
			return tests, nil
		case err != nil:
			return nil, err
		}
		if len(p.TestGoFiles)+len(p.XTestGoFiles) > 0 {
			name := p.ImportPath[strings.LastIndexByte(p.ImportPath, '/')+1:] + ".test"
			tests = append(tests, Test{Package: p.ImportPath, Source: p.Dir, Binary: filepath.Join(b.dir, "tests", name)})
		}
	}
}

// triplets are the C compilers that the race detector needs: it is C++.
var triplets = map[string]string{
	"amd64": "x86_64-linux-gnu", "arm64": "aarch64-linux-gnu", "ppc64le": "powerpc64le-linux-gnu", "s390x": "s390x-linux-gnu",
}

// CanRace says whether the race detector can be built for an architecture here.
func CanRace(arch string) bool {
	_, err := compiler(arch)
	return err == nil
}

// compiler finds one.
func compiler(arch string) (string, error) {
	triplet, ok := triplets[arch]
	if !ok {
		var has []string
		for a := range triplets {
			has = append(has, a)
		}
		slices.Sort(has)
		return "", fmt.Errorf("there is no race detector for %s; machines of %s have one", arch, strings.Join(has, ", "))
	}
	cc := triplet + "-gcc"
	if arch == runtime.GOARCH {
		cc = "gcc"
	}
	if _, err := exec.LookPath(cc); err != nil {
		return "", fmt.Errorf("the race detector needs a C compiler for %s: install gcc-%s", arch, strings.ReplaceAll(triplet, "_", "-"))
	}
	return cc, nil
}
