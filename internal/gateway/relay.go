package gateway

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"example.com/gox/internal/redact"
)

// ServeHTTP relays one request of go's.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !g.enter() {
		panic(http.ErrAbortHandler)
	}
	defer g.serving.Done()
	up, below := g.route(r)
	if up == nil {
		http.Error(w, "gox gateway: no", http.StatusForbidden)
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		http.Error(w, "gox gateway: only GET and HEAD", http.StatusMethodNotAllowed)
		return
	}
	x := &exchange{gateway: g, up: up, w: w, r: r, target: up.target(below)}
	x.rec = Record{Time: time.Now(), Run: g.run, Profile: g.config.Profile, Upstream: up.shown, Index: up.index, Source: FromGateway}
	x.rec.ask(below)
	defer func() {
		if fault := recover(); fault != nil {
			x.rec.Error, x.broken = fmt.Sprint("gox is at fault: ", fault), true
			g.warn("%s: %s", x.rec.Path, x.rec.Error)
		}
		x.rec.Error = redact.Text(x.rec.Error)
		x.rec.Phases, x.rec.Remote = x.phases.total(time.Since(x.rec.Time))
		g.record(x.rec)
		if x.broken {
			// What go has is not all: it must not take it for all.
			panic(http.ErrAbortHandler)
		}
	}()
	if up.url.Scheme == "file" {
		x.file()
		return
	}
	ctx, cancel := context.WithCancelCause(r.Context())
	defer cancel(nil)
	x.cancel = cancel
	res, err := x.fetch(httptrace.WithClientTrace(ctx, x.phases.trace()))
	if err != nil {
		x.fail(ctx, err)
		return
	}
	defer res.Body.Close()
	x.relay(ctx, res)
}

// An exchange is one request of go's and what becomes of it.
type exchange struct {
	gateway *Gateway
	up      *upstream
	w       http.ResponseWriter
	r       *http.Request
	target  *url.URL
	rec     Record
	phases  phases
	cancel  context.CancelCauseFunc
	broken  bool // go has been given a part only
}

// fail answers for an upstream that did not. 502 is what go takes as it takes
// a connection that cannot be made: behind "," the end of the walk, behind "|"
// not. The reason is in text, which go prints.
func (x *exchange) fail(ctx context.Context, err error) {
	if x.r.Context().Err() != nil {
		x.rec.Error, x.broken = errGone.Error(), true
		return
	}
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	x.rec.Error = reason(err)
	x.rec.Status = http.StatusBadGateway
	text := redact.Text(x.rec.Error) + "\n"
	x.w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	x.w.Header().Set("Content-Length", strconv.Itoa(len(text)))
	x.w.WriteHeader(http.StatusBadGateway)
	io.WriteString(x.w, text)
}

// reason returns what an error says, in one line.
func reason(err error) string {
	return strings.Join(strings.Fields(strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, err.Error())), " ")
}

// file answers from a directory, with the statuses by which go takes missing
// and unreadable files (cmd/go/internal/web, getFile).
func (x *exchange) file() {
	f, err := os.Open(filePath(x.target))
	x.rec.Source = FromUpstream
	switch {
	case err == nil:
		defer f.Close()
		x.w.Header()["Content-Type"] = nil
		x.rec.Status = http.StatusOK
		if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
			x.w.Header().Set("Content-Length", strconv.FormatInt(info.Size(), 10))
		}
		x.w.WriteHeader(http.StatusOK)
		x.copy(f, nil)
		return
	case errors.Is(err, fs.ErrNotExist):
		x.rec.Status = http.StatusNotFound
	case errors.Is(err, fs.ErrPermission):
		x.rec.Status = http.StatusForbidden
	default:
		x.rec.Status, x.rec.Source = http.StatusBadGateway, FromGateway
		x.rec.Error = reason(cause(err))
	}
	// Without a name: it is in the URL.
	text := reason(cause(err)) + "\n"
	x.rec.Bytes = int64(len(text))
	x.w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	x.w.WriteHeader(x.rec.Status)
	io.WriteString(x.w, text)
}

// ask makes one request to the upstream, following redirects as go does:
// never from https to http, and ten at most (cmd/go/internal/web,
// securityPreservingHTTPClient). header is added to go's own.
func (x *exchange) ask(ctx context.Context, header http.Header) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, x.r.Method, x.target.String(), nil)
	if err != nil {
		return nil, err
	}
	req.Header = x.r.Header.Clone()
	dropHopByHop(req.Header)
	for name, values := range header {
		req.Header[name] = values
	}
	x.rec.Redirects = nil
	client := &http.Client{Transport: x.gateway.transport, CheckRedirect: func(req *http.Request, via []*http.Request) error {
		if via[0].URL.Scheme == "https" && req.URL.Scheme != "https" {
			return fmt.Errorf("redirected from secure URL %s to insecure URL %s", via[len(via)-1].URL, req.URL)
		}
		if len(via) >= 10 {
			return errors.New("stopped after 10 redirects")
		}
		x.rec.Redirects = append(x.rec.Redirects, Redirect{Status: req.Response.StatusCode, URL: shown(req.URL)})
		return nil
	}}
	res, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	return res, nil
}

// shown returns a URL as it may be shown.
func shown(u *url.URL) string { return redact.Text(u.String()) }

// dropHopByHop takes out the headers that are about one connection only (RFC
// 9110, section 7.6.1).
func dropHopByHop(h http.Header) {
	for _, list := range h["Connection"] {
		for _, name := range strings.Split(list, ",") {
			h.Del(strings.TrimSpace(name))
		}
	}
	for _, name := range []string{"Connection", "Keep-Alive", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade"} {
		h.Del(name)
	}
}

// relay hands the answer on, byte for byte.
func (x *exchange) relay(ctx context.Context, res *http.Response) {
	x.rec.Source, x.rec.Status, x.rec.Protocol = FromUpstream, res.StatusCode, res.Proto
	if res.TLS != nil && len(res.TLS.PeerCertificates) > 0 {
		x.rec.TLSIssuer = res.TLS.PeerCertificates[0].Issuer.String()
	}
	header := x.w.Header()
	dropHopByHop(res.Header)
	for name, values := range res.Header {
		header[name] = values
	}
	for _, name := range []string{"Content-Type", "Date"} {
		if _, ok := res.Header[name]; !ok {
			header[name] = nil // lest the server add one
		}
	}
	body := x.body(ctx, res, x.cancel)
	if text := http.StatusText(res.StatusCode); text == "" || res.Status != strconv.Itoa(res.StatusCode)+" "+text {
		x.verbatim(res, body)
		return
	}
	x.w.WriteHeader(res.StatusCode)
	rest := &resumption{exchange: x, first: res}
	defer rest.close()
	x.copy(body, rest.next)
}

// body returns the body of an answer, which ends as the policy says.
func (x *exchange) body(ctx context.Context, res *http.Response, cancel context.CancelCauseFunc) io.Reader {
	var body io.Reader = res.Body
	if idle := x.gateway.config.Policy.Idle; idle > 0 {
		body = newIdleReader(body, idle, cancel)
	}
	return &causeReader{body, ctx}
}

// copy hands a body on as it comes. Where it breaks off, resume may know the
// rest of it; resume may be nil.
func (x *exchange) copy(body io.Reader, resume func(error) io.Reader) {
	buf := x.gateway.buffers.Get().(*[32 << 10]byte)
	defer x.gateway.buffers.Put(buf)
	sum := x.sum()
	flush := http.NewResponseController(x.w).Flush
	for {
		n, err := body.Read(buf[:])
		if n > 0 {
			if _, writeErr := x.w.Write(buf[:n]); writeErr != nil {
				x.rec.Error, x.broken = errGone.Error(), true
				return
			}
			x.rec.Bytes += int64(n)
			if sum != nil {
				sum.Write(buf[:n])
			}
			if n < len(buf) {
				flush()
			}
		}
		switch {
		case err == io.EOF:
			x.whole(sum)
			return
		case err != nil:
			if resume != nil {
				if rest := resume(err); rest != nil {
					body = rest
					continue
				}
			}
			x.tear(err)
			flush() // lest go, having seen nothing of it, ask again by itself
			return
		}
	}
}

// sum returns the hash for bodies worth one: what enters the module cache.
func (x *exchange) sum() hash.Hash {
	if x.rec.Status == http.StatusOK && x.r.Method == http.MethodGet && slices.Contains([]string{Info, Mod, Zip}, x.rec.File) {
		return sha256.New()
	}
	return nil
}

func (x *exchange) whole(sum hash.Hash) {
	if sum != nil {
		x.rec.SHA256 = hex.EncodeToString(sum.Sum(nil))
	}
}

// tear notes that the upstream broke off in the middle, and has go's
// connection end as the upstream's did.
func (x *exchange) tear(err error) {
	x.broken = true
	x.rec.Error = reason(err)
	if x.r.Context().Err() != nil {
		x.rec.Error = errGone.Error()
	}
	if conn, ok := x.r.Context().Value(connKey{}).(*net.TCPConn); ok && errors.Is(err, syscall.ECONNRESET) {
		conn.SetLinger(0)
	}
}

// verbatim hands on an answer whose status line holds other words than Go's
// server would write. go prints them.
func (x *exchange) verbatim(res *http.Response, body io.Reader) {
	conn, _, err := http.NewResponseController(x.w).Hijack()
	if err != nil {
		x.tear(err)
		return
	}
	defer conn.Close()
	sum := x.sum()
	counted := &countingReader{r: body, sum: sum}
	out := &http.Response{
		Status: res.Status, StatusCode: res.StatusCode, ProtoMajor: 1, ProtoMinor: 1,
		Header: res.Header, Body: io.NopCloser(counted), ContentLength: res.ContentLength, Close: true, Request: x.r,
	}
	if out.ContentLength < 0 {
		out.TransferEncoding = []string{"chunked"} // so that its end can be told from its breaking off
	}
	err = out.Write(conn)
	x.rec.Bytes = counted.n
	switch {
	case counted.err != nil:
		x.rec.Error = reason(counted.err)
	case err != nil:
		x.rec.Error = errGone.Error()
	default:
		x.whole(sum)
	}
}

type countingReader struct {
	r   io.Reader
	sum hash.Hash
	n   int64
	err error
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	if c.sum != nil {
		c.sum.Write(p[:n])
	}
	if err != nil && err != io.EOF {
		c.err = err
	}
	return n, err
}

// A causeReader says why a body broke off where the gateway broke it off.
type causeReader struct {
	r   io.Reader
	ctx context.Context
}

func (c *causeReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	if err != nil && err != io.EOF {
		if cause := context.Cause(c.ctx); cause != nil {
			err = cause
		}
	}
	return n, err
}

// phases measures a request, over all its connections and redirects.
type phases struct {
	mu                       sync.Mutex // the transport dials in goroutines of its own
	dns, connect, tls, first time.Duration
	remote                   string
	dnsAt, tlsAt, wroteAt    time.Time
	connectAt                map[string]time.Time
}

// again forgets the phases of a try that does not count.
func (p *phases) again() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.dns, p.connect, p.tls, p.first = 0, 0, 0, 0
}

func (p *phases) trace() *httptrace.ClientTrace {
	p.connectAt = map[string]time.Time{}
	locked := func(f func(now time.Time)) {
		now := time.Now()
		p.mu.Lock()
		defer p.mu.Unlock()
		f(now)
	}
	return &httptrace.ClientTrace{
		DNSStart:     func(httptrace.DNSStartInfo) { locked(func(now time.Time) { p.dnsAt = now }) },
		DNSDone:      func(httptrace.DNSDoneInfo) { locked(func(now time.Time) { p.dns += now.Sub(p.dnsAt) }) },
		ConnectStart: func(_, addr string) { locked(func(now time.Time) { p.connectAt[addr] = now }) },
		ConnectDone: func(_, addr string, err error) {
			locked(func(now time.Time) {
				if err == nil {
					p.connect += now.Sub(p.connectAt[addr])
				}
			})
		},
		TLSHandshakeStart: func() { locked(func(now time.Time) { p.tlsAt = now }) },
		TLSHandshakeDone:  func(tls.ConnectionState, error) { locked(func(now time.Time) { p.tls += now.Sub(p.tlsAt) }) },
		GotConn: func(info httptrace.GotConnInfo) {
			// Over HTTP/2 the answer may be there before WroteRequest is called.
			locked(func(now time.Time) { p.remote, p.wroteAt = info.Conn.RemoteAddr().String(), now })
		},
		WroteRequest:         func(httptrace.WroteRequestInfo) { locked(func(now time.Time) { p.wroteAt = now }) },
		GotFirstResponseByte: func() { locked(func(now time.Time) { p.first += max(now.Sub(p.wroteAt), time.Microsecond) }) },
	}
}

// total returns what was measured, and the address that was talked to last.
func (p *phases) total(d time.Duration) (Phases, string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return Phases{DNS: millis(p.dns), Connect: millis(p.connect), TLS: millis(p.tls), FirstByte: millis(p.first), Total: millis(d)}, p.remote
}

// millis returns d in milliseconds, to the microsecond.
func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// shownError returns what an error says, as it may be shown.
func shownError(err error) string { return redact.Text(reason(err)) }

// drain reads what is left of a small body, so that its connection can be used
// again, and closes it.
func drain(res *http.Response) {
	io.Copy(io.Discard, io.LimitReader(res.Body, 64<<10))
	res.Body.Close()
}
