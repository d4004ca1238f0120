package source

import (
	"archive/zip"
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/mod/module"
	"golang.org/x/mod/sumdb/dirhash"
)

// published are the modules that there are, each a go.mod and a package at its
// root, and where. Each imports what it requires.
var published = []struct {
	module.Version
	proxies string // those that have it
	require []module.Version
}{
	{v("example.com/dep", "v1.0.0"), "ab", nil},
	{v("example.com/dep", "v1.1.0"), "ab", nil},
	{v("example.com/fork", "v1.0.0"), "ab", nil},
	{v("example.com/user", "v1.0.0"), "ab", []module.Version{v("example.com/dep", "v1.1.0")}},
	{v("example.com/onlyb", "v1.0.0"), "b", nil},
	{v("example.com/dep/sub", "v1.0.0"), "ab", nil},
	{v("private.test/lib", "v1.0.0"), "ab", nil},
	{v("example.com/Upper", "v1.0.0-RC1"), "ab", nil},
}

func v(path, version string) module.Version { return module.Version{Path: path, Version: version} }

// A world is the proxies a and b, and module caches to copy.
type world struct {
	url  string
	sums string // a go.sum with everything
	home string // go's own things
	full string // a module cache with everything
	mods string // one with the go.mod files only

	mu    sync.Mutex
	files map[string][]byte // by proxy and path
	asked []string
}

// newWorld makes one. Nothing in it needs the network.
func newWorld(t testing.TB, goPath string) *world {
	w := &world{files: map[string][]byte{}, home: t.TempDir()}
	var sums strings.Builder
	var all []string
	for _, p := range published {
		gomod := "module " + p.Path + "\n\ngo 1.17\n"
		base := p.Path[strings.LastIndex(p.Path, "/")+1:]
		code := "package " + strings.ToLower(base) + "\n"
		for _, r := range p.require {
			gomod += "\nrequire " + r.Path + " " + r.Version + "\n"
			code += "\nimport _ \"" + r.Path + "\"\n"
		}
		var b bytes.Buffer
		z := zip.NewWriter(&b)
		for _, f := range [][2]string{{"go.mod", gomod}, {base + ".go", code}} {
			f0, err := z.Create(p.String() + "/" + f[0])
			if err != nil {
				t.Fatal(err)
			}
			f0.Write([]byte(f[1]))
		}
		z.Close()
		path, err := module.EscapePath(p.Path)
		if err != nil {
			t.Fatal(err)
		}
		version, err := module.EscapeVersion(p.Version.Version)
		if err != nil {
			t.Fatal(err)
		}
		for _, proxy := range p.proxies {
			at := fmt.Sprintf("/%c/%s/@v/%s", proxy, path, version)
			w.files[at+".info"] = fmt.Appendf(nil, `{"Version":%q,"Time":"2024-01-02T03:04:05Z"}`, p.Version.Version)
			w.files[at+".mod"] = []byte(gomod)
			w.files[at+".zip"] = b.Bytes()
		}
		zipFile := filepath.Join(t.TempDir(), "x.zip")
		if err := os.WriteFile(zipFile, b.Bytes(), 0o666); err != nil {
			t.Fatal(err)
		}
		hash, err := dirhash.HashZip(zipFile, dirhash.Hash1)
		if err != nil {
			t.Fatal(err)
		}
		modHash, err := hashMod([]byte(gomod))
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&sums, "%s %s %s\n%[1]s %[2]s/go.mod %[4]s\n", p.Path, p.Version.Version, hash, modHash)
		all = append(all, p.String())
	}
	w.sums = sums.String()
	server := httptest.NewServer(w)
	t.Cleanup(server.Close)
	w.url = server.URL

	fill := func(name string, args ...string) string {
		dir := t.TempDir()
		cache := filepath.Join(dir, name)
		write(t, filepath.Join(dir, "m", "go.mod"), "module m\n")
		c := exec.Command(goPath, args...)
		c.Dir = filepath.Join(dir, "m")
		c.Env = append(w.environ(), "GOPROXY="+w.url+"/b", "GOMODCACHE="+cache)
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return cache
	}
	w.full = fill("full", append([]string{"mod", "download", "-modcacherw"}, all...)...)
	w.mods = filepath.Join(t.TempDir(), "mods")
	copyTree(t, w.full, w.mods, func(rel string) bool {
		return rel == "." || rel == "cache" || strings.HasPrefix(rel, "cache/") && !strings.HasSuffix(rel, ".zip") && !strings.HasSuffix(rel, ".ziphash")
	})
	return w
}

// environ is what a go command needs, without a network but for the proxies.
func (w *world) environ() []string {
	return []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + w.home, "GOPATH=" + filepath.Join(w.home, "gopath"), "GOCACHE=" + filepath.Join(w.home, "gocache"),
		"GOENV=off", "GOTOOLCHAIN=local", "GOSUMDB=off", "GOFLAGS=", "GIT_TERMINAL_PROMPT=0",
		// Nobody is there, so that direct fetches fail at once.
		"HTTPS_PROXY=http://127.0.0.1:1", "HTTP_PROXY=http://127.0.0.1:1", "NO_PROXY=127.0.0.1",
	}
}

func (w *world) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked = append(w.asked, r.URL.Path)
	data, ok := w.files[r.URL.Path]
	if !ok {
		http.NotFound(rw, r)
		return
	}
	rw.Write(data)
}

// requests returns what was asked since the last call.
func (w *world) requests() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	asked := w.asked
	w.asked = nil
	return asked
}

func write(t testing.TB, file, data string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(data), 0o666); err != nil {
		t.Fatal(err)
	}
}

// copyTree copies those files of a tree that keep takes, by hard links where
// that can be done: nothing here writes into a file that is there.
func copyTree(t testing.TB, from, to string, keep func(rel string) bool) {
	t.Helper()
	err := filepath.Walk(from, func(path string, info os.FileInfo, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil || !keep(filepath.ToSlash(rel)) {
			if info.IsDir() && err == nil {
				return filepath.SkipDir
			}
			return err
		}
		if info.IsDir() {
			return os.MkdirAll(filepath.Join(to, rel), 0o777)
		}
		return os.Link(path, filepath.Join(to, rel))
	})
	if err != nil {
		t.Fatal(err)
	}
}

func everything(string) bool { return true }

// snapshot is the names and contents of all files in trees, but for locks.
func snapshot(t testing.TB, dirs ...string) []string {
	t.Helper()
	var all []string
	for _, dir := range dirs {
		err := filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
			if err != nil || info.IsDir() || strings.HasSuffix(path, "lock") {
				return err
			}
			data, err := os.ReadFile(path)
			all = append(all, path+"\n"+string(data))
			return err
		})
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
	}
	slices.Sort(all)
	return all
}
