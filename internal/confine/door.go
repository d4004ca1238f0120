package confine

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/http/httpproxy"

	"example.com/gox/internal/redact"
)

// A door lets what allow covers through, from listeners in the command's
// network to the world.
type door struct {
	allow  []string
	record func(Use)

	ctx     context.Context // done when the door is shut
	cancel  context.CancelFunc
	wg      sync.WaitGroup
	dialer  net.Dialer
	proxyOf func(*url.URL) (*url.URL, error)
}

func newDoor(p Policy) *door {
	ctx, cancel := context.WithCancel(context.Background())
	d := &door{allow: p.Allow, record: p.Record, ctx: ctx, cancel: cancel, proxyOf: proxyRule(p.Environ)}
	if d.record == nil {
		d.record = func(Use) {}
	}
	return d
}

// shut ends all that goes through the door. Records are complete then.
func (d *door) shut() {
	d.cancel()
	d.wg.Wait()
}

// proxy serves an HTTP proxy on l.
func (d *door) proxy(l net.Listener) {
	transport := &http.Transport{
		DialContext: d.dialer.DialContext, DisableCompression: true,
		Proxy: func(r *http.Request) (*url.URL, error) { return d.proxyOf(r.URL) },
	}
	forward := &httputil.ReverseProxy{
		Rewrite:       func(*httputil.ProxyRequest) {}, // the URL is absolute already
		Transport:     transport,
		FlushInterval: -1,
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			d.record(Use{Time: time.Now(), Addr: addrOf(r), Allowed: true, Failure: err.Error()})
			http.Error(w, fmt.Sprintf("gox: %s: %v", r.Host, err), http.StatusBadGateway)
		},
		ModifyResponse: func(r *http.Response) error {
			d.record(Use{Time: time.Now(), Addr: addrOf(r.Request), Allowed: true, Sent: max(r.Request.ContentLength, 0), Received: max(r.ContentLength, 0)})
			return nil
		},
	}
	s := &http.Server{
		ReadHeaderTimeout: time.Minute,
		ConnState: func(_ net.Conn, state http.ConnState) {
			switch state {
			case http.StateNew: // called by Serve, which counts itself
				d.wg.Add(1)
			case http.StateHijacked, http.StateClosed:
				d.wg.Done()
			}
		},
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			addr := addrOf(r)
			switch {
			case r.Method != http.MethodConnect && r.URL.Host == "":
				http.Error(w, "gox: a proxy, and no server", http.StatusBadRequest)
			case !allows(d.allow, addr):
				d.refuse(w, addr)
			case r.Method == http.MethodConnect:
				d.connect(w, addr)
			default:
				forward.ServeHTTP(w, r)
			}
		}),
	}
	d.wg.Go(func() { s.Serve(l) })
	d.wg.Go(func() {
		<-d.ctx.Done()
		s.Close()
		transport.CloseIdleConnections()
	})
}

// addrOf returns the host:port that r, a proxy's request, is for.
func addrOf(r *http.Request) string {
	host := r.URL.Host
	if r.Method == http.MethodConnect {
		host = r.Host
	}
	if _, _, err := net.SplitHostPort(host); err == nil {
		return host
	}
	return net.JoinHostPort(host, "80")
}

// refuse answers with a reason phrase, because that is all that go shows of
// what a proxy says to CONNECT.
func (d *door) refuse(w http.ResponseWriter, addr string) {
	d.record(Use{Time: time.Now(), Addr: addr})
	d.answer(w, http.StatusForbidden, fmt.Sprintf("gox: --net sources: %q is not among the sources of the profile, nor named by --allow", addr))
}

func (d *door) answer(w http.ResponseWriter, status int, reason string) {
	c, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return // a client that is gone
	}
	defer c.Close()
	fmt.Fprintf(c, "HTTP/1.1 %d %s\r\nContent-Type: text/plain\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s\n", status, reason, len(reason)+1, reason)
}

// connect relays what comes after CONNECT.
func (d *door) connect(w http.ResponseWriter, addr string) {
	start := time.Now()
	out, err := d.dial(addr)
	if err != nil {
		d.record(Use{Time: start, Addr: addr, Allowed: true, Failure: err.Error()})
		d.answer(w, http.StatusBadGateway, fmt.Sprintf("gox: %s: %v", addr, err))
		return
	}
	d.wg.Add(1) // the server forgets what is hijacked
	defer d.wg.Done()
	in, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		out.Close()
		return
	}
	if _, err := io.WriteString(in, "HTTP/1.1 200 OK\r\n\r\n"); err != nil {
		in.Close()
		out.Close()
		return
	}
	d.relay(start, addr, in, buffered, out)
}

// dial connects to addr, by way of a proxy where the rule says so.
func (d *door) dial(addr string) (net.Conn, error) {
	via, err := d.proxyOf(&url.URL{Scheme: "https", Host: addr})
	if err != nil || via == nil {
		if err == nil {
			return d.dialer.DialContext(d.ctx, "tcp", addr)
		}
		return nil, errors.New(redact.Text(err.Error()))
	}
	host := via.Host
	if via.Port() == "" {
		host = net.JoinHostPort(via.Hostname(), map[string]string{"http": "80", "https": "443", "socks5": "1080"}[via.Scheme])
	}
	c, err := d.dialer.DialContext(d.ctx, "tcp", host)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(d.ctx, func() { c.Close() })
	defer stop()
	switch via.Scheme {
	case "http":
	case "https":
		c = tls.Client(c, &tls.Config{ServerName: via.Hostname()})
	default:
		c.Close()
		return nil, fmt.Errorf("a proxy by %s is not supported", via.Scheme)
	}
	ask := &http.Request{Method: http.MethodConnect, URL: &url.URL{Opaque: addr}, Host: addr, Header: http.Header{}}
	if u := via.User; u != nil {
		password, _ := u.Password()
		ask.Header.Set("Proxy-Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(u.Username()+":"+password)))
	}
	if err := ask.Write(c); err != nil {
		c.Close()
		return nil, err
	}
	in := bufio.NewReader(c)
	answer, err := http.ReadResponse(in, ask)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("the proxy %s: %s", via.Host, answer.Status)
	}
	if err != nil {
		c.Close()
		return nil, err
	}
	return &ahead{c, in}, nil
}

// ahead is a connection of which something has been read already.
type ahead struct {
	net.Conn
	in *bufio.Reader
}

func (a *ahead) Read(p []byte) (int, error) { return a.in.Read(p) }

// CloseWrite is that of the connection, where it has one.
func (a *ahead) CloseWrite() error {
	if c, ok := a.Conn.(interface{ CloseWrite() error }); ok {
		return c.CloseWrite()
	}
	return nil
}

// proxyRule returns the rule of environ for HTTP proxies, as
// net/http.ProxyFromEnvironment has it for the process.
func proxyRule(environ []string) func(*url.URL) (*url.URL, error) {
	get := func(name string) (value string) {
		for _, entry := range environ {
			if n, v, _ := strings.Cut(entry, "="); v != "" && (n == name || n == strings.ToLower(name) && value == "") {
				value = v
			}
		}
		return value
	}
	c := httpproxy.Config{HTTPProxy: get("HTTP_PROXY"), HTTPSProxy: get("HTTPS_PROXY"), NoProxy: get("NO_PROXY")}
	return c.ProxyFunc()
}

// forward relays every connection to l to addr.
func (d *door) forward(l net.Listener, addr string) {
	d.wg.Go(func() {
		<-d.ctx.Done()
		l.Close()
	})
	d.wg.Go(func() {
		for {
			in, err := l.Accept()
			if err != nil {
				if d.ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
					return
				}
				time.Sleep(10 * time.Millisecond) // no more descriptors: later, perhaps
				continue
			}
			d.wg.Go(func() {
				start := time.Now()
				out, err := d.dialer.DialContext(d.ctx, "tcp", addr)
				if err != nil {
					in.Close()
					d.record(Use{Time: start, Addr: addr, Allowed: true, Failure: err.Error()})
					return
				}
				d.relay(start, addr, in, in, out)
			})
		}
	})
}

// relay copies both ways until both are done, and closes both.
func (d *door) relay(start time.Time, addr string, in net.Conn, from io.Reader, out net.Conn) {
	stop := context.AfterFunc(d.ctx, func() {
		in.Close()
		out.Close()
	})
	defer stop()
	var received int64
	done := make(chan struct{})
	go func() {
		defer close(done)
		received, _ = io.Copy(in, out)
		closeWrite(in)
	}()
	sent, _ := io.Copy(out, from)
	closeWrite(out)
	<-done
	in.Close()
	out.Close()
	d.record(Use{Time: start, Addr: addr, Allowed: true, Sent: sent, Received: received})
}

func closeWrite(c net.Conn) {
	if w, ok := c.(interface{ CloseWrite() error }); ok {
		w.CloseWrite()
	}
}

// listenAddrs returns where the command's network must listen so that it finds
// entry, a loopback's host:port, there.
func listenAddrs(entry string) []string {
	host, port, err := net.SplitHostPort(entry)
	if err != nil {
		return nil
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		return []string{net.JoinHostPort(ip.String(), port)}
	}
	return []string{net.JoinHostPort("127.0.0.1", port), net.JoinHostPort("::1", port)}
}
