package gateway

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/mod/module"
	"golang.org/x/mod/sumdb/dirhash"
	modzip "golang.org/x/mod/zip"
)

// A site is a module proxy that serves example.com/dep and others, and can
// fail in all ways.
type site struct {
	*httptest.Server
	files map[string][]byte // by URL path

	mu    sync.Mutex
	fault func(w http.ResponseWriter, r *http.Request) bool // true: it has answered
	asked []*http.Request
}

// modules are what a site serves unless told otherwise.
func modules() []module.Version {
	return []module.Version{{Path: "example.com/dep", Version: "v1.0.0"}, {Path: "example.com/Upper/Case", Version: "v1.2.3-RC.1"}}
}

// protocol returns the files of a module proxy that serves mods.
func protocol(t testing.TB, mods ...module.Version) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	for _, m := range mods {
		path, err := module.EscapePath(m.Path)
		if err != nil {
			t.Fatal(err)
		}
		version, err := module.EscapeVersion(m.Version)
		if err != nil {
			t.Fatal(err)
		}
		base := "/" + path + "/@v/"
		gomod := []byte("module " + m.Path + "\n")
		files[base+"list"] = append(files[base+"list"], m.Version+"\n"...)
		files[base+version+".info"] = fmt.Appendf(nil, `{"Version":%q,"Time":"2020-01-01T00:00:00Z"}`, m.Version)
		files["/"+path+"/@latest"] = files[base+version+".info"]
		files[base+version+".mod"] = gomod
		var zip bytes.Buffer
		if err := modzip.Create(&zip, m, []modzip.File{memFile{"go.mod", gomod}, memFile{"dep.go", []byte("package dep\n")}}); err != nil {
			t.Fatal(err)
		}
		files[base+version+".zip"] = zip.Bytes()
	}
	return files
}

type memFile struct {
	name string
	data []byte
}

func (f memFile) Path() string                 { return f.name }
func (f memFile) Lstat() (os.FileInfo, error)  { return memInfo{f}, nil }
func (f memFile) Open() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(f.data)), nil }

type memInfo struct{ memFile }

func (i memInfo) Name() string       { return filepath.Base(i.name) }
func (i memInfo) Size() int64        { return int64(len(i.data)) }
func (i memInfo) Mode() os.FileMode  { return 0o644 }
func (i memInfo) ModTime() time.Time { return time.Time{} }
func (i memInfo) IsDir() bool        { return false }
func (i memInfo) Sys() any           { return nil }

// newSite starts a site. With secure it speaks https, and HTTP/2.
func newSite(t testing.TB, secure bool) *site {
	t.Helper()
	s := &site{files: protocol(t, modules()...)}
	s.Server = httptest.NewUnstartedServer(s)
	s.Config.ErrorLog = discard()
	if secure {
		s.EnableHTTP2 = true
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	return s
}

func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.asked = append(s.asked, r.Clone(context.Background()))
	fault := s.fault
	s.mu.Unlock()
	if fault != nil && fault(w, r) {
		return
	}
	s.serve(w, r)
}

func (s *site) serve(w http.ResponseWriter, r *http.Request) {
	path := r.URL.Path
	for _, prefix := range []string{"/base/path", "/moved"} {
		path = strings.TrimPrefix(path, prefix)
	}
	data, ok := s.files[path]
	if !ok {
		http.Error(w, "not found: "+path, http.StatusNotFound)
		return
	}
	w.Header().Set("ETag", `"an etag"`)
	w.Write(data)
}

func (s *site) fail(f func(w http.ResponseWriter, r *http.Request) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault, s.asked = f, nil
}

// requests returns method, path as sent, and the password that came along, of
// all requests since fail, sorted: go asks several at once.
func (s *site) requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []string
	for _, r := range s.asked {
		line := r.Method + " " + r.RequestURI
		if name, password, ok := r.BasicAuth(); ok {
			line += " " + name + ":" + password
		}
		all = append(all, line)
	}
	slices.Sort(all)
	return all
}

// certificate writes a site's certificate to a file, for SSL_CERT_FILE.
func (s *site) certificate(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "cert.pem")
	data := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// faults are ways to fail, by name.
func faults() map[string]func(w http.ResponseWriter, r *http.Request) bool {
	status := func(code int) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, r *http.Request) bool {
			http.Error(w, fmt.Sprintf("an answer of %d\nin two lines", code), code)
			return true
		}
	}
	of := func(suffix string, f func(w http.ResponseWriter, r *http.Request) bool) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, r *http.Request) bool {
			return strings.HasSuffix(r.URL.Path, suffix) && f(w, r)
		}
	}
	data := func(w http.ResponseWriter, header, value string, body []byte) bool {
		w.Header().Set(header, value)
		w.Write(body)
		return true
	}
	all := map[string]func(w http.ResponseWriter, r *http.Request) bool{
		"fine": nil,
		"reset": func(w http.ResponseWriter, r *http.Request) bool {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				panic(http.ErrAbortHandler) // HTTP/2
			}
			if c, ok := conn.(*net.TCPConn); ok {
				c.SetLinger(0)
			}
			conn.Close()
			return true
		},
		"closed": func(w http.ResponseWriter, r *http.Request) bool { panic(http.ErrAbortHandler) },
		"truncated": of(".zip", func(w http.ResponseWriter, r *http.Request) bool {
			w.Header().Set("Content-Length", "100000")
			w.Write([]byte("PK and no more"))
			http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}),
		"truncated-chunks": of(".mod", func(w http.ResponseWriter, r *http.Request) bool {
			w.Write([]byte("module exam"))
			http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}),
		"nothing-of-body": of(".info", func(w http.ResponseWriter, r *http.Request) bool {
			w.Header().Set("Content-Length", "100")
			http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}),
		"altered": of(".zip", func(w http.ResponseWriter, r *http.Request) bool {
			return data(w, "Content-Type", "application/zip", []byte("no zip file at all"))
		}),
		"wrong-hash": of(".zip", func(w http.ResponseWriter, r *http.Request) bool {
			var zip bytes.Buffer
			modzip.Create(&zip, module.Version{Path: "example.com/dep", Version: "v1.0.0"}, []modzip.File{memFile{"dep.go", []byte("package dep // another\n")}})
			return data(w, "Content-Type", "application/zip", zip.Bytes())
		}),
		"wrong-version": of(".info", func(w http.ResponseWriter, r *http.Request) bool {
			return data(w, "Content-Type", "application/json", []byte(`{"Version":"v9.9.9"}`))
		}),
		"wrong-mod": of(".mod", func(w http.ResponseWriter, r *http.Request) bool {
			return data(w, "Content-Type", "text/plain", []byte("module example.com/other\n"))
		}),
		"html": func(w http.ResponseWriter, r *http.Request) bool {
			return data(w, "Content-Type", "text/html", []byte("<p>Sign in"))
		},
		"html-404": func(w http.ResponseWriter, r *http.Request) bool {
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(404)
			io.WriteString(w, "<p>Nothing here")
			return true
		},
		"empty":     func(w http.ResponseWriter, r *http.Request) bool { return true },
		"empty-404": func(w http.ResponseWriter, r *http.Request) bool { w.WriteHeader(404); return true },
		"redirect": func(w http.ResponseWriter, r *http.Request) bool {
			if strings.HasPrefix(r.URL.Path, "/moved") {
				return false
			}
			http.Redirect(w, r, "/moved"+r.URL.Path, http.StatusFound)
			return true
		},
		"redirect-loop": func(w http.ResponseWriter, r *http.Request) bool {
			http.Redirect(w, r, r.URL.Path, http.StatusFound)
			return true
		},
		"redirect-nowhere": func(w http.ResponseWriter, r *http.Request) bool {
			w.WriteHeader(http.StatusFound)
			return true
		},
		"redirect-refused": func(w http.ResponseWriter, r *http.Request) bool {
			http.Redirect(w, r, "http://127.0.0.1:1/x", http.StatusFound)
			return true
		},
		"gzip": func(w http.ResponseWriter, r *http.Request) bool {
			if !strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") || !strings.HasSuffix(r.URL.Path, ".mod") {
				return false
			}
			var b bytes.Buffer
			z := gzip.NewWriter(&b)
			z.Write([]byte("module example.com/dep\n"))
			z.Close()
			return data(w, "Content-Encoding", "gzip", b.Bytes())
		},
		"own-words": func(w http.ResponseWriter, r *http.Request) bool {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				http.Error(w, "HTTP/2 has no words", http.StatusForbidden)
				return true
			}
			io.WriteString(conn, "HTTP/1.1 403 Quarantined by policy\r\nContent-Type: text/plain\r\nContent-Length: 5\r\nConnection: close\r\n\r\nsorry")
			conn.Close()
			return true
		},
		"no-http": func(w http.ResponseWriter, r *http.Request) bool {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				panic(http.ErrAbortHandler)
			}
			io.WriteString(conn, "220 mail.example ESMTP\r\n")
			conn.Close()
			return true
		},
	}
	for _, code := range []int{204, 304, 400, 401, 403, 404, 410, 418, 429, 500, 502, 503, 504, 599} {
		if code == 204 || code == 304 {
			all[fmt.Sprint(code)] = func(w http.ResponseWriter, r *http.Request) bool { w.WriteHeader(code); return true }
			continue
		}
		all[fmt.Sprint(code)] = status(code)
	}
	return all
}

// untrusted is a site whose certificate nobody trusts.
func untrusted(t testing.TB) *site {
	s := &site{files: protocol(t, modules()...)}
	s.Server = httptest.NewUnstartedServer(s)
	s.Config.ErrorLog = discard()
	s.TLS = &tls.Config{}
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

// A goRun is one run of go in a module of its own.
type goRun struct {
	code   int
	stderr string
	files  map[string]string // go.mod, go.sum and the module cache, by path
}

// runGo runs go with an empty module cache and the environment given besides.
func runGo(t testing.TB, goPath string, env []string, gosum string, args ...string) goRun {
	t.Helper()
	dir := t.TempDir()
	home, work := filepath.Join(dir, "home"), filepath.Join(dir, "work")
	for name, data := range map[string]string{
		"work/go.mod": "module example.com/main\n\ngo 1.18\n", "work/go.sum": gosum,
		"home/.config/go/telemetry/mode": "off", // it costs, and writes
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(goPath, args...)
	cmd.Dir = work
	cmd.Env = append(goEnviron(home), env...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	r := goRun{stderr: strings.ReplaceAll(stderr.String()+stdout.String(), dir, "$WORK"), files: map[string]string{}}
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	r.code = cmd.ProcessState.ExitCode()
	filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasSuffix(path, ".lock") || d.Name() == "lock" || strings.HasPrefix(path, filepath.Join(home, "cache")) {
			return nil
		}
		data, err := os.ReadFile(path)
		if err != nil {
			t.Error(err)
		}
		// go leaves a zip file with a wrong hash under a name of chance.
		name := regexp.MustCompile(`\d+\.tmp$`).ReplaceAllString(strings.TrimPrefix(path, dir), ".tmp")
		r.files[name] = string(data)
		return nil
	})
	return r
}

// goEnviron is the environment of a go that knows nobody.
func goEnviron(home string) []string {
	return []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + home, "GOMODCACHE=" + filepath.Join(home, "mod"), "GOPATH=" + filepath.Join(home, "go"),
		"GOENV=off", "GOTOOLCHAIN=local", "GOFLAGS=-mod=mod -modcacherw", "GOSUMDB=off", "GOWORK=off", "GOTELEMETRY=off", "GOCACHE=" + filepath.Join(home, "cache"),
		// What is no site of the test's is nowhere, at once.
		"HTTPS_PROXY=http://127.0.0.1:1", "HTTP_PROXY=http://127.0.0.1:1", "GIT_TERMINAL_PROMPT=0",
	}
}

// start opens a gateway for the test and collects its records.
func start(t testing.TB, c Config) (*Gateway, func() []Record) {
	t.Helper()
	var mu sync.Mutex
	var all []Record
	c.Record = func(r Record) {
		mu.Lock()
		defer mu.Unlock()
		all = append(all, r)
	}
	g, err := Start(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.Close() })
	return g, func() []Record {
		mu.Lock()
		defer mu.Unlock()
		return append([]Record{}, all...)
	}
}

// plain writes text, in which addresses of gateways stand, as go would have
// without one.
func (g *Gateway) plain(text string) string {
	for _, up := range g.upstreams {
		to := strings.TrimSuffix(up.url.String(), "/")
		if up.url.User != nil || up.url.RawQuery != "" {
			u := *up.url
			if u.User != nil {
				to = strings.TrimSuffix(u.Redacted(), "/")
			}
			to, _, _ = strings.Cut(to, "?")
		}
		text = strings.ReplaceAll(text, "http://"+g.address+"/"+g.token+"/"+up.name, to)
	}
	return text
}

// sumOf returns the lines of go.sum for what a site serves of example.com/dep.
func sumOf(t testing.TB, files map[string][]byte) string {
	t.Helper()
	zip := filepath.Join(t.TempDir(), "dep.zip")
	if err := os.WriteFile(zip, files["/example.com/dep/@v/v1.0.0.zip"], 0o600); err != nil {
		t.Fatal(err)
	}
	sum, err := dirhash.HashZip(zip, dirhash.Hash1)
	if err != nil {
		t.Fatal(err)
	}
	mod, err := dirhash.Hash1([]string{"go.mod"}, func(string) (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(files["/example.com/dep/@v/v1.0.0.mod"])), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return "example.com/dep v1.0.0 " + sum + "\nexample.com/dep v1.0.0/go.mod " + mod + "\n"
}

func show(v any) string {
	data, _ := json.MarshalIndent(v, "", "  ")
	return string(data)
}
