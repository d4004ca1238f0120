package gateway

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"
)

// A Policy is what a profile asks of the gateway beyond what go would do. The
// zero Policy asks nothing: no request is made again, no time is limited.
type Policy struct {
	// Retry is how often a request is made again after a connection that failed
	// or a status of 500, 502, 503 or 504, with growing pauses; and how often the
	// rest of a body that broke off is asked for, where the upstream can prove
	// that it is the rest of the same (RFC 9110, section 13.1.5).
	Retry int
	// Breaker is after how many failed connections to an upstream in a row it
	// is not asked for half a minute. 0 asks always.
	Breaker int

	// Limits of time; 0 leaves go's own, which are 30 s to connect, 10 s for
	// the TLS handshake, and none to the answer's first byte and between two
	// pieces of its body (Idle).
	Connect, TLS, FirstByte, Idle time.Duration

	// Hosts are addresses (IP, or IP:PORT) to connect to in place of a host.
	Hosts map[string]string
	// Resolver is where names are looked up: https://HOST/PATH (RFC 8484), or
	// tls://HOST[:PORT] (RFC 7858). "" is the system's.
	Resolver string
	CAFile   string // more certificate authorities to trust, in PEM form
}

// pause is how long an open breaker keeps an upstream from being asked.
const pause = 30 * time.Second

// fetch asks the upstream for what go wants: once, and again only as go would
// itself or as the policy says.
func (x *exchange) fetch(ctx context.Context) (*http.Response, error) {
	policy := &x.gateway.config.Policy
	for retries := 0; ; retries++ {
		began := time.Now()
		if err := x.up.breaker.check(began); err != nil {
			return nil, err
		}
		res, err := x.authenticated(ctx)
		if ctx.Err() == nil {
			if opened := x.up.breaker.note(err); opened {
				x.gateway.warn("%s: connections failed, %d in a row; it is not asked for %v (%s)", x.up.shown, policy.Breaker, pause, reason(err))
			}
		}
		again := err != nil || res.StatusCode == 500 || 502 <= res.StatusCode && res.StatusCode <= 504
		if !again || retries == policy.Retry || ctx.Err() != nil {
			return res, err
		}
		try := Try{Why: RetryProfile}
		wait := backOff(retries)
		if err != nil {
			try.Error = shownError(err)
		} else {
			try.Status = res.StatusCode
			if after, err := strconv.Atoi(res.Header.Get("Retry-After")); err == nil {
				wait = max(wait, min(time.Duration(after)*time.Second, pause))
			}
			drain(res)
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil, ctx.Err()
		}
		try.Millis = millis(time.Since(began))
		x.rec.Tries = append(x.rec.Tries, try)
		x.phases.again()
	}
}

// backOff returns the pause before the next try: a quarter of a second, then
// twice as long each time, up to 8 s, and somewhere between half and all of it.
func backOff(retries int) time.Duration {
	d := min(250*time.Millisecond<<min(retries, 10), 8*time.Second)
	return d/2 + rand.N(d/2)
}

// authenticated asks once with the credentials that go would send, and since
// go1.24 a second time after a 4xx, as go does.
func (x *exchange) authenticated(ctx context.Context) (*http.Response, error) {
	auth := x.gateway.auth
	began := time.Now()
	header, err := auth.header(ctx, x.target, nil)
	if err != nil {
		return nil, err
	}
	res, err := x.ask(ctx, header)
	if err != nil || !auth.twice(x.target, res.StatusCode) {
		return res, err
	}
	drain(res)
	if header, err = auth.header(ctx, x.target, res); err != nil {
		return nil, err
	}
	x.rec.Tries = append(x.rec.Tries, Try{Status: res.StatusCode, Why: RetryGOAUTH, Millis: millis(time.Since(began))})
	x.phases.again()
	return x.ask(ctx, header)
}

// A resumption asks for the rest of a body that breaks off.
type resumption struct {
	*exchange
	first  *http.Response
	times  int
	bodies []io.Closer
}

// next returns the rest of the body, nil where the policy does not ask for it,
// or where nothing proves that it would be the rest of the same.
func (p *resumption) next(err error) io.Reader {
	validator := p.first.Header.Get("ETag")
	if validator == "" || strings.HasPrefix(validator, "W/") {
		validator = p.first.Header.Get("Last-Modified")
	}
	whole := p.first.ContentLength
	if p.first.StatusCode != http.StatusOK || validator == "" || whole <= 0 || p.first.Header.Get("Content-Encoding") != "" || p.r.Context().Err() != nil {
		return nil
	}
	for p.times < p.gateway.config.Policy.Retry {
		began := time.Now()
		timer := time.NewTimer(backOff(p.times))
		select {
		case <-timer.C:
		case <-p.r.Context().Done():
			timer.Stop()
			return nil
		}
		p.times++
		p.rec.Tries = append(p.rec.Tries, Try{Error: shownError(err), Why: RetryProfile, Millis: millis(time.Since(began))})
		// The first one's context may be what ended it.
		ctx, cancel := context.WithCancelCause(p.r.Context())
		header, authErr := p.gateway.auth.header(ctx, p.target, nil)
		if authErr != nil {
			cancel(nil)
			return nil
		}
		if header = header.Clone(); header == nil {
			header = http.Header{}
		}
		header.Set("Range", fmt.Sprintf("bytes=%d-", p.rec.Bytes))
		header.Set("If-Range", validator)
		res, askErr := p.ask(ctx, header)
		if askErr != nil {
			cancel(nil)
			err = askErr
			continue
		}
		p.bodies = append(p.bodies, closer{res.Body, cancel})
		if res.StatusCode == http.StatusPartialContent && res.Header.Get("Content-Range") == fmt.Sprintf("bytes %d-%d/%d", p.rec.Bytes, whole-1, whole) {
			return p.body(ctx, res, cancel)
		}
		if res.StatusCode < 500 {
			return nil // it has another one now, or cannot
		}
		err = errors.New(res.Status)
	}
	return nil
}

func (p *resumption) close() {
	for _, b := range p.bodies {
		b.Close()
	}
}

// A closer closes a body, and ends its request.
type closer struct {
	io.Closer
	cancel context.CancelCauseFunc
}

func (c closer) Close() error {
	c.cancel(nil)
	return c.Closer.Close()
}

// A breaker knows whether an upstream is worth asking.
type breaker struct {
	limit int // 0: it always is

	mu       sync.Mutex
	failures int // in a row
	until    time.Time
	last     string // why the last connection failed
}

func (b *breaker) check(now time.Time) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if now.Before(b.until) {
		return fmt.Errorf("gox did not ask: connections failed, %d in a row, and the next is tried after %s; the last one: %s", b.failures, b.until.Format("15:04:05"), b.last)
	}
	return nil
}

// note takes the outcome of a request and reports whether it opens the breaker.
// When the pause is over, a single failure opens it again.
func (b *breaker) note(err error) (opened bool) {
	if b.limit == 0 {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if err == nil {
		b.failures, b.until = 0, time.Time{}
		return false
	}
	b.failures++
	b.last = shownError(err)
	now := time.Now()
	if b.failures < b.limit || now.Before(b.until) {
		return false
	}
	b.until = now.Add(pause)
	return true
}

// errIdle is why a body broke off that had stopped coming.
var errIdle = errors.New("no more of it came within the time that the profile allows (timeout idle)")

// An idleReader ends a body that stops coming.
type idleReader struct {
	r     io.Reader
	limit time.Duration
	timer *time.Timer
}

func newIdleReader(r io.Reader, limit time.Duration, cancel context.CancelCauseFunc) io.Reader {
	return &idleReader{r, limit, time.AfterFunc(limit, func() { cancel(errIdle) })}
}

func (i *idleReader) Read(p []byte) (int, error) {
	i.timer.Reset(i.limit)
	n, err := i.r.Read(p)
	i.timer.Stop() // go may take its time
	return n, err
}

// place returns the address to connect to in place of address.
func (p *Policy) place(address string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	to, ok := p.Hosts[host]
	if !ok {
		return address
	}
	if _, _, err := net.SplitHostPort(to); err == nil {
		return to
	}
	return net.JoinHostPort(to, port)
}

// newResolver returns one that asks p.Resolver, over TLS, for every name that
// /etc/hosts does not know, nil where there is none. What is trusted there is
// what is trusted elsewhere.
func newResolver(p Policy, roots *x509.CertPool) (*net.Resolver, error) {
	if p.Resolver == "" {
		return nil, nil
	}
	u, err := url.Parse(p.Resolver)
	if err != nil {
		return nil, fmt.Errorf("resolver: %w", err)
	}
	dialer := &net.Dialer{Timeout: 10 * time.Second}
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		return dialer.DialContext(ctx, network, p.place(address))
	}
	resolver := &net.Resolver{PreferGo: true}
	switch u.Scheme {
	case "tls":
		port := u.Port()
		if port == "" {
			port = "853"
		}
		config := &tls.Config{RootCAs: roots, ServerName: u.Hostname()}
		resolver.Dial = func(ctx context.Context, _, _ string) (net.Conn, error) {
			conn, err := dial(ctx, "tcp", net.JoinHostPort(u.Hostname(), port))
			if err != nil {
				return nil, err
			}
			return tls.Client(conn, config), nil
		}
	case "https":
		client := &http.Client{
			Timeout:   10 * time.Second,
			Transport: &http.Transport{DialContext: dial, ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{RootCAs: roots}, IdleConnTimeout: time.Minute},
		}
		resolver.Dial = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return &httpsConn{ctx: ctx, client: client, url: p.Resolver}, nil
		}
	default:
		return nil, fmt.Errorf("resolver %q: neither https:// nor tls://", p.Resolver)
	}
	return resolver, nil
}

// An httpsConn looks to Go's resolver like a TCP connection to a name server:
// each message has its length before it. Each is sent by HTTPS.
type httpsConn struct {
	ctx    context.Context
	client *http.Client
	url    string
	out    bytes.Buffer // of the question, until it is whole
	in     bytes.Buffer // of the answer
}

func (c *httpsConn) Write(p []byte) (int, error) {
	c.out.Write(p)
	message := c.out.Bytes()
	if len(message) < 2 || len(message)-2 < int(binary.BigEndian.Uint16(message)) {
		return len(p), nil
	}
	req, err := http.NewRequestWithContext(c.ctx, http.MethodPost, c.url, bytes.NewReader(bytes.Clone(message[2:])))
	if err != nil {
		return 0, err
	}
	c.out.Reset()
	req.Header.Set("Content-Type", "application/dns-message")
	req.Header.Set("Accept", "application/dns-message")
	res, err := c.client.Do(req)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("resolver %s: %s", c.url, res.Status)
	}
	answer, err := io.ReadAll(io.LimitReader(res.Body, 1<<16))
	if err != nil {
		return 0, err
	}
	c.in.Write(binary.BigEndian.AppendUint16(nil, uint16(len(answer))))
	c.in.Write(answer)
	return len(p), nil
}

func (c *httpsConn) Read(p []byte) (int, error)       { return c.in.Read(p) }
func (c *httpsConn) Close() error                     { return nil }
func (c *httpsConn) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (c *httpsConn) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (c *httpsConn) SetDeadline(time.Time) error      { return nil } // the client has one
func (c *httpsConn) SetReadDeadline(time.Time) error  { return nil }
func (c *httpsConn) SetWriteDeadline(time.Time) error { return nil }
