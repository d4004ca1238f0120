// Package gox_test holds the rules of the house that no compiler checks: who
// imports whom, what the binary links, and that the process's environment,
// files and globals enter in one place. DESIGN.md gives the reasons.
package gox_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "example.com/gox"

// layers lists the module's packages from the top down. A package imports only
// from layers below its own. A package need not exist yet to stand here.
func layers() [][]string {
	return [][]string{
		{"cmd/gox", "internal/gotest"}, // gotest is for tests, which may look upward
		{"cmd", "cmd/gox/early", "cmd/gox/helper"},
		{"cmd/gox/prelude", "cmd/gox/zone"},
		{"internal/wrap", "internal/matrix", "internal/doctor", "sandbox", "testscripts"},
		{"internal/source", "internal/trace", "internal/modstore"},
		{"internal/gateway", "internal/modcache", "internal/confine"},
		{"internal/inside"},
		{"internal/gocmd", "profiles"},
		{"internal/owned", "internal/redact", "internal/envvar"},
	}
}

// layerOf counts from the top. It is -1 for a package in no layer.
func layerOf(pkg string) int {
	return slices.IndexFunc(layers(), func(l []string) bool { return slices.Contains(l, pkg) })
}

// An owner says which packages alone may import a path and what lies below it,
// and which may in test files. "*" is any package.
type owner struct {
	path        string
	pkgs, tests []string
}

func owners() []owner {
	// A wrapped run, whose start is what users feel, imports none of these.
	network := []string{"internal/gateway", "internal/source", "internal/confine", "internal/doctor", "sandbox", "testscripts"}
	return []owner{
		{"github.com/urfave/cli", []string{"cmd"}, []string{"cmd"}},
		{"github.com/rogpeppe/go-internal/testscript", []string{"testscripts"}, []string{"testscripts", "cmd"}},
		{"os/exec", []string{"internal/gocmd"}, []string{"*"}},
		{"net/http", network, []string{"*"}},
		{"crypto/tls", network, []string{"*"}},
	}
}

// A reserve says which packages, or single files, alone may use some names of a
// standard package.
type reserve struct {
	path  string
	names string
	users []string
}

func reserves() []reserve {
	process := []string{"cmd", "cmd/gox", "cmd/gox/early", "cmd/gox/helper", "internal/wrap", "internal/gotest"}
	// On Windows gocmd stands in for execve, which passes the streams on.
	streams := append(slices.Clone(process), "internal/gocmd/exec_windows.go")
	// The helper of sandboxes becomes a command, and must link little.
	start := []string{"internal/gocmd", "internal/inside"}
	// The zero sandbox.Config means the process's own environment: those who use
	// the package in their tests have no cmd above them to hand it in.
	environment := append(slices.Clone(process), "sandbox/process.go")
	return []reserve{
		{"os", "Environ UserCacheDir", environment},
		{"os", "Args Chdir Clearenv Exit ExpandEnv Getenv Getwd LookupEnv Setenv Unsetenv UserConfigDir UserHomeDir", process},
		{"os", "Stderr Stdin Stdout", streams},
		{"syscall", "Chdir Clearenv Environ Exit Getenv Getwd Setenv Stderr Stdin Stdout Unsetenv", process},
		{"fmt", "Print Printf Println Scan Scanf Scanln", process},
		{"log", "Default Fatal Fatalf Fatalln Panic Panicf Panicln Print Printf Println", process},
		{"os", "StartProcess", start},
		{"syscall", "Exec ForkExec StartProcess", start},
	}
}

func TestHouseRules(t *testing.T) {
	checked := 0
	err := filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if name == "." {
				return nil
			}
			if base := d.Name(); base == "testdata" || base == "vendor" || base[0] == '.' || base[0] == '_' {
				return fs.SkipDir
			}
			if _, err := os.Stat(filepath.Join(name, "go.mod")); err == nil {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		checked++
		// Every file, whatever its build constraints: the rules hold on all systems.
		for _, v := range check(t, filepath.ToSlash(name), nil) {
			t.Error(v)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if checked < 2 {
		t.Errorf("%d Go files found, want the whole module", checked)
	}
}

// check returns what is wrong with one file of the module, named by its path
// in it. src is as for parser.ParseFile.
func check(t *testing.T, name string, src any) []string {
	t.Helper()
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, name, src, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	c := checker{fset: fset, name: name, pkg: path.Dir(name), test: strings.HasSuffix(name, "_test.go")}
	if !c.test && layerOf(c.pkg) < 0 {
		c.report(file.Name, "package %s stands in no layer\n\tadd it to layers in imports_test.go, and to the package map in DESIGN.md", c.pkg)
	}
	c.imports(file)
	if !c.test {
		c.names(file)
		if !strings.HasPrefix(c.pkg, "cmd/gox/") { // they are there for what comes before main
			c.state(file)
		}
	}
	return c.found
}

type checker struct {
	fset  *token.FileSet
	name  string // of the file, in the module
	pkg   string
	test  bool
	found []string
}

func (c *checker) report(n ast.Node, format string, args ...any) {
	c.found = append(c.found, fmt.Sprintf("%s: ", c.fset.Position(n.Pos()))+fmt.Sprintf(format, args...))
}

// importPath returns what stands between the quotes.
func importPath(s *ast.ImportSpec) string {
	p, _ := strconv.Unquote(s.Path.Value) // the parser has checked it
	return p
}

func (c *checker) imports(file *ast.File) {
	for _, s := range file.Imports {
		p := importPath(s)
		if s.Name != nil && s.Name.Name == "." {
			c.report(s, "dot import of %s hides whose names are used", p)
		}
		for _, o := range owners() {
			may := o.pkgs
			if c.test {
				may = o.tests
			}
			under := p == o.path || strings.HasPrefix(p, o.path+"/")
			if under && !slices.Contains(may, c.pkg) && !slices.Contains(may, "*") {
				c.report(s, "imports %s, which is for %s", p, only(may))
			}
		}
		target, ours := strings.CutPrefix(p, module+"/")
		// A test may look upward as long as Go lets it.
		if ours && !c.test && layerOf(target) <= layerOf(c.pkg) {
			c.report(s, "imports %s, which stands in no layer below %s", target, c.pkg)
		}
	}
}

func only(pkgs []string) string {
	if len(pkgs) == 0 {
		return "tests only"
	}
	return strings.Join(pkgs, ", ") + " only"
}

// names looks for uses of reserved names.
func (c *checker) names(file *ast.File) {
	paths := map[string]string{} // by the name that the file gives the import
	for _, s := range file.Imports {
		p := importPath(s)
		name := path.Base(p)
		if s.Name != nil {
			name = s.Name.Name
		}
		paths[name] = p
	}
	ast.Inspect(file, func(n ast.Node) bool {
		sel, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		x, ok := sel.X.(*ast.Ident)
		if !ok {
			return true
		}
		for _, r := range reserves() {
			if paths[x.Name] == r.path && slices.Contains(strings.Fields(r.names), sel.Sel.Name) && !slices.Contains(r.users, c.pkg) && !slices.Contains(r.users, c.name) {
				c.report(sel, "uses %s.%s, which is for %s", r.path, sel.Sel.Name, only(r.users))
			}
		}
		return true
	})
}

// state looks for what runs or lives before main: func init, and variables of
// the package other than sentinel errors, embedded files and small constant
// tables.
func (c *checker) state(file *ast.File) {
	for _, d := range file.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if d.Name.Name == "init" && d.Recv == nil {
				c.report(d, "func init runs at every start-up")
			}
		case *ast.GenDecl:
			if d.Tok != token.VAR {
				continue
			}
			for _, s := range d.Specs {
				v := s.(*ast.ValueSpec)
				if embeds(d.Doc) || embeds(v.Doc) {
					continue
				}
				for i, name := range v.Names {
					var value ast.Expr
					if len(v.Values) == len(v.Names) {
						value = v.Values[i]
					}
					if fault := varFault(name.Name, value); fault != "" {
						c.report(name, "var %s: %s", name.Name, fault)
					}
				}
			}
		}
	}
}

func embeds(doc *ast.CommentGroup) bool {
	return doc != nil && slices.ContainsFunc(doc.List, func(c *ast.Comment) bool {
		return strings.HasPrefix(c.Text, "//go:embed ")
	})
}

// varFault says what is wrong with a variable of a package, "" if nothing is.
// value is nil where the declaration has none of its own.
func varFault(name string, value ast.Expr) string {
	if name == "_" {
		return ""
	}
	if call, ok := value.(*ast.CallExpr); ok && isErrorsNew(call) {
		if strings.HasPrefix(strings.ToLower(name), "err") {
			return ""
		}
		return "a sentinel error is called errX or ErrX"
	}
	if ast.IsExported(name) {
		return "anybody can change an exported variable"
	}
	switch value.(type) {
	case *ast.CompositeLit, *ast.BasicLit:
	default:
		return "state of the package: pass it, or make it a constant table"
	}
	fault := ""
	ast.Inspect(value, func(n ast.Node) bool {
		switch n.(type) {
		case *ast.CallExpr:
			fault = "calls a function at every start-up"
		case *ast.MapType:
			fault = "builds a map at every start-up: use a switch or a slice"
		case *ast.FuncLit:
			return false // its body runs when it is called
		}
		return true
	})
	return fault
}

func isErrorsNew(call *ast.CallExpr) bool {
	sel, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || sel.Sel.Name != "New" {
		return false
	}
	x, ok := sel.X.(*ast.Ident)
	return ok && x.Name == "errors"
}

// The rules must be able to fail: each case is one file and what is said of it.
func TestHouseRulesFindViolations(t *testing.T) {
	tests := []struct {
		name, file, src string
		want            string // a part of the only violation; "" for none
	}{
		{"no layer", "internal/util/a.go", ``, "stands in no layer"},
		{"no layer needed for tests", "a_test.go", `import "net/http"; var _ http.Client`, ""},
		{"downward", "cmd/a.go", `import _ "example.com/gox/profiles"`, ""},
		{"upward", "profiles/a.go", `import _ "example.com/gox/internal/modcache"`, "internal/modcache, which stands in no layer below profiles"},
		{"sideways", "profiles/a.go", `import _ "example.com/gox/internal/gocmd"`, "no layer below"},
		{"to main", "sandbox/a.go", `import _ "example.com/gox/cmd/gox"`, "no layer below"},
		{"upward from a test", "profiles/a_test.go", `import _ "example.com/gox/internal/modcache"`, ""},
		{"cli", "sandbox/a.go", `import _ "github.com/urfave/cli/v2"`, "for cmd only"},
		{"cli in a test", "sandbox/a_test.go", `import _ "github.com/urfave/cli/v2"`, "for cmd only"},
		{"cli in main", "cmd/gox/main.go", `import _ "github.com/urfave/cli/v2"`, "for cmd only"},
		{"cli in cmd", "cmd/a.go", `import _ "github.com/urfave/cli/v2"`, ""},
		{"testscript", "cmd/a.go", `import _ "github.com/rogpeppe/go-internal/testscript"`, "for testscripts only"},
		{"testscript in testscripts", "testscripts/a.go", `import _ "github.com/rogpeppe/go-internal/testscript"`, ""},
		{"testscript in a test of cmd", "cmd/a_test.go", `import _ "github.com/rogpeppe/go-internal/testscript"`, ""},
		{"testscript in another test", "profiles/a_test.go", `import _ "github.com/rogpeppe/go-internal/testscript"`, "testscripts, cmd only"},
		{"txtar", "sandbox/a.go", `import _ "github.com/rogpeppe/go-internal/txtar"`, ""},
		{"http", "cmd/a.go", `import _ "net/http"`, "internal/gateway, internal/source, internal/confine, internal/doctor, sandbox, testscripts only"},
		{"below http", "cmd/a.go", `import _ "net/http/httptrace"`, "testscripts only"},
		{"tls", "profiles/a.go", `import _ "crypto/tls"`, "testscripts only"},
		{"tls in doctor", "internal/doctor/a.go", `import _ "crypto/tls"`, ""},
		{"url", "profiles/a.go", `import _ "net/url"`, ""},
		{"exec", "cmd/a.go", `import _ "os/exec"`, "for internal/gocmd only"},
		{"exec in gocmd", "internal/gocmd/a.go", `import _ "os/exec"`, ""},
		{"exec in a test", "profiles/a_test.go", `import _ "os/exec"`, ""},
		{"execve", "cmd/a.go", `import "syscall"; func f() { syscall.Exec("", nil, nil) }`, "uses syscall.Exec"},
		{"dot import", "profiles/a.go", `import . "os"`, "dot import of os"},
		{"environment", "profiles/a.go", `import "os"; func f() { os.Getenv("X") }`, "uses os.Getenv, which is for cmd, cmd/gox, cmd/gox/early, cmd/gox/helper, internal/wrap, internal/gotest only"},
		{"environment as a value", "profiles/a.go", `import "os"; func f() any { return os.LookupEnv }`, "uses os.LookupEnv"},
		{"environment, renamed", "profiles/a.go", `import sys "os"; func f() { sys.Environ() }`, "uses os.Environ"},
		{"environment in sandbox", "sandbox/sandbox.go", `import "os"; func f() { os.Environ() }`, "uses os.Environ"},
		{"environment in sandbox's one file", "sandbox/process.go", `import "os"; func f() { os.Environ() }`, ""},
		{"environment in cmd", "cmd/a.go", `import "os"; func f() { os.Getenv("X") }`, ""},
		{"environment in a test", "profiles/a_test.go", `import "os"; func f() { os.Getenv("X") }`, ""},
		{"standard output", "sandbox/a.go", `import "os"; func f() any { return os.Stdout }`, "uses os.Stdout"},
		{"standard streams in place of execve", "internal/gocmd/exec_windows.go", `import "os"; func f() any { return os.Stdout }`, ""},
		{"standard streams elsewhere in gocmd", "internal/gocmd/exec_unix.go", `import "os"; func f() any { return os.Stdout }`, "uses os.Stdout"},
		{"printing", "sandbox/a.go", `import "fmt"; func f() { fmt.Println() }`, "uses fmt.Println"},
		{"printing to a writer", "sandbox/a.go", `import ("fmt"; "io"); func f(w io.Writer) { fmt.Fprintln(w) }`, ""},
		{"exit", "internal/gocmd/a.go", `import "os"; func f() { os.Exit(1) }`, "uses os.Exit"},
		{"directory", "internal/modcache/a.go", `import "os"; func f() { os.Getwd() }`, "uses os.Getwd"},
		{"reading a file", "profiles/a.go", `import "os"; func f() { os.ReadFile("") }`, ""},
		{"field of the same name", "profiles/a.go", `type r struct { Stdout int }; func f(x r) int { return x.Stdout }`, ""},
		{"init", "cmd/a.go", `func init() {}`, "func init"},
		{"method init", "cmd/a.go", `type x int; func (x) init() {}`, ""},
		{"sentinel", "profiles/a.go", `import "errors"; var ErrX, errY = errors.New("x"), errors.New("y")`, ""},
		{"sentinel by another name", "profiles/a.go", `import "errors"; var X = errors.New("x")`, "errX or ErrX"},
		{"embedded files", "testscripts/a.go", "import \"embed\"\n//go:embed x\nvar Files embed.FS", ""},
		{"embedded files in a group", "testscripts/a.go", "import \"embed\"\nvar (\n//go:embed x\nfiles embed.FS\n)", ""},
		{"interface check", "profiles/a.go", `var _ interface{ Error() string } = (*x)(nil); type x int; func (*x) Error() string { return "" }`, ""},
		{"table", "profiles/a.go", `var words = []string{"a"}`, ""},
		{"table of functions", "cmd/a.go", `var verbs = []func(){func() { print(1) }, f}; func f() {}`, ""},
		{"version set by the linker", "cmd/a.go", `var version = ""`, ""},
		{"exported table", "profiles/a.go", `var Words = []string{"a"}`, "exported variable"},
		{"map", "profiles/a.go", `var words = map[string]bool{"a": true}`, "builds a map"},
		{"map in a table", "profiles/a.go", `var words = []map[string]bool{{}}`, "builds a map"},
		{"regexp", "profiles/a.go", `import "regexp"; var re = regexp.MustCompile("x")`, "state of the package"},
		{"call in a table", "profiles/a.go", `import "regexp"; var res = []any{regexp.MustCompile("x")}`, "calls a function"},
		{"zero value", "profiles/a.go", `import "sync"; var mu sync.Mutex`, "state of the package"},
		{"hook", "profiles/a.go", `import "time"; var now = time.Now`, "state of the package"},
		{"several from one call", "profiles/a.go", `var a, _ = f(); func f() (int, int) { return 1, 2 }`, "state of the package"},
		{"local variable", "profiles/a.go", `func f() { var m map[string]bool; _ = m }`, ""},
		{"state in a test", "profiles/a_test.go", `var m map[string]bool; func init() {}`, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			found := check(t, test.file, "package p\n"+strings.ReplaceAll(test.src, "; ", "\n"))
			switch {
			case test.want == "" && len(found) > 0:
				t.Errorf("unexpected: %q", found)
			case test.want != "" && (len(found) != 1 || !strings.Contains(found[0], test.want)):
				t.Errorf("found %q, want one with %q", found, test.want)
			}
		})
	}
}

// A wrapped run, which package early starts before what else gox links is
// initialised, needs none of this.
func TestWrappedRunIsLight(t *testing.T) {
	for _, goos := range []string{"linux", "darwin", "windows"} {
		t.Run(goos, func(t *testing.T) {
			cmd := exec.Command("go", "list", "-deps", "./cmd/gox/early")
			cmd.Env = append(os.Environ(), "GOOS="+goos, "CGO_ENABLED=0")
			cmd.Stderr = t.Output()
			out, err := cmd.Output()
			if err != nil {
				t.Fatal(err)
			}
			deps := strings.Fields(string(out))
			if !slices.Contains(deps, module+"/internal/wrap") {
				t.Fatalf("not the dependencies of a wrapped run: %q", deps)
			}
			for _, heavy := range []string{"text/template", "net/http", "crypto/tls", "github.com/urfave/cli/v2",
				"regexp"} { // which comes late, and others before it
				if slices.Contains(deps, heavy) {
					t.Errorf("a wrapped run needs %s\n\tgo list -deps -f '{{.ImportPath}}: {{.Imports}}' ./cmd/gox/early shows through whom", heavy)
				}
			}
		})
	}
}
