package testscripts

import (
	"strings"
	"testing"
)

func TestVersions(t *testing.T) {
	tests := []struct {
		text    string
		in, out string
	}{
		{"all", "go1.18 go1.18.10 go1.27rc1 go1.99.0", ""},
		{"none", "", "go1.18 go1.27.4"},
		{"go1.22..", "go1.22rc1 go1.22.0 go1.22.12 go1.23.1", "go1.21.13 go1.18"},
		{"..go1.19", "go1.18 go1.19 go1.19.13", "go1.20rc1 go1.20 go1.27.4"},
		{"go1.20..go1.22", "go1.20 go1.21.0 go1.22.12", "go1.19.13 go1.23.0"},
		{"go1.21", "go1.21rc2 go1.21.0 go1.21.13", "go1.20.14 go1.22.0"},
		{"..go1.19, go1.25..", "go1.18.8 go1.25.1", "go1.20 go1.24.5"},
		{"go1.21.4..", "go1.21.4 go1.21.5 go1.22.0", "go1.21.3 go1.21rc2"},
		{"..go1.21.4", "go1.21.4 go1.20.14", "go1.21.5"},
	}
	for _, tt := range tests {
		t.Run(tt.text, func(t *testing.T) {
			vs, err := ParseVersions(tt.text)
			if err != nil {
				t.Fatal(err)
			}
			for _, v := range strings.Fields(tt.in) {
				if !vs.Contain(v) {
					t.Errorf("without %s", v)
				}
			}
			for _, v := range strings.Fields(tt.out) {
				if vs.Contain(v) {
					t.Errorf("with %s", v)
				}
			}
			if vs.String() != tt.text {
				t.Errorf("String = %q", vs)
			}
		})
	}
	if s := (Versions{}).String(); s != "none" || !(Versions{}).Empty() {
		t.Errorf("the zero value is %q", s)
	}
}

func TestVersionsErrors(t *testing.T) {
	for _, text := range []string{
		"", " ", "1.22", "1.22..", "go1.22...", "..", "go1.22..go1.20", "go1.20-1.22", "All", "all, go1.20", "go1.20,,go1.22", "go1.20 go1.22", "go1.22-foo..", "Go1.22", "go2..go1.18", "...go1.19",
	} {
		if vs, err := ParseVersions(text); err == nil {
			t.Errorf("%q: parsed as %+v", text, vs)
		}
	}
}

func FuzzParseVersions(f *testing.F) {
	for _, s := range []string{"all", "none", "go1.22..", "..go1.19", "go1.20..go1.22", "go1.21", "..go1.19,go1.25.."} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		vs, err := ParseVersions(s)
		if err != nil {
			return
		}
		if vs.String() != s {
			t.Errorf("String = %q", vs)
		}
		again, err := ParseVersions(vs.String())
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range []string{"go1.18", "go1.19.13", "go1.22rc1", "go1.22.0", "go1.27.4"} {
			if vs.Contain(v) != again.Contain(v) {
				t.Errorf("%s: in one, not in the other", v)
			}
		}
		for _, s := range vs.spans {
			if s.from != "" && !vs.Contain(s.from) || s.to != "" && !vs.Contain(s.to) {
				t.Errorf("without its own end %+v", s)
			}
		}
	})
}
