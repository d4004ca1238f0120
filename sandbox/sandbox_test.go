package sandbox

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"example.com/gox/internal/gocmd"
	"example.com/gox/internal/gotest"
)

// newest is the toolchain that most tests pin.
const newest = "1.26"

// runTests runs the tests with a cache directory of their own, which has the
// user's toolchains in it, and the user's build cache for that of sandboxes.
func runTests(m *testing.M) int {
	flag.Parse()
	root, err := os.MkdirTemp("", "gox-sandbox-")
	if err == nil {
		defer os.RemoveAll(root)
		err = linkStores(root)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	store := gocmd.Toolchains{Dir: filepath.Join(root, "toolchain")}
	if _, err := store.Lookup(newest); err != nil && testing.Short() {
		flag.Set("test.skip", "^Example") // they would fetch it
	}
	os.Setenv("GOX_CACHE", root)
	return m.Run()
}

func linkStores(root string) error {
	real := os.Getenv("GOX_CACHE")
	if real == "" {
		dir, err := os.UserCacheDir()
		if err != nil {
			return err
		}
		real = filepath.Join(dir, "gox")
	}
	build, err := exec.Command("go", "env", "GOCACHE").Output()
	if err != nil {
		return err
	}
	return errors.Join(
		os.MkdirAll(filepath.Join(real, "toolchain"), 0o777),
		os.Symlink(filepath.Join(real, "toolchain"), filepath.Join(root, "toolchain")),
		os.Symlink(strings.TrimSpace(string(build)), filepath.Join(root, "build")),
	)
}

// hello is a module without requirements.
func hello() map[string]string {
	return map[string]string{
		"go.mod":       "module example.test/hello\n\ngo 1.18\n",
		"main.go":      "package main\n\nimport \"example.test/hello/word\"\n\nfunc main() { println(word.Word) }\n",
		"word/word.go": "package word\n\nconst Word = \"hello\"\n",
	}
}

// config is one whose toolchain is installed.
func config(t *testing.T) Config {
	t.Helper()
	gotest.Toolchain(t, newest)
	return Config{Go: newest}
}

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	list := []string{}
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return list
}

func TestTemporary(t *testing.T) {
	c := config(t)
	c.Files = hello()
	s, err := New(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	store := filepath.Dir(s.Dir())
	if out, err := s.Go(t.Context(), "list", "./..."); err != nil || out != "example.test/hello\nexample.test/hello/word\n" {
		t.Errorf("go list: %v\n%s", err, out)
	}
	// Read-only, as go leaves a module cache, and what another New must leave alone.
	dir := filepath.Join(s.ModCache(), "m@v1.0.0")
	if err := errors.Join(os.MkdirAll(dir, 0o777), os.WriteFile(filepath.Join(dir, "f"), nil, 0o444), os.Chmod(dir, 0o555)); err != nil {
		t.Fatal(err)
	}
	other, err := New(t.Context(), config(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Close(); err != nil {
		t.Error(err)
	}
	if !exists(dir) {
		t.Error("another New has removed a sandbox in use")
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if left := names(t, store); len(left) > 0 {
		t.Errorf("left after Close: %q", left)
	}
	if err := s.Close(); err != nil {
		t.Errorf("a second Close: %v", err)
	}
}

func TestNamed(t *testing.T) {
	c := config(t)
	c.Name = "one"
	c.Files = hello()
	s, err := New(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if err := Remove(Config{Name: "one"}); err == nil || !strings.Contains(err.Error(), "in use by a running command") {
		t.Errorf("Remove of one that is open: %v", err)
	}
	if _, err := New(t.Context(), c); !errors.Is(err, fs.ErrExist) {
		t.Errorf("New of a name that is taken: %v", err)
	}
	manifest := string(s.Manifest().Marshal())
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	a, err := Open(t.Context(), Config{Name: "one"})
	if err != nil {
		t.Fatal(err)
	}
	b, err := Open(t.Context(), Config{Dir: a.Dir()})
	if err != nil {
		t.Fatal(err)
	}
	if got := string(a.Manifest().Marshal()); got != manifest {
		t.Errorf("the manifest of the opened one:\n%s\nwant\n%s", got, manifest)
	}
	if got, want := b.Environ(""), a.Environ(""); !slices.Equal(got, want) {
		t.Errorf("environment by Dir %q, by Name %q", got, want)
	}
	if out, err := b.Go(t.Context(), "env", "GOMODCACHE"); err != nil || strings.TrimSpace(out) != a.ModCache() {
		t.Errorf("GOMODCACHE=%s, %v", out, err)
	}
	if list, err := List(Config{}); err != nil || len(list) != 1 || list[0].Name != "one" || !list[0].InUse {
		t.Errorf("List: %+v, %v", list, err)
	}
	if err := errors.Join(a.Close(), b.Close(), Remove(Config{Name: "one"})); err != nil {
		t.Error(err)
	}
	if _, err := Open(t.Context(), Config{Name: "one"}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Open of what is gone: %v", err)
	}
	if err := Remove(Config{Name: "one"}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Remove of what is gone: %v", err)
	}
}

func TestDir(t *testing.T) {
	c := config(t)
	c.Dir = filepath.Join(t.TempDir(), "empty")
	if err := os.Mkdir(c.Dir, 0o777); err != nil {
		t.Fatal(err)
	}
	s, err := New(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if s.Dir() != c.Dir {
		t.Errorf("it stands at %s, want %s", s.Dir(), c.Dir)
	}
	if _, err := New(t.Context(), c); !errors.Is(err, fs.ErrExist) {
		t.Errorf("New where something stands: %v", err)
	}
	if err := s.Close(); err != nil || len(names(t, filepath.Dir(c.Dir))) > 0 {
		t.Errorf("after Close: %v, %q", err, names(t, filepath.Dir(c.Dir)))
	}
	c.Keep = true
	if s, err = New(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil || !exists(filepath.Join(c.Dir, manifestFile)) {
		t.Errorf("one to keep, after Close: %v", err)
	}
}

func TestGoFails(t *testing.T) {
	c := config(t)
	c.Files = map[string]string{"go.mod": "module m\n", "m.go": "package m; nonsense"}
	s := ForTest(t, c)
	_, err := s.Go(t.Context(), "build", "./...")
	var exit *ExitError
	if !errors.As(err, &exit) || exit.Code != 1 || !strings.Contains(err.Error(), "go build ./...: exit code 1\n\t") || !strings.Contains(exit.Stderr, "m.go:1:12") {
		t.Errorf("error %v", err)
	}
}

func TestConfigCheck(t *testing.T) {
	for _, test := range []struct {
		name string
		c    Config
		want string // a part of the error; "" for none
	}{
		{"zero", Config{}, ""},
		{"all", Config{Name: "a", From: "/a", WorkDir: "b/c", Use: []string{"a.test/b@v1.0.0"}, Go: "1.22", Env: []string{"A=b"}, Cache: "/c"}, ""},
		{"name", Config{Name: "../x"}, `sandbox "../x": no name`},
		{"empty element", Config{Name: "."}, "no name"},
		{"long name", Config{Name: strings.Repeat("a", 65)}, "no name"},
		{"name and dir", Config{Name: "a", Dir: "/b"}, "Name (a) and Dir (/b) exclude one another"},
		{"name and keep", Config{Name: "a", Keep: true}, "Keep does not go with Name (a)"},
		{"relative dir", Config{Dir: "b"}, "Dir b: not an absolute path"},
		{"relative from", Config{From: "b"}, "From b: not an absolute path"},
		{"relative cache", Config{Cache: "b"}, "Cache b: not an absolute path"},
		{"work dir outside", Config{WorkDir: "../x"}, "WorkDir ../x: not inside"},
		{"absolute work dir", Config{WorkDir: "/x"}, "WorkDir /x: not inside"},
		{"file outside", Config{Files: map[string]string{"../x": ""}}, `Files "../x": not inside`},
		{"use without version", Config{Use: []string{"a.test/b"}}, "--use a.test/b: not of the form"},
		{"use of no module", Config{Use: []string{"../b@v1.0.0"}}, "--use ../b@v1.0.0: not of the form"},
		{"used twice", Config{Use: []string{"a.test/b@v1.0.0", "a.test/b@v1.0.1"}}, "used already"},
		{"go version", Config{Go: "one"}, `"one": not a go version`},
		{"variable", Config{Env: []string{"A"}}, `-e "A" is not of the form`},
		{"variable of ours", Config{Env: []string{"GOMODCACHE=/x"}}, "decides GOMODCACHE itself"},
		{"several", Config{Name: "/", From: "x"}, "From x: not an absolute path"},
	} {
		err := test.c.check()
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%s: %v, want %q", test.name, err, test.want)
		}
	}
	if _, err := Open(t.Context(), Config{Name: "a", Go: "1.22"}); err == nil || !strings.Contains(err.Error(), "settled by New") {
		t.Errorf("Open with what is for New: %v", err)
	}
}

// What a program has made that still ran when its sandbox was removed goes away;
// what is somebody else's does not.
func TestSweep(t *testing.T) {
	c := config(t)
	c.Cache = filepath.Join(t.TempDir(), "gox")
	for _, file := range []string{".new-a/home/.config/x", "b/tmp/x", ".new-c/other", "d/home/x", "d/file"} {
		write(t, filepath.Join(c.Cache, kind, file), "")
	}
	if err := os.Mkdir(filepath.Join(c.Cache, kind, "empty"), 0o777); err != nil {
		t.Fatal(err)
	}
	if list, err := List(c); err != nil || len(list) > 0 {
		t.Errorf("List: %v %v", list, err)
	}
	if got, want := names(t, filepath.Join(c.Cache, kind)), []string{".new-c", "d", "empty"}; !slices.Equal(got, want) {
		t.Errorf("left: %q, want %q", got, want)
	}
}
