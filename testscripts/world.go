package testscripts

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
)

// closedURL leads to a port of the loopback interface that nobody listens at:
// tcpmux, which is reserved for what nobody runs.
const closedURL = "http://127.0.0.1:1"

// The names under which a script can speak of no single server.
const (
	allServers = "all" // every server, and unknown names
	unknown    = "net" // the names that no server answers for
)

// A world is all that go under test can reach in one run of a script: servers
// on loopback addresses, and an HTTP proxy that leads every other name to one
// of them, or nowhere, and that go and git are told to use. What is asked is
// recorded.
type world struct {
	ca    *authority
	proxy string // URL of the HTTP proxy

	done    context.Context // over when the world is closed
	close   context.CancelFunc
	tunnels chan net.Conn // that CONNECT has opened
	hung    chan struct{} // told of a request that hangs, if it is empty

	mu      sync.Mutex
	servers map[string]*server // by name
	hosts   map[string]*server // by host name
	records []*record
	closers []io.Closer
	serving sync.WaitGroup
}

// A server answers for a name, on a loopback port of its own or as a host that
// is reached through the HTTP proxy.
type server struct {
	name    string
	url     string       // "" for a host that only names lead to
	cert    string       // a kind of certificate
	auth    string       // user:password, "" for none
	content http.Handler // nil: nothing at all, 502
	depot   *depot       // what a module proxy serves, nil for others

	faults []*fault // under world.mu; the last that matches counts
}

// A record is one request.
type record struct {
	server string
	method string
	url    string // path and query; with scheme and host where these are not in the server's URL
	host   string
	header http.Header
	status string // number, or what was done instead of an answer
	asked  request
	sum    [sha256.Size]byte // of the body of the answer
}

func (r *record) String() string {
	return r.server + " " + r.method + " " + r.url + " " + r.status
}

// A fault is something that a server does in place of answering properly.
type fault struct {
	pattern *regexp.Regexp // matched against a record's url
	times   int            // how many requests are still struck; negative for all
	effect  string
	arg     string // what follows "=" in the effect
	status  int
	header  http.Header // sent as well
	body    *string     // nil: as it would be without the fault
}

func newWorld(ctx context.Context) (*world, error) {
	ca, err := newAuthority()
	if err != nil {
		return nil, err
	}
	w := &world{ca: ca, tunnels: make(chan net.Conn), hung: make(chan struct{}, 1), servers: map[string]*server{}, hosts: map[string]*server{}}
	w.done, w.close = context.WithCancel(ctx)
	w.servers[unknown] = &server{name: unknown, cert: "good"}
	w.proxy, err = w.listen(http.HandlerFunc(w.forward), nil)
	if err != nil {
		w.close()
		return nil, err
	}
	w.start(tunnelListener{w}, http.HandlerFunc(w.named))
	context.AfterFunc(w.done, w.closeAll)
	return w, nil
}

// shut ends all servers and waits for them.
func (w *world) shut() {
	w.close()
	w.closeAll()
	w.serving.Wait()
}

func (w *world) closeAll() {
	w.mu.Lock()
	closers := w.closers
	w.closers = nil
	w.mu.Unlock()
	for _, c := range closers {
		c.Close()
	}
}

// listen serves h on a loopback port of its own and returns its URL.
func (w *world) listen(h http.Handler, config *tls.Config) (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	scheme := "http://"
	addr := l.Addr().String()
	if config != nil {
		scheme, l = "https://", tls.NewListener(l, config)
	}
	w.start(l, h)
	return scheme + addr, nil
}

func (w *world) start(l net.Listener, h http.Handler) {
	s := &http.Server{
		Handler:     h,
		ErrorLog:    discardLog(),
		BaseContext: func(net.Listener) context.Context { return w.done },
	}
	w.mu.Lock()
	w.closers = append(w.closers, s)
	w.mu.Unlock()
	w.serving.Go(func() { s.Serve(l) })
}

// serverTLS shows a server's certificate. There is no HTTP/2, under which a
// connection cannot be reset.
func (w *world) serverTLS(s *server, host string) *tls.Config {
	return &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		return w.ca.certificate(s.cert, host)
	}}
}

// forward is the HTTP proxy.
func (w *world) forward(rw http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodConnect {
		if !r.URL.IsAbs() {
			http.Error(rw, "this is an HTTP proxy", http.StatusBadRequest)
			return
		}
		w.named(rw, r)
		return
	}
	host := hostname(r.Host)
	s := w.byHost(host)
	conn, _, err := http.NewResponseController(rw).Hijack()
	if err != nil {
		return
	}
	if _, err := io.WriteString(conn, "HTTP/1.1 200 OK\r\n\r\n"); err != nil {
		conn.Close()
		return
	}
	select {
	case w.tunnels <- tls.Server(conn, w.serverTLS(s, host)):
	case <-w.done.Done():
		conn.Close()
	}
}

// named answers for the host that a request names.
func (w *world) named(rw http.ResponseWriter, r *http.Request) {
	s := w.byHost(hostname(r.Host))
	w.serve(s, true, rw, r)
}

func (w *world) byHost(host string) *server {
	w.mu.Lock()
	defer w.mu.Unlock()
	if s := w.hosts[host]; s != nil {
		return s
	}
	return w.servers[unknown]
}

func hostname(hostport string) string {
	if host, _, err := net.SplitHostPort(hostport); err == nil {
		return host
	}
	return hostport
}

// A tunnelListener accepts the connections within CONNECT.
type tunnelListener struct{ w *world }

func (l tunnelListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.w.tunnels:
		return c, nil
	case <-l.w.done.Done():
		return nil, net.ErrClosed
	}
}

func (l tunnelListener) Close() error   { return nil }
func (l tunnelListener) Addr() net.Addr { return &net.TCPAddr{} }

// serve answers one request to s. Nothing is sent before it is recorded, so
// that who has the answer finds the record too.
func (w *world) serve(s *server, byName bool, rw http.ResponseWriter, r *http.Request) {
	// Decoded: go writes the "!" before a capital letter as it likes.
	shown := r.URL.Path
	if r.URL.RawQuery != "" {
		shown += "?" + r.URL.RawQuery
	}
	if byName {
		scheme := "http://"
		if r.TLS != nil {
			scheme = "https://"
		}
		shown = scheme + r.Host + shown
	}
	rec := &record{server: s.name, method: r.Method, url: shown, host: hostname(r.Host), header: r.Header.Clone(), status: "-"}
	hop, hops := 0, regexp.MustCompile(`^/-hop/(\d+)/`).FindStringSubmatch(r.URL.Path)
	if hops != nil {
		hop, _ = strconv.Atoi(hops[1])
		r.URL.Path, r.URL.RawPath = r.URL.Path[len(hops[0])-1:], ""
	}
	rec.asked = parseRequest(r.URL.Path)
	f := w.record(s, rec)
	body, _ := io.ReadAll(r.Body)
	r.Body = io.NopCloser(bytes.NewReader(body))

	a := &answer{header: http.Header{}, status: http.StatusOK}
	if user, password, _ := strings.Cut(s.auth, ":"); s.auth != "" {
		if u, p, ok := r.BasicAuth(); !ok || u != user || p != password {
			a.header.Set("WWW-Authenticate", `Basic realm="`+s.name+`"`)
			http.Error(a, "unauthorized", http.StatusUnauthorized)
			w.send(rec, a, rw, 0)
			return
		}
	}
	if f == nil || hops != nil && f.effect == "redirect" {
		if hop > 0 {
			a.redirect(fmt.Sprintf("/-hop/%d%s", hop-1, r.URL.RequestURI()))
		} else {
			s.answer(a, r)
		}
		w.send(rec, a, rw, 0)
		return
	}
	w.strike(f, s, rec, a, rw, r)
}

// strike answers a request under a fault.
func (w *world) strike(f *fault, s *server, rec *record, a *answer, rw http.ResponseWriter, r *http.Request) {
	var cut int // how many bytes of the body are not sent
	switch f.effect {
	case "hang":
		w.setStatus(rec, "hang")
		select {
		case w.hung <- struct{}{}:
		default:
		}
		select {
		case <-r.Context().Done():
		case <-w.done.Done():
		}
		panic(http.ErrAbortHandler)
	case "reset":
		w.setStatus(rec, "reset")
		if conn, _, err := http.NewResponseController(rw).Hijack(); err == nil {
			reset(conn)
		}
		return
	case "redirect":
		n, ok := number(f.arg)
		switch uri := r.URL.RequestURI(); {
		case ok && n > 0:
			a.redirect(fmt.Sprintf("/-hop/%d%s", n-1, uri))
		case ok:
			s.answer(a, r)
		default:
			a.redirect(strings.TrimSuffix(f.arg, "/") + uri)
		}
	case "slow":
		d, _ := time.ParseDuration(f.arg)
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-r.Context().Done():
		case <-w.done.Done():
		}
		s.answer(a, r)
	case "status":
		a.header.Set("Content-Type", "text/plain; charset=UTF-8")
		a.body.WriteString(strings.ToLower(http.StatusText(f.status)) + "\n")
		a.status = f.status
	case "html":
		a.header.Set("Content-Type", "text/html; charset=UTF-8")
		a.body.WriteString("<!DOCTYPE html>\n<title>Sign in</title>\n<p>This is not a module.\n")
	default:
		s.answer(a, r)
		if a.status == http.StatusOK {
			cut = a.damage(f.effect, rec.asked.kind)
		}
	}
	if f.body != nil {
		a.body.Reset()
		a.body.WriteString(*f.body)
	}
	for k, v := range f.header {
		a.header[k] = v
	}
	w.send(rec, a, rw, cut)
}

// answer fills in what s serves.
func (s *server) answer(a *answer, r *http.Request) {
	if s.content == nil {
		http.Error(a, "no server answers for "+r.Host, http.StatusBadGateway)
		return
	}
	s.content.ServeHTTP(a, r)
}

// record notes down a request and returns the fault that strikes it, if any.
func (w *world) record(s *server, rec *record) *fault {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.records = append(w.records, rec)
	for i := len(s.faults) - 1; i >= 0; i-- {
		f := s.faults[i]
		if f.times == 0 || !f.pattern.MatchString(rec.url) {
			continue
		}
		f.times--
		return f
	}
	return nil
}

func (w *world) setStatus(rec *record, status string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	rec.status = status
}

// send records the answer, then sends it without its last cut bytes.
func (w *world) send(rec *record, a *answer, rw http.ResponseWriter, cut int) {
	body := a.body.Bytes()
	w.mu.Lock()
	rec.status = strconv.Itoa(a.status)
	if cut > 0 {
		rec.status = "truncated"
	}
	rec.sum = sha256.Sum256(body)
	w.mu.Unlock()
	header := rw.Header()
	for k, v := range a.header {
		header[k] = v
	}
	header.Set("Content-Length", strconv.Itoa(len(body)))
	rw.WriteHeader(a.status)
	if rec.method == http.MethodHead {
		return
	}
	rw.Write(body[:len(body)-cut])
	if cut > 0 {
		http.NewResponseController(rw).Flush()
		panic(http.ErrAbortHandler)
	}
}

// reset closes a connection in a way that its other end sees as a reset.
func reset(conn net.Conn) {
	if t, ok := conn.(*tls.Conn); ok {
		conn = t.NetConn()
	}
	if t, ok := conn.(*net.TCPConn); ok {
		t.SetLinger(0)
	}
	conn.Close()
}

// An answer is one that is not sent yet.
type answer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (a *answer) Header() http.Header         { return a.header }
func (a *answer) WriteHeader(status int)      { a.status = status }
func (a *answer) Write(p []byte) (int, error) { return a.body.Write(p) }

func (a *answer) redirect(location string) {
	a.header.Set("Location", location)
	a.status = http.StatusFound
}

// damage changes the body of an answer. It returns how many bytes at its end
// are not to be sent.
func (a *answer) damage(effect, kind string) (cut int) {
	body := bytes.Clone(a.body.Bytes())
	switch effect {
	case "truncate":
		return (len(body) + 1) / 2
	case "corrupt":
		for i := range body {
			body[i] ^= 0x55
		}
	case "alter", "repack":
		name := ""
		if effect == "alter" {
			name = "ALTERED"
		}
		if kind == "zip" {
			if z, err := rezip(body, name); err == nil {
				body = z
			}
		} else if effect == "alter" {
			body = append(body, "\n// altered\n"...)
		}
	}
	a.body.Reset()
	a.body.Write(body)
	return 0
}

// add makes a server known.
func (w *world) add(s *server, host string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.servers[s.name] != nil || s.name == allServers {
		return fmt.Errorf("server %s: there is one already", s.name)
	}
	if host != "" && w.hosts[host] != nil {
		return fmt.Errorf("host %s: %s answers for it already", host, w.hosts[host].name)
	}
	w.servers[s.name] = s
	if host != "" {
		w.hosts[host] = s
	}
	return nil
}

// open makes s known and returns its URL: that of host, or one of its own.
func (w *world) open(s *server, host string) (string, error) {
	if err := w.add(s, host); err != nil {
		return "", err
	}
	url := "https://" + host
	if host == "" {
		h := http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { w.serve(s, false, rw, r) })
		var config *tls.Config
		if s.cert != "" {
			config = w.serverTLS(s, "127.0.0.1")
		}
		var err error
		if url, err = w.listen(h, config); err != nil {
			return "", err
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	s.url = url
	return url, nil
}

// server returns the server of a name. A name of a host that nobody answers
// for is not an error.
func (w *world) server(name string) (*server, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if s := w.servers[name]; s != nil {
		return s, nil
	}
	return nil, fmt.Errorf("no server %s in this script", name)
}

// of returns the records of a server, by its name or its host's. "all" is
// every server; a host need not be known.
func (w *world) of(name string) ([]*record, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if name != allServers && w.servers[name] == nil && !strings.Contains(name, ".") {
		return nil, fmt.Errorf("no server %s in this script", name)
	}
	var records []*record
	for _, r := range w.records {
		if name == allServers || r.server == name || r.host == name {
			c := *r
			records = append(records, &c)
		}
	}
	return records, nil
}

func (w *world) forgetRequests() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.records = nil
}

func (w *world) forgetFaults() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range w.servers {
		s.faults = nil
	}
}

// hangs reports whether some server is not to answer.
func (w *world) hangs() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range w.servers {
		for _, f := range s.faults {
			if f.effect == "hang" && f.times != 0 {
				return true
			}
		}
	}
	return false
}

// addFault makes f the first to count at s.
func (w *world) addFault(s *server, f *fault) {
	w.mu.Lock()
	defer w.mu.Unlock()
	s.faults = append(s.faults, f)
}

// parseEffect fills in what a fault does, as the command fault has it.
func (f *fault) parseEffect(s string) error {
	effect, arg, has := strings.Cut(s, "=")
	f.effect, f.arg = effect, arg
	switch effect {
	case "ok", "hang", "reset", "truncate", "corrupt", "alter", "repack", "html":
		if has {
			return fmt.Errorf("%s takes no argument", effect)
		}
	case "slow":
		if d, err := time.ParseDuration(arg); err != nil || d <= 0 {
			return errors.New("slow=DURATION, as in slow=300ms")
		}
	case "redirect":
		if n, ok := number(arg); ok && n > 0 {
			return nil
		}
		if u, err := url.Parse(arg); err != nil || u.Host == "" {
			return errors.New("redirect=HOPS or redirect=URL")
		}
	default:
		n, ok := number(effect)
		if !ok || has || n < 200 || n > 599 {
			return fmt.Errorf("unknown effect %q", s)
		}
		f.effect, f.status = "status", n
	}
	return nil
}
