package confine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"sync"
	"time"
)

// A door lets what allow covers through, from listeners in the command's
// network to the world.
type door struct {
	allow  []string
	record func(Use)

	ctx    context.Context // done when the door is shut
	cancel context.CancelFunc
	wg     sync.WaitGroup
	dialer net.Dialer
}

func newDoor(p Policy) *door {
	ctx, cancel := context.WithCancel(context.Background())
	d := &door{allow: p.Allow, record: p.Record, ctx: ctx, cancel: cancel}
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
	transport := &http.Transport{DialContext: d.dialer.DialContext, DisableCompression: true}
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
	d.answer(w, http.StatusForbidden, fmt.Sprintf("gox: --net sources: %q is not among the sources of the profile", addr))
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
	out, err := d.dialer.DialContext(d.ctx, "tcp", addr)
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
	if t, ok := c.(*net.TCPConn); ok {
		t.CloseWrite()
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
