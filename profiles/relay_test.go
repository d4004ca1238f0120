package profiles

import (
	"fmt"
	"strings"
	"testing"
)

func TestRelay(t *testing.T) {
	const text = `
[profile.base]
retry    = 3
record   = "audit.jsonl"
timeout  = "30s"
[profile.base.hosts]
proxy.corp.example = "192.0.2.7"
[profile.same]
extends = "base"
[profile.quick]
extends = "base"
retry   = 0
[profile.quick.timeout]
connect = "1s"
[profile.patient]
extends = "base"
timeout = ""
record  = ""
hosts."proxy.corp.example" = ""
hosts."b.example" = "[::1]:443"
[profile.home]
record = "~/audit"
cafile = "ca.pem"
breaker = 4
resolver = "https://192.0.2.53/dns-query"
[profile.none]
goproxy = "direct"
[profile.nothing]
extends = "base"
retry = 0
record = ""
timeout = ""
hosts."proxy.corp.example" = ""
`
	for _, tt := range []struct{ names, want string }{
		{"base", "{/repo/audit.jsonl 3 0 map[proxy.corp.example:192.0.2.7]   30s 30s 30s 30s}"},
		{"same", "{/repo/audit.jsonl 3 0 map[proxy.corp.example:192.0.2.7]   30s 30s 30s 30s}"},
		{"quick", "{/repo/audit.jsonl 0 0 map[proxy.corp.example:192.0.2.7]   1s 30s 30s 30s}"},
		{"patient", "{ 3 0 map[b.example:[::1]:443]   0s 0s 0s 0s}"},
		{"home", "{/home/me/audit 0 4 map[] https://192.0.2.53/dns-query /repo/ca.pem 0s 0s 0s 0s}"},
		{"home,quick", "{/repo/audit.jsonl 0 4 map[proxy.corp.example:192.0.2.7] https://192.0.2.53/dns-query /repo/ca.pem 1s 30s 30s 30s}"},
		{"none", "none"},
		{"default", "none"},
		{"nothing", "none"},
	} {
		p := resolved(t, text, strings.Split(tt.names, ",")...)
		got := "none"
		if r := p.Relay("/home/me"); r != nil {
			got = fmt.Sprint(*r)
		}
		if got != tt.want {
			t.Errorf("%s: %s, want %s", tt.names, got, tt.want)
		}
	}
}

// Whoever answers under another address is another source.
func TestRelayInCache(t *testing.T) {
	const text = `
[profile.a]
goproxy = "https://a.example"
[profile.b]
extends = "a"
retry = 3
timeout = "1s"
record = "x"
[profile.c]
extends = "a"
hosts."a.example" = "192.0.2.7"
[profile.d]
extends = "a"
resolver = "tls://192.0.2.53"
[profile.e]
extends = "a"
cafile = "ca.pem"
`
	sources := map[string]string{}
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		p := resolved(t, text, name)
		env, _ := p.Env(Inputs{})
		c := p.Cache(env, "/home/me")
		if c.Name != "a" {
			t.Errorf("%s: cache of %s", name, c.Name)
		}
		sources[name] = strings.Join(c.Sources, "\n")
	}
	if sources["a"] != sources["b"] {
		t.Error("retry, timeout and record make another cache")
	}
	for _, name := range []string{"c", "d", "e"} {
		if sources["a"] == sources[name] {
			t.Errorf("%s: the same cache", name)
		}
	}
}

func TestIsAddress(t *testing.T) {
	for s, want := range map[string]bool{
		"192.0.2.7": true, "192.0.2.7:8443": true, "::1": true, "2001:db8::7": true, "[2001:db8::7]": true, "[2001:db8::7]:8443": true,
		"fe80::1%eth0": true, "::ffff:192.0.2.7": true,
		"": false, "a.example": false, "192.0.2": false, "192.0.2.256": false, "192.0.2.7:": false, "192.0.2.7:x": false, "192.0.2.7:65536": false,
		"[::1": false, "[::1]x": false, "[::1]:x": false, "a:b:c.example": false, ":": false, "1:2": false, "-1.0.0.0": false,
	} {
		if got := isAddress(s); got != want {
			t.Errorf("%q: %t", s, got)
		}
	}
}
