package profiles

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestMisspelt(t *testing.T) {
	for _, tt := range []struct{ entry, meant string }{
		{"GO_PROXY=x", "GOPROXY"}, {"GO PROXY=x", "GOPROXY"}, {"goproxy=x", "GOPROXY"}, {"GOPROXYS=x", "GOPROXY"}, {"GOPORXY=x", "GOPROXY"},
		{"GOSUM_DB=x", "GOSUMDB"}, {"GO SUMDB=x", "GOSUMDB"}, {"GO-FLAGS=x", "GOFLAGS"}, {"GOFLAG=x", "GOFLAGS"}, {"GOMOD_CACHE", "GOMODCACHE"},
		{"GO111MODULES=on", "GO111MODULE"}, {"CGOENABLED=0", "CGO_ENABLED"}, {"CGO_CFLAG=x", "CGO_CFLAGS"}, {"GO_OS=x", "GOOS"}, {"GOTOOL_CHAIN=x", "GOTOOLCHAIN"},
		{"GOPROXY=x", ""}, {"CGO_ENABLED=0", ""}, {"GOMOD=x", ""},
		{"PATH=x", ""}, {"=C:=x", ""}, {"", ""}, {"GO=x", ""}, {"GOD=x", ""}, {"GOGO=x", ""}, {"GOARCHS=x", "GOARCH"},
		{"GOX_PROFILE=x", ""}, {"GOX_GO=x", ""}, {"GOOGLE_APPLICATION_CREDENTIALS=x", ""}, {"GOLANG_VERSION=x", ""},
		{"GO_VERSION=x", ""}, {"GO_ENV=x", ""}, {"GO_LDFLAGS=x", ""}, {"GOLDFLAGS=x", ""}, {"GO_CFLAGS=x", ""},
	} {
		want := ""
		if tt.meant != "" {
			name, _, _ := strings.Cut(tt.entry, "=")
			want = fmt.Sprint([]Misspelling{{name, tt.meant}})
		}
		got := ""
		if found := Misspelt([]string{"GOPROXY=x", tt.entry, "HOME=x"}); found != nil {
			got = fmt.Sprint(found)
		}
		if got != want {
			t.Errorf("%q: got %s, want %s", tt.entry, got, want)
		}
	}
}

func FuzzMisspelt(f *testing.F) {
	for _, seed := range []string{"GO_PROXY=x", "=", "", "GO", "CGO_=", "\xff=\xff", "GOX", "gO\u00a0proxY"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, entry string) {
		name, _, _ := strings.Cut(entry, "=")
		found := Misspelt([]string{entry})
		if len(found) > 1 {
			t.Fatalf("one entry, and found %v", found)
		}
		if len(found) == 1 && (found[0].Name != name || known(name) || !slices.Contains(Variables(), found[0].Meant)) {
			t.Errorf("%q: found %v", entry, found)
		}
	})
}

func TestVariables(t *testing.T) {
	all := Variables()
	seen := map[string]bool{}
	for _, name := range all {
		if seen[name] {
			t.Errorf("%s stands twice", name)
		}
		seen[name] = true
	}
	for _, k := range keys {
		if k.variable != "" && !seen[k.variable] {
			t.Errorf("%s of the key %s is missing", k.variable, k.name)
		}
	}
	for _, name := range []string{"GOEXE", "GOGCCFLAGS", "GOHOSTARCH", "GOHOSTOS", "GOMOD", "GOTELEMETRY", "GOTELEMETRYDIR", "GOTOOLDIR", "GOVERSION"} {
		if !told(name) || !seen[name] {
			t.Errorf("%s: told %v, known %v", name, told(name), seen[name])
		}
	}
}
