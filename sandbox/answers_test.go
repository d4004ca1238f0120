package sandbox

import (
	"bytes"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"example.com/gox/internal/gocmd"
	"example.com/gox/internal/owned"
)

// asker is a sandbox to ask questions of, in which only files stand.
func asker(t *testing.T, files map[string]string) *Sandbox {
	t.Helper()
	s := &Sandbox{dir: t.TempDir(), toolchain: toolchain{gocmd.Go{Version: "go1.26.1"}, "h1:toolchain"}}
	for name, content := range files {
		write(t, s.inside(name), content)
	}
	s.variables = []Variable{{Name: "GOPROXY", value: "https://a.test"}, {Name: "GOFLAGS", value: "-trimpath"}, {Name: "GOWORK", value: wordTree + "/go.work"}}
	if files["go.work"] == "" {
		s.variables[2].value = "off"
	}
	if err := s.workspace(); err != nil {
		t.Fatal(err)
	}
	return s
}

func questionOf(t *testing.T, s *Sandbox) string {
	t.Helper()
	q, err := s.question()
	if err != nil {
		t.Fatal(err)
	}
	return string(q)
}

// Whatever byte of what go reads changes, it is another question. What go does
// not read is the control.
func TestQuestion(t *testing.T) {
	const source = "//go:build linux\n\npackage a\n\nimport \"b.test/b\"\n"
	workspace := map[string]string{
		"go.work": "go 1.18\n\nuse ./a\n", "go.work.sum": "x v1.0.0 h1:x\n",
		"a/go.mod": "module a.test/a\n\ngo 1.18\n\nreplace b.test/b => ../b\n", "a/go.sum": "y v1.0.0 h1:y\n",
		"b/go.mod": "module b.test/b\n", "a/alt.mod": "module a.test/a\n", "a/alt.sum": "z\n",
		"a/vendor/modules.txt": "# y v1.0.0\n", "a/a.go": source, "b/testdata/t.go": "package t\n",
		"a/bad.go": "package a\n\nimport (\n", "a/embed.go": "package a\n\nimport _ \"embed\"\n\n//go:embed x*\nvar X string\n",
	}
	lone := map[string]string{"go.mod": "module a.test/a\n\ngo 1.18\n\nrequire y.test/y v1.0.0\n", "go.sum": "y v1.0.0 h1:y\n"}
	for kind, files := range map[string]map[string]string{"workspace": workspace, "lone": lone} {
		s := asker(t, files)
		seen := map[string]string{questionOf(t, s): "nothing"}
		differs := func(what string) {
			t.Helper()
			q := questionOf(t, s)
			if before, ok := seen[q]; ok {
				t.Errorf("%s: %s asks as %s does", kind, what, before)
			}
			seen[q] = what
		}
		for name, content := range files {
			file := s.inside(name)
			for i := range content {
				flipped := []byte(content)
				flipped[i] ^= 1
				write(t, file, string(flipped))
				if q := questionOf(t, s); seen[q] != "" {
					t.Errorf("%s: %s: byte %d %q does not count", kind, name, i, content[i])
				}
			}
			for what, other := range map[string]string{"longer": content + "\n//\n", "shorter": content[:len(content)-1]} {
				if name == "a/a.go" && what == "longer" || filepath.Ext(name) == ".go" && what == "shorter" {
					continue // a line feed at the end is no news
				}
				if filepath.Ext(name) == ".go" && name != "a/bad.go" && name != "a/embed.go" {
					continue
				}
				write(t, file, other)
				differs(name + " " + what)
			}
			write(t, file, content)
		}
		for i := range s.variables {
			was := s.variables[i]
			s.variables[i].value += "x"
			differs(was.Name)
			s.variables[i] = was
			s.variables[i].Name += "X"
			differs(was.Name + " under another name")
			s.variables[i] = was
		}
		s.variables = append(s.variables, Variable{Name: "GOAMD64", value: "v3"})
		differs("one more variable")
		s.variables = s.variables[:len(s.variables)-1]
		s.toolchain.Version += "1"
		differs("toolchain")
		s.toolchain.Version = "go1.26.1"
		s.toolchain.h1 += "1"
		differs("another toolchain of that version")
		s.toolchain.h1 = "h1:toolchain"
		s.manifest.Dir = "a"
		differs("directory")
		s.manifest.Dir = ""
		write(t, s.inside("c/go.mod"), "module c.test/c\n")
		differs("one more module")
		if err := os.RemoveAll(s.inside("c")); err != nil {
			t.Fatal(err)
		}
		if seen[questionOf(t, s)] != "nothing" {
			t.Fatalf("%s: control: the same asks otherwise", kind)
		}
		// What go does not read.
		write(t, s.inside("README"), "1")
		if kind == "workspace" {
			differs("one more file, which a pattern may embed")
			write(t, s.inside("a/a.go"), source+"\nfunc f() {}\n\n/*\nimport \"c.test/c\"\n*/\n")
			write(t, s.inside("README"), "2")
		}
		if _, ok := seen[questionOf(t, s)]; !ok {
			t.Errorf("%s: what go does not read counts", kind)
		}
	}
	s := asker(t, workspace)
	s.variables[1].value += " -overlay=" + wordTree + "/o.json"
	if q := questionOf(t, s); q != "" {
		t.Error("an overlay may be anything, and there is a question")
	}
}

func TestHeader(t *testing.T) {
	for in, want := range map[string]string{
		"package a\n\nfunc f() {}\n":                                                 "package a",
		"// c\npackage a // d\n":                                                     "// c\npackage a",
		"package a\n\nimport \"x\"\n\nvar X = 1\n":                                   "package a\n\nimport \"x\"",
		"package a\n\n/*\nfunc f() {}\n*/\nimport \"x\"\n\nvar X = 1\n":              "package a\n\n/*\nfunc f() {}\n*/\nimport \"x\"",
		"package a\n\n/*\n#include <x.h>\n*/\nimport \"C\"\nimport (\n\t\"y\"\n)\nf": "package a\n\n/*\n#include <x.h>\n*/\nimport \"C\"\nimport (\n\t\"y\"\n)",
		"package a; import \"x\"; import \"y\"; func f() {}\n":                       "package a; import \"x\"; import \"y\"",
		"import \"x\"\n":               "import \"x\"\n",
		"package a\nimport \"x":        "package a\nimport \"x",
		"":                             "",
		"package a\n//go:embed x\nvar": "package a\n//go:embed x\nvar",
	} {
		if got := string(header([]byte(in))); strings.TrimSuffix(got, ";") != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

// The second sandbox of a workspace is made without go, and is the same; one of
// a workspace that has changed is the one that go itself would make.
func TestRecalled(t *testing.T) {
	lone, goproxy := depend(t)
	files := map[string]string{"go.work": "go 1.18\n\nuse (\n\t./m\n\t./n\n)\n", "n/go.mod": "module n.test/n\n\ngo 1.18\n", "n/n.go": "package n\n", "local/go.mod": "module local.test/l\n\ngo 1.18\n", "local/l.go": "package l\n"}
	for name, content := range lone {
		files["m/"+name] = content
	}
	shared := cache(t)
	proxy := strings.TrimPrefix(goproxy, "file://")
	made := func(cache string, files map[string]string) (manifest, tree string) {
		t.Helper()
		s, err := New(t.Context(), Config{Cache: cache, Files: files, Go: newest, Env: []string{"GOPROXY=" + goproxy, "GOSUMDB=off"}})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		list, err := os.ReadFile(filepath.Join(s.Dir(), sumsFile))
		if err != nil {
			t.Fatal(err)
		}
		// It can build and list, with nobody to ask.
		for _, args := range [][]string{{"build", "./m/..."}, {"list", "-m", "-e", "all"}, {"list", "-deps", "-test", "./m/..."}} {
			code, err := s.Run(t.Context(), Command{Args: append([]string{"go"}, args...), Env: []string{"GOPROXY=off"}, Stderr: t.Output()})
			if err != nil || code != 0 {
				t.Errorf("go %q: %d, %v", args, code, err)
			}
		}
		return string(s.Manifest().Marshal()), string(list)
	}
	answers := func() int { return len(names(t, filepath.Join(shared, "verified", "answers"))) }

	manifest, tree := made(shared, files)
	if !strings.Contains(manifest, "dep.test/one") || answers() != 3 { // the marker, what go's defaults are, and this
		t.Fatalf("%d answers\n%s", answers(), manifest)
	}
	if err := os.Rename(proxy, proxy+".away"); err != nil {
		t.Fatal(err)
	}
	again, treeAgain := made(shared, files)
	if again != manifest || treeAgain != tree || answers() != 3 {
		t.Errorf("the second, with %d answers:\n%s\nthe first:\n%s", answers(), again, manifest)
	}
	if err := os.Rename(proxy+".away", proxy); err != nil {
		t.Fatal(err)
	}

	for what, edit := range map[string]map[string]string{
		"use":     {"go.work": "go 1.18\n\nuse (\n\t./m\n)\n"},
		"replace": {"go.work": files["go.work"] + "\nreplace dep.test/two => ./two\n", "two/go.mod": "module dep.test/two\n", "two/two.go": "package two\n\nconst Two = 2\n"},
		"module":  {"n/go.mod": "module n.test/o\n\ngo 1.18\n"},
		"import":  {"n/n.go": "package n\n\nimport _ \"dep.test/two\"\n", "n/go.mod": files["n/go.mod"] + "\nrequire dep.test/two v1.2.0\n"},
	} {
		edited := maps.Clone(files)
		maps.Copy(edited, edit)
		before := answers()
		got, gotTree := made(shared, edited)
		if answers() != before+1 {
			t.Errorf("%s: go was not asked", what)
		}
		if want, wantTree := made(cache(t), edited); got != want || gotTree != wantTree {
			t.Errorf("%s: it is\n%s\nand made where go was asked nothing before\n%s", what, got, want)
		}
	}

	// What the store has lost is fetched again, whatever was said.
	entries := names(t, filepath.Join(shared, "verified"))
	for _, e := range entries {
		if dir := filepath.Join(shared, "verified", e); len(e) == 24 {
			if err := owned.Remove(dir); err != nil {
				t.Fatal(err)
			}
		}
	}
	if again, _ := made(shared, files); again != manifest {
		t.Errorf("after a loss:\n%s\nthe first:\n%s", again, manifest)
	}
}

// Where no checksum database vouches for it, what go wrote is not kept.
func TestNotRemembered(t *testing.T) {
	for env, want := range map[string]bool{
		"GOSUMDB=sum.test": true, "GOSUMDB=off": false, "GONOSUMDB=*.test": false, "GOPRIVATE=a.test": false,
		"GONOSUMDB=none": true, "GOINSECURE=a.test": false, "GOFLAGS=-insecure": false,
	} {
		s := asker(t, map[string]string{"go.mod": "module a.test/a\n"})
		name, value, _ := strings.Cut(env, "=")
		s.variables = append(s.variables, Variable{Name: name, value: value})
		if s.vouched() != want {
			t.Errorf("%s: %v", env, !want)
		}
		s.cache = t.TempDir()
		question := []byte("q")
		if err := s.remember(question, nil); err != nil { // there was no go.mod before
			t.Fatal(err)
		}
		if a, ok := s.store().Answer(question); ok != want || ok && !bytes.Contains(a, []byte("a.test")) {
			t.Errorf("%s: kept: %v %s", env, ok, a)
		}
		if _, err := os.Stat(filepath.Join(s.cache, "verified")); want == errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: %v", env, err)
		}
	}
}
