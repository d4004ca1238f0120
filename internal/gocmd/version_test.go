package gocmd

import (
	"fmt"
	"go/version"
	"strings"
	"testing"
)

func TestParseSpec(t *testing.T) {
	tests := []struct {
		in   string
		want string // as fmt prints the spec; "" for an error
	}{
		{"1.22", "[{ 22 22}]"},
		{"go1.22", "[{ 22 22}]"},
		{"1.22.12", "[{go1.22.12 0 0}]"},
		{"go1.22.12", "[{go1.22.12 0 0}]"},
		{"1.23rc1", "[{go1.23rc1 0 0}]"},
		{"1.9beta2", "[{go1.9beta2 0 0}]"},
		{"1.21.0", "[{go1.21.0 0 0}]"},
		{"1.20.0", "[{go1.20 0 0}]"}, // the name it was published under
		{"1.18..1.22", "[{ 18 22}]"},
		{"1.18..1.18", "[{ 18 18}]"},
		{"go1.18..go1.22", "[{ 18 22}]"},
		{"1.18..1.20,1.26", "[{ 18 20} { 26 26}]"},
		{" 1.18 , 1.26.1 ", "[{ 18 18} {go1.26.1 0 0}]"},

		{"", ""},
		{",", ""},
		{"1.22,", ""},
		{"1", ""},
		{"go1", ""},
		{"2.0", ""},
		{"2.0.1", ""},
		{"v1.22", ""},
		{"gogo1.22", ""},
		{"1.22.", ""},
		{"1.022", ""},
		{"1.22.x", ""},
		{"1.22.1rc1", ""}, // there is no such thing
		{"1.22-x", ""},
		{"1.22.1-../../x", ""},
		{"1.22/..", ""},
		{"1.99999999999999999999", ""},
		{"1.22..1.18", ""},
		{"1.22..", ""},
		{"..1.22", ""},
		{"1.18...1.22", ""},
		{"1.18..1.20..1.22", ""},
		{"1.18.1..1.22", ""}, // of which minor version the newest patch?
		{"1.18..1.22.3", ""},
		{"latest", ""},
		{"local", ""},
	}
	for _, tt := range tests {
		t.Run(tt.in, func(t *testing.T) {
			sp, err := parseSpec(tt.in)
			if tt.want == "" {
				wantError(t, err, fmt.Sprintf("%q: not a go version\n\tuse 1.22", tt.in))
				return
			}
			if got := fmt.Sprint(sp); got != tt.want || err != nil {
				t.Errorf("parseSpec = %s, %v; want %s", got, err, tt.want)
			}
		})
	}
}

func TestNewest(t *testing.T) {
	versions := []string{"go1.19", "go1.22.9", "go1.22.12", "go1.22.2", "go1.23rc2", "go1.23.0", "go1.24rc1", "go1.20.14"}
	tests := []struct{ spec, want string }{
		{"1.19", "go1.19"},
		{"1.22", "go1.22.12"},
		{"1.22.9", "go1.22.9"},
		{"1.22.3", ""},
		{"1.23", "go1.23.0"},
		{"1.23rc2", "go1.23rc2"},
		{"1.24", ""}, // not released yet
		{"1.18..1.22", "go1.22.12"},
		{"1.18..1.30", "go1.23.0"},
		{"1.20,1.19", "go1.20.14"},
		{"1.25..1.30", ""},
	}
	for _, tt := range tests {
		t.Run(tt.spec, func(t *testing.T) {
			sp, err := parseSpec(tt.spec)
			if err != nil {
				t.Fatal(err)
			}
			if got := sp.newest(versions); got != tt.want {
				t.Errorf("newest = %q, want %q", got, tt.want)
			}
		})
	}
}

// What is parsed becomes the name of a directory and part of a module version:
// it must be harmless, and stable.
func FuzzParseSpec(f *testing.F) {
	for _, s := range []string{"1.22", "go1.22.12", "1.23rc1", "1.18..1.22,1.26", "1.20.0", "1.22-../x", "1.22..", "go", "1.99999999999999999999"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		sp, err := parseSpec(s)
		if err != nil {
			return
		}
		if len(sp) == 0 {
			t.Fatalf("%q: no term and no error", s)
		}
		for _, tm := range sp {
			if tm.release == "" {
				if tm.lo < 0 || tm.hi < tm.lo {
					t.Fatalf("%q: bounds %d..%d", s, tm.lo, tm.hi)
				}
				continue
			}
			if strings.Trim(tm.release, "abcdefghijklmnopqrstuvwxyz0123456789.") != "" || strings.Contains(tm.release, "..") || !version.IsValid(tm.release) {
				t.Fatalf("%q: release %q", s, tm.release)
			}
			if again, ok := parseRelease(tm.release); !ok || again != tm.release {
				t.Fatalf("%q: release %q parses as %q, %v", s, tm.release, again, ok)
			}
			if !tm.matches(tm.release) {
				t.Fatalf("%q: %q does not match itself", s, tm.release)
			}
		}
	})
}

func TestProxies(t *testing.T) {
	tests := []struct{ in, want string }{
		{"https://a.example", "https://a.example"},
		{"https://a.example,direct", "https://a.example"},
		{"https://a.example|https://b.example,direct", "https://a.example|https://b.example"},
		{"https://a.example|direct", "https://a.example"},
		{" https://a.example , off", "https://a.example"},
		{"https://a.example,direct,https://b.example", "https://a.example"},
		{"direct", ""},
		{"off", ""},
		{" direct ,https://a.example", ""},
		{",", ""},
		{"", ""},
		{"a.example/directly", "a.example/directly"},
		{" file:///srv/proxy,direct", "file:///srv/proxy"},
		{"file:///srv/proxy,https://a.example", "file:///srv/proxy,https://a.example"},
	}
	for _, tt := range tests {
		t.Run(tt.in, func(t *testing.T) {
			if got := proxies(tt.in); got != tt.want {
				t.Errorf("proxies = %q, want %q", got, tt.want)
			}
		})
	}
}

func TestAbout(t *testing.T) {
	for v, want := range map[string]int64{
		"go1.17.13": 0, "go1.18": 145206023, "go1.22.3": 72872114, "go1.27.4": 75846323, "go1.40rc1": 75846323,
	} {
		if got := about(v); got != want {
			t.Errorf("about(%q) = %d, want %d", v, got, want)
		}
	}
}
