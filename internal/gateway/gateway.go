package gateway

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"path"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"
)

// A Config says what a gateway stands in front of.
type Config struct {
	// GOPROXY as the go that will run reads it: what is in force, never "".
	GOPROXY string
	// GOAUTH likewise; "" is go's default, netrc.
	GOAUTH string
	// GoVersion is that of the go that will run ("go1.22.12"): go's rules for
	// credentials changed with 1.24. "" is the newest.
	GoVersion string
	// Environ is go's environment, from which come HTTPS_PROXY and its kin,
	// SSL_CERT_FILE, SSL_CERT_DIR, NETRC, HOME and PATH.
	Environ []string
	Dir     string // where go works, absolute
	Policy  Policy

	Profile string // for the records
	// Record is handed each request when it is over, one at a time. May be nil.
	Record func(Record)
	// Warn is handed what the user should be told while go runs, in one line. May be nil.
	Warn func(text string)
}

// A Gateway relays the requests of one run of go to the module proxies of its
// GOPROXY.
type Gateway struct {
	config    Config
	run       string // of the records
	token     string // that each path begins with
	address   string // host:port that it listens at
	goproxy   string
	upstreams []*upstream

	server    *http.Server
	transport *transport
	auth      *authenticator
	cancel    context.CancelFunc
	mu        sync.Mutex
	closed    bool
	serving   sync.WaitGroup // Serve, and the requests
	recording sync.Mutex
	buffers   sync.Pool
}

// An upstream is one entry of GOPROXY that the gateway stands for.
type upstream struct {
	index   int
	name    string // in the gateway's paths: "0-proxy.example"
	shown   string // redacted
	url     *url.URL
	breaker breaker
}

// Start opens a gateway on the loopback interface. It is for the caller to
// give go the GOPROXY of the gateway, and to Close the gateway after go.
func Start(ctx context.Context, c Config) (*Gateway, error) {
	transport, err := newTransport(c.Environ, c.Policy)
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("gateway: no loopback port to listen at: %w", err)
	}
	g := &Gateway{
		config: c, run: rand.Text(), token: rand.Text(), address: l.Addr().String(),
		transport: transport,
	}
	g.buffers.New = func() any { return new([32 << 10]byte) }
	g.auth = newAuthenticator(c, transport)
	g.goproxy, g.upstreams = entries(c.GOPROXY, "http://"+g.address+"/"+g.token+"/")
	for _, up := range g.upstreams {
		up.breaker.limit = c.Policy.Breaker
	}
	ctx, g.cancel = context.WithCancel(ctx)
	g.server = &http.Server{
		Handler:           g,
		ErrorLog:          log.New(io.Discard, "", 0),
		ReadHeaderTimeout: 30 * time.Second,
		IdleTimeout:       10 * time.Minute, // longer than go keeps a connection
		MaxHeaderBytes:    64 << 10,
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, connKey{}, c)
		},
	}
	g.serving.Go(func() { g.server.Serve(l) })
	return g, nil
}

// connKey finds the connection of a request.
type connKey struct{}

// GOPROXY returns the value for go: that of Config, with the gateway's address
// in place of each entry that it stands for.
func (g *Gateway) GOPROXY() string { return g.goproxy }

// Run returns what Record.Run says of this gateway's requests.
func (g *Gateway) Run() string { return g.run }

// Upstreams returns the redacted URLs of the entries that the gateway stands
// for, in order.
func (g *Gateway) Upstreams() []string {
	var all []string
	for _, up := range g.upstreams {
		all = append(all, up.shown)
	}
	return all
}

// Close ends the gateway and the requests that are under way, and returns when
// the last of them is recorded.
func (g *Gateway) Close() error {
	g.mu.Lock()
	g.closed = true
	g.mu.Unlock()
	g.cancel()
	err := g.server.Close()
	g.serving.Wait()
	g.auth.wait()
	g.transport.CloseIdleConnections()
	return err
}

// enter counts a request that begins, as long as the gateway is open.
func (g *Gateway) enter() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.closed {
		g.serving.Add(1)
	}
	return !g.closed
}

// entries takes a GOPROXY list apart as go does (cmd/go/internal/modfetch,
// proxyList, alike from 1.18 to 1.27) and returns it with prefix and a name in
// place of each entry that the gateway can stand for. "off", "direct" and what
// follows them, and what go refuses, stay as they are: what go says of them is
// then what it would have said.
func entries(list, prefix string) (string, []*upstream) {
	var b strings.Builder
	var all []*upstream
	index, ended := 0, false
	for list != "" {
		entry, separator := list, ""
		if i := strings.IndexAny(list, ",|"); i >= 0 {
			entry, separator = list[:i], list[i:i+1]
		}
		list = list[len(entry)+len(separator):]
		if trimmed := strings.TrimSpace(entry); trimmed != "" && !ended {
			if ended = trimmed == "off" || trimmed == "direct"; !ended {
				if up := newUpstream(trimmed, index); up != nil {
					all = append(all, up)
					entry = prefix + up.name
				}
			}
			index++
		}
		b.WriteString(entry + separator)
	}
	return b.String(), all
}

// newUpstream returns nil for an entry that go would refuse, or refuse to ask.
func newUpstream(entry string, index int) *upstream {
	if strings.ContainsAny(entry, ".:/") && !strings.Contains(entry, ":/") && !filepath.IsAbs(entry) && !path.IsAbs(entry) {
		entry = "https://" + entry
	}
	u, err := url.Parse(entry)
	if err != nil {
		return nil
	}
	name := strconv.Itoa(index) + "-" + hostname(u)
	switch u.Scheme {
	case "https":
	case "http":
		if u.User != nil {
			return nil // go does not pass credentials to an insecure URL
		}
	case "file":
		if *u != (url.URL{Scheme: u.Scheme, Path: u.Path, RawPath: u.RawPath}) || !strings.HasPrefix(u.Path, "/") {
			return nil
		}
		name = strconv.Itoa(index) + "-file"
	default:
		return nil
	}
	return &upstream{index: index, name: name, shown: shown(u), url: u}
}

// hostname returns the host of u as it may stand in a path, for people to
// recognise.
func hostname(u *url.URL) string {
	return strings.Map(func(r rune) rune {
		if 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '.' || r == '-' {
			return r
		}
		return '-'
	}, u.Hostname())
}

// route finds whom a request is for, and what it asks for there: a path that
// begins with "/". Who does not know the token learns nothing.
func (g *Gateway) route(r *http.Request) (*upstream, string) {
	if r.URL.IsAbs() || r.URL.Host != "" || r.Host != g.address {
		return nil, "" // somebody takes the gateway for a proxy, or for another site
	}
	token, rest, ok := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	if !ok || subtle.ConstantTimeCompare([]byte(token), []byte(g.token)) == 0 {
		return nil, ""
	}
	name, below, ok := strings.Cut(rest, "/")
	if !ok || path.Clean("/"+below) != "/"+below {
		return nil, "" // go never asks for "..", by which one gets out of the upstream's URL
	}
	for _, up := range g.upstreams {
		if up.name == name {
			return up, "/" + below
		}
	}
	return nil, ""
}

// target returns the URL that go would ask at the upstream for below. The path
// is put together as go does it, to the byte: go writes the "!" before a capital
// letter as %21, and as it is below /sumdb/ (cmd/go/internal/modfetch,
// newProxyRepo and getBody; web.Join).
func (up *upstream) target(below string) *url.URL {
	u := *up.url
	below = strings.TrimPrefix(below, "/")
	if strings.HasPrefix(below, "sumdb/") {
		u.Path = strings.TrimSuffix(u.Path, "/") + "/" + below
		u.RawPath = strings.TrimSuffix(u.RawPath, "/") + "/" + below
		return &u
	}
	escaped := strings.ReplaceAll(url.PathEscape(below), "%2F", "/")
	u.Path = path.Join(strings.TrimSuffix(u.Path, "/")+"/", below)
	u.RawPath = path.Join(strings.TrimSuffix(u.RawPath, "/")+"/", escaped)
	return &u
}

// filePath returns the path of a file:// URL.
func filePath(u *url.URL) string {
	if runtime.GOOS == "windows" {
		return filepath.FromSlash(strings.TrimPrefix(u.Path, "/"))
	}
	return filepath.FromSlash(u.Path)
}

// record hands r on, with what is the same for all.
func (g *Gateway) record(r Record) {
	if g.config.Record == nil {
		return
	}
	g.recording.Lock()
	defer g.recording.Unlock()
	g.config.Record(r)
}

func (g *Gateway) warn(format string, args ...any) {
	if g.config.Warn != nil {
		g.config.Warn(fmt.Sprintf(format, args...))
	}
}

// errGone is why a request ends that go no longer waits for.
var errGone = errors.New("go no longer waited for it")
