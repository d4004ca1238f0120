package profiles

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// A Relay is what a profile asks for that go cannot do, and for which its
// requests have to pass through gox (internal/gateway).
type Relay struct {
	Record   string            // the file that requests are written to, absolute, "" for none
	Retry    int               // how often a request that failed is made again
	Breaker  int               // after how many failures in a row an upstream is left alone, 0 for never
	Hosts    map[string]string // addresses of hosts
	Resolver string            // https:// or tls://, "" for the system's
	CAFile   string            // absolute, "" for none

	// Limits of time, 0 for go's own.
	Connect, TLS, FirstByte, Idle time.Duration
}

// timeouts are the phases that [profile.NAME.timeout] limits.
var timeouts = []string{"connect", "tls", "first_byte", "idle"}

// Relay returns what p asks for, nil where it asks for nothing: then go speaks
// to its sources itself.
func (p *Profile) Relay(home string) *Relay {
	var r Relay
	asked := false
	get := func(key string) *Value {
		v := p.value(key)
		if v == nil || v.raw == int64(0) {
			return nil
		}
		asked = true
		return v
	}
	path := func(key string) string {
		if v := get(key); v != nil {
			return v.Path(home)
		}
		return ""
	}
	count := func(key string) int {
		if v := get(key); v != nil {
			n, _ := v.raw.(int64)
			return int(n)
		}
		return 0
	}
	r.Record, r.CAFile = path("record"), path("cafile")
	r.Retry, r.Breaker = count("retry"), count("breaker")
	if v := get("resolver"); v != nil {
		r.Resolver = v.String()
	}
	for _, key := range p.keysUnder("hosts.") {
		if v := get(key); v != nil {
			if r.Hosts == nil {
				r.Hosts = map[string]string{}
			}
			r.Hosts[strings.TrimPrefix(key, "hosts.")] = v.String()
		}
	}
	for i, limit := range []*time.Duration{&r.Connect, &r.TLS, &r.FirstByte, &r.Idle} {
		if v := p.timeout(timeouts[i]); v != nil {
			asked = true
			*limit, _ = time.ParseDuration(v.String())
		}
	}
	if !asked {
		return nil
	}
	return &r
}

// timeout returns the setting of a phase that counts: in the nearest table
// that has one, of its own or of all phases.
func (p *Profile) timeout(phase string) *Value {
	for _, t := range p.tables() {
		for _, key := range []string{"timeout." + phase, "timeout"} {
			if v := t.values[key]; v != nil {
				if v.raw == "" {
					return nil // taken back
				}
				return v
			}
		}
	}
	return nil
}

// relayed reports whether v is a setting that Relay returns.
func (v *Value) relayed() bool {
	return oneOf(v.Key, "record", "retry", "breaker", "timeout", "resolver", "cafile") ||
		strings.HasPrefix(v.Key, "hosts.") || strings.HasPrefix(v.Key, "timeout.")
}

func (v *Value) checkRelay(fault func(text, mend string)) {
	value := v.String()
	if value == "" {
		return
	}
	table, name, _ := strings.Cut(v.Key, ".")
	switch table {
	case "retry", "breaker":
		if n, _ := v.raw.(int64); n < 0 || n > 100 {
			fault(fmt.Sprintf("%d is not between 0 and 100", n), "")
		}
	case "timeout":
		if name != "" && !oneOf(name, timeouts...) {
			fault("no such phase", hint(name, timeouts, "the phases are "+strings.Join(timeouts, ", ")))
		}
		if d, err := time.ParseDuration(value); err != nil || d <= 0 {
			fault(fmt.Sprintf("%q is no length of time", value), `write it as in "30s" or "1m30s"`)
		}
	case "hosts":
		if name == "" || strings.ContainsAny(name, "/:@ ") {
			fault("is no name of a host", `write: "proxy.example" = "192.0.2.7"`)
		}
		if !isAddress(value) {
			fault(fmt.Sprintf("%q is no address", value), `write an IP address, as in "192.0.2.7", "192.0.2.7:8443" or "[2001:db8::7]:8443"`)
		}
	case "resolver":
		scheme, rest, _ := strings.Cut(value, "://")
		host, _, _ := strings.Cut(rest, "/")
		if !oneOf(scheme, "https", "tls") || host == "" || strings.ContainsAny(host, "@ ") {
			fault("is no resolver", `write "https://192.0.2.53/dns-query" (DNS over HTTPS) or "tls://192.0.2.53" (DNS over TLS)`)
		}
	}
}

// isAddress reports whether s has the form of an IP address, perhaps with a
// port. Package net/netip would tell an IPv6 address for sure, and cost every
// start of gox its initialisation.
func isAddress(s string) bool {
	port, hasPort := "", false
	if rest, ok := strings.CutPrefix(s, "["); ok {
		inner, after, ok := strings.Cut(rest, "]")
		if port, hasPort = strings.CutPrefix(after, ":"); !ok || !hasPort && after != "" {
			return false
		}
		s = inner
	} else if strings.Count(s, ":") == 1 {
		s, port, hasPort = strings.Cut(s, ":")
	}
	if _, err := strconv.ParseUint(port, 10, 16); hasPort && err != nil {
		return false
	}
	if strings.Contains(s, ":") {
		s, _, _ = strings.Cut(s, "%")
		return strings.Count(s, ":") >= 2 && strings.Count(s, ":") <= 8 && strings.Trim(s, "0123456789abcdefABCDEF:.") == ""
	}
	parts := strings.Split(s, ".")
	for _, part := range parts {
		if _, err := strconv.ParseUint(part, 10, 8); err != nil {
			return false
		}
	}
	return len(parts) == 4
}
