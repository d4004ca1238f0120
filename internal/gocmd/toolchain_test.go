package gocmd

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"example.com/gox/internal/owned"
)

// fakeStore makes a store that holds the releases given, with a marker and an
// empty go.
func fakeStore(t testing.TB, releases ...string) *Toolchains {
	t.Helper()
	tc := &Toolchains{Dir: t.TempDir()}
	for _, v := range releases {
		m := owned.Marker{Kind: kind, Name: v, Created: time.Unix(1e9, 0), Info: map[string]string{"h1": "h1:x=", "size": "42"}}
		if err := owned.Make(tc.dir(v), m); err != nil {
			t.Fatal(err)
		}
		write(t, tc.toolchain(v).Go, "#!/bin/sh\necho go version "+v+"\n")
	}
	return tc
}

func TestLookup(t *testing.T) {
	tc := fakeStore(t, "go1.20", "go1.22.9", "go1.22.12", "go1.23rc1", "go1.24.1")
	// None of these is a toolchain of gox's.
	write(t, filepath.Join(tc.dir("go1.22.13"), "go", "bin", "go"), "#!/bin/sh\n")
	write(t, filepath.Join(tc.Dir, "go1.22.14.plan9-mips", owned.MarkerName), `{"kind":"toolchain"}`)
	write(t, tc.lock("go1.22.15"), "")
	write(t, filepath.Join(tc.Dir, "go1.22.16-x"+platform, owned.MarkerName), `{"kind":"toolchain"}`)
	tests := []struct{ spec, want string }{
		{"1.22", "go1.22.12"},
		{"1.22.9", "go1.22.9"},
		{"go1.22.9", "go1.22.9"},
		{"1.20", "go1.20"},
		{"1.20.0", "go1.20"},
		{"1.18..1.22", "go1.22.12"},
		{"1.22,1.24", "go1.24.1"},
		{"1.24.1,1.22", "go1.24.1"},
		{"1.23rc1", "go1.23rc1"},
		{"1.23", ""},
		{"1.22.13", ""},
		{"1.25", ""},
	}
	for _, tt := range tests {
		t.Run(tt.spec, func(t *testing.T) {
			got, err := tc.Lookup(tt.spec)
			if tt.want == "" {
				wantError(t, err, "go "+tt.spec+": not installed\n\tgox toolchain install "+tt.spec)
				if !errors.Is(err, fs.ErrNotExist) {
					t.Error("the error is not fs.ErrNotExist")
				}
				return
			}
			root := filepath.Join(tc.Dir, tt.want+platform, "go")
			want := Toolchain{Version: tt.want, GOROOT: root, Go: filepath.Join(root, "bin", "go"+exe)}
			if got != want || err != nil {
				t.Errorf("Lookup = %+v, %v; want %+v", got, err, want)
			}
		})
	}
	if _, err := tc.Lookup("1.x"); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Lookup of a bad version: %v", err)
	}
	none := &Toolchains{Dir: filepath.Join(t.TempDir(), "none")}
	if _, err := none.Lookup("1.22"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Lookup where there is no store: %v", err)
	}
	if _, err := os.Stat(none.Dir); err == nil {
		t.Error("Lookup made the store")
	}
}

func TestInstalled(t *testing.T) {
	tc := fakeStore(t, "go1.22.9", "go1.9", "go1.22.12")
	write(t, filepath.Join(tc.dir("go1.22.13"), "go", "bin", "go"), "")
	all, err := tc.Installed()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, x := range all {
		got = append(got, x.Version)
	}
	if s := strings.Join(got, " "); s != "go1.9 go1.22.9 go1.22.12" {
		t.Errorf("installed: %s", s)
	}
	x := all[0]
	if x.H1 != "h1:x=" || x.Size != 42 || !x.Installed.Equal(time.Unix(1e9, 0)) {
		t.Errorf("noted down: %+v", x)
	}
	none := &Toolchains{Dir: filepath.Join(t.TempDir(), "none")}
	if all, err := none.Installed(); len(all) != 0 || err != nil {
		t.Errorf("no store: %v, %v", all, err)
	}
	write(t, filepath.Join(tc.dir("go1.9"), owned.MarkerName), "{")
	_, err = tc.Installed()
	wantError(t, err, owned.MarkerName)
}

func TestRemove(t *testing.T) {
	tc := fakeStore(t, "go1.22.9", "go1.22.12")
	if err := tc.Remove("1.22.9"); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(tc.dir("go1.22.9")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("it still stands: %v", err)
	}
	if _, err := tc.Lookup("1.22.12"); err != nil {
		t.Errorf("the other one is gone: %v", err)
	}
	err := tc.Remove("1.22.9")
	wantError(t, err, "go 1.22.9: not installed\n\tgox toolchain list")
	if !errors.Is(err, fs.ErrNotExist) {
		t.Error("the error is not fs.ErrNotExist")
	}
	wantError(t, tc.Remove("1.22"), `"1.22": not a release of go`)
	foreign := write(t, filepath.Join(tc.dir("go1.22.13"), "go", "bin", "go"), "")
	wantError(t, tc.Remove("1.22.13"), "no gox marker file")
	if _, err := os.Stat(foreign); err != nil {
		t.Errorf("what is not gox's was removed: %v", err)
	}
}

func BenchmarkLookup(b *testing.B) {
	tc := fakeStore(b, "go1.18.10", "go1.19.13", "go1.20.14", "go1.21.13", "go1.22.12", "go1.22.9", "go1.23.12", "go1.24.13", "go1.25.12", "go1.26.8", "go1.27.4")
	for _, spec := range []string{"1.22.12", "1.22", "1.18..1.27"} {
		b.Run(spec, func(b *testing.B) {
			for b.Loop() {
				if _, err := tc.Lookup(spec); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
