package gateway

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// get asks the gateway's first entry for a path.
func get(t testing.TB, g *Gateway, path string) (*http.Response, string) {
	t.Helper()
	entry, _, _ := strings.Cut(g.GOPROXY(), ",")
	res, err := http.Get(entry + path)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(body)
}

func TestWithoutToken(t *testing.T) {
	s := newSite(t, false)
	g, records := start(t, Config{GOPROXY: s.URL})
	const path = "/0-127.0.0.1/example.com/dep/@v/list"
	do := func(target string, f func(*http.Request)) int {
		req, err := http.NewRequest("GET", target, nil)
		if err != nil {
			t.Fatal(err)
		}
		if f != nil {
			f(req)
		}
		res, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		return res.StatusCode
	}
	base := "http://" + g.address
	right := base + "/" + g.token
	if code := do(right+path, nil); code != 200 {
		t.Fatalf("control: %d with the token", code)
	}
	s.fail(nil)
	for name, code := range map[string]int{
		"no token":            do(base+path, nil),
		"another token":       do(base+"/"+strings.Repeat("A", len(g.token))+path, nil),
		"part of it":          do(base+"/"+g.token[:10]+path, nil),
		"no entry":            do(right, nil),
		"another entry":       do(right+"/1-127.0.0.1/example.com/dep/@v/list", nil),
		"another host":        do(right+path, func(r *http.Request) { r.Host = "rebound.example" }),
		"out of the upstream": do(right+"/0-127.0.0.1/../example.com/dep/@v/list", nil),
		"out of it, escaped":  do(right+"/0-127.0.0.1/%2e%2e/example.com/dep/@v/list", nil),
		"a post":              do(right+path, func(r *http.Request) { r.Method = "POST" }),
		"a put":               do(right+path, func(r *http.Request) { r.Method = "PUT" }),
	} {
		if code != 403 && code != 405 {
			t.Errorf("%s: %d", name, code)
		}
	}
	// As an HTTP proxy, for the upstream and for others.
	proxied := &http.Transport{Proxy: http.ProxyURL(&url.URL{Scheme: "http", Host: g.address})}
	for _, target := range []string{"http://other.example/", right + path} {
		req, _ := http.NewRequest("GET", strings.Replace(target, g.address, "other.example", 1), nil)
		res, err := proxied.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		if res.Body.Close(); res.StatusCode != 403 {
			t.Errorf("as a proxy for %s: %d", target, res.StatusCode)
		}
	}
	req, _ := http.NewRequest("GET", "https://other.example/", nil)
	if _, err := proxied.RoundTrip(req); err == nil {
		t.Error("CONNECT is served")
	}
	if asked := s.requests(); asked != nil {
		t.Errorf("the upstream was asked: %q", asked)
	}
	if n := len(records()); n != 1 {
		t.Errorf("%d records, want that of the control", n)
	}
}

func TestRecords(t *testing.T) {
	s := newSite(t, true)
	moved := newSite(t, false)
	moved.files["/sumdb/sum.test/lookup/example.com/dep@v1.0.0"] = []byte("1\n")
	env := []string{"SSL_CERT_FILE=" + s.certificate(t)}
	g, records := start(t, Config{GOPROXY: s.URL + "," + moved.URL, Environ: env, Profile: "office"})
	get(t, g, "/example.com/dep/@v/v1.0.0.zip")
	get(t, g, "/example.com/dep/@v/v9.9.9.info")
	s.fail(faults()["redirect"])
	get(t, g, "/example.com/dep/@v/v1.0.0.mod")
	s.Close()
	get(t, g, "/example.com/dep/@latest")
	res, err := http.Get(strings.Split(g.GOPROXY(), ",")[1] + "/sumdb/sum.test/lookup/example.com/dep@v1.0.0")
	if err != nil {
		t.Fatal(err)
	}
	io.Copy(io.Discard, res.Body)
	res.Body.Close()
	g.Close()

	all := records()
	// A record is made when its answer is out, and so may come after the next one's.
	slices.SortFunc(all, func(a, b Record) int { return a.Time.Compare(b.Time) })
	if len(all) != 5 {
		t.Fatalf("records: %s", show(all))
	}
	zip, missing, redirected, dead, sum := all[0], all[1], all[2], all[3], all[4]
	for _, r := range all {
		if r.Run != g.Run() || r.Profile != "office" || r.Time.IsZero() || r.Phases.Total <= 0 || r.Upstream == "" {
			t.Errorf("not whole: %s", show(r))
		}
	}
	if !zip.Found() || zip.Missing() || zip.Module != "example.com/dep" || zip.Version != "v1.0.0" || zip.File != Zip || len(zip.SHA256) != 64 ||
		zip.Bytes != int64(len(s.files["/example.com/dep/@v/v1.0.0.zip"])) || zip.Protocol != "HTTP/2.0" || !strings.Contains(zip.TLSIssuer, "Acme") ||
		zip.Phases.TLS <= 0 || zip.Phases.Connect <= 0 || zip.Phases.FirstByte <= 0 || zip.Remote == "" {
		t.Errorf("zip: %s", show(zip))
	}
	if missing.Found() || !missing.Missing() || missing.Status != 404 || missing.Source != FromUpstream || missing.Phases.TLS != 0 {
		t.Errorf("not found, over the same connection: %s", show(missing))
	}
	// The newest go asks twice after a 4xx.
	if len(missing.Tries) != 1 || missing.Tries[0].Why != RetryGOAUTH || missing.Tries[0].Status != 404 {
		t.Errorf("not found: %s", show(missing.Tries))
	}
	if len(redirected.Redirects) != 1 || redirected.Redirects[0].Status != 302 || !strings.Contains(redirected.Redirects[0].URL, "/moved/") {
		t.Errorf("redirected: %s", show(redirected))
	}
	if dead.Source != FromGateway || dead.Status != 502 || !strings.Contains(dead.Error, "refused") {
		t.Errorf("dead: %s", show(dead))
	}
	if sum.File != SumDB || sum.SumDB != "sum.test" || sum.Module != "example.com/dep" || sum.Index != 1 || sum.SHA256 != "" {
		t.Errorf("checksum database: %s", show(sum))
	}
}

// Which credentials go to an upstream, by go's version. The claims
// goproxy/credentials and http/credentials show that go does so.
func TestCredentials(t *testing.T) {
	s := newSite(t, true)
	host := strings.TrimPrefix(s.URL, "https://")
	name, _, _ := net.SplitHostPort(host)
	script := filepath.Join(t.TempDir(), "auth")
	if err := os.WriteFile(script, fmt.Appendf(nil, "#!/bin/sh\n[ $# = 0 ] && exit\ngrep -q 401 && printf '%%s\\n\\nAuthorization: Basic Y21kOnB3\\n\\n' https://%s\n", host), 0o700); err != nil {
		t.Fatal(err)
	}
	plain := "machine " + name + " login netrc password n\nmachine " + name + " login second password n\n"
	port := "machine " + host + " login port password p\n"
	deep := "machine " + host + "/example.com login deep password d\n"
	tests := []struct {
		name, version, userinfo, netrc, goauth string
		want                                   string // of the last request
	}{
		{"nothing", "go1.18", "", "", "", ""},
		{"userinfo", "go1.18", "u:p@", "", "", " u:p"},
		{"userinfo", "", "u:p@", "", "", " u:p"},
		{"netrc by name", "go1.18", "", plain, "", " netrc:n"},
		{"netrc over userinfo", "go1.19", "u:p@", plain, "", " netrc:n"},
		{"netrc over userinfo", "go1.23", "u:p@", port, "", " port:p"},
		{"userinfo over netrc", "go1.24", "u:p@", port, "", " u:p"},
		{"netrc by name, port in the URL", "go1.24", "", plain, "", ""},
		{"netrc by name and port", "go1.24", "", port, "", " port:p"},
		{"netrc by name and port", "go1.20", "", port, "", " port:p"},
		{"netrc by name, port in the URL", "go1.20", "", plain, "", ""},
		{"netrc by name and port, old", "go1.19", "", port, "", ""},
		{"netrc by path", "go1.25", "", deep, "", " deep:d"},
		{"netrc by path, 1.24", "go1.24", "", deep, "", ""},
		{"off", "go1.27", "", port, "off", ""},
		{"off, but old", "go1.23", "", port, "off", " port:p"},
		{"command", "go1.27", "", "", script, " cmd:pw"},
		{"command that speaks only after a 401, and netrc", "go1.27", "", port, script + "; netrc", " port:p"},
		{"command, quoted", "go1.27", "", "", `"` + script + `"`, " cmd:pw"},
		{"command that is not there", "go1.27", "", port, "/nowhere; netrc", " port:p"},
		{"netrc with a comment and a macro", "go1.18", "", "# a comment\nmacdef x\nmachine " + name + " login no password no\n\nmachine " + name + "\n\tlogin yes\n\tpassword y\n", "", " yes:y"},
	}
	for _, test := range tests {
		t.Run(test.name+" "+test.version, func(t *testing.T) {
			if runtime.GOOS == "windows" && strings.Contains(test.goauth, "/") {
				t.Skip("a shell script")
			}
			home := t.TempDir()
			netrc := filepath.Join(home, ".netrc")
			if err := os.WriteFile(netrc, []byte(test.netrc), 0o600); err != nil {
				t.Fatal(err)
			}
			s.fail(func(w http.ResponseWriter, r *http.Request) bool {
				if _, _, ok := r.BasicAuth(); !ok {
					http.Error(w, "who are you?", http.StatusUnauthorized)
					return true
				}
				return false
			})
			g, records := start(t, Config{
				GOPROXY: "https://" + test.userinfo + host, GOAUTH: test.goauth, GoVersion: test.version, Dir: home,
				Environ: []string{"SSL_CERT_FILE=" + s.certificate(t), "NETRC=" + netrc, "PATH=" + os.Getenv("PATH")},
			})
			get(t, g, "/example.com/dep/@v/list")
			g.Close()
			asked := s.requests()
			if got := asked[len(asked)-1]; got != "GET /example.com/dep/@v/list"+test.want {
				t.Errorf("asked %q, want%s", asked, test.want)
			}
			for _, secret := range []string{"u:p", "netrc:n", "port:p", "deep:d", "Y21k"} {
				if text := show(records()); strings.Contains(text, secret) {
					t.Errorf("a secret in %s", text)
				}
			}
		})
	}
}

// Credentials go to the host that they are for, and not where it redirects to.
func TestCredentialsStay(t *testing.T) {
	s, other := newSite(t, true), newSite(t, true)
	s.fail(func(w http.ResponseWriter, r *http.Request) bool {
		http.Redirect(w, r, strings.Replace(other.URL, "127.0.0.1", "other.test", 1)+r.URL.Path+"?token=hidden", http.StatusFound)
		return true
	})
	other.fail(nil)
	cert := filepath.Join(t.TempDir(), "cert")
	data, err := os.ReadFile(s.certificate(t))
	if err != nil {
		t.Fatal(err)
	}
	os.WriteFile(cert, data, 0o600)
	g, records := start(t, Config{
		GOPROXY: strings.Replace(s.URL, "https://", "https://gopher:secret@", 1), Environ: []string{"SSL_CERT_FILE=" + cert},
		Policy: Policy{Hosts: map[string]string{"other.test": "127.0.0.1"}},
	})
	get(t, g, "/example.com/dep/@v/list")
	g.Close()
	if asked := s.requests(); !slices.Equal(asked, []string{"GET /example.com/dep/@v/list gopher:secret"}) {
		t.Errorf("the first was asked %q", asked)
	}
	for _, r := range other.requests() {
		if strings.Contains(r, "secret") {
			t.Errorf("the other was asked %q", r)
		}
	}
	if text := show(records()); strings.Contains(text, "hidden") || strings.Contains(text, "secret") || !strings.Contains(text, "other.test") {
		t.Errorf("records: %s", text)
	}
}

// A body larger than all memory that the gateway may use goes through it, and
// go is given its first piece before the last one is there.
func TestStreams(t *testing.T) {
	const pieces, piece = 64, 4 << 20
	first := make(chan bool)
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		block := make([]byte, piece)
		w.Write(block[:1000])
		http.NewResponseController(w).Flush()
		<-first
		for range pieces {
			w.Write(block)
		}
	}))
	defer upstream.Close()
	g, _ := start(t, Config{GOPROXY: upstream.URL})
	res, err := http.Get(g.GOPROXY() + "/example.com/dep/@v/v1.0.0.zip")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if _, err := io.ReadFull(res.Body, make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	close(first)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	n, err := io.Copy(io.Discard, res.Body)
	runtime.ReadMemStats(&after)
	if err != nil || n != pieces*piece {
		t.Errorf("%d bytes, %v", n, err)
	}
	if used := after.TotalAlloc - before.TotalAlloc; used > 32<<20 {
		t.Errorf("%d bytes of memory for a body of %d", used, n)
	}
}

// When go goes away the upstream is let go too, and Close leaves nothing.
func TestGoGoesAway(t *testing.T) {
	s := newSite(t, false)
	asked, gone := make(chan bool), make(chan bool)
	s.fail(func(w http.ResponseWriter, r *http.Request) bool {
		asked <- true
		<-r.Context().Done()
		gone <- true
		return true
	})
	g, records := start(t, Config{GOPROXY: s.URL})
	conn, err := net.Dial("tcp", g.address)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(conn, "GET /%s/0-127.0.0.1/example.com/dep/@v/list HTTP/1.1\r\nHost: %s\r\n\r\n", g.token, g.address)
	<-asked
	conn.Close()
	<-gone
	// And once more, with the gateway going away first.
	go http.Get(g.GOPROXY() + "/example.com/dep/@latest")
	<-asked
	go g.Close()
	<-gone
	g.Close()
	if all := records(); len(all) != 2 || all[0].Error != errGone.Error() || all[0].Status != 0 {
		t.Errorf("records: %s", show(all))
	}
}

// Whatever is sent to the gateway, it goes on serving who has the token.
func FuzzRequest(f *testing.F) {
	s := newSite(f, false)
	g, _ := start(f, Config{GOPROXY: s.URL + ",file:///nowhere"})
	entry := "/" + g.token + "/0-127.0.0.1"
	for _, seed := range []string{
		"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "GET " + entry + "/example.com/dep/@v/list HTTP/1.1\r\nHost: " + g.address + "\r\n\r\n",
		"GET " + entry + "/%2e%2e/%2e%2e/@v/list HTTP/1.1\r\nHost: " + g.address + "\r\nConnection: close\r\n\r\n",
		"GET /" + g.token + "/1-file/../../etc/passwd HTTP/1.0\r\nHost: " + g.address + "\r\n\r\n",
		"CONNECT a.test:443 HTTP/1.1\r\n\r\n", "\x16\x03\x01", "GET http://a.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n",
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "GET " + entry + "/\x00 HTTP/1.1\r\n\r\n", "POST " + entry + "/ HTTP/1.1\r\nHost: " + g.address + "\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		conn, err := net.Dial("tcp", g.address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		// What the seeds were made with stands for what is here now.
		conn.Write(data)
		conn.(*net.TCPConn).CloseWrite()
		conn.SetReadDeadline(time.Now().Add(20 * time.Second))
		io.Copy(io.Discard, bufio.NewReader(conn))
		if res, body := get(t, g, "/example.com/dep/@v/list"); res.StatusCode != 200 || body != "v1.0.0\n" {
			t.Errorf("after it: %d %q", res.StatusCode, body)
		}
	})
}

func FuzzEntries(f *testing.F) {
	for _, seed := range []string{"https://a.test|b.test,direct", "off", " , |", "https://u:p@h/?q", "file:///x", "http://[::1", "%"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, list string) {
		got, all := entries(list, "http://gateway/")
		separators := func(s string) string {
			return strings.Map(func(r rune) rune {
				if r == ',' || r == '|' {
					return r
				}
				return -1
			}, s)
		}
		if separators(got) != separators(list) {
			t.Errorf("%q: separators of %q", list, got)
		}
		for _, up := range all {
			if !strings.Contains(got, up.name) {
				t.Errorf("%q: %s is not in %q", list, up.name, got)
			}
			if up.url.User != nil && strings.Contains(got, up.url.User.String()) && up.url.User.String() != "" && strings.Contains(up.url.User.String(), ":") {
				t.Errorf("%q: a password in %q", list, got)
			}
		}
	})
}

func FuzzParseNetrc(f *testing.F) {
	f.Add("machine a login b password c\nmacdef x\n\n")
	f.Fuzz(func(t *testing.T, data string) {
		for _, l := range parseNetrc(data) {
			if l.machine == "" || l.name == "" || l.password == "" {
				t.Errorf("%q: %+v", data, l)
			}
		}
	})
}

func FuzzParseCredentials(f *testing.F) {
	f.Add("https://a.test\n\nAuthorization: Basic x\n\n")
	f.Fuzz(func(t *testing.T, data string) {
		for u, h := range parseCredentials(data) {
			if u == "" {
				t.Errorf("%q: %v", data, h)
			}
		}
	})
}
