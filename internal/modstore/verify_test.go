package modstore

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/mod/module"
	"golang.org/x/mod/sumdb/dirhash"
	modzip "golang.org/x/mod/zip"
)

func write(t testing.TB, file, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(content), 0o666); err != nil {
		t.Fatal(err)
	}
}

// use returns the isolated cache key.
func use(t *testing.T, s Store, key string) string {
	t.Helper()
	dir, err := s.caches().Use(key, nil)
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// fill puts the module into gomodcache as go does, and returns its directory
// and its place in the download cache.
func fill(t testing.TB, gomodcache string, m module.Version, files map[string]string) (dir, base string) {
	t.Helper()
	src := t.TempDir()
	for name, content := range files {
		write(t, filepath.Join(src, name), content)
	}
	path, err := module.EscapePath(m.Path)
	if err != nil {
		t.Fatal(err)
	}
	version, err := module.EscapeVersion(m.Version)
	if err != nil {
		t.Fatal(err)
	}
	dir = filepath.Join(gomodcache, path+"@"+version)
	base = filepath.Join(gomodcache, "cache", "download", path, "@v", version)
	write(t, base+".zip", "")
	f, err := os.Create(base + ".zip")
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(modzip.CreateFromDir(f, m, src), f.Close()); err != nil {
		t.Fatal(err)
	}
	if err := modzip.Unzip(dir, m, base+".zip"); err != nil {
		t.Fatal(err)
	}
	sum, err := dirhash.HashZip(base+".zip", dirhash.Hash1)
	if err != nil {
		t.Fatal(err)
	}
	write(t, base+".ziphash", sum)
	write(t, base+".lock", "")
	write(t, base+".info", "{}")
	return dir, base
}

// alter changes a file that is read-only.
func alter(t *testing.T, file string) {
	t.Helper()
	if err := os.Chmod(file, 0o666); err != nil {
		t.Fatal(err)
	}
	write(t, file, "altered")
}

func TestVerify(t *testing.T) {
	azure := module.Version{Path: "github.com/Azure/sdk/v2", Version: "v2.0.0-RC1"}
	plain := module.Version{Path: "m.example", Version: "v1.10.0"}
	older := module.Version{Path: "m.example", Version: "v1.9.0"}
	tool := module.Version{Path: "golang.org/toolchain", Version: "v0.0.1-go1.99.0.linux-amd64"}
	remove := func(t *testing.T, name string) {
		if err := os.RemoveAll(name); err != nil {
			t.Fatal(err)
		}
	}
	type at struct{ dir, base string }
	for _, test := range []struct {
		name   string
		tamper func(t *testing.T, gomodcache string, m map[module.Version]at)
		want   []string // module@version: problem: path in gomodcache
	}{
		{"nothing", func(*testing.T, string, map[module.Version]at) {}, nil},
		{"file altered", func(t *testing.T, _ string, m map[module.Version]at) {
			alter(t, filepath.Join(m[azure].dir, "sub", "a.go"))
		}, []string{"github.com/Azure/sdk/v2@v2.0.0-RC1: directory altered: github.com/!azure/sdk/v2@v2.0.0-!r!c1"}},
		{"file added", func(t *testing.T, _ string, m map[module.Version]at) {
			write(t, filepath.Join(m[plain].dir, "new.go"), "package p")
		}, []string{"m.example@v1.10.0: directory altered: m.example@v1.10.0"}},
		{"file removed", func(t *testing.T, _ string, m map[module.Version]at) {
			remove(t, filepath.Join(m[plain].dir, "go.mod"))
		},
			[]string{"m.example@v1.10.0: directory altered: m.example@v1.10.0"}},
		{"ziphash missing", func(t *testing.T, _ string, m map[module.Version]at) { remove(t, m[plain].base+".ziphash") },
			[]string{"m.example@v1.10.0: ziphash missing: cache/download/m.example/@v/v1.10.0.ziphash"}},
		{"ziphash empty", func(t *testing.T, _ string, m map[module.Version]at) { write(t, m[plain].base+".ziphash", "") },
			[]string{"m.example@v1.10.0: ziphash malformed: cache/download/m.example/@v/v1.10.0.ziphash"}},
		{"zip is no zip", func(t *testing.T, _ string, m map[module.Version]at) { write(t, m[plain].base+".zip", "x") },
			[]string{"m.example@v1.10.0: unreadable: zip: not a valid zip file: cache/download/m.example/@v/v1.10.0.zip"}},
		{"zip of another version", func(t *testing.T, _ string, m map[module.Version]at) {
			if err := os.Rename(m[older].base+".zip", m[plain].base+".zip"); err != nil {
				t.Fatal(err)
			}
		}, []string{"m.example@v1.10.0: zip altered: cache/download/m.example/@v/v1.10.0.zip"}},
		{"several, by version", func(t *testing.T, _ string, m map[module.Version]at) {
			alter(t, filepath.Join(m[plain].dir, "go.mod"))
			alter(t, filepath.Join(m[older].dir, "go.mod"))
			write(t, m[plain].base+".zip", "x")
		}, []string{
			"m.example@v1.9.0: directory altered: m.example@v1.9.0",
			"m.example@v1.10.0: unreadable: zip: not a valid zip file: cache/download/m.example/@v/v1.10.0.zip",
			"m.example@v1.10.0: directory altered: m.example@v1.10.0",
		}},
		{"not extracted", func(t *testing.T, _ string, m map[module.Version]at) { remove(t, m[plain].dir) }, nil},
		{"no zip", func(t *testing.T, _ string, m map[module.Version]at) { remove(t, m[plain].base+".zip") }, nil},
		{"half extracted", func(t *testing.T, _ string, m map[module.Version]at) {
			remove(t, filepath.Join(m[plain].dir, "go.mod"))
			write(t, m[plain].base+".partial", "")
		}, nil},
		{"linked directory", func(t *testing.T, _ string, m map[module.Version]at) {
			relocate(t, m[plain].dir)
		}, nil},
		{"linked directory, altered", func(t *testing.T, _ string, m map[module.Version]at) {
			alter(t, filepath.Join(relocate(t, m[plain].dir), "go.mod"))
		}, []string{"m.example@v1.10.0: directory altered: m.example@v1.10.0"}},
		{"linked directory, gone", func(t *testing.T, _ string, m map[module.Version]at) {
			remove(t, relocate(t, m[plain].dir))
		}, []string{"m.example@v1.10.0: unreadable: no such file or directory: m.example@v1.10.0"}},
		{"without any trace of a download", func(t *testing.T, gomodcache string, _ map[module.Version]at) {
			write(t, filepath.Join(gomodcache, "evil.example@v1.0.0", "go.mod"), "module evil.example")
		}, []string{"evil.example@v1.0.0: ziphash missing: cache/download/evil.example/@v/v1.0.0.ziphash"}},
		{"unpacked from GOROOT", func(t *testing.T, gomodcache string, _ map[module.Version]at) {
			write(t, filepath.Join(gomodcache, "golang.org", "fips140@v1.0.0", "go.mod"), "module golang.org/fips140")
		}, nil},
		{"not go's", func(t *testing.T, gomodcache string, _ map[module.Version]at) {
			write(t, filepath.Join(gomodcache, "A@v1.0.0", "x"), "")
			write(t, filepath.Join(gomodcache, "b@c"), "")
			write(t, filepath.Join(gomodcache, "cache", "download", "sumdb", "x", "@v", "v1.0.0.zip"), "")
			write(t, filepath.Join(gomodcache, "cache", "vcs", "m.example@v1.0.0", "x"), "")
		}, nil},
		{"toolchain in use", func(t *testing.T, _ string, m map[module.Version]at) {
			write(t, filepath.Join(m[tool].dir, "src", "go.mod"), "module std")
		}, nil},
		{"toolchain with another go.mod", func(t *testing.T, _ string, m map[module.Version]at) {
			write(t, filepath.Join(m[tool].dir, "src", "go.mod"), "module evil")
		}, []string{"golang.org/toolchain@v0.0.1-go1.99.0.linux-amd64: directory altered: golang.org/toolchain@v0.0.1-go1.99.0.linux-amd64"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := Store{Root: t.TempDir()}
			gomodcache := use(t, s, "k-1")
			m := make(map[module.Version]at)
			for _, mod := range []module.Version{azure, plain, older, tool} {
				files := map[string]string{"go.mod": "module " + mod.Path, "sub/a.go": "package a // " + mod.Version}
				if mod == tool {
					files = map[string]string{"src/_go.mod": "module std", "bin/go": "go"}
				}
				dir, base := fill(t, gomodcache, mod, files)
				m[mod] = at{dir, base}
			}
			test.tamper(t, gomodcache, m)
			faults, err := s.Verify(context.Background(), "k-1")
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, f := range faults {
				altered := f.Problem == DirAltered || f.Problem == ZipAltered
				if altered != (f.Want != f.Got && strings.HasPrefix(f.Want, "h1:") && strings.HasPrefix(f.Got, "h1:")) {
					t.Errorf("%s: want %q, got %q", f.Problem, f.Want, f.Got)
				}
				f.Path = strings.TrimPrefix(f.Path, gomodcache+string(filepath.Separator))
				got = append(got, filepath.ToSlash(f.String()))
			}
			if g, w := strings.Join(got, "\n"), strings.Join(test.want, "\n"); g != w {
				t.Errorf("faults:\n%s\nwant:\n%s", g, w)
			}
		})
	}
}

// relocate puts a symbolic link in the place of dir, and returns where dir is.
func relocate(t *testing.T, dir string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "elsewhere")
	if err := os.Rename(dir, to); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(to, dir); err != nil {
		t.Skip(err)
	}
	return to
}

func TestVerifyWhich(t *testing.T) {
	s := Store{Root: t.TempDir()}
	ctx := context.Background()
	for _, key := range []string{"k-1", "", "..", "0123456789abcdef"} {
		if _, err := s.Verify(ctx, key); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("Verify(%q): %v, want fs.ErrNotExist", key, err)
		}
	}
	use(t, s, "k-1")
	if faults, err := s.Verify(ctx, "k-1"); len(faults) != 0 || err != nil {
		t.Errorf("Verify of an empty cache: %v, %v", faults, err)
	}
	f, err := s.caches().Fresh(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	id := filepath.Base(filepath.Dir(f.GOMODCACHE()))
	write(t, filepath.Join(f.GOMODCACHE(), "m.example@v1.0.0", "go.mod"), "")
	if faults, err := s.Verify(ctx, id); len(faults) != 1 || err != nil {
		t.Errorf("Verify of a fresh cache: %v, %v", faults, err)
	}
	ctx, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := s.Verify(ctx, id); !errors.Is(err, context.Canceled) {
		t.Errorf("Verify, cancelled: %v", err)
	}
}

// TestVerifyRealCache needs the network, or a GOPROXY that has the modules.
func TestVerifyRealCache(t *testing.T) {
	if testing.Short() {
		t.Skip("downloads modules")
	}
	s := Store{Root: t.TempDir()}
	gomodcache := use(t, s, "k-1")
	t.Cleanup(func() { s.Remove("k-1") }) // t.TempDir cannot remove read-only directories
	cmd := exec.Command("go", "mod", "download", "golang.org/x/mod@v0.17.0", "github.com/google/uuid@v1.6.0", "github.com/BurntSushi/toml@v1.4.0")
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), "PWD="+cmd.Dir, "GOMODCACHE="+gomodcache, "GOFLAGS=", "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go mod download: %v\n%s", err, out)
	}
	verify := func(want ...string) {
		t.Helper()
		faults, err := s.Verify(context.Background(), "k-1")
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, f := range faults {
			got = append(got, f.Module+"@"+f.Version+" "+f.Problem)
		}
		if strings.Join(got, ", ") != strings.Join(want, ", ") {
			t.Errorf("faults: %q, want %q", got, want)
		}
	}
	if e, err := s.List(t.Context()); err != nil || len(e) != 1 || e[0].Modules != 3 || e[0].Size < 1<<20 {
		t.Errorf("List: %+v, %v", e, err)
	}
	verify()
	alter(t, filepath.Join(gomodcache, "github.com", "!burnt!sushi", "toml@v1.4.0", "decode.go"))
	verify("github.com/BurntSushi/toml@v1.4.0 " + DirAltered)
	if err := os.Remove(filepath.Join(gomodcache, "cache", "download", "github.com", "google", "uuid", "@v", "v1.6.0.ziphash")); err != nil {
		t.Fatal(err)
	}
	verify("github.com/BurntSushi/toml@v1.4.0 "+DirAltered, "github.com/google/uuid@v1.6.0 "+ZiphashMissing)
	if err := s.Remove("k-1"); err != nil {
		t.Error(err)
	}
	if left, err := os.ReadDir(filepath.Join(s.Root, "mod")); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}
