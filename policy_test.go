//go:build linux

package fildes_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The tests in this file are about the source, not about what it does: docs/CONVENTIONS.md's rules that a machine can check. Each
// says why the rule is there. They need the go command and the checkout.

const modulePath = "github.com/fildes/fildes"

// layers is the order of the packages: each imports only what stands below it. What is missing must be given a place.
var layers = map[string]int{
	"internal/sys":    0, // the only door to the kernel
	"internal/flags":  0, // pure text
	"internal/probe":  1,
	"internal/fd":     1, // the engine
	"":                2, // package fildes, the public core
	"internal/fdtest": 4, // for tests only: it may import all, and nothing that ships imports it

	"internal/fdtest/fixture": 5, // likewise
}

const kindLayer = 3 // every package that isn't internal, and that isn't the root

// kindsOnKinds are the kinds that may import another kind, because their man pages do.
var kindsOnKinds = map[string]string{
	"pidfd":  "signalfd",
	"serial": "tty",
	"splice": "pipe",
}

// ending are the files whose functions end the process, because that is what they are for.
var ending = map[string]string{
	"signalfd/reexec.go":  "becomes another program",
	"signalfd/reraise.go": "ends as a signal would have",
}

// portable are the packages that have no system call and build everywhere.
var portable = map[string]string{
	"internal/flags": "prints and parses bit sets, for the decoders",
}

// nestedModules are the directories of the other modules.
var nestedModules = []string{"cmd", "bench", "matrix", "tools"}

// sourceFile is one Go file of the main module or, if nested, of one of the others.
type sourceFile struct {
	path   string // with slashes, relative to the root
	dir    string // "" for the root
	nested bool
	test   bool
	text   string
	ast    *ast.File
	fset   *token.FileSet
}

func (f *sourceFile) at(n ast.Node) string {
	return fmt.Sprintf("%s:%d", f.path, f.fset.Position(n.Pos()).Line)
}

// shipped says whether importers of the module, or users of the command, get the file.
func (f *sourceFile) shipped() bool {
	return !f.test && !forTests(f.dir) && !strings.HasPrefix(f.dir, "bench")
}

func forTests(dir string) bool {
	return dir == "internal/fdtest" || strings.HasPrefix(dir, "internal/fdtest/")
}

// walk calls do for each file of the checkout.
func walk(t *testing.T, do func(name string)) {
	t.Helper()
	err := filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && d.Name() == ".git":
			return fs.SkipDir
		case d.Type().IsRegular():
			do(filepath.ToSlash(name))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func sources(t *testing.T) []*sourceFile {
	t.Helper()
	var files []*sourceFile
	walk(t, func(name string) {
		if !strings.HasSuffix(name, ".go") {
			return
		}
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		dir := strings.TrimPrefix(path.Dir(name), ".")
		first, _, _ := strings.Cut(dir, "/")
		f := &sourceFile{
			path: name, dir: dir, text: string(text), fset: token.NewFileSet(),
			nested: slices.Contains(nestedModules, first),
			test:   strings.HasSuffix(name, "_test.go"),
		}
		if f.ast, err = parser.ParseFile(f.fset, name, text, parser.ParseComments); err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	})
	if len(files) < 10 {
		t.Fatalf("only %d files were found", len(files))
	}
	return files
}

// goCommand runs the go command on the module alone, and returns what it prints.
func goCommand(t *testing.T, combined bool, args ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Env = append(os.Environ(), "GOOS=linux", "GOARCH=amd64", "CGO_ENABLED=0", "GOWORK=off", "GOFLAGS=")
	run := cmd.Output
	if combined {
		run = cmd.CombinedOutput
	}
	out, err := run()
	if err != nil {
		if e, ok := errors.AsType[*exec.ExitError](err); ok {
			out = append(out, e.Stderr...)
		}
		t.Fatalf("%v: %v\n%s", cmd, err, out)
	}
	return out
}

type goPackage struct {
	ImportPath   string
	Imports      []string
	TestImports  []string
	XTestImports []string
	Deps         []string
	Standard     bool
}

func packages(t *testing.T, args ...string) []goPackage {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(goCommand(t, false, append([]string{"list", "-json"}, args...)...)))
	var all []goPackage
	for {
		var p goPackage
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

// inModule returns the path within the module: "" for the root.
func inModule(importPath string) (string, bool) {
	if importPath == modulePath {
		return "", true
	}
	return strings.CutPrefix(importPath, modulePath+"/")
}

func kinds(t *testing.T) []string {
	t.Helper()
	var all []string
	for _, p := range packages(t, "./...") {
		if rel, ok := inModule(p.ImportPath); ok && rel != "" && !strings.HasPrefix(rel, "internal/") {
			all = append(all, rel)
		}
	}
	if len(all) == 0 {
		t.Fatal("there are no kinds")
	}
	return all
}

// Whoever imports the module gets all that its go.mod requires into his own list of modules. So it requires one, and the tools
// and the command's libraries are in modules of their own, which nobody imports.
func TestPolicyRequirements(t *testing.T) {
	type module struct {
		Module  struct{ Path string }
		Go      string
		Require []struct{ Path string }
		Replace []struct{ Old, New struct{ Path string } }
	}
	read := func(dir string) (m module) {
		if err := json.Unmarshal(goCommand(t, false, "-C", dir, "mod", "edit", "-json"), &m); err != nil {
			t.Fatal(err)
		}
		return m
	}
	root := read(".")
	if root.Module.Path != modulePath || len(root.Require) != 1 || root.Require[0].Path != "golang.org/x/sys" {
		t.Errorf("go.mod of %s requires %v; it may require golang.org/x/sys and nothing else", root.Module.Path, root.Require)
	}
	if len(root.Replace) != 0 {
		t.Errorf("go.mod replaces %v, which importers don't see", root.Replace)
	}
	for _, dir := range []string{"cmd/fildes", "bench", "matrix", "tools"} {
		m := read(dir)
		if m.Module.Path != modulePath+"/"+dir {
			t.Errorf("%s: the module's path is %s", dir, m.Module.Path)
		}
		if m.Go != root.Go {
			t.Errorf("%s: go %s, but the root has go %s", dir, m.Go, root.Go)
		}
		for _, r := range m.Require {
			if r.Path == modulePath && (len(m.Replace) == 0 || m.Replace[0].Old.Path != modulePath) {
				t.Errorf("%s requires the root without a replacement: GOWORK=off would build another version", dir)
			}
		}
	}
}

// The arrows point one way, so that an importer of one kind compiles the core and nothing else, and a kind can be changed or
// removed without looking at the others.
func TestPolicyImports(t *testing.T) {
	layerOf := func(rel string) int {
		if l, ok := layers[rel]; ok {
			return l
		}
		if strings.HasPrefix(rel, "internal/") {
			t.Errorf("%s has no place in layers", rel)
		}
		return kindLayer
	}
	for _, p := range packages(t, "./...") {
		rel, _ := inModule(p.ImportPath)
		for _, imported := range p.Imports {
			to, ours := inModule(imported)
			switch {
			case !ours:
				if first, _, _ := strings.Cut(imported, "/"); strings.Contains(first, ".") && imported != "golang.org/x/sys/unix" {
					t.Errorf("%s imports %s; only the standard library and golang.org/x/sys/unix are allowed", p.ImportPath, imported)
				}
			case layerOf(rel) > layerOf(to):
			case kindsOnKinds[rel] == to && to != "":
			default:
				t.Errorf("%s imports %s, which doesn't stand below it", p.ImportPath, imported)
			}
			if forTests(to) && !forTests(rel) {
				t.Errorf("%s imports %s, which is for tests", p.ImportPath, imported)
			}
		}
	}
	for _, kind := range kinds(t) {
		for _, p := range packages(t, "-deps", "./"+kind) {
			rel, ours := inModule(p.ImportPath)
			switch {
			case p.Standard || p.ImportPath == "golang.org/x/sys/unix":
			case ours && (rel == kind || layerOf(rel) < kindLayer || kindsOnKinds[kind] == rel):
			default:
				t.Errorf("an importer of %s compiles %s", kind, p.ImportPath)
			}
		}
	}
}

// unsafe and system calls are in one package, and unsafe in files that show it by their names, so that an audit is a list of
// files.
func TestPolicyDoor(t *testing.T) {
	raw := regexp.MustCompile(`\b(syscall|unix)\.(Raw)?Syscall(6|NoError)?\(`)
	for _, f := range sources(t) {
		if strings.HasPrefix(f.dir, "bench") {
			continue // its baselines are raw calls
		}
		unsafely := false
		for _, imp := range f.ast.Imports {
			unsafely = unsafely || imp.Path.Value == `"unsafe"`
		}
		named := strings.HasSuffix(strings.TrimSuffix(strings.TrimSuffix(f.path, ".go"), "_test"), "_unsafe")
		if unsafely != named && (f.shipped() || named) {
			t.Errorf("%s: a file is named _unsafe.go if and only if it imports unsafe", f.path)
		}
		if f.shipped() && !f.nested && f.dir != "internal/sys" && (unsafely || raw.MatchString(f.text)) {
			t.Errorf("%s: unsafe and system calls belong into internal/sys", f.path)
		}
	}
}

// Everything that makes system calls is for Linux only, and says so in each file, so that the module is empty elsewhere and
// not broken. Decoders (bytes in, values out) build everywhere: programs look at captured data on other systems too.
func TestPolicyBuildTags(t *testing.T) {
	forbidden := []string{"golang.org/x/sys/unix", "syscall", "os", "unsafe", modulePath + "/internal/sys", modulePath + "/internal/fd", modulePath}
	for _, f := range sources(t) {
		if f.nested {
			continue
		}
		base := strings.TrimSuffix(strings.TrimSuffix(path.Base(f.path), ".go"), "_test")
		tagged := regexp.MustCompile(`(?m)^//go:build linux\b`).MatchString(f.text)
		pure := base == "decode" || strings.HasPrefix(base, "decode_") || portable[f.dir] != ""
		switch {
		case base == "doc":
			if tagged {
				t.Errorf("%s: the documentation is for all systems", f.path)
			}
		case tagged && pure && !f.test:
			t.Errorf("%s: a decoder builds on all systems", f.path)
		case !tagged && !pure:
			t.Errorf("%s: //go:build linux is missing", f.path)
		case !tagged:
			for _, imp := range f.ast.Imports {
				if p := strings.Trim(imp.Path.Value, `"`); slices.Contains(forbidden, p) && (!f.test || p != "os") {
					t.Errorf("%s: a decoder imports %s", f.path, p)
				}
			}
		}
	}
}

// An importer pays nothing before the first call, and no bad input ends his program.
func TestPolicyNoInitNoPanic(t *testing.T) {
	for _, f := range sources(t) {
		if !f.shipped() {
			continue
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl:
				if n.Name.Name == "init" && n.Recv == nil {
					t.Errorf("%s: init", f.at(n))
				}
			case *ast.CallExpr:
				if id, ok := n.Fun.(*ast.Ident); ok && id.Name == "panic" {
					t.Errorf("%s: panic", f.at(n))
				}
				if s, ok := n.Fun.(*ast.SelectorExpr); ok && !f.nested {
					if id, ok := s.X.(*ast.Ident); ok && ending[f.path] == "" && (id.Name == "log" || id.Name == "os" && s.Sel.Name == "Exit") {
						t.Errorf("%s: a library neither logs nor exits", f.at(n))
					}
				}
			}
			return true
		})
	}
}

// A descriptor's number lives in one field, of internal/fd's owner: any other copy can outlive the descriptor. And Fd hands one
// out without a reference, and takes O_NONBLOCK away from everybody who shares the description.
func TestPolicyNumbers(t *testing.T) {
	number := regexp.MustCompile(`(?i)^(fd|fds|num|descriptor|fileno|sysfd|epfd)$`)
	for _, f := range sources(t) {
		ast.Inspect(f.ast, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.StructType:
				for _, field := range n.Fields.List {
					typ, ok := field.Type.(*ast.Ident)
					if !ok || !slices.Contains([]string{"int", "int32", "uintptr"}, typ.Name) {
						continue
					}
					for _, name := range field.Names {
						if number.MatchString(name.Name) && f.shipped() && !f.nested && f.path != "internal/fd/owner.go" {
							t.Errorf("%s: the field %s holds a descriptor's number", f.at(field), name.Name)
						}
					}
				}
			case *ast.CallExpr:
				if s, ok := n.Fun.(*ast.SelectorExpr); ok && s.Sel.Name == "Fd" && len(n.Args) == 0 {
					t.Errorf("%s: Fd; use SyscallConn", f.at(n))
				}
			}
			return true
		})
	}
}

// What is exported is documented, each constant and field included.
func TestPolicyDocs(t *testing.T) {
	for _, f := range sources(t) {
		if f.test || f.nested {
			continue
		}
		for _, decl := range f.ast.Decls {
			switch d := decl.(type) {
			case *ast.FuncDecl:
				if d.Name.IsExported() && d.Doc == nil && exportedReceiver(d) {
					t.Errorf("%s: %s has no comment", f.at(d), d.Name)
				}
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					f.checkSpec(t, d, spec)
				}
			}
		}
	}
}

// exportedReceiver says whether d is a function or a method that is seen from outside.
func exportedReceiver(d *ast.FuncDecl) bool {
	if d.Recv == nil {
		return true
	}
	typ := d.Recv.List[0].Type
	for {
		switch t := typ.(type) {
		case *ast.StarExpr:
			typ = t.X
		case *ast.IndexExpr:
			typ = t.X
		case *ast.Ident:
			return t.IsExported()
		default:
			return true
		}
	}
}

func (f *sourceFile) checkSpec(t *testing.T, d *ast.GenDecl, spec ast.Spec) {
	t.Helper()
	switch s := spec.(type) {
	case *ast.ValueSpec:
		for _, name := range s.Names {
			if name.IsExported() && s.Doc == nil && s.Comment == nil && d.Doc == nil {
				t.Errorf("%s: %s has no comment", f.at(s), name)
			}
		}
	case *ast.TypeSpec:
		if !s.Name.IsExported() {
			return
		}
		if s.Doc == nil && d.Doc == nil {
			t.Errorf("%s: %s has no comment", f.at(s), s.Name)
		}
		var fields *ast.FieldList
		switch typ := s.Type.(type) {
		case *ast.StructType:
			fields = typ.Fields
		case *ast.InterfaceType:
			fields = typ.Methods
		}
		if fields == nil || strings.HasPrefix(f.dir, "internal/") {
			return
		}
		for _, field := range fields.List {
			for _, name := range field.Names {
				if name.IsExported() && field.Doc == nil && field.Comment == nil {
					t.Errorf("%s: %s.%s has no comment", f.at(field), s.Name, name)
				}
			}
		}
	}
}

// Every kind has what its users and its maintainers look for in the same place.
func TestPolicyKinds(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	files := sources(t)
	for _, kind := range kinds(t) {
		text := make(map[string]string)
		tests := ""
		for _, f := range files {
			if f.dir == kind {
				text[path.Base(f.path)] = f.text
				if f.test {
					tests += f.text
				}
			}
		}
		for _, name := range []string{"doc.go", "example_test.go", "bench_test.go"} {
			if text[name] == "" {
				t.Errorf("%s has no %s", kind, name)
			}
		}
		for _, heading := range []string{"# What the kernel does that surprises", "# Limits"} {
			if !strings.Contains(text["doc.go"], "// "+heading+"\n") {
				t.Errorf("%s/doc.go has no section %q", kind, heading)
			}
		}
		for what, want := range map[string]string{"the conformance suite": "fdtest.Conform(", "the leak check": "fdtest.Main("} {
			if !strings.Contains(tests, want) {
				t.Errorf("%s doesn't run %s", kind, what)
			}
		}
		for name, source := range text {
			if strings.HasPrefix(name, "decode") && !strings.HasSuffix(name, "_test.go") && source != "" && !strings.Contains(tests, "func Fuzz") {
				t.Errorf("%s/%s has no fuzz test", kind, name)
			}
		}
		if !bytes.Contains(readme, []byte("`"+kind+"`")) {
			t.Errorf("README.md doesn't mention %s", kind)
		}
	}
}

// On the common path a method is one frame around the system call: after a system call each return costs a mispredicted
// branch, which is more than all else that a method does. So what it calls there is inlined; and what it gives to the engine
// stays on the stack, so that nothing is allocated.
func TestPolicyInlining(t *testing.T) {
	out := string(goCommand(t, true, "build", "-gcflags=-m", "./..."))
	// Generic methods are compiled where they are used.
	out += string(goCommand(t, true, "test", "-c", "-o", os.DevNull, "-gcflags=-m", "./epoll"))
	has := func(pattern string) bool { return regexp.MustCompile(`(?m)` + pattern).MatchString(out) }
	for file, functions := range map[string][]string{
		"internal/sys/word_unsafe.go":    {"RawReadWord", "RawWriteWord"},
		"internal/sys/timerfd_unsafe.go": {"RawTimerSet"},
		"internal/sys/epoll_unsafe.go":   {"EpollPoll"},
		"internal/fd/fd.go":              {`\(\*FD\)\.Take`, `\(\*FD\)\.Give`, `\(\*FD\)\.Num`, `\(\*FD\)\.Likely`},
	} {
		for _, name := range functions {
			if !has(`^` + regexp.QuoteMeta(file) + `:\S+ can inline ` + name + `$`) {
				t.Errorf("%s: %s isn't inlinable", file, name)
			}
		}
	}
	files := make(map[string]*sourceFile)
	for _, f := range sources(t) {
		files[f.path] = f
	}
	reference := []string{`fd\.\(\*FD\)\.Take`, `fd\.\(\*FD\)\.Num`, `fd\.\(\*FD\)\.Give`}
	for _, hot := range []struct {
		file, method string
		calls        []string
	}{
		{"eventfd/counter.go", "Add", append(slices.Clone(reference), `sys\.RawWriteWord`)},
		{"eventfd/counter.go", "Wait", append(slices.Clone(reference), `sys\.RawReadWord`)},
		{"timerfd/timer.go", "Arm", append(slices.Clone(reference), `sys\.RawTimerSet`)},
		{"timerfd/timer.go", "Wait", append(slices.Clone(reference), `sys\.RawReadWord`)},
		{"epoll/poller.go", "Wait", []string{`fd\.\(\*FD\)\.Likely`}},
		{"epoll/poller.go", "collect", []string{`sys\.EpollPoll`}},
	} {
		first, last := files[hot.file].lines(t, hot.method)
		for _, call := range hot.calls {
			found := false
			for _, m := range regexp.MustCompile(`(?m)^`+regexp.QuoteMeta(hot.file)+`:(\d+):\d+: inlining call to `+call+`$`).FindAllStringSubmatch(out, -1) {
				var line int
				_, _ = fmt.Sscan(m[1], &line)
				found = found || first <= line && line <= last
			}
			if !found {
				t.Errorf("%s: in %s the call of %s isn't inlined", hot.file, hot.method, call)
			}
		}
	}
	for _, name := range []string{"fd.go", "internal/fd/fd.go", "internal/fd/wait.go"} {
		f := files[name]
		for _, decl := range f.ast.Decls {
			d, ok := decl.(*ast.FuncDecl)
			if !ok {
				continue
			}
			for _, param := range d.Type.Params.List {
				if _, ok := param.Type.(*ast.FuncType); !ok {
					continue
				}
				for _, id := range param.Names {
					p := f.fset.Position(id.Pos())
					if !has(fmt.Sprintf(`^(\./)?%s:%d:%d: %s does not escape$`, regexp.QuoteMeta(name), p.Line, p.Column, id.Name)) {
						t.Errorf("%s: the function %s escapes, and so does all that it refers to", f.at(id), id.Name)
					}
				}
			}
		}
	}
}

// lines is where a method's declaration begins and ends.
func (f *sourceFile) lines(t *testing.T, method string) (first, last int) {
	t.Helper()
	if f == nil {
		t.Fatal("the file of a hot method is missing")
	}
	for _, decl := range f.ast.Decls {
		if d, ok := decl.(*ast.FuncDecl); ok && d.Recv != nil && d.Name.Name == method {
			return f.fset.Position(d.Pos()).Line, f.fset.Position(d.End()).Line
		}
	}
	t.Fatalf("%s has no method %s", f.path, method)
	return 0, 0
}

// A checkout can lie anywhere: nothing in it refers to what is outside, or to where somebody had it.
func TestPolicyPaths(t *testing.T) {
	foreign := regexp.MustCompile(`(^|[\s"'` + "`" + `(=:])(/(work|home)/\w|(\.\./)+shared\b)`)
	walk(t, func(name string) {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.IndexByte(text, 0) >= 0 {
			return
		}
		for i, line := range bytes.Split(text, []byte("\n")) {
			if foreign.Match(line) {
				t.Errorf("%s:%d: %s", name, i+1, bytes.TrimSpace(line))
			}
		}
	})
}
