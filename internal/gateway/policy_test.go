package gateway

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestRetry(t *testing.T) {
	s := newSite(t, false)
	for _, test := range []struct {
		name  string
		fails int
		fault string
		retry int
		want  int // status
		tries int
	}{
		{"as often as it takes", 2, "503", 3, 200, 2},
		{"not more often than asked for", 9, "500", 1, 500, 1},
		{"504", 1, "504", 1, 200, 1},
		{"a connection that is closed", 1, "closed", 1, 200, 1},
		{"not after a 404", 1, "404", 3, 404, 0},
		{"not after a 429", 1, "429", 3, 429, 0},
		{"not after a 599", 1, "599", 3, 599, 0},
		{"not unless asked for", 1, "503", 0, 503, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			var n atomic.Int32
			fault := faults()[test.fault]
			s.fail(func(w http.ResponseWriter, r *http.Request) bool {
				return int(n.Add(1)) <= test.fails && fault(w, r)
			})
			// Without connections that are kept, of which net/http itself would
			// make the request again.
			g, records := start(t, Config{GOPROXY: s.URL, Policy: Policy{Retry: test.retry}})
			g.transport.once.Do(g.transport.make)
			g.transport.real.DisableKeepAlives = true
			res, _ := get(t, g, "/example.com/dep/@v/list")
			g.Close()
			all := records()
			if res.StatusCode != test.want || len(all) != 1 || len(all[0].Tries) != test.tries {
				t.Errorf("status %d, records %s", res.StatusCode, show(all))
			}
			for _, try := range all[0].Tries {
				if try.Why != RetryProfile || try.Millis < 100 || try.Status == 0 && try.Error == "" {
					t.Errorf("%+v", try)
				}
			}
		})
	}
}

// The rest of a body that breaks off is asked for where the upstream can prove
// that it is of the same; where it cannot, go is not given what may be of another.
func TestResume(t *testing.T) {
	content := bytes.Repeat([]byte("0123456789"), 5000)
	for _, test := range []struct {
		name   string
		retry  int
		breaks int
		serve  func(w http.ResponseWriter, r *http.Request, rest []byte, at int)
		whole  bool
		tries  int
	}{
		{"ranges", 3, 2, nil, true, 2},
		{"not often enough", 1, 2, nil, false, 1},
		{"not asked for", 0, 1, nil, false, 0},
		{"another one by now", 3, 1, func(w http.ResponseWriter, r *http.Request, rest []byte, at int) { w.Write(content) }, false, 1},
		{"another part", 3, 1, func(w http.ResponseWriter, r *http.Request, rest []byte, at int) {
			w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", at+1, len(content)-1, len(content)))
			w.WriteHeader(http.StatusPartialContent)
			w.Write(rest[1:])
		}, false, 1},
		{"gone", 3, 1, func(w http.ResponseWriter, r *http.Request, rest []byte, at int) { w.WriteHeader(404) }, false, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			n := 0
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				n++
				at := 0
				w.Header().Set("ETag", `"one"`)
				if _, err := fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-", &at); err == nil {
					if r.Header.Get("If-Range") != `"one"` {
						t.Error("If-Range", r.Header)
					}
					if test.serve != nil {
						test.serve(w, r, content[at:], at)
						return
					}
					w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", at, len(content)-1, len(content)))
				}
				w.Header().Set("Content-Length", fmt.Sprint(len(content)-at))
				if at > 0 {
					w.WriteHeader(http.StatusPartialContent)
				}
				if n <= test.breaks {
					w.Write(content[at : at+10000])
					http.NewResponseController(w).Flush()
					panic(http.ErrAbortHandler)
				}
				w.Write(content[at:])
			}))
			server.Config.ErrorLog = discard()
			defer server.Close()
			g, records := start(t, Config{GOPROXY: server.URL, Policy: Policy{Retry: test.retry}})
			res, err := http.Get(g.GOPROXY() + "/example.com/dep/@v/v1.0.0.zip")
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(res.Body)
			res.Body.Close()
			g.Close()
			if (err == nil) != test.whole || test.whole && !bytes.Equal(body, content) || !bytes.HasPrefix(content, body) {
				t.Errorf("%d bytes, %v", len(body), err)
			}
			r := records()[0]
			if r.Found() != test.whole || (r.SHA256 != "") != test.whole || len(r.Tries) != test.tries {
				t.Errorf("%s", show(r))
			}
		})
	}
}

func TestBreaker(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	var warned []string
	g, records := start(t, Config{GOPROXY: "http://" + address, Policy: Policy{Breaker: 2}, Warn: func(s string) { warned = append(warned, s) }})
	for range 4 {
		if res, _ := get(t, g, "/example.com/dep/@v/list"); res.StatusCode != 502 {
			t.Errorf("status %d", res.StatusCode)
		}
	}
	// When the pause is over one request is let through, and closes it.
	up := g.upstreams[0]
	up.breaker.mu.Lock()
	up.breaker.until = time.Now().Add(-time.Second)
	up.breaker.mu.Unlock()
	if l, err = net.Listen("tcp", address); err != nil {
		t.Skip("the port is taken: ", err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "fine") })}
	go server.Serve(l)
	defer server.Close()
	if res, body := get(t, g, "/example.com/dep/@v/list"); res.StatusCode != 200 || body != "fine" {
		t.Errorf("after the pause: %d %s", res.StatusCode, body)
	}
	g.Close()
	all := records()
	for i, want := range []string{"refused", "refused", "gox did not ask", "gox did not ask", ""} {
		if !strings.Contains(all[i].Error, want) || want == "" && all[i].Error != "" {
			t.Errorf("request %d: %s, want %s", i, all[i].Error, want)
		}
	}
	if len(warned) != 1 || !strings.Contains(warned[0], "2 in a row") {
		t.Errorf("warned %q", warned)
	}
}

func TestTimeouts(t *testing.T) {
	s := newSite(t, false)
	wait := func(w http.ResponseWriter, r *http.Request) bool {
		select {
		case <-r.Context().Done():
		case <-time.After(20 * time.Second):
		}
		panic(http.ErrAbortHandler)
	}
	s.fail(wait)
	g, records := start(t, Config{GOPROXY: s.URL, Policy: Policy{FirstByte: 50 * time.Millisecond}})
	if res, body := get(t, g, "/example.com/dep/@v/list"); res.StatusCode != 502 || !strings.Contains(body, "timeout awaiting response headers") {
		t.Errorf("first byte: %d %s", res.StatusCode, body)
	}
	g.Close()
	if r := records()[0]; r.Source != FromGateway || r.Error == "" {
		t.Errorf("%s", show(r))
	}

	s.fail(func(w http.ResponseWriter, r *http.Request) bool {
		w.Header().Set("Content-Length", "100")
		io.WriteString(w, "some of it")
		http.NewResponseController(w).Flush()
		return wait(w, r)
	})
	g, records = start(t, Config{GOPROXY: s.URL, Policy: Policy{Idle: 50 * time.Millisecond}})
	res, err := http.Get(g.GOPROXY() + "/example.com/dep/@v/list")
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(res.Body)
	res.Body.Close()
	if err == nil || string(body) != "some of it" {
		t.Errorf("idle: %q, %v", body, err)
	}
	g.Close()
	if r := records()[0]; r.Status != 200 || r.Bytes != 10 || r.Error != errIdle.Error() || r.SHA256 != "" || r.Found() {
		t.Errorf("%s", show(r))
	}

	// Nobody speaks TLS there.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	g, _ = start(t, Config{GOPROXY: "https://" + l.Addr().String(), Policy: Policy{TLS: 50 * time.Millisecond}})
	if res, body := get(t, g, "/example.com/dep/@v/list"); res.StatusCode != 502 || !strings.Contains(body, "TLS handshake timeout") {
		t.Errorf("TLS: %d %s", res.StatusCode, body)
	}
}

// Names are looked up where the profile says, over TLS and over HTTPS, and the
// table of hosts goes before; certificates are those of cafile. The names end in
// example.com, for which httptest's certificate is.
func TestNames(t *testing.T) {
	s := newSite(t, true)
	_, port, _ := net.SplitHostPort(strings.TrimPrefix(s.URL, "https://"))
	cafile := s.certificate(t)
	empty := t.TempDir()
	env := []string{"SSL_CERT_FILE=" + filepath.Join(empty, "none"), "SSL_CERT_DIR=" + empty}
	// One answer for every question: 127.0.0.1.
	var asked atomic.Int32
	answer := func(question []byte) []byte {
		asked.Add(1)
		reply := bytes.Clone(question)
		reply[2] |= 0x80                          // an answer
		binary.BigEndian.PutUint16(reply[10:], 0) // no additional records
		end := 12
		for reply[end] != 0 {
			end += int(reply[end]) + 1
		}
		end += 5
		reply = reply[:end]
		if binary.BigEndian.Uint16(reply[end-4:]) == 1 { // A
			binary.BigEndian.PutUint16(reply[6:], 1)
			reply = append(reply, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 1)
		}
		return reply
	}
	doh := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		question, _ := io.ReadAll(r.Body)
		if r.Header.Get("Content-Type") != "application/dns-message" {
			t.Error("content type", r.Header)
		}
		w.Header().Set("Content-Type", "application/dns-message")
		w.Write(answer(question))
	}))
	doh.EnableHTTP2 = true
	doh.StartTLS()
	defer doh.Close()
	dot, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: doh.TLS.Certificates})
	if err != nil {
		t.Fatal(err)
	}
	defer dot.Close()
	go func() {
		for {
			conn, err := dot.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				for {
					var n uint16
					if binary.Read(conn, binary.BigEndian, &n) != nil {
						return
					}
					question := make([]byte, n)
					if _, err := io.ReadFull(conn, question); err != nil {
						return
					}
					reply := answer(question)
					conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(reply))), reply...))
				}
			}()
		}
	}()

	for _, test := range []struct {
		name   string
		policy Policy
		want   int
		asked  bool
	}{
		{"hosts", Policy{CAFile: cafile, Hosts: map[string]string{"proxy.example.com": "127.0.0.1"}}, 200, false},
		{"hosts with a port", Policy{CAFile: cafile, Hosts: map[string]string{"proxy.example.com": "127.0.0.1:" + port}}, 200, false},
		{"hosts, but no certificate", Policy{Hosts: map[string]string{"proxy.example.com": "127.0.0.1"}}, 502, false},
		{"DNS over HTTPS", Policy{CAFile: cafile, Resolver: doh.URL + "/dns-query"}, 200, true},
		{"DNS over TLS", Policy{CAFile: cafile, Resolver: "tls://" + dot.Addr().String()}, 200, true},
		{"DNS over TLS, by a name of hosts", Policy{CAFile: cafile, Resolver: strings.Replace("tls://"+dot.Addr().String(), "127.0.0.1", "dns.example.com", 1), Hosts: map[string]string{"dns.example.com": "127.0.0.1"}}, 200, true},
		{"DNS over HTTPS, but no certificate", Policy{Resolver: doh.URL}, 502, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			asked.Store(0)
			g, records := start(t, Config{GOPROXY: "https://proxy.example.com:" + port, Environ: env, Policy: test.policy})
			res, body := get(t, g, "/example.com/dep/@v/list")
			if res.StatusCode != test.want || (asked.Load() > 0) != test.asked {
				t.Errorf("status %d, %d questions: %s", res.StatusCode, asked.Load(), body)
			}
			g.Close()
			if r := records()[0]; test.asked && r.Phases.DNS <= 0 {
				t.Errorf("no time for names: %s", show(r))
			}
		})
	}
}

func TestStartFaults(t *testing.T) {
	noCert := filepath.Join(t.TempDir(), "x.pem")
	if err := os.WriteFile(noCert, pem.EncodeToMemory(&pem.Block{Type: "KEY"}), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		policy Policy
		want   string
	}{
		{Policy{CAFile: "/nowhere.pem"}, "no such file"},
		{Policy{CAFile: noCert}, "holds no certificate"},
		{Policy{Resolver: "udp://192.0.2.53"}, "neither https:// nor tls://"},
	} {
		g, err := Start(context.Background(), Config{GOPROXY: "off", Policy: test.policy})
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%+v: %v", test.policy, err)
		}
		if g != nil {
			g.Close()
		}
	}
}

// Proxies of the environment are used as go uses them.
func TestHTTPProxy(t *testing.T) {
	s := newSite(t, true)
	var connects []string
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, password, _ := strings.Cut(r.Header.Get("Proxy-Authorization"), " ")
		connects = append(connects, fmt.Sprint(r.Method, " ", r.Host, " ", name, password != ""))
		if r.Method != http.MethodConnect {
			s.serve(w, r)
			return
		}
		up, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "https://"))
		if err != nil {
			t.Error(err)
			return
		}
		down, _, _ := http.NewResponseController(w).Hijack()
		io.WriteString(down, "HTTP/1.1 200 OK\r\n\r\n")
		go func() { io.Copy(up, down); up.Close() }()
		io.Copy(down, up)
		down.Close()
	}))
	defer proxy.Close()
	address := strings.Replace(proxy.URL, "http://", "http://me:pw@", 1)
	for _, test := range []struct {
		name, goproxy string
		env           []string
		status        int
		want          string
	}{
		{"https", "https://proxy.example.com", []string{"HTTPS_PROXY=" + address}, 200, "CONNECT proxy.example.com:443 Basictrue"},
		{"https, small letters", "https://proxy.example.com", []string{"https_proxy=" + address}, 200, "CONNECT proxy.example.com:443 Basictrue"},
		{"http", "http://proxy.example.com", []string{"HTTP_PROXY=" + address}, 200, "GET proxy.example.com Basictrue"},
		{"excepted", "http://127.0.0.1:1", []string{"HTTP_PROXY=" + address}, 502, ""},
		{"NO_PROXY", "http://nowhere.invalid", []string{"HTTP_PROXY=" + address, "NO_PROXY=.invalid"}, 502, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			connects = nil
			g, records := start(t, Config{GOPROXY: test.goproxy, Environ: append(test.env, "SSL_CERT_FILE="+s.certificate(t))})
			res, body := get(t, g, "/example.com/dep/@v/list")
			if res.StatusCode != test.status || strings.Join(connects, ", ") != test.want {
				t.Errorf("status %d, the proxy was asked %q: %s", res.StatusCode, connects, body)
			}
			g.Close()
			if text := show(records()) + body; strings.Contains(text, "pw") {
				t.Errorf("a password in %s", text)
			}
		})
	}
}
