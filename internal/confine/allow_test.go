package confine

import (
	"fmt"
	"strings"
	"testing"
)

func TestSourcesOf(t *testing.T) {
	tests := []struct {
		name string
		env  map[string]string
		want string
	}{
		{"nothing", nil, "[]"},
		{"list", map[string]string{"GOPROXY": "https://a.example/go| http://b.example:81 ,c.example/x,direct"}, "[a.example:443 b.example:81 c.example:443]"},
		{"userinfo", map[string]string{"GOPROXY": "https://u:p@a.example"}, "[a.example:443]"},
		{"file", map[string]string{"GOPROXY": "file:///srv/proxy,off"}, "[]"},
		{"http", map[string]string{"GOPROXY": "http://127.0.0.1"}, "[127.0.0.1:80]"},
		{"ipv6", map[string]string{"GOPROXY": "http://[::1]:8080"}, "[[::1]:8080]"},
		{"sumdb", map[string]string{"GOSUMDB": "sum.example"}, "[sum.example:443]"},
		{"sumdb with a key", map[string]string{"GOSUMDB": "sum.example+abc+def"}, "[sum.example:443]"},
		{"sumdb with a URL", map[string]string{"GOSUMDB": "sum.example+abc+def https://mirror.example:8443/sumdb"}, "[mirror.example:8443]"},
		{"no sumdb", map[string]string{"GOSUMDB": "off"}, "[]"},
		{"private", map[string]string{"GOPRIVATE": "git.corp.example/team,*.corp.example", "GONOPROXY": "none"}, "[*.corp.example git.corp.example]"},
		{"git", map[string]string{"GIT_CONFIG_COUNT": "4", "GIT_CONFIG_KEY_3": "url.ssh://git@git.corp.example/.insteadOf", "GIT_CONFIG_KEY_0": "url.https://mirror.corp.example:8443/go/.insteadof", "GIT_CONFIG_KEY_1": "http.proxy", "GIT_CONFIG_KEY_2": "url.git@git.corp.example:.insteadOf"}, "[mirror.corp.example:8443]"},
		{"not a URL", map[string]string{"GOPROXY": "https://u:secret@[x"}, "error"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := SourcesOf(func(name string) string { return test.env[name] })
			said := fmt.Sprint(got)
			if err != nil {
				said = "error"
			}
			if said != test.want {
				t.Errorf("%s (%v), want %s", said, err, test.want)
			}
		})
	}
}

func TestAllows(t *testing.T) {
	allow := []string{"proxy.example:443", "*.corp.example", "git.example", "[::1]:80"}
	tests := []struct {
		addr string
		want bool
	}{
		{"proxy.example:443", true},
		{"PROXY.example:443", true},
		{"proxy.example.:443", true},
		{"proxy.example:80", false},
		{"evil.proxy.example:443", false},
		{"proxy.example.evil.test:443", false},
		{"a.corp.example:8443", true},
		{"corp.example:443", false},
		{"git.example:22", true},
		{"[::1]:80", true},
		{"[::1]:81", false},
		{"proxy.example", false},
		{"", false},
		{":443", false},
	}
	for _, test := range tests {
		if got := allows(allow, test.addr); got != test.want {
			t.Errorf("%q: %v", test.addr, got)
		}
	}
	if allows(nil, "proxy.example:443") {
		t.Error("nothing allows something")
	}
}

func TestCheckAllow(t *testing.T) {
	for entry, want := range map[string]bool{
		"git.example": true, "git.example:443": true, "*.corp.example": true, "10.0.0.1:80": true, "[::1]:80": true, "localhost:8080": true,
		"": false, "*": false, "*:443": false, "*.*": false, "?": false, "https://git.example": false, "git.example/x": false,
		"u@git.example": false, "git.example:0": false, "git.example:https": false, "git.example:65536": false, "a b": false, "[x": false, "::1": false,
	} {
		if err := CheckAllow(entry); err == nil != want {
			t.Errorf("%q: %v", entry, err)
		} else if err == nil && !allows([]string{entry}, strings.NewReplacer("*", "a").Replace(entry)+map[bool]string{true: ":443"}[!strings.Contains(entry, ":")]) {
			t.Errorf("%q covers nothing", entry)
		}
	}
}

func FuzzSourcesOf(f *testing.F) {
	f.Add("https://a.example|direct", "sum.example+k https://x", "*.corp.example/x")
	f.Fuzz(func(t *testing.T, proxy, sumdb, private string) {
		allow, err := SourcesOf(func(name string) string {
			return map[string]string{"GOPROXY": proxy, "GOSUMDB": sumdb, "GOPRIVATE": private}[name]
		})
		if err != nil {
			return
		}
		allows(allow, "a.example:443")
		loopbacks(allow)
	})
}
