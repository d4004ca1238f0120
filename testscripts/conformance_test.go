package testscripts

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"example.com/gox/internal/gotest"
)

// The engine's module proxies against nginx, which knows nothing of modules
// and serves what the command tree writes: where they differ, scripts would
// prove something about the engine and not about go.

// conformanceModules is what both serve, with what script adds to it. B comes
// second in GOPROXY lists.
const conformanceModules = `tree A DIR
-- proxy/A/example.com/dep@v1.0.0/sub/sub.go --
package sub
-- proxy/A/example.com/dep@v1.1.0/go.mod --
module example.com/dep

go 1.18

require example.com/Big v1.0.0
-- proxy/A/example.com/dep@v1.1.0/dep.go --
package dep

import _ "example.com/Big"
-- proxy/A/example.com/dep@v1.1.0/sub/sub.go --
package sub
-- proxy/A/example.com/dep@v1.2.0-rc.1/dep.go --
package dep
-- proxy/A/example.com/dep/v2@v2.0.0/go.mod --
module example.com/dep/v2
-- proxy/A/example.com/dep/v2@v2.0.0/dep.go --
package dep
-- proxy/A/example.com/Big@v1.0.0/big.go --
package big
-- proxy/A/example.com/old@v2.0.0+incompatible/old.go --
package old
-- proxy/A/example.com/untagged@v0.0.0-20200101000000-123456789012/x.go --
package x
-- proxy/A/example.com/retracts@v1.0.0/x.go --
package x
-- proxy/A/example.com/retracts@v1.1.0/go.mod --
module example.com/retracts

retract v1.0.0 // broken
-- proxy/A/example.com/retracts@v1.1.0/x.go --
package x
-- proxy/A/example.com/ghost/@v/list --
v1.0.0
-- proxy/A/example.com/headless/@v/list --
v1.0.0
-- proxy/A/example.com/headless/@v/v1.0.0.info --
{"Version":"v1.0.0","Time":"2020-01-01T00:00:00Z"}
-- proxy/A/example.com/headless/@v/v1.0.0.mod --
module example.com/headless
-- proxy/A/example.com/notjson/@v/list --
v1.0.0
-- proxy/A/example.com/notjson/@v/v1.0.0.info --
oops
-- proxy/B/example.com/elsewhere@v1.0.0/x.go --
package x
`

// conformance is what the engine serves, and its tree in a directory.
func conformance(t *testing.T) (proxies map[string]*depot, tree string) {
	tree = t.TempDir()
	s := script(t, strings.ReplaceAll(conformanceModules, "DIR", "'"+tree+"'"))
	if res := newest(t).Run(t.Context(), s); res.Err != nil {
		t.Fatalf("%v\n%s", res.Err, res.Transcript)
	}
	return s.proxies, tree
}

// engine starts proxies, and returns their URLs and a function that tells what
// the first was asked.
func engine(t *testing.T, proxies map[string]*depot) (urls map[string]string, asked func() []string) {
	t.Helper()
	w, err := newWorld(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.shut)
	urls = map[string]string{}
	for name, d := range proxies {
		if urls[name], err = w.open(&server{name: name, depot: d, content: &moduleProxy{d, map[string]http.Handler{}}}, ""); err != nil {
			t.Fatal(err)
		}
	}
	return urls, func() []string {
		records, err := w.of("A")
		if err != nil {
			t.Fatal(err)
		}
		var lines []string
		for _, r := range records {
			lines = append(lines, r.method+" "+r.url+" "+r.status)
		}
		return lines
	}
}

// nginx serves a directory. The function stops it, and tells what it was asked.
func nginx(t *testing.T, root string) (url string, asked func() []string) {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("no program inherits a socket on Windows")
	}
	program, err := exec.LookPath("nginx")
	if err != nil {
		program, err = exec.LookPath("/usr/sbin/nginx") // not in everybody's PATH
	}
	if err != nil {
		const missing = "nginx: not found in PATH: nothing to compare the engine's proxies with\n\tapt-get install nginx"
		if os.Getenv("CI") == "true" {
			t.Fatal(missing)
		}
		t.Skip(missing)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	socket, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	dir := t.TempDir()
	var temp strings.Builder
	for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		fmt.Fprintf(&temp, "\t%s_temp_path %s/temp;\n", kind, dir)
	}
	config := filepath.Join(dir, "nginx.conf")
	// As root it would change its user, to one who may not read the directory.
	user := ""
	if os.Getuid() == 0 {
		user = "user root;\n"
	}
	// With a master process, without which nginx 1.22 crashes when it inherits a
	// socket.
	if err := os.WriteFile(config, fmt.Appendf(nil, `%[5]sdaemon off;
pid %[1]s/pid;
error_log %[1]s/error.log;
events {}
http {
%[2]s	log_format asked '$request_method $uri $status';
	access_log %[1]s/access.log asked;
	server {
		listen %[3]s;
		root %[4]s;
	}
}
`, dir, &temp, l.Addr(), root, user), 0o666); err != nil {
		t.Fatal(err)
	}
	// It takes over the socket as from an older nginx that it is to follow. So
	// no port is taken by another in between, and no request comes too early.
	cmd := exec.Command(program, "-p", dir, "-e", filepath.Join(dir, "error.log"), "-c", config)
	cmd.Env = append(os.Environ(), "NGINX=3;")
	cmd.ExtraFiles = []*os.File{socket}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stopped := false
	stop := func() {
		if stopped {
			return
		}
		stopped = true
		// It ends what it is at, and so has logged all that it answered.
		cmd.Process.Signal(syscall.SIGQUIT)
		if err := cmd.Wait(); err != nil {
			log, _ := os.ReadFile(filepath.Join(dir, "error.log"))
			t.Errorf("nginx: %v\n%s%s", err, &out, log)
		}
	}
	t.Cleanup(stop)
	return "http://" + l.Addr().String(), func() []string {
		stop()
		data, err := os.ReadFile(filepath.Join(dir, "access.log"))
		if err != nil {
			t.Fatal(err)
		}
		return strings.Split(strings.TrimSuffix(string(data), "\n"), "\n")
	}
}

// TestConformanceRequests compares single answers: the status, and the body of
// a 200.
func TestConformanceRequests(t *testing.T) {
	tests := []struct {
		name, method, path string
		// Both statuses are the same where nginx is 0. Where it is not, why says
		// what makes the difference legitimate.
		status, nginx int
		why           string
	}{
		{"list", "GET", "/example.com/dep/@v/list", 200, 0, ""},
		{"list without releases", "GET", "/example.com/untagged/@v/list", 200, 0, ""},
		{"own list", "GET", "/example.com/ghost/@v/list", 200, 0, ""},
		{"list of v2", "GET", "/example.com/dep/v2/@v/list", 200, 0, ""},
		{"list of an unknown module", "GET", "/example.com/none/@v/list", 404, 0, ""},
		{"list of a parent", "GET", "/example.com/@v/list", 404, 0, ""},
		{"list of a package", "GET", "/example.com/dep/sub/@v/list", 404, 0, ""},
		{"latest", "GET", "/example.com/dep/@latest", 200, 0, ""},
		{"latest without releases", "GET", "/example.com/untagged/@latest", 200, 0, ""},
		{"latest of an unknown module", "GET", "/example.com/none/@latest", 404, 0, ""},
		{"latest of an own list", "GET", "/example.com/ghost/@latest", 404, 0, ""},
		{"info", "GET", "/example.com/dep/@v/v1.0.0.info", 200, 0, ""},
		{"mod", "GET", "/example.com/dep/@v/v1.1.0.mod", 200, 0, ""},
		{"mod that was made up", "GET", "/example.com/Big/@v/v1.0.0.mod", 404, 0, ""},
		{"mod that was made up, escaped", "GET", "/example.com/!big/@v/v1.0.0.mod", 200, 0, ""},
		{"percent", "GET", "/example.com/%21big/@v/v1.0.0.info", 200, 0, ""},
		{"plus", "GET", "/example.com/old/@v/v2.0.0+incompatible.zip", 200, 0, ""},
		{"percent plus", "GET", "/example.com/old/@v/v2.0.0%2Bincompatible.zip", 200, 0, ""},
		{"zip", "GET", "/example.com/dep/@v/v1.1.0.zip", 200, 0, ""},
		{"query", "GET", "/example.com/dep/@v/v1.0.0.mod?x=y", 200, 0, ""},
		{"unknown version", "GET", "/example.com/dep/@v/v9.9.9.info", 404, 0, ""},
		{"zip of an unknown version", "GET", "/example.com/dep/@v/v9.9.9.zip", 404, 0, ""},
		{"branch", "GET", "/example.com/dep/@v/main.info", 404, 0, ""},
		{"other suffix", "GET", "/example.com/dep/@v/v1.0.0.ziphash", 404, 0, ""},
		{"checksum database", "GET", "/sumdb/sum.test/supported", 404, 0, ""},
		{"head", "HEAD", "/example.com/dep/@v/v1.0.0.zip", 200, 0, ""},
		{"head of an unknown version", "HEAD", "/example.com/dep/@v/v9.9.9.zip", 404, 0, ""},
		{"root", "GET", "/", 404, 403, "go asks for no directory; nginx forbids to list it"},
		{"directory", "GET", "/example.com/dep/@v/", 404, 403, "the same"},
		{"directory without its slash", "GET", "/example.com/dep", 404, 301, "the same; nginx adds the slash first"},
		{"post", "POST", "/example.com/dep/@v/list", 200, 405, "go sends GET only; the engine does not look at the method"},
	}
	proxies, tree := conformance(t)
	urls, _ := engine(t, proxies)
	other, _ := nginx(t, tree)
	do := func(method, url string) (int, []byte) {
		req, err := http.NewRequestWithContext(t.Context(), method, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultTransport.RoundTrip(req) // follows no redirect
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, body
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			want := tt.nginx
			if want == 0 {
				want = tt.status
			}
			status, body := do(tt.method, urls["A"]+tt.path)
			otherStatus, otherBody := do(tt.method, other+tt.path)
			if status != tt.status || otherStatus != want {
				t.Errorf("engine %d, nginx %d; want %d, %d", status, otherStatus, tt.status, want)
			}
			if status == 200 && otherStatus == 200 && !bytes.Equal(body, otherBody) {
				t.Errorf("the engine sends %q, nginx %q", body, otherBody)
			}
			if (tt.nginx != 0) != (tt.why != "") {
				t.Error("a difference needs its reason, and only that")
			}
		})
	}
}

// TestConformanceGo compares what go makes of both: its exit code and output,
// go.mod and go.sum, all files of the module cache, and what it asked for with
// which answers.
func TestConformanceGo(t *testing.T) {
	tests := []struct {
		name    string
		args    string
		exit    int
		goproxy string // A for the proxy in question, which is all where ""
		// why says what makes it legitimate that go quotes the answer of the engine
		// and not that of nginx. No other difference is.
		why string
	}{
		{"versions", "list -m -versions example.com/dep", 0, "", ""},
		{"no releases", "list -m -versions example.com/untagged", 0, "", ""},
		{"versions of an unknown module", "list -m -versions example.com/none", 1, "", ""},
		{"latest", "list -m -json example.com/dep@latest", 0, "", ""},
		{"latest is a pseudo-version", "list -m example.com/untagged@latest", 0, "", ""},
		{"latest of an unknown module", "list -m example.com/none@latest", 1, "", ""},
		{"exact", "list -m -json example.com/dep@v1.0.0", 0, "", ""},
		{"prefix", "list -m example.com/dep@v1", 0, "", ""},
		{"less", "list -m example.com/dep@<v1.1.0", 0, "", ""},
		{"no such version", "list -m example.com/dep@v9.9.9", 1, "", ""},
		{"no such branch", "list -m example.com/dep@main", 1, "", ""},
		{"no match", "list -m example.com/dep@v3", 1, "", ""},
		{"retracted", "list -m -retracted -versions example.com/retracts", 0, "", ""},
		{"not retracted", "list -m -versions example.com/retracts", 0, "", ""},
		{"info alone is missing", "list -m example.com/ghost@latest", 1, "", ""},
		{"info is not JSON", "list -m example.com/notjson@latest", 1, "", ""},
		{"download", "mod download -json example.com/dep@v1.1.0", 0, "", ""},
		{"download capital letters", "mod download -json example.com/Big@v1.0.0", 0, "", ""},
		{"download v2", "mod download -json example.com/dep/v2@v2.0.0", 0, "", ""},
		{"download +incompatible", "mod download -json example.com/old@v2.0.0+incompatible", 0, "", ""},
		{"download no such version", "mod download -json example.com/dep@v9.9.9", 1, "", "go quotes answers in plain text only, and the 404 of nginx is a page"},
		{"download an unknown module", "mod download -json example.com/none@v1.0.0", 1, "", "the same"},
		{"download without a zip", "mod download -json example.com/headless@v1.0.0", 1, "", "the same"},
		{"get exact", "get example.com/dep@v1.0.0", 0, "", ""},
		{"get a package", "get example.com/dep/sub@v1.0.0", 0, "", ""},
		{"get with dependencies", "get example.com/dep@v1.1.0", 0, "", ""},
		{"get latest", "get example.com/dep", 0, "", ""},
		{"get no such version", "get example.com/dep@v9.9.9", 1, "", ""},
		{"get an unknown module", "get example.com/none", 1, "", ""},
		{"comma, then elsewhere", "get example.com/elsewhere", 0, "A,B", ""},
		{"pipe, then elsewhere", "get example.com/elsewhere", 0, "A|B", ""},
		{"comma, not needed", "get example.com/dep", 0, "A,B", ""},
		{"comma, off", "list -m example.com/none@latest", 1, "A,off", ""},
	}
	proxies, tree := conformance(t)
	for _, version := range []string{"1.18", "1.27"} {
		t.Run(version, func(t *testing.T) {
			program := gotest.Toolchain(t, version)
			for _, tt := range tests {
				t.Run(tt.name, func(t *testing.T) {
					goproxy := tt.goproxy
					if goproxy == "" {
						goproxy = "A"
					}
					urls, asked := engine(t, proxies)
					run := func(a string) map[string]string {
						list := strings.NewReplacer("A", a, "B", urls["B"]).Replace(goproxy)
						return outcome(t, program, list, a, strings.Fields(tt.args))
					}
					got := run(urls["A"])
					got["requests"] = sorted(asked())
					other, otherAsked := nginx(t, tree)
					want := run(other)
					want["requests"] = sorted(otherAsked())
					if before := got["stdout"]; tt.why != "" {
						got["stdout"] = regexp.MustCompile(`\\n\\tserver response: [^"]*`).ReplaceAllString(before, "")
						if got["stdout"] == before {
							t.Error("go quotes no answer: there is no difference to explain")
						}
					}
					if exit := fmt.Sprint(tt.exit); got["exit"] != exit {
						t.Errorf("exit code %s, want %s", got["exit"], exit)
					}
					for _, key := range slices.Sorted(maps.Keys(got)) {
						if v, ok := want[key]; !ok || v != got[key] {
							t.Errorf("%s: with the engine\n%s\nwith nginx\n%s", key, got[key], v)
						}
					}
					for key, v := range want {
						if _, ok := got[key]; !ok {
							t.Errorf("%s: only with nginx\n%s", key, v)
						}
					}
				})
			}
		})
	}
}

func sorted(lines []string) string {
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// outcome runs go in an empty module and returns what came of it: "exit",
// "stdout", and the files that it left, by name. Its
// directory and the URL of the proxy in question are not in there.
func outcome(t *testing.T, program, goproxy, url string, args []string) map[string]string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module example.com/main\n\ngo 1.18\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	// Telemetry, since 1.23, writes to it after go has ended, while it is removed.
	home := t.TempDir()
	for _, config := range []string{".config", "Library/Application Support"} {
		telemetry := filepath.Join(home, config, "go", "telemetry")
		if err := os.MkdirAll(telemetry, 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(telemetry, "mode"), []byte("off\n"), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Dir = dir
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "SYSTEMROOT=" + os.Getenv("SYSTEMROOT"), "PWD=" + dir,
		"HOME=" + home, "GOPATH=" + t.TempDir(), "GOCACHE=" + goCache(t), "GOMODCACHE=" + filepath.Join(dir, "modcache"),
		"GOENV=off", "GOFLAGS=-modcacherw", "GOPROXY=" + goproxy, "GOSUMDB=off", "GOTOOLCHAIN=local", "CGO_ENABLED=0",
	}
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil && !errors.As(err, new(*exec.ExitError)) {
		t.Fatal(err)
	}
	t.Logf("GOPROXY=%s go %s\n%s", goproxy, strings.Join(args, " "), &stderr)
	neutral := strings.NewReplacer(dir, "$DIR", url, "$A").Replace
	out := map[string]string{
		"exit":   fmt.Sprint(cmd.ProcessState.ExitCode()),
		"stdout": neutral(stdout.String()),
	}
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, name)
		out[rel] = fmt.Sprintf("%d bytes, %x", len(data), sha256.Sum256(data))
		if base := filepath.Base(rel); base == "go.sum" || base == "go.mod" {
			out[rel] = string(data)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}
