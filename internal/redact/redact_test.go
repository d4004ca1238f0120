package redact

import (
	"strings"
	"testing"
)

func TestText(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"plain", "no url here", "no url here"},
		{"no secret", "https://proxy.example/a,direct", "https://proxy.example/a,direct"},
		{"password", "https://u:pw@proxy.example", "https://xxxxx@proxy.example"},
		{"token as user", "https://s3cr3t@proxy.example/x", "https://xxxxx@proxy.example/x"},
		{"at sign in password", "https://u:p@w@proxy.example/x", "https://xxxxx@proxy.example/x"},
		{"list", "https://u:a@a.example|https://u:b@b.example,direct", "https://xxxxx@a.example|https://xxxxx@b.example,direct"},
		{"query", "https://a.example/p?token=abc,direct", "https://a.example/p?xxxxx,direct"},
		{"query on host", "https://a.example?token=abc", "https://a.example?xxxxx"},
		{"sentence", `Get "https://u:pw@a.example/x": refused`, `Get "https://xxxxx@a.example/x": refused`},
		{"module version is no userinfo", "https://a.example/m@v1.0.0 failed", "https://a.example/m@v1.0.0 failed"},
		{"ssh login", "url.ssh://git@h.example/.insteadOf", "url.ssh://git@h.example/.insteadOf"},
		{"ssh", "ssh://git:pw@h.example/x", "ssh://xxxxx@h.example/x"},
		{"a scheme after a scheme", "://https://u:pw@h.example", "://https://xxxxx@h.example"},
		{"slash in the password", "https://u:p/w@h.example/x", "https://xxxxx@h.example/x"},
		{"question mark in the password", "https://u:p?w@h.example/x", "https://xxxxx@h.example/x"},
		{"port", "https://h.example:8080/m@v1.0.0", "https://h.example:8080/m@v1.0.0"},
		{"IPv6", "http://[::1]/m@v1.0.0 http://[::1]:80/m@v1.0.0", "http://[::1]/m@v1.0.0 http://[::1]:80/m@v1.0.0"},
		{"no scheme", "u:pw@proxy.example,direct", "xxxxx@proxy.example,direct"},
		{"no scheme beside a URL", "u:pw@a.example|https://u:pw@b.example|u:pw@c.example", "xxxxx@a.example|https://xxxxx@b.example|xxxxx@c.example"},
		{"no scheme, at sign in password", "u:p@w@proxy.example", "xxxxx@proxy.example"},
		{"module versions", "a.example/m@v1.0.0: b@v2.0.0: not found", "a.example/m@v1.0.0: b@v2.0.0: not found"},
		{"address of git", "git@h.example:x/y", "git@h.example:x/y"},
		{"several in a line", "a://b@c d://e@f", "a://xxxxx@c d://xxxxx@f"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := Text(tt.in); got != tt.want {
				t.Errorf("Text(%q) = %q, want %q", tt.in, got, tt.want)
			}
		})
	}
}

func TestVariable(t *testing.T) {
	for _, tt := range []struct{ name, value, want string }{
		{"GOPROXY", "https://u:p@h.example", "https://xxxxx@h.example"},
		{"CI_TOKEN", "abc", Mask},
		{"my_password", "abc", Mask},
		{"CI_TOKEN", "", ""},
		{"GOFLAGS", "-v", "-v"},
	} {
		if got := Variable(tt.name, tt.value); got != tt.want {
			t.Errorf("Variable(%q, %q) = %q, want %q", tt.name, tt.value, got, tt.want)
		}
	}
}

func FuzzText(f *testing.F) {
	f.Add("https://", "u:p", "@h.example/x")
	f.Fuzz(func(t *testing.T, before, secret, after string) {
		// What stands around the secret must not hold it by chance, seams included.
		around := before + "https://" + Mask + "@h.example" + after
		if len(secret) < 8 || strings.ContainsAny(secret, "/?#,| \t\r\n\"'`<>\\@:") || strings.Contains(around, secret) {
			t.Skip()
		}
		got := Text(before + "https://u:" + secret + "@h.example" + after)
		if strings.Contains(got, secret) {
			t.Errorf("secret survives: %q", got)
		}
	})
}
