package profiles

import (
	"strings"
	"testing"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"
)

// FuzzMatchPrefix compares matchPrefix with the library that go uses.
func FuzzMatchPrefix(f *testing.F) {
	for _, pattern := range []string{"", "/", "a.example", "a.example/", "*.example", "*", "*/x", "a.example/x/y", "[", "a.example/[", `a.\example`, "a.example//", "//", "golang.org/toolchain"} {
		for _, target := range []string{"", "a.example", "a.example/x", "a.example/x/y/z", "b.example", "golang.org/toolchain", "a.example/", "//"} {
			f.Add(pattern, target)
		}
	}
	f.Fuzz(func(t *testing.T, pattern, target string) {
		if strings.Contains(pattern, ",") {
			t.Skip("a list")
		}
		if got, want := matchPrefix(pattern, target), module.MatchPrefixPatterns(pattern, target); got != want {
			t.Errorf("matchPrefix(%q, %q) = %v, want %v", pattern, target, got, want)
		}
	})
}

// FuzzDirective compares directive with the parser that go uses, for every file
// that this takes.
func FuzzDirective(f *testing.F) {
	for _, file := range []string{
		"", "go 1.22", "go 1.22\n", "\tgo\t1.22.3 // the newest\r\n", "// go 1.22\n", "/* no comment */",
		"go 1.21\n\ntoolchain go1.22.3\n", "toolchain default\ngo 1.21rc1\n",
		"go 1.21\n\nuse (\n\tgo\n\t./toolchain\n)\n\nreplace (\n\tgo => ./x\n\ttoolchain v1.0.0 => ./y\n)\n",
		"use ./go\ngo 1.20 \n", "godebug go=1.22\ngo 1.19\n", "use \"go 1.22\"\n",
	} {
		f.Add(file)
	}
	f.Fuzz(func(t *testing.T, file string) {
		work, err := modfile.ParseWork("go.work", []byte(file), nil)
		if err != nil {
			t.Skip(err)
		}
		version, toolchain := "", ""
		if work.Go != nil {
			version = work.Go.Version
		}
		if work.Toolchain != nil {
			toolchain = work.Toolchain.Name
		}
		if got := directive(file, "go"); got != version {
			t.Errorf("go in %q: %q, want %q", file, got, version)
		}
		if got := directive(file, "toolchain"); got != toolchain {
			t.Errorf("toolchain in %q: %q, want %q", file, got, toolchain)
		}
	})
}
