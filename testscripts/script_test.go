package testscripts

import (
	"io"
	"slices"
	"strings"
	"testing"
)

// right is a script without a fault. The cases below put some in.
const right = `# claim: one
# says: The first, which goes
#   on in a second line.
# holds: go1.20..
# n/a: ..go1.18 (there was no such thing)
# claim: two
# says: The second.
# holds: none
# reference: https://go.dev/ref/mod

proxy A
# control: something
# and more about it
exec go version
requests A 0

# test
[na:one] env X=y
[holds:one] stdout x
[!holds:one] ! stdout x
[linux] [holds:two] stdout y
[!holds:two] stderr z
[go:1.21] requests A 0

-- proxy/A,B/example.com/dep@v1.0.0/sub/dep.go --
package dep
-- proxy/A/example.com/dep/@v/list --
-- vcs/git.test/team/dep@v1.0.0/dep.go --
-- other/go.mod --
`

func TestParse(t *testing.T) {
	s, err := parse("work/use_first.txtar", []byte(right), false)
	if err != nil {
		t.Fatal(err)
	}
	if s.Name != "use_first" || s.Topic != "work" || s.File != "work/use_first.txtar" || s.Text != right {
		t.Errorf("%+v", s)
	}
	if len(s.Claims) != 2 {
		t.Fatalf("%d claims, want 2", len(s.Claims))
	}
	one, two := s.Claims[0], s.Claims[1]
	if one.Says != "The first, which goes on in a second line." || one.Reason != "there was no such thing" || one.Reference != two.Reference {
		t.Errorf("%+v", one)
	}
	for v, want := range map[string]Verdict{"go1.18.10": NotApplicable, "go1.19": Refuted, "go1.20": Holds, "go1.27.4": Holds} {
		if got := one.Verdict(v); got != want {
			t.Errorf("one on %s: %s, want %s", v, got, want)
		}
		if got := two.Verdict(v); got != Refuted {
			t.Errorf("two on %s: %s", v, got)
		}
	}
	liar := s.lie("two", "go1.19.13")
	if got := []Verdict{liar.Claims[1].Verdict("go1.19.1"), liar.Claims[1].Verdict("go1.19.13"), liar.Claims[1].Verdict("go1.20"), two.Verdict("go1.19.13")}; !slices.Equal(got, []Verdict{Refuted, Holds, Refuted, Refuted}) {
		t.Errorf("with a lie: %v", got)
	}
	commands := string(s.commands())
	for _, line := range []string{"[!na:one] [holds:one] stdout x\n", "[!na:one] [!holds:one] ! stdout x\n", "\n[linux] [holds:two] stdout y\n", "-- other/go.mod --"} {
		if !strings.Contains(commands, line) {
			t.Errorf("commands lack %q:\n%s", line, commands)
		}
	}
	if strings.Contains(commands, "-- proxy/") || strings.Contains(commands, "-- vcs/") {
		t.Errorf("commands hold the servers' folders:\n%s", commands)
	}
	if strings.Count(commands[:strings.Index(commands, "\n-- ")], "\n") != strings.Count(right[:strings.Index(right, "\n-- ")], "\n") {
		t.Errorf("the lines have moved:\n%s", commands)
	}
}

func TestParseErrors(t *testing.T) {
	tests := []struct {
		name     string
		old, new string
		want     string
	}{
		{"no claim", "# claim: one\n", "", "says: before the first claim"},
		{"no header", right[:strings.Index(right, "proxy A")], "", "no claim"},
		{"id", "claim: one", "claim: One", "lower-case"},
		{"id twice", "claim: two", "claim: one", "stands here twice"},
		{"no says", "# says: The second.\n", "", "claim two: no says"},
		{"no holds", "# holds: none\n", "", "claim two: no holds"},
		{"no reference", "# reference: https://go.dev/ref/mod\n", "", "claim one: no reference"},
		{"empty", "# holds: none", "# holds: ", "empty"},
		{"holds", "holds: none", "holds: never", "not a go version"},
		{"holds twice", "# holds: none", "# holds: none\n# holds: all", "y.txtar:9: holds: given twice"},
		{"says twice", "# says: The second.", "# says: The second.\n# says: The third.", "given twice"},
		{"n/a without a reason", " (there was no such thing)", "", "not of the form"},
		{"n/a none", "..go1.18 (there", "none (there", "not of the form"},
		{"unknown key", "# holds: none", "# holds: none\n# held: none", "held: unknown key"},
		{"no key", "# holds: none", "# holds: none\n# and so on", "header line"},
		{"no holds line", "[holds:one] stdout x", "stdout x", "no assertion under [holds:one]"},
		{"no !holds line", "[!holds:two] stderr z", "", "no assertion under [!holds:two]"},
		{"no assertion", "[!holds:two] stderr z", "[!holds:two] env X=y", "no assertion under [!holds:two]"},
		{"no control", "# control: something", "# something", "no phase that begins"},
		{"control without assertion", "exec go version\nrequests A 0\n", "", "the control before asserts nothing"},
		{"control at the end", "-- proxy/A,B", "# control: and another\nenv X=y\n-- proxy/A,B", "the control asserts nothing"},
		{"last assertion", "[go:1.21] requests A 0", "stdout x", "the last assertion is \"stdout\""},
		{"nothing served", "[go:1.21] requests A 0", "requests A 0\n# served: not applicable (x)", ""},
		{"served not applicable", "# reference", "# served: not applicable (none)\n# reference", "remove \"# served"},
		{"served, otherwise", "# reference", "# served: no\n# reference", "not of the form"},
		{"version of the engine's go", "[go:1.21]", "[go1.21]", "use [go:1.21]"},
		{"version", "[go:1.21]", "[go:latest]", "not a go version"},
		{"condition", "[linux]", "[net]", "unknown condition"},
		{"claim in a condition", "[na:one]", "[na:three]", "no claim \"three\""},
		{"short form with two claims", "[na:one]", "[na]", "no claim \"\""},
		{"file without a name", "-- other/go.mod --", "-- --", "y.txtar:29: a file without a name"},
		{"folder without a version", "dep@v1.0.0/sub/dep.go", "dep/dep.go", "module@version/file"},
		{"version without a file", "dep@v1.0.0/sub/dep.go", "dep@v1.0.0", "module@version/file"},
		{"module path", "example.com/dep@v1.0.0", "example.com/d~ep@v1.0.0", ""},
		{"bad module path", "example.com/dep@v1.0.0", "-x/dep@v1.0.0", "malformed module path"},
		{"repository without a version", "git.test/team/dep@v1.0.0/dep.go", "git.test/team/dep/dep.go", "host/path@version"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if !strings.Contains(right, tt.old) {
				t.Fatalf("nothing to replace: %q", tt.old)
			}
			_, err := parse("x/y.txtar", []byte(strings.Replace(right, tt.old, tt.new, 1)), false)
			switch {
			case tt.want == "" && err != nil:
				t.Error(err)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), "x/y.txtar:")):
				t.Errorf("error %v, want one with %q", err, tt.want)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(right))
	f.Add([]byte("# Words.\n# holds: go1.20..\n[holds] exec go version\n[!holds] exec go x\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, own := range []bool{false, true} {
			s, err := parse("x/y.txtar", data, own)
			if err != nil {
				continue
			}
			if len(s.Claims) == 0 {
				t.Error("no claims")
			}
			for _, c := range s.Claims {
				if c.ID == "" || c.Says == "" || c.Holds.text == "" {
					t.Errorf("an empty claim: %+v", c)
				}
				c.Verdict("go1.22.3")
			}
			s.commands()
			s.environNames()
			for line := range 5 {
				s.about(line)
			}
			r := Report{Scripts: []*Script{s}, Versions: []string{"go1.18", "go1.22.3"}}
			r.Markdown()
			if err := r.WriteHTML(io.Discard); err != nil {
				t.Error(err)
			}
		}
	})
}
