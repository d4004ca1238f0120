//go:build unix

package gocmd

import (
	"archive/zip"
	"crypto/rand"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/mod/sumdb"
	"golang.org/x/mod/sumdb/dirhash"
	"golang.org/x/mod/sumdb/note"
)

// A fakeProxy is a module proxy on loopback that serves toolchains made up by
// the test, and a checksum database that knows some of them.
type fakeProxy struct {
	t   testing.TB
	dir string // the files, laid out as a file:// proxy is
	url string
	// gosumdb is a GOSUMDB for the checksum database.
	gosumdb string

	mu    sync.Mutex
	known map[string]string // module version to its lines in go.sum
	asked []string          // paths, in the order of the requests

	// stall, if not nil, is called in the middle of a zip.
	stall func(r *http.Request)
}

func newFakeProxy(t testing.TB) *fakeProxy {
	t.Helper()
	p := &fakeProxy{t: t, dir: t.TempDir(), known: map[string]string{}}
	skey, vkey, err := note.GenerateKey(rand.Reader, "sum.example")
	if err != nil {
		t.Fatal(err)
	}
	db := sumdb.NewServer(sumdb.NewTestServer(skey, func(_, version string) ([]byte, error) {
		p.mu.Lock()
		defer p.mu.Unlock()
		if lines, ok := p.known[version]; ok {
			return []byte(lines), nil
		}
		return nil, fs.ErrNotExist
	}))
	mux := http.NewServeMux()
	mux.Handle("/db/", http.StripPrefix("/db", db))
	mux.HandleFunc("/golang.org/", p.serve)
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	p.url = srv.URL
	p.gosumdb = vkey + " " + srv.URL + "/db"
	return p
}

func (p *fakeProxy) serve(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	p.asked = append(p.asked, r.URL.Path)
	p.mu.Unlock()
	data, err := os.ReadFile(filepath.Join(p.dir, filepath.FromSlash(path.Clean(r.URL.Path))))
	if err != nil {
		http.Error(w, "not found", http.StatusNotFound)
		return
	}
	if p.stall != nil && strings.HasSuffix(r.URL.Path, ".zip") {
		w.Header().Set("Content-Length", fmt.Sprint(len(data)))
		w.Write(data[:len(data)/2])
		w.(http.Flusher).Flush()
		p.stall(r)
		data = data[len(data)/2:]
	}
	w.Write(data)
}

// count returns the number of requests whose path ends in suffix.
func (p *fakeProxy) count(suffix string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for _, a := range p.asked {
		if strings.HasSuffix(a, suffix) {
			n++
		}
	}
	return n
}

// toolchainFiles are those of a small toolchain of the release v.
func toolchainFiles(v string) map[string]string {
	return map[string]string{
		"VERSION":                  v + "\ntime 2024-07-31T19:43:06Z\n",
		"bin/go":                   "#!/bin/sh\necho go version " + v + "\n",
		"bin/gofmt":                "#!/bin/sh\n",
		"pkg/tool/a_b/compile":     "#!/bin/sh\n",
		"lib/wasm/go_js_wasm_exec": "#!/bin/sh\n",
		"lib/time/update.bash":     "#!/bin/sh\n",
		"src/_go.mod":              "module std\n",
		"src/cmd/_go.mod":          "module cmd\n",
		"src/cmd/main.go":          "package main\n",
	}
}

// add serves a toolchain of these files as the release v. known makes the
// checksum database know it.
func (p *fakeProxy) add(v string, files map[string]string, known bool) {
	p.t.Helper()
	version := "v0.0.1-" + v + platform
	at := filepath.Join(p.dir, filepath.FromSlash(modPath), "@v")
	mod := "module " + modPath + "\n"
	write(p.t, filepath.Join(at, version+".info"), fmt.Sprintf(`{"Version":%q}`, version))
	write(p.t, filepath.Join(at, version+".mod"), mod)
	zipFile := filepath.Join(at, version+".zip")
	f, err := os.Create(zipFile)
	if err != nil {
		p.t.Fatal(err)
	}
	z := zip.NewWriter(f)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		// Not compressed, so that half a zip is more than a header.
		w, err := z.CreateHeader(&zip.FileHeader{Name: modPath + "@" + version + "/" + name})
		if err == nil {
			_, err = io.WriteString(w, files[name])
		}
		if err != nil {
			p.t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		p.t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		p.t.Fatal(err)
	}
	if !known {
		return
	}
	h1, err := dirhash.HashZip(zipFile, dirhash.Hash1)
	if err != nil {
		p.t.Fatal(err)
	}
	modH1, err := dirhash.Hash1([]string{"go.mod"}, func(string) (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader(mod)), nil
	})
	if err != nil {
		p.t.Fatal(err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.known[version] = fmt.Sprintf("%s %s %s\n%[1]s %[2]s/go.mod %[4]s\n", modPath, version, h1, modH1)
}

// list makes the proxy list these module versions.
func (p *fakeProxy) list(versions ...string) {
	p.t.Helper()
	write(p.t, filepath.Join(p.dir, filepath.FromSlash(modPath), "@v", "list"), strings.Join(versions, "\n")+"\n")
}

// env is an environment that uses the proxy and its checksum database and
// knows nothing of the user; of duplicates the last counts.
func (p *fakeProxy) env(more ...string) []string {
	p.t.Helper()
	home := p.t.TempDir()
	// Else go writes there after its end, while the test removes it.
	write(p.t, filepath.Join(home, ".config", "go", "telemetry", "mode"), "off")
	return append([]string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + home, "GOENV=" + filepath.Join(home, "goenv"),
		"GOPROXY=" + p.url, "GOSUMDB=" + p.gosumdb,
	}, more...)
}

// store is an empty store that installs from p.
func (p *fakeProxy) store(more ...string) *Toolchains {
	p.t.Helper()
	return &Toolchains{Dir: filepath.Join(p.t.TempDir(), "toolchain"), Go: goInPath(p.t), Env: p.env(more...)}
}
