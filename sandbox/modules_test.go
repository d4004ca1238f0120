package sandbox

import (
	"fmt"
	"strings"
	"testing"

	"golang.org/x/mod/module"
)

// A vendored module needs no source and no module cache, in whatever go.sum.
func TestVendored(t *testing.T) {
	c := config(t)
	c.Env = []string{"GOPROXY=off"}
	c.Files = map[string]string{
		"go.mod":                       "module m.test/m\n\ngo 1.18\n\nrequire dep.test/d v1.2.3\n",
		"main.go":                      "package main\n\nimport \"dep.test/d\"\n\nfunc main() { println(d.D) }\n",
		"vendor/modules.txt":           "# dep.test/d v1.2.3\n## explicit\ndep.test/d\n",
		"vendor/dep.test/d/d.go":       "package d\n\nconst D = \"d\"\n",
		"vendor/dep.test/d/testdata/x": "",
	}
	s := ForTest(t, c)
	if got := fmt.Sprint(s.Manifest().Modules); got != "[{dep.test/d v1.2.3 }]" {
		t.Errorf("modules %s", got)
	}
	v, err := s.Verify(t.Context(), VerifyOptions{Cached: true})
	if err != nil || v.Difference != nil || len(v.Binaries) != 1 {
		t.Errorf("Verify: %+v, %v", v, err)
	}
}

// Where neither the root nor the WorkDir is in a module, all modules of the tree
// are the main modules, each for itself.
func TestSeveralModules(t *testing.T) {
	c := config(t)
	c.Files = map[string]string{
		"a/go.mod": "module a.test/a\n\ngo 1.18\n", "a/a.go": "package a\n\nimport _ \"errors\"\n",
		"deep/b/go.mod": "module b.test/b\n\ngo 1.18\n", "deep/b/b.go": "package main\n\nimport _ \"errors\"\n\nfunc main() {}\n",
		"a/testdata/x/go.mod": "module x.test/x\n", "_c/go.mod": "module c.test/c\n",
	}
	s := ForTest(t, c)
	if got := fmt.Sprint(s.Manifest().Main); got != "[{a.test/a a} {b.test/b deep/b}]" {
		t.Errorf("main modules %s", got)
	}
	v, err := s.Verify(t.Context(), VerifyOptions{Cached: true})
	if err != nil || v.Difference != nil || len(v.Binaries) != 1 || v.Binaries[0].Package != "b.test/b" {
		t.Errorf("Verify: %+v, %v", v, err)
	}
}

// What has no module at all is a workspace too.
func TestNoModule(t *testing.T) {
	c := config(t)
	c.Files = map[string]string{"hello.go": "package main\n\nfunc main() { println(\"hello\") }\n"}
	s := ForTest(t, c)
	if _, err := s.Go(t.Context(), "vet", "hello.go"); err != nil {
		t.Error(err)
	}
	if v, err := s.Verify(t.Context(), VerifyOptions{Cached: true}); err != nil || v.Difference != nil {
		t.Errorf("Verify: %+v, %v", v, err)
	}
}

func TestRequired(t *testing.T) {
	const goSum = "go.sum"
	for _, test := range []struct {
		name  string
		files map[string]string
		flags string
		want  string // the build list; "ask" where go has to be asked
	}{
		{"go.mod is the build list", map[string]string{"go.mod": "module m\n\ngo 1.17\n\nrequire (\n\ta.test/a v1.0.0\n\tb.test/b v1.1.0 // indirect\n)\n", goSum: ""}, "", "a.test/a@v1.0.0 b.test/b@v1.1.0"},
		{"replaced", map[string]string{"go.mod": "module m\n\ngo 1.21\n\nrequire (\n\ta.test/a v1.0.0\n\tb.test/b v1.1.0\n\tc.test/c v1.0.0\n\td.test/d v1.0.0\n)\n\nreplace (\n\ta.test/a => x.test/a v1.5.0\n\tb.test/b v1.1.0 => b.test/b v1.2.0\n\tc.test/c => ./c\n\td.test/d v1.9.0 => x.test/d v1.0.0\n)\n", goSum: ""}, "", "x.test/a@v1.5.0 b.test/b@v1.2.0 d.test/d@v1.0.0"},
		{"nothing required", map[string]string{"go.mod": "module m\n\ngo 1.21\n"}, "", ""},
		{"before go1.17", map[string]string{"go.mod": "module m\n\ngo 1.16\n\nrequire a.test/a v1.0.0\n", goSum: ""}, "", "ask"},
		{"no go line", map[string]string{"go.mod": "module m\n"}, "", "ask"},
		{"no go.sum", map[string]string{"go.mod": "module m\n\ngo 1.21\n\nrequire a.test/a v1.0.0\n"}, "", "ask"},
		{"another go.mod", map[string]string{"go.mod": "module m\n\ngo 1.21\n"}, "-modfile=x.mod", "ask"},
		{"-mod=mod", map[string]string{"go.mod": "module m\n\ngo 1.21\n"}, "-mod=mod", "ask"},
	} {
		s := &Sandbox{dir: t.TempDir(), variables: []Variable{{Name: "GOFLAGS", value: test.flags}}}
		s.manifest.Main = []Main{{"m", "."}}
		for name, content := range test.files {
			write(t, s.inside(name), content)
		}
		list, ok := s.required("")
		got := "ask"
		if ok {
			got = strings.Join(versions(list), " ")
		}
		if got != test.want {
			t.Errorf("%s: %s, want %s", test.name, got, test.want)
		}
	}
}

func versions(list []module.Version) []string {
	all := []string{}
	for _, m := range list {
		all = append(all, m.String())
	}
	return all
}
