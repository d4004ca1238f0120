package sandbox

import (
	"path/filepath"
	"strings"
	"testing"
)

// Where programs differ the first build setting in which they do is named, and
// that -trimpath was not in force where it was not.
func TestBuildSettings(t *testing.T) {
	c := config(t)
	c.Files = hello()
	s := ForTest(t, c)
	build := func(flags ...string) *built {
		b, err := s.buildAll(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(b.remove)
		for name, file := range b.binaries {
			if err := s.quietly(t.Context(), s.Tree(), s.Environ(""), append(append([]string{"build", "-o", file}, flags...), name)...); err != nil {
				t.Fatal(err)
			}
		}
		return b
	}
	plain, tagged, untrimmed := build(), build("-tags=x"), build("-trimpath=false")
	var name string
	for name = range plain.binaries {
	}
	if got, want := howBinaries(t.Context(), name, plain, tagged), `first in the build setting -tags: here "", in the second sandbox "x"`; !strings.HasSuffix(got, want) {
		t.Errorf("%s, want … %s", got, want)
	}
	if got := howBinaries(t.Context(), name, plain, plain); !strings.HasSuffix(got, "and their build settings do not") {
		t.Error(got)
	}
	if got := flagsOf(t.Context(), plain, []string{name}); got != "" {
		t.Error(got)
	}
	if got := flagsOf(t.Context(), untrimmed, []string{name}); !strings.Contains(got, "-trimpath is not in force") {
		t.Error(got)
	}
	plain.binaries[name] = filepath.Join(s.Tree(), "go.mod")
	if got := howBinaries(t.Context(), name, plain, tagged); got != "the binaries differ" {
		t.Error(got)
	}
}
