//go:build linux

package sys_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/constant"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const module = "github.com/fildes/fildes"

// loaded is the module as the compiler sees it for one architecture.
type loaded struct {
	sys   *types.Package
	sizes types.Sizes
	used  map[string]constant.Value // the constants of packages syscall and unix that shipped code refers to
	named map[string]constant.Value // the module's own constants, by the C name that their comment begins with
	// unnamed are the constants of internal/sys that are numbers without such a comment.
	unnamed []string
}

type listed struct {
	ImportPath string
	Dir        string
	GoFiles    []string
	ImportMap  map[string]string
}

// load type-checks the module for linux on arch from its sources, and those of all that it imports, so that neither a
// compiled standard library nor an emulator is needed.
func load(t *testing.T, arch string) *loaded {
	t.Helper()
	l := &loaded{
		sizes: types.SizesFor("gc", arch),
		used:  make(map[string]constant.Value),
		named: make(map[string]constant.Value),
	}
	done := map[string]*types.Package{"unsafe": types.Unsafe}
	for _, p := range list(t, arch) {
		if p.ImportPath == "unsafe" {
			continue
		}
		fset := token.NewFileSet()
		ours := p.ImportPath == module || strings.HasPrefix(p.ImportPath, module+"/")
		mode := parser.SkipObjectResolution
		if ours {
			mode |= parser.ParseComments
		}
		var files []*ast.File
		for _, name := range p.GoFiles {
			f, err := parser.ParseFile(fset, filepath.Join(p.Dir, name), nil, mode)
			if err != nil {
				t.Fatal(err)
			}
			files = append(files, f)
		}
		conf := types.Config{
			Sizes:            l.sizes,
			IgnoreFuncBodies: !ours,
			Importer: importer(func(path string) (*types.Package, error) {
				if to, ok := p.ImportMap[path]; ok {
					path = to
				}
				if pkg := done[path]; pkg != nil {
					return pkg, nil
				}
				return nil, fmt.Errorf("%s imports %s, which go list didn't mention", p.ImportPath, path)
			}),
		}
		info := types.Info{Uses: make(map[*ast.Ident]types.Object), Defs: make(map[*ast.Ident]types.Object)}
		pkg, err := conf.Check(p.ImportPath, fset, files, &info)
		if err != nil {
			t.Fatalf("%s for %s: %v", p.ImportPath, arch, err)
		}
		done[p.ImportPath] = pkg
		if !ours {
			continue
		}
		if p.ImportPath == module+"/internal/sys" {
			l.sys = pkg
		}
		for _, obj := range info.Uses {
			c, ok := obj.(*types.Const)
			if ok && c.Pkg() != nil && (c.Pkg().Path() == "syscall" || c.Pkg().Path() == "golang.org/x/sys/unix") {
				l.used[c.Name()] = constant.ToInt(c.Val())
			}
		}
		if p.ImportPath != module+"/signalfd" { // it compares its numbers itself: mips has others, that are translated
			l.collectNamed(files, &info)
		}
	}
	if l.sys == nil || len(l.used) == 0 || len(l.named) == 0 {
		t.Fatal("nothing was found to check")
	}
	return l
}

// kernelName matches "EPOLLIN: text", "TFD_IOC_SET_TICKS" and "OneShot (EPOLLONESHOT) text".
var kernelName = regexp.MustCompile(`^(?:[A-Z]\w* \()?([A-Z][A-Z0-9_]{4,})(?:\)|:|\n|$)`)

func (l *loaded) collectNamed(files []*ast.File, info *types.Info) {
	for _, f := range files {
		docs := make(map[ast.Node]*ast.CommentGroup) // those before the keyword
		ast.Inspect(f, func(n ast.Node) bool {
			if decl, ok := n.(*ast.GenDecl); ok && len(decl.Specs) == 1 {
				docs[decl.Specs[0]] = decl.Doc
			}
			spec, ok := n.(*ast.ValueSpec)
			if !ok || len(spec.Names) != 1 {
				return true
			}
			c, ok := info.Defs[spec.Names[0]].(*types.Const)
			if !ok || c.Val().Kind() != constant.Int {
				return true
			}
			found := false
			for _, comment := range []*ast.CommentGroup{docs[spec], spec.Doc, spec.Comment} {
				if m := kernelName.FindStringSubmatch(comment.Text()); m != nil {
					l.named[m[1]] = c.Val()
					found = true
				}
			}
			if !found && c.Pkg() == l.sys && c.Parent() == l.sys.Scope() && isNumber(spec.Values) {
				l.unnamed = append(l.unnamed, c.Name())
			}
			return true
		})
	}
}

// isNumber says whether a constant is written as a number, and isn't made from x/sys's own.
func isNumber(values []ast.Expr) bool {
	number := false
	for _, v := range values {
		ast.Inspect(v, func(n ast.Node) bool {
			switch n.(type) {
			case *ast.BasicLit:
				number = true
			case *ast.SelectorExpr:
				number = false
				return false
			}
			return true
		})
	}
	return number
}

type importer func(path string) (*types.Package, error)

func (f importer) Import(path string) (*types.Package, error) { return f(path) }

// list returns the module's packages that programs import and all that they import, each after what it imports.
func list(t *testing.T, arch string) []listed {
	t.Helper()
	run := func(args ...string) []byte {
		cmd := exec.CommandContext(t.Context(), "go", append([]string{"list"}, args...)...)
		cmd.Dir = "../.."
		cmd.Env = append(os.Environ(), "GOOS=linux", "GOARCH="+arch, "CGO_ENABLED=0", "GOWORK=off", "GOFLAGS=")
		out, err := cmd.Output()
		if err != nil {
			if e, ok := errors.AsType[*exec.ExitError](err); ok {
				err = fmt.Errorf("%w: %s", err, e.Stderr)
			}
			t.Fatalf("%v: %v", cmd, err)
		}
		return out
	}
	args := []string{"-deps", "-json=ImportPath,Dir,GoFiles,ImportMap"}
	for path := range strings.FieldsSeq(string(run("./..."))) {
		if path != module+"/internal/fdtest" && !strings.HasPrefix(path, module+"/internal/fdtest/") {
			args = append(args, path)
		}
	}
	var all []listed
	dec := json.NewDecoder(strings.NewReader(string(run(args...))))
	for {
		var p listed
		err := dec.Decode(&p)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}
