package owned

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

var marker = Marker{Kind: "modcache", Name: "office", Info: map[string]string{"profile": "office"}}

// names returns what stands in dir.
func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return list
}

func write(t *testing.T, file, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(content), 0o666); err != nil {
		t.Fatal(err)
	}
}

func TestMakeReadRemove(t *testing.T) {
	parent := filepath.Join(t.TempDir(), "a", "b")
	dir := filepath.Join(parent, "office")
	if _, err := Read(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Read before Make: %v, want fs.ErrNotExist", err)
	}
	before := time.Now().Add(-time.Second)
	if err := Make(dir, marker); err != nil {
		t.Fatal(err)
	}
	m, err := Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	if m.Kind != "modcache" || m.Name != "office" || m.Info["profile"] != "office" {
		t.Errorf("Read = %+v", m)
	}
	if m.Created.Before(before) || m.Created.Location() != time.UTC {
		t.Errorf("Created = %v, want now, in UTC", m.Created)
	}

	again := marker
	again.Name = "other"
	if err := Make(dir, again); err != nil {
		t.Errorf("Make of what stands: %v", err)
	}
	if m, _ := Read(dir); m.Name != "office" {
		t.Errorf("Make replaced the marker: %+v", m)
	}
	if err := Make(dir, Marker{Kind: "toolchain"}); !errors.Is(err, fs.ErrExist) {
		t.Errorf("Make of another kind: %v, want fs.ErrExist", err)
	}
	if got := names(t, parent); len(got) != 1 {
		t.Errorf("left beside the directory: %q", got)
	}

	if err := Remove(dir); err != nil {
		t.Fatal(err)
	}
	if got := names(t, parent); len(got) != 0 {
		t.Errorf("left by Remove: %q", got)
	}
	if err := Remove(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Remove of what is gone: %v, want fs.ErrNotExist", err)
	}
}

func TestMakeRefuses(t *testing.T) {
	for _, test := range []struct {
		name  string
		setup func(t *testing.T, root string)
		want  string // $R is the root
		exist bool
	}{
		{"file in the way", func(t *testing.T, root string) { write(t, filepath.Join(root, "mod", "k"), "") },
			"$R/mod/k: it stands there already, without a gox marker file\n\tmove it away, or set GOX_CACHE", true},
		{"directory in the way", func(t *testing.T, root string) { write(t, filepath.Join(root, "mod", "k", "x"), "") },
			"$R/mod/k: it stands there already, without a gox marker file\n\tmove it away, or set GOX_CACHE", true},
		{"dangling link in the way", func(t *testing.T, root string) {
			write(t, filepath.Join(root, "mod", "x"), "")
			if err := os.Symlink("nowhere", filepath.Join(root, "mod", "k")); err != nil {
				t.Skip(err)
			}
		}, "$R/mod/k: it stands there already, without a gox marker file\n\tmove it away", true},
		{"parent is a file", func(t *testing.T, root string) { write(t, filepath.Join(root, "mod"), "") },
			"$R/mod: not a directory\n\tmove that file away, or set GOX_CACHE", false},
		{"marker is not JSON", func(t *testing.T, root string) { write(t, filepath.Join(root, "mod", "k", MarkerName), "") },
			"$R/mod/k/gox.json: not a gox marker file: unexpected end of JSON input\n\tmove $R/mod/k away", false},
		{"marker without a kind", func(t *testing.T, root string) { write(t, filepath.Join(root, "mod", "k", MarkerName), "{}") },
			"$R/mod/k/gox.json: not a gox marker file: it names no kind\n\tmove $R/mod/k away", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			root := t.TempDir()
			test.setup(t, root)
			err := Make(filepath.Join(root, "mod", "k"), marker)
			if err == nil {
				t.Fatal("Make succeeded")
			}
			got := filepath.ToSlash(strings.ReplaceAll(err.Error(), root, "$R"))
			if !strings.HasPrefix(got, test.want) {
				t.Errorf("error:\n%s\nwant:\n%s…", got, test.want)
			}
			if errors.Is(err, fs.ErrExist) != test.exist {
				t.Errorf("fs.ErrExist = %v, want %v", !test.exist, test.exist)
			}
			if left, _ := filepath.Glob(filepath.Join(root, "mod", ".*")); len(left) > 0 {
				t.Errorf("left behind: %q", left)
			}
		})
	}
}

func TestRemoveRefuses(t *testing.T) {
	root := t.TempDir()
	write(t, filepath.Join(root, "plain", "x"), "")
	write(t, filepath.Join(root, "file"), "")
	write(t, filepath.Join(root, "empty", MarkerName), "")
	if err := Make(filepath.Join(root, "real"), marker); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ name, dir, want string }{
		{"no marker", "plain", "it holds no gox marker file"},
		{"file", "file", "it is not a directory"},
		{"damaged marker", "empty", "not a gox marker file"},
		{"symbolic link", "link", "it is not a directory"},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := filepath.Join(root, test.dir)
			if test.dir == "link" {
				if err := os.Symlink("real", dir); err != nil {
					t.Skip(err)
				}
			}
			err := Remove(dir)
			if err == nil || !strings.HasPrefix(err.Error(), dir+": not removed: ") || !strings.Contains(err.Error(), test.want) {
				t.Errorf("Remove = %v, want %q", err, test.want)
			}
			if _, err := os.Lstat(dir); err != nil {
				t.Error("it was removed")
			}
		})
	}
	if _, err := Read(filepath.Join(root, "real")); err != nil {
		t.Error(err)
	}
}

// readOnly fills dir as go fills a module cache, with a way out by symbolic
// links, and returns what must survive.
func readOnly(t *testing.T, dir string) (outside string) {
	t.Helper()
	outside = filepath.Join(t.TempDir(), "outside")
	write(t, filepath.Join(outside, "keep"), "keep")
	if err := os.Chmod(outside, 0o555); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Chmod(outside, 0o755) })
	mod := filepath.Join(dir, "mod", "m.example@v1.0.0")
	write(t, filepath.Join(mod, "sub", "sealed", "a.go"), "package a")
	for _, link := range []string{filepath.Join(mod, "out"), filepath.Join(dir, "mod", "linked@v1.0.0")} {
		if err := os.Symlink(outside, link); err != nil {
			t.Log(err)
		}
	}
	for _, d := range []struct {
		path string
		mode fs.FileMode
	}{{"sub/sealed/a.go", 0o444}, {"sub/sealed", 0}, {"sub", 0o555}, {".", 0o555}} {
		if err := os.Chmod(filepath.Join(mod, d.path), d.mode); err != nil {
			t.Fatal(err)
		}
	}
	return outside
}

func TestRemoveReadOnly(t *testing.T) {
	asUser(t, func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "k")
		if err := Make(dir, marker); err != nil {
			t.Fatal(err)
		}
		outside := readOnly(t, dir)
		if err := Remove(dir); err != nil {
			t.Fatal(err)
		}
		if got := names(t, filepath.Dir(dir)); len(got) != 0 {
			t.Errorf("left: %q", got)
		}
		fi, err := os.Stat(outside)
		if err != nil {
			t.Fatal(err)
		}
		if fi.Mode().Perm() != 0o555 {
			t.Errorf("mode of a directory that a link leads to: %v", fi.Mode())
		}
		if _, err := os.Stat(filepath.Join(outside, "keep")); err != nil {
			t.Error(err)
		}
	})
}

// Links go, wherever they lead, and what they lead to stays.
func TestRemoveLinks(t *testing.T) {
	outside := t.TempDir()
	dir := filepath.Join(t.TempDir(), "a")
	if err := Make(dir, Marker{Kind: "test", Name: "a"}); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.MkdirAll(filepath.Join(dir, "sub"), 0o777), os.WriteFile(filepath.Join(outside, "file"), nil, 0o666)); err != nil {
		t.Fatal(err)
	}
	for name, target := range map[string]string{"absolute": outside, "relative": "../..", "dead": "nowhere", "file": filepath.Join(outside, "file")} {
		for _, at := range []string{name, filepath.Join("sub", name)} {
			if err := os.Symlink(target, filepath.Join(dir, at)); err != nil {
				t.Skip(err)
			}
		}
	}
	if err := Remove(dir); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("it is there: %v", err)
	}
	if _, err := os.Stat(filepath.Join(outside, "file")); err != nil {
		t.Error(err)
	}
}

func TestSweep(t *testing.T) {
	asUser(t, func(t *testing.T) {
		parent := filepath.Join(t.TempDir(), "mod")
		if err := Sweep(parent); err != nil {
			t.Errorf("Sweep of nothing: %v", err)
		}
		if err := Make(filepath.Join(parent, "k"), marker); err != nil {
			t.Fatal(err)
		}
		old := time.Now().Add(-2 * tmpAge)
		for _, name := range []string{".tmp-young", ".tmp-old", ".tmp-foreign", ".trash-whole", ".trash-foreign"} {
			dir := filepath.Join(parent, name)
			if strings.HasSuffix(name, "foreign") {
				write(t, filepath.Join(dir, "x"), "")
			} else {
				write(t, filepath.Join(dir, MarkerName), "{")
			}
			if name == ".trash-whole" {
				readOnly(t, dir)
			}
			if name != ".tmp-young" {
				if err := os.Chtimes(dir, old, old); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := os.Mkdir(filepath.Join(parent, ".trash-last-step"), 0o777); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(parent, ".trash-file"), "")
		if err := Sweep(parent); err != nil {
			t.Fatal(err)
		}
		want := ".tmp-foreign .tmp-young .trash-file .trash-foreign k"
		if got := strings.Join(names(t, parent), " "); got != want {
			t.Errorf("after Sweep:\n%s\nwant:\n%s", got, want)
		}
	})
}

func TestAdopt(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "k")
	if err := Adopt(dir, marker); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Adopt of nothing: %v, want fs.ErrNotExist", err)
	}
	write(t, filepath.Join(dir, "mod", "x"), "")
	if err := Adopt(dir, marker); err != nil {
		t.Fatal(err)
	}
	if m, err := Read(dir); err != nil || m.Name != "office" {
		t.Errorf("Read = %+v, %v", m, err)
	}
	if _, err := os.Stat(filepath.Join(dir, "mod", "x")); err != nil {
		t.Error(err)
	}
	if got := names(t, filepath.Dir(dir)); len(got) != 1 {
		t.Errorf("left: %q", got)
	}
	file := filepath.Join(dir, "mod", "x")
	if err := Adopt(file, marker); !errors.Is(err, fs.ErrExist) {
		t.Errorf("Adopt of a file: %v, want fs.ErrExist", err)
	}
}

// Makers, removers and sweepers of one directory must not disturb one another.
func TestConcurrent(t *testing.T) {
	parent := filepath.Join(t.TempDir(), "mod")
	dir := filepath.Join(parent, "k")
	var wg sync.WaitGroup
	for i := range 64 {
		wg.Go(func() {
			if err := Make(dir, marker); err != nil {
				t.Errorf("Make: %v", err)
			}
			if m, err := Read(dir); err != nil && !errors.Is(err, fs.ErrNotExist) || err == nil && m.Kind != "modcache" {
				t.Errorf("Read = %+v, %v", m, err)
			}
			if i%4 == 0 {
				if err := Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("Remove: %v", err)
				}
			}
			if i%8 == 0 {
				if err := Sweep(parent); err != nil {
					t.Errorf("Sweep: %v", err)
				}
			}
		})
	}
	wg.Wait()
	if err := Make(dir, marker); err != nil {
		t.Error(err)
	}
	if got := names(t, parent); len(got) != 1 {
		t.Errorf("left: %q", got)
	}
}
