package profiles

import (
	"errors"
	"fmt"
	"testing"
)

func TestProblem(t *testing.T) {
	for _, tt := range []struct {
		name string
		p    Problem
		want string
	}{
		{"text alone", Problem{Text: "wrong"}, "wrong"},
		{"file", Problem{Pos: Position{File: "/f"}, Text: "wrong"}, "/f: wrong"},
		{"all", Problem{Pos: Position{File: "/f", line: 3}, Profile: "x", Key: "mod", Text: "wrong", Mend: "mend it"}, "/f:3: [profile.x] mod: wrong\n\tmend it"},
		{"warning", Problem{Key: "mod", Text: "odd", Warning: true}, "mod: warning: odd"},
	} {
		if got := tt.p.Error(); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestProblems(t *testing.T) {
	fault, other, warning := &Problem{Text: "wrong"}, &Problem{Text: "worse"}, &Problem{Text: "odd", Warning: true}
	for _, tt := range []struct {
		name string
		ps   Problems
		want string // of Err, "" for nil
	}{
		{"none", nil, ""},
		{"warnings", Problems{warning, warning}, ""},
		{"one", Problems{warning, fault}, "wrong"},
		{"two", Problems{fault, warning, other}, "wrong\nworse"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.ps.Err()
			if (err == nil) != (tt.want == "") {
				t.Fatalf("got %v, want %q", err, tt.want)
			}
			if err == nil {
				return
			}
			if err.Error() != tt.want {
				t.Errorf("got %q, want %q", err, tt.want)
			}
			var p *Problem
			if !errors.As(fmt.Errorf("wrapped: %w", err), &p) || p != fault {
				t.Errorf("errors.As found %v", p)
			}
		})
	}
}

func TestNearest(t *testing.T) {
	known := []string{"goproxy", "gonoproxy", "mod", "modfile", "Office"}
	for _, tt := range []struct{ word, want string }{
		{"goproxy", "goproxy"}, {"gporoxy", "goproxy"}, {"goprox", "goproxy"}, {"GoProxy", "goproxy"},
		{"nogoproxy", "goproxy"}, {"modfiel", "modfile"}, {"mdo", "mod"}, {"office", "Office"},
		{"proxies", ""}, {"", ""}, {"x", ""}, {"ab", ""},
	} {
		if got := Nearest(tt.word, known); got != tt.want {
			t.Errorf("Nearest(%q) = %q, want %q", tt.word, got, tt.want)
		}
	}
}
