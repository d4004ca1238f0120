//go:build unix

package wrap

import "testing"

func TestPlain(t *testing.T) {
	for _, tt := range []struct{ name, shell, text, want string }{
		{"at the start", "/srv", "/srv/x/y: no", "x/y: no"},
		{"after a word", "/srv", "gox -C /srv/x", "gox -C x"},
		{"in brackets", "/srv", "no (/srv/x:3)", "no (x:3)"},
		{"on a further line", "/srv", "no\n\t/srv/x\n\tcp /srv/a /srv/b", "no\n\tx\n\tcp a b"},
		{"inside a longer path", "/srv", "/home/u/srv/x /a/srv/b", "/home/u/srv/x /a/srv/b"},
		{"a neighbour", "/srv", "/srv2/x", "/srv2/x"},
		{"the directory itself", "/srv", "/srv: no", "/srv: no"},
		{"a value", "/srv", "/srv/f:2 PATH = /srv/bin", "f:2 PATH = /srv/bin"},
		{"a variable", "/srv", "GOX_GO=/srv/go: no", "GOX_GO=/srv/go: no"},
		{"at the root", "/", "/x: no", "/x: no"},
		{"nowhere", "", "/x: no", "/x: no"},
		{"control characters", "/srv", "a\x1b[2K\rb\u202ec\n\td\u009b", `a\x1b[2K\rb\u202ec` + "\n\td" + `\u009b`},
		{"not others", "/srv", "é…😀", "é…😀"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := (&Process{Shell: tt.shell}).Plain(tt.text); got != tt.want {
				t.Errorf("Plain(%q) = %q, want %q", tt.text, got, tt.want)
			}
		})
	}
}
