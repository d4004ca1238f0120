package source

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Arguments are modules, packages and patterns.
func TestArguments(t *testing.T) {
	w := newWorld(t, goInPath(t))
	q := probeSite(t, w, v("example.com/dep", "v1.0.0"))
	write(t, filepath.Join(q.Dir, "go.mod"), `module m

go 1.18

require (
	example.com/dep v1.0.0
	example.com/dep/sub v1.0.0
	example.com/onlyb v1.0.0
)
`)
	write(t, filepath.Join(q.Dir, "m.go"), "package m\n")
	write(t, filepath.Join(q.Dir, "p", "p.go"), "package p\n")
	// dep and onlyb are here, dep/sub is not.
	for _, gone := range []string{"example.com/dep/sub@v1.0.0", "cache/download/example.com/dep/sub/@v/v1.0.0.zip"} {
		if err := os.RemoveAll(filepath.Join(q.Dir, ".gomodcache", gone)); err != nil {
			t.Fatal(err)
		}
	}
	tests := []struct {
		args string
		want string // modules with packages
		err  string
	}{
		{"m", "m main", ""},
		{".", "m main m", ""},
		{"./...", "m main m m/p", ""},
		{"example.com/onlyb", "example.com/onlyb modcache", ""},
		{"m example.com/dep/sub", "m main, example.com/dep/sub ask", ""},
		{"fmt net/http", "std std fmt net/http", ""},
		{"vendor/golang.org/x/net/idna", "golang.org/x/net std vendor/golang.org/x/net/idna", ""},
		{"example.com/dep/sub/deeper", "example.com/dep/sub ask example.com/dep/sub/deeper", ""},
		{"example.com/onlyb/missing", "", "example.com/onlyb/missing: "},
		{"example.com/onlyc", "", "did you mean example.com/onlyb?"},
		{"nothing.test/at/all", "", "gox source lists what there is"},
	}
	for _, tt := range tests {
		t.Run(tt.args, func(t *testing.T) {
			q := q
			q.Arguments = strings.Fields(tt.args)
			r, err := List(t.Context(), q)
			if tt.err != "" {
				var wrong *ArgumentError
				if !errors.As(err, &wrong) || !strings.Contains(err.Error(), tt.err) {
					t.Errorf("%v, want %s", err, tt.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, m := range r.Modules {
				got = append(got, strings.TrimSpace(m.Path+" "+string(m.Source)+" "+strings.Join(m.Packages, " ")))
			}
			if strings.Join(got, ", ") != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
	if asked := w.requests(); slices.ContainsFunc(asked, func(path string) bool { return strings.HasPrefix(path, "/a/") }) {
		t.Errorf("asked %q", asked) // /b/ has filled the module cache
	}
}

// Where the module cache lacks go.mod files, those of another one tell, and it
// stays as it is.
func TestOtherCaches(t *testing.T) {
	w := newWorld(t, goInPath(t))
	q := probeSite(t, w, v("example.com/user", "v1.0.0"))
	write(t, filepath.Join(q.Dir, "go.mod"), "module m\n\ngo 1.16\n\nrequire example.com/user v1.0.0\n")
	full := filepath.Join(t.TempDir(), "mod")
	if err := os.Rename(filepath.Join(q.Dir, ".gomodcache"), full); err != nil {
		t.Fatal(err)
	}
	tell := func(r *Report, err error) string {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		var all []string
		for _, m := range r.Modules {
			all = append(all, m.Path+" "+string(m.Source))
		}
		if exists(filepath.Join(q.Dir, ".gomodcache")) {
			t.Error("the module cache was made")
		}
		return strings.Join(all, ", ")
	}
	if got, want := tell(List(t.Context(), q)), "m main, example.com/user unknown"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	q.Caches = []string{full}
	if got, want := tell(List(t.Context(), q)), "m main, example.com/dep ask, example.com/user ask"; got != want {
		t.Errorf("with another cache %s, want %s", got, want)
	}
	// What contradicts go.sum is not believed.
	mod := filepath.Join(full, "cache", "download", "example.com", "user", "@v", "v1.0.0.mod")
	os.Remove(mod)
	write(t, mod, "module example.com/user\n")
	r, err := List(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	if r.Fault == "" && r.Incomplete == "" {
		t.Errorf("a go.mod that is not go.sum's is believed: %v", r.paths())
	}
}

// The modules of a workspace and of a module in it differ.
func TestDiff(t *testing.T) {
	module := func(path, version string, kind Kind, dir string) Module {
		return Module{Path: path, Version: version, Source: kind, Dir: dir, Ask: []Entry{{URL: "https://a.example"}}}
	}
	before := &Report{Modules: []Module{
		module("same", "v1.0.0", ModCache, "/one/same"), module("version", "v1.0.0", ModCache, ""), module("source", "v1.0.0", ModCache, ""),
		module("gone", "v1.0.0", ModCache, ""), module("dir", "", Use, "/one"), module("asked", "v1.0.0", Ask, ""),
	}}
	after := &Report{Modules: []Module{
		module("same", "v1.0.0", ModCache, "/two/same"), module("version", "v1.1.0", ModCache, ""), module("source", "v1.0.0", Vendor, ""),
		module("new", "v1.0.0", ModCache, ""), module("dir", "", Use, "/two"), module("asked", "v1.0.0", Ask, ""),
	}}
	after.Modules[5].Ask = []Entry{{URL: "https://b.example"}}
	var got []string
	for _, d := range Diff(before, after) {
		got = append(got, d.Path)
		if from, to := d.Words(); from == "" || to == "" {
			t.Errorf("%s: %q, %q", d.Path, from, to)
		}
	}
	if want := []string{"asked", "dir", "gone", "new", "source", "version"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// A vendor directory's list is go's to write and anybody's to edit.
func FuzzVendored(f *testing.F) {
	f.Add("## workspace\n# example.com/a v1.0.0 => ../a\n## explicit; go 1.18\nexample.com/a\n# example.com/b => example.com/c v1.0.0\n# x\n#\n")
	f.Fuzz(func(t *testing.T, text string) {
		list := parseVendored("modules.txt", text)
		lines := strings.Split(text, "\n")
		paths := map[string]bool{}
		for _, m := range list.selected() {
			if m.version == "" || paths[m.path] {
				t.Errorf("%+v: without a version, or twice", m)
			}
			paths[m.path] = true
		}
		for _, m := range list.modules {
			if m.line < 1 || m.line > len(lines) || !strings.Contains(lines[m.line-1], m.path) {
				t.Errorf("%+v is not on its line", m)
			}
		}
	})
}

// The entries of GOPROXY keep what they ask, and tell no password.
func FuzzProxyEntries(f *testing.F) {
	f.Add(" https://user:word@a.example/x | direct,off")
	f.Add(",|mirror,,http://[::1")
	f.Fuzz(func(t *testing.T, text string) {
		for i, e := range proxyEntries(text) {
			if e.raw == "" || e.index != i || strings.ContainsAny(e.raw, ",|") || !strings.Contains(text, strings.TrimPrefix(e.raw, "https://")) {
				t.Errorf("%q: %+v", text, e)
			}
		}
		settings{goproxy: text, gonoproxy: "a.test"}.ask("a.test/x")
	})
}

func TestGoModOff(t *testing.T) {
	dir := t.TempDir()
	path, err := exec.LookPath("go")
	if err != nil {
		t.Fatal(err)
	}
	for _, env := range []string{"GO111MODULE=off", "GO111MODULE=on"} {
		_, err := List(t.Context(), Query{Go: path, Dir: dir, Env: append(os.Environ(), env, "GOWORK=off", "GOFLAGS=")})
		var none *NoModuleError
		if !errors.As(err, &none) {
			t.Errorf("%s: %v", env, err)
		}
	}
}
