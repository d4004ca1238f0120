package testscripts

import (
	"bufio"
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

	"golang.org/x/mod/module"

	"example.com/gox/internal/gotest"
)

// The engine's module proxies against others that serve what the command tree
// writes: nginx, which knows nothing of modules, and a real module proxy,
// github.com/goproxy/goproxy. Where they differ, scripts would prove something
// about the engine and not about go.

// A rival starts another server for a tree in a directory. The function that it
// returns stops the server, and tells what that was asked.
type rival struct {
	name  string
	start func(t *testing.T, root string) (url string, asked func() []string)
}

func rivals(t *testing.T) []rival {
	all := []rival{{"nginx", nginx}}
	if testing.Short() {
		return all // the other has to be built first
	}
	return append(all, rival{"goproxy", buildGoproxy(t)})
}

// buildGoproxy builds the program in testdata/goproxy.
func buildGoproxy(t *testing.T) func(t *testing.T, root string) (url string, asked func() []string) {
	program := filepath.Join(t.TempDir(), "goproxy")
	build := exec.Command("go", "build", "-o", program, ".")
	build.Dir = filepath.Join("testdata", "goproxy")
	build.Env = append(os.Environ(), "GOFLAGS=", "GOWORK=off", "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return func(t *testing.T, root string) (url string, asked func() []string) {
		t.Helper()
		cmd := exec.Command(program, root)
		stdin, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		stdout, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		cmd.Env = append(os.Environ(), "TMPDIR="+t.TempDir())
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(stdout)
		var rest []string
		stopped := false
		stop := func() {
			if stopped {
				return
			}
			stopped = true
			stdin.Close()
			for lines.Scan() {
				rest = append(rest, lines.Text())
			}
			if err := cmd.Wait(); err != nil {
				t.Error(err)
			}
		}
		t.Cleanup(stop)
		if !lines.Scan() {
			t.Fatal("it prints no URL")
		}
		return lines.Text(), func() []string {
			stop()
			return rest
		}
	}
}

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
func engine(t *testing.T, proxies map[string]*depot, prepare ...func(*world, map[string]string)) (urls map[string]string, asked func() []string) {
	t.Helper()
	w, err := newWorld(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.shut)
	urls = map[string]string{}
	for name, d := range proxies {
		if urls[name], err = w.open(&server{name: name, depot: d, content: &moduleProxy{depot: d, dbs: map[string]http.Handler{}}}, ""); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range prepare {
		f(w, urls)
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
	return faultyNginx(t, root, "")
}

// faultyNginx is nginx with further directives for its server.
func faultyNginx(t *testing.T, root, directives string) (url string, asked func() []string) {
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
%[6]s	}
}
`, dir, &temp, l.Addr(), root, user, directives), 0o666); err != nil {
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
		status             int
		differs            map[string]int // a rival's other status
		why                string         // what makes that legitimate
	}{
		{"list", "GET", "/example.com/dep/@v/list", 200, nil, ""},
		{"list without releases", "GET", "/example.com/untagged/@v/list", 200, nil, ""},
		{"own list", "GET", "/example.com/ghost/@v/list", 200, nil, ""},
		{"list of v2", "GET", "/example.com/dep/v2/@v/list", 200, nil, ""},
		{"list of an unknown module", "GET", "/example.com/none/@v/list", 404, nil, ""},
		{"list of a parent", "GET", "/example.com/@v/list", 404, nil, ""},
		{"list of a package", "GET", "/example.com/dep/sub/@v/list", 404, nil, ""},
		{"latest", "GET", "/example.com/dep/@latest", 200, nil, ""},
		{"latest without releases", "GET", "/example.com/untagged/@latest", 200, nil, ""},
		{"latest of an unknown module", "GET", "/example.com/none/@latest", 404, nil, ""},
		{"latest of an own list", "GET", "/example.com/ghost/@latest", 404, nil, ""},
		{"info", "GET", "/example.com/dep/@v/v1.0.0.info", 200, nil, ""},
		{"mod", "GET", "/example.com/dep/@v/v1.1.0.mod", 200, nil, ""},
		{"mod that was made up", "GET", "/example.com/Big/@v/v1.0.0.mod", 404, nil, ""},
		{"mod that was made up, escaped", "GET", "/example.com/!big/@v/v1.0.0.mod", 200, nil, ""},
		{"percent", "GET", "/example.com/%21big/@v/v1.0.0.info", 200, nil, ""},
		{"plus", "GET", "/example.com/old/@v/v2.0.0+incompatible.zip", 200, nil, ""},
		{"percent plus", "GET", "/example.com/old/@v/v2.0.0%2Bincompatible.zip", 200, nil, ""},
		{"zip", "GET", "/example.com/dep/@v/v1.1.0.zip", 200, nil, ""},
		{"query", "GET", "/example.com/dep/@v/v1.0.0.mod?x=y", 200, nil, ""},
		{"unknown version", "GET", "/example.com/dep/@v/v9.9.9.info", 404, nil, ""},
		{"zip of an unknown version", "GET", "/example.com/dep/@v/v9.9.9.zip", 404, nil, ""},
		{"branch", "GET", "/example.com/dep/@v/main.info", 404, nil, ""},
		{"other suffix", "GET", "/example.com/dep/@v/v1.0.0.ziphash", 404, nil, ""},
		{"checksum database", "GET", "/sumdb/sum.test/supported", 404, nil, ""},
		{"head", "HEAD", "/example.com/dep/@v/v1.0.0.zip", 200, nil, ""},
		{"head of an unknown version", "HEAD", "/example.com/dep/@v/v9.9.9.zip", 404, nil, ""},
		{"root", "GET", "/", 404, map[string]int{"nginx": 403}, "go asks for no directory; nginx forbids to list it"},
		{"directory", "GET", "/example.com/dep/@v/", 404, map[string]int{"nginx": 403}, "the same"},
		{"directory without its slash", "GET", "/example.com/dep", 404, map[string]int{"nginx": 301}, "the same; nginx adds the slash first"},
		{"post", "POST", "/example.com/dep/@v/list", 200, map[string]int{"nginx": 405, "goproxy": 405}, "go sends GET only; the engine does not look at the method"},
	}
	proxies, tree := conformance(t)
	urls, _ := engine(t, proxies)
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
	for _, rival := range rivals(t) {
		other, _ := rival.start(t, tree)
		for _, tt := range tests {
			t.Run(rival.name+"/"+tt.name, func(t *testing.T) {
				want, differs := tt.differs[rival.name]
				if !differs {
					want = tt.status
				}
				status, body := do(tt.method, urls["A"]+tt.path)
				otherStatus, otherBody := do(tt.method, other+tt.path)
				if status != tt.status || otherStatus != want {
					t.Errorf("engine %d, %s %d; want %d, %d", status, rival.name, otherStatus, tt.status, want)
				}
				// Whether a list ends with a line feed is nothing to go.
				if strings.HasSuffix(tt.path, "/list") {
					body, otherBody = bytes.TrimSpace(body), bytes.TrimSpace(otherBody)
				}
				if status == 200 && otherStatus == 200 && !bytes.Equal(body, otherBody) {
					t.Errorf("the engine sends %q, %s %q", body, rival.name, otherBody)
				}
				if (tt.differs != nil) != (tt.why != "") {
					t.Error("a difference needs its reason, and only that")
				}
			})
		}
	}
}

// TestConformanceGo compares what go makes of them: its exit code and output,
// go.mod and go.sum, all files of the module cache, and what it asked for with
// which answers.
func TestConformanceGo(t *testing.T) {
	tests := []struct {
		name    string
		args    string
		exit    int
		goproxy string // A for the proxy in question, which is all where ""
		// why says what makes it legitimate that go quotes different answers. No
		// other difference is, except where real says what makes that of a real
		// module proxy legitimate.
		why, real string
	}{
		{"versions", "list -m -versions example.com/dep", 0, "", "", ""},
		{"no releases", "list -m -versions example.com/untagged", 0, "", "", ""},
		{"versions of an unknown module", "list -m -versions example.com/none", 1, "", "", ""},
		{"latest", "list -m -json example.com/dep@latest", 0, "", "", ""},
		{"latest is a pseudo-version", "list -m example.com/untagged@latest", 0, "", "", ""},
		{"latest of an unknown module", "list -m example.com/none@latest", 1, "", "", ""},
		{"exact", "list -m -json example.com/dep@v1.0.0", 0, "", "", ""},
		{"prefix", "list -m example.com/dep@v1", 0, "", "", ""},
		{"less", "list -m example.com/dep@<v1.1.0", 0, "", "", ""},
		{"no such version", "list -m example.com/dep@v9.9.9", 1, "", "", ""},
		{"no such branch", "list -m example.com/dep@main", 1, "", "", ""},
		{"no match", "list -m example.com/dep@v3", 1, "", "", ""},
		{"retracted", "list -m -retracted -versions example.com/retracts", 0, "", "", ""},
		{"not retracted", "list -m -versions example.com/retracts", 0, "", "", ""},
		{"info alone is missing", "list -m example.com/ghost@latest", 1, "", "", ""},
		{"info is not JSON", "list -m example.com/notjson@latest", 1, "", "", "it answers 404 where its own upstream sends nonsense"},
		{"download", "mod download -json example.com/dep@v1.1.0", 0, "", "", ""},
		{"download capital letters", "mod download -json example.com/Big@v1.0.0", 0, "", "", ""},
		{"download v2", "mod download -json example.com/dep/v2@v2.0.0", 0, "", "", ""},
		{"download +incompatible", "mod download -json example.com/old@v2.0.0+incompatible", 0, "", "", ""},
		{"download no such version", "mod download -json example.com/dep@v9.9.9", 1, "", "go quotes answers in plain text: the 404 of nginx is a page, that of goproxy quotes its own upstream", ""},
		{"download an unknown module", "mod download -json example.com/none@v1.0.0", 1, "", "the same", ""},
		{"download without a zip", "mod download -json example.com/headless@v1.0.0", 1, "", "the same", "it fetches a version whole, or answers 404"},
		{"get exact", "get example.com/dep@v1.0.0", 0, "", "", ""},
		{"get a package", "get example.com/dep/sub@v1.0.0", 0, "", "", ""},
		{"get with dependencies", "get example.com/dep@v1.1.0", 0, "", "", ""},
		{"get latest", "get example.com/dep", 0, "", "", ""},
		{"get no such version", "get example.com/dep@v9.9.9", 1, "", "", ""},
		{"get an unknown module", "get example.com/none", 1, "", "", ""},
		{"comma, then elsewhere", "get example.com/elsewhere", 0, "A,B", "", ""},
		{"pipe, then elsewhere", "get example.com/elsewhere", 0, "A|B", "", ""},
		{"comma, not needed", "get example.com/dep", 0, "A,B", "", ""},
		{"comma, off", "list -m example.com/none@latest", 1, "A,off", "", ""},
	}
	proxies, tree := conformance(t)
	others := rivals(t)
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
					if exit := fmt.Sprint(tt.exit); got["exit"] != exit {
						t.Errorf("exit code %s, want %s", got["exit"], exit)
					}
					if tt.why != "" {
						before := got["stdout"]
						if unquoted(got); got["stdout"] == before {
							t.Error("go quotes no answer: there is no difference to explain")
						}
					}
					for _, rival := range others {
						url, asked := rival.start(t, tree)
						want := run(url)
						want["requests"] = sorted(asked())
						if tt.why != "" {
							unquoted(want)
						}
						if tt.real == "" || rival.name != "goproxy" {
							compareOutcomes(t, "engine", got, rival.name, want)
							continue
						}
						if want["exit"] != got["exit"] {
							t.Errorf("exit code %s with goproxy, want %s", want["exit"], got["exit"])
						}
						if want["requests"] == got["requests"] {
							t.Error("goproxy is asked for the same, with the same answers: there is no difference to explain")
						}
					}
				})
			}
		})
	}
}

// unquoted removes what go quotes of a server's answer.
func unquoted(outcome map[string]string) {
	outcome["stdout"] = regexp.MustCompile(`\\n\\tserver response: [^"]*`).ReplaceAllString(outcome["stdout"], "")
}

func compareOutcomes(t *testing.T, name string, got map[string]string, otherName string, want map[string]string) {
	t.Helper()
	for _, key := range slices.Sorted(maps.Keys(got)) {
		if v, ok := want[key]; !ok || v != got[key] {
			t.Errorf("%s: with %s\n%s\nwith %s\n%s", key, name, got[key], otherName, v)
		}
	}
	for key, v := range want {
		if _, ok := got[key]; !ok {
			t.Errorf("%s: only with %s\n%s", key, otherName, v)
		}
	}
}

// TestConformanceFaults compares what go makes of a fault of the engine's with
// what it makes of nginx that is told to do the same.
func TestConformanceFaults(t *testing.T) {
	text := `default_type "text/plain; charset=UTF-8"; `
	page := `default_type "text/html; charset=UTF-8"; `
	tests := []struct {
		name, pattern, effect string
		nginx                 string // the directives of a location
		requests              bool   // the same requests are seen, with the same statuses
	}{
		{"404", "/example.com/dep/", "404", text + `return 404 "not found\n";`, true},
		{"410", "/example.com/dep/", "410", text + `return 410 "gone\n";`, true},
		{"403", "/example.com/dep/", "403", text + `return 403 "forbidden\n";`, true},
		{"429", "/example.com/dep/", "429", text + `return 429 "too many requests\n";`, true},
		{"500", "/example.com/dep/", "500", text + `return 500 "internal server error\n";`, true},
		{"503 of a zip", `\.zip$`, "503", text + `return 503 "service unavailable\n";`, true},
		{"404 of a list", `/@v/list$`, "404", text + `return 404 "not found\n";`, true},
		{"sign in", `\.info$`, "html", page + `return 200 "<!DOCTYPE html>\n<title>Sign in</title>\n<p>This is not a module.\n";`, true},
		{"broken zip", `\.zip$`, "corrupt", `alias $CORRUPT;`, true},
		{"redirect", "/example.com/dep/", "redirect=$B", `return 302 $B$request_uri;`, true},
		// nginx ends the connection without an answer; the engine resets it.
		{"no answer", `\.mod$`, "reset", `return 444;`, false},
	}
	proxies, tree := conformance(t)
	dep := module.Version{Path: "example.com/dep", Version: "v1.0.0"}
	broken, err := proxies["A"].zip(dep)
	if err != nil {
		t.Fatal(err)
	}
	a := answer{}
	a.body.Write(broken)
	a.damage("corrupt", "zip")
	corrupt := filepath.Join(t.TempDir(), "corrupt")
	if err := os.WriteFile(corrupt, a.body.Bytes(), 0o666); err != nil {
		t.Fatal(err)
	}
	both := map[string]*depot{"A": proxies["A"], "B": proxies["A"]}
	for _, version := range []string{"1.18", "1.27"} {
		t.Run(version, func(t *testing.T) {
			program := gotest.Toolchain(t, version)
			for _, tt := range tests {
				for _, separator := range []string{",", "|"} {
					t.Run(tt.name+" "+separator, func(t *testing.T) {
						urls, asked := engine(t, both, func(w *world, urls map[string]string) {
							f := &fault{times: -1, pattern: regexp.MustCompile(tt.pattern), header: http.Header{}}
							if err := f.parseEffect(strings.ReplaceAll(tt.effect, "$B", urls["B"])); err != nil {
								t.Fatal(err)
							}
							w.addFault(w.servers["A"], f)
						})
						location := strings.NewReplacer("$CORRUPT", corrupt, "$B", urls["B"]).Replace(tt.nginx)
						other, otherAsked := faultyNginx(t, tree, "\t\tlocation ~ "+tt.pattern+" { "+location+" }\n")
						run := func(a string) map[string]string {
							return outcome(t, program, a+separator+urls["B"], a, []string{"get", dep.String()})
						}
						got, want := run(urls["A"]), run(other)
						got["requests"], want["requests"] = sorted(asked()), sorted(otherAsked())
						if !tt.requests {
							delete(got, "requests")
							delete(want, "requests")
						} else if got["requests"] == "" {
							t.Error("A was not asked")
						}
						compareOutcomes(t, "engine", got, "nginx", want)
					})
				}
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
