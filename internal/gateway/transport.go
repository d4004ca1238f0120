package gateway

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"example.com/gox/internal/envvar"

	"golang.org/x/net/http/httpproxy"
)

// A transport reaches the upstreams as go would in an environment, but for what
// the policy says: by go's own limits of time (net/http.DefaultTransport, which
// cmd/go uses), by HTTPS_PROXY and its kin, trusting whom SSL_CERT_FILE and
// SSL_CERT_DIR name. It is made when it is first used: to read all certificate
// authorities takes longer than many a go command.
type transport struct {
	environ []string
	policy  Policy
	cafile  []byte

	once sync.Once
	real *http.Transport
}

// newTransport returns an error where the policy cannot be followed.
func newTransport(environ []string, p Policy) (*transport, error) {
	t := &transport{environ: environ, policy: p}
	if p.CAFile != "" {
		var err error
		if t.cafile, err = os.ReadFile(p.CAFile); err != nil {
			return nil, fmt.Errorf("cafile %s: %w", p.CAFile, cause(err))
		}
		if !x509.NewCertPool().AppendCertsFromPEM(t.cafile) {
			return nil, fmt.Errorf("cafile %s: holds no certificate in PEM form\n\topenssl x509 -in %[1]s -noout -subject", p.CAFile)
		}
	}
	if _, err := newResolver(p, nil); err != nil {
		return nil, err
	}
	return t, nil
}

func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	t.once.Do(t.make)
	return t.real.RoundTrip(r)
}

// CloseIdleConnections is what http.Client, too, looks for.
func (t *transport) CloseIdleConnections() {
	t.once.Do(func() { t.real = &http.Transport{} })
	t.real.CloseIdleConnections()
}

func (t *transport) make() {
	p, roots := t.policy, roots(t.environ, t.cafile)
	dialer := &net.Dialer{Timeout: 30 * time.Second, KeepAlive: 30 * time.Second}
	t.real = &http.Transport{
		Proxy:                 proxy(t.environ),
		ForceAttemptHTTP2:     !strings.Contains(envvar.Get(t.environ, "GODEBUG"), "http2client=0"),
		MaxIdleConns:          100,
		MaxIdleConnsPerHost:   32, // go's requests come over many connections
		IdleConnTimeout:       90 * time.Second,
		TLSHandshakeTimeout:   10 * time.Second,
		ExpectContinueTimeout: time.Second,
		DisableCompression:    true, // go asks for what it wants
		TLSClientConfig:       &tls.Config{RootCAs: roots},
		ResponseHeaderTimeout: p.FirstByte,
		// What a slow go has not read yet waits in memory, for each request.
		HTTP2: &http.HTTP2Config{MaxReceiveBufferPerStream: 1 << 20},
	}
	if p.Connect > 0 {
		dialer.Timeout = p.Connect
	}
	if p.TLS > 0 {
		t.real.TLSHandshakeTimeout = p.TLS
	}
	dialer.Resolver, _ = newResolver(p, roots) // newTransport has seen that it can be made
	t.real.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		return dialer.DialContext(ctx, network, p.place(address))
	}
}

// proxy returns the rule of environ for HTTP proxies, as
// net/http.ProxyFromEnvironment has it for the process.
func proxy(environ []string) func(*http.Request) (*url.URL, error) {
	any := func(name string) string {
		if value := envvar.Get(environ, name); value != "" {
			return value
		}
		return envvar.Get(environ, strings.ToLower(name))
	}
	c := httpproxy.Config{HTTPProxy: any("HTTP_PROXY"), HTTPSProxy: any("HTTPS_PROXY"), NoProxy: any("NO_PROXY"), CGI: envvar.Get(environ, "REQUEST_METHOD") != ""}
	rule := c.ProxyFunc()
	return func(r *http.Request) (*url.URL, error) { return rule(r.URL) }
}

// roots returns the certificate authorities that go would trust in environ, and
// those of cafile besides. nil means those of the system.
func roots(environ []string, cafile []byte) *x509.CertPool {
	var pool *x509.CertPool
	if certificatesFromFiles() {
		pool = x509.NewCertPool()
		// As crypto/x509 does for the process: the first file that can be
		// read, and all directories.
		files := []string{
			"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem",
			"/etc/pki/tls/cacert.pem", "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", "/etc/ssl/cert.pem",
		}
		if file := envvar.Get(environ, "SSL_CERT_FILE"); file != "" {
			files = []string{file}
		}
		for _, file := range files {
			if data, err := os.ReadFile(file); err == nil {
				pool.AppendCertsFromPEM(data)
				break
			}
		}
		dirs := []string{"/etc/ssl/certs", "/etc/pki/tls/certs"}
		if list := envvar.Get(environ, "SSL_CERT_DIR"); list != "" {
			dirs = strings.Split(list, ":")
		}
		for _, dir := range dirs {
			addDir(pool, dir)
		}
	}
	if cafile == nil {
		return pool
	}
	if pool == nil {
		var err error
		if pool, err = x509.SystemCertPool(); err != nil {
			pool = x509.NewCertPool()
		}
	}
	pool.AppendCertsFromPEM(cafile)
	return pool
}

// certificatesFromFiles reports whether on this system Go takes certificate
// authorities from files, and SSL_CERT_FILE counts.
func certificatesFromFiles() bool {
	return slices.Contains([]string{"linux", "freebsd", "netbsd", "openbsd", "dragonfly", "solaris", "illumos", "aix"}, runtime.GOOS)
}

// addDir adds the certificates of a directory. Links within it are second names,
// of what is read anyway.
func addDir(pool *x509.CertPool, dir string) {
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		if e.Type()&os.ModeSymlink != 0 {
			if target, err := os.Readlink(path); err == nil && !strings.Contains(target, "/") {
				continue
			}
		}
		if data, err := os.ReadFile(path); err == nil {
			pool.AppendCertsFromPEM(data)
		}
	}
}
