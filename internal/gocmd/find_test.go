//go:build unix

package gocmd

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"
)

func TestModulePath(t *testing.T) {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Path != modulePath {
		t.Errorf("modulePath is %q, but this is %q", modulePath, info.Main.Path)
	}
}

// copyFile copies the program at from to dir under the name go.
func copyFile(t *testing.T, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, data, 0o777); err != nil {
		t.Fatal(err)
	}
}

func TestFind(t *testing.T) {
	// The test binary is a program of gox's module, as gox is.
	gox := self(t)
	dir := t.TempDir()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, d := range []string{"link", "hard", "chain", "empty", "folder/go"} {
		must(os.MkdirAll(filepath.Join(dir, d), 0o777))
	}
	// self is a copy within dir, so that it can be linked to.
	selfPath := filepath.Join(dir, "gox")
	copyFile(t, gox, selfPath)
	must(os.Symlink(selfPath, filepath.Join(dir, "link", "go")))
	must(os.Link(selfPath, filepath.Join(dir, "hard", "go")))
	must(os.Symlink(filepath.Join("..", "link", "go"), filepath.Join(dir, "chain", "go")))
	copyFile(t, gox, filepath.Join(dir, "copy", "go"))
	write(t, filepath.Join(dir, "shim", "go"), "#!/bin/sh\nexec goenv\n")
	write(t, filepath.Join(dir, "plain", "go"), "not a program")
	// A Go program of another module, outside a GOROOT.
	copyFile(t, filepath.Join(filepath.Dir(goInPath(t)), "gofmt"), filepath.Join(dir, "other", "go"))
	// A go in its GOROOT, and a link to it from elsewhere.
	root := filepath.Join(dir, "root")
	write(t, filepath.Join(root, "bin", "go"), "#!/bin/sh\n")
	write(t, filepath.Join(root, "VERSION"), "go1.21.13\ntime 2024-07-31T19:43:06Z\n")
	must(os.Mkdir(filepath.Join(root, "pkg"), 0o777))
	must(os.MkdirAll(filepath.Join(dir, "usr"), 0o777))
	must(os.Symlink(filepath.Join(root, "bin", "go"), filepath.Join(dir, "usr", "go")))
	t.Chdir(filepath.Join(dir, "shim"))

	tests := []struct {
		name   string
		path   string // directories in dir; "." and "" stand for themselves
		want   string // a directory in dir
		code   int    // the error's exit code
		err    error
		reason string
	}{
		{name: "GOROOT", path: "root/bin:shim", want: "root/bin"},
		{name: "link to a GOROOT", path: "usr:shim", want: "usr"},
		{name: "shim script", path: "empty:shim:root/bin", want: "shim"},
		{name: "another Go program", path: "other:shim", want: "other"},
		{name: "link to gox", path: "link:shim", want: "shim"},
		{name: "link to a link to gox", path: "chain:shim", want: "shim"},
		{name: "hard link to gox", path: "hard:shim", want: "shim"},
		{name: "copy of gox", path: "copy:shim", want: "shim"},
		{name: "all of gox", path: "link:chain:hard:copy:root/bin", want: "root/bin"},
		{name: "missing directory", path: "nowhere:shim", want: "shim"},
		{name: "folder called go", path: "folder:shim", want: "shim"},
		{name: "not executable first", path: "plain:shim", want: "shim"},
		{name: "relative", path: ".::", code: 127, err: fs.ErrNotExist, reason: "go: not found in PATH"},
		{name: "none", path: "empty:folder", code: 127, err: fs.ErrNotExist, reason: "go: not found in PATH"},
		{name: "no PATH", code: 127, err: fs.ErrNotExist, reason: "go: not found in PATH"},
		{name: "only gox", path: "empty:link:copy", code: 127, err: fs.ErrNotExist, reason: "only gox itself found in PATH, as " + filepath.Join(dir, "link", "go")},
		{name: "only a copy", path: "copy", code: 127, err: fs.ErrNotExist, reason: "only gox itself"},
		{name: "not executable", path: "plain:link", code: 126, err: fs.ErrPermission, reason: filepath.Join(dir, "plain", "go") + ": permission denied"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var dirs []string
			for _, d := range strings.Split(tt.path, ":") {
				if d != "" && d != "." {
					d = filepath.Join(dir, d)
				}
				dirs = append(dirs, d)
			}
			got, err := Find(strings.Join(dirs, ":"), selfPath)
			if tt.want != "" {
				if want := filepath.Join(dir, tt.want, "go"); got.Path != want || err != nil {
					t.Errorf("Find = %+v, %v; want %q", got, err, want)
				}
				return
			}
			var fe *FindError
			if !errors.As(err, &fe) || fe.ExitCode() != tt.code || !errors.Is(err, tt.err) {
				t.Fatalf("Find = %+v, %v; want exit code %d, %v", got, err, tt.code, tt.err)
			}
			wantError(t, err, tt.reason, "\n\t")
		})
	}
	t.Run("self unknown", func(t *testing.T) {
		path := filepath.Join(dir, "link") + ":" + filepath.Join(dir, "shim")
		if got, err := Find(path, ""); got.Path != filepath.Join(dir, "shim", "go") {
			t.Errorf("Find = %+v, %v; want the shim", got, err)
		}
	})
}

func TestAt(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "go1.18", "bin", "go"), "#!/bin/sh\n")
	write(t, filepath.Join(dir, "go1.18", "VERSION"), "go1.18.10")
	write(t, filepath.Join(dir, "go1.18", "pkg", "x"), "")
	link := filepath.Join(dir, "go")
	if err := os.Symlink(filepath.Join("go1.18", "bin", "go"), link); err != nil {
		t.Fatal(err)
	}
	shim := write(t, filepath.Join(dir, "bin", "go"), "#!/bin/sh\n")
	real, err := filepath.EvalSymlinks(filepath.Join(dir, "go1.18"))
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, path string
		want       Go
	}{
		{"link", link, Go{link, real, "go1.18.10"}},
		{"shim", shim, Go{Path: shim}},
		{"missing", "/nowhere/go", Go{Path: "/nowhere/go"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := At(tt.path); got != tt.want {
				t.Errorf("At = %+v, want %+v", got, tt.want)
			}
		})
	}
	t.Run("agrees with go env", func(t *testing.T) {
		path := goInPath(t)
		env, err := EnvJSON(t.Context(), path, t.TempDir(), os.Environ(), "GOROOT", "GOVERSION")
		if err != nil {
			t.Fatal(err)
		}
		if got, want := At(path), (Go{path, env["GOROOT"], env["GOVERSION"]}); got != want {
			t.Errorf("At = %+v, go env says %+v", got, want)
		}
	})
}

func BenchmarkFind(b *testing.B) {
	path, exe := os.Getenv("PATH"), self(b)
	for b.Loop() {
		if _, err := Find(path, exe); err != nil {
			b.Fatal(err)
		}
	}
}
