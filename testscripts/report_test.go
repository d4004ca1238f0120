package testscripts

import (
	"flag"
	"os"
	"strings"
	"testing"
)

var updateFlag = flag.Bool("update", false, "rewrite VERDICTS.md")

// TestVerdicts compares the published table with the headers.
func TestVerdicts(t *testing.T) {
	scripts, err := All()
	if err != nil {
		t.Fatal(err)
	}
	versions := []string{"go1.18", "go1.19", "go1.20", "go1.21", "go1.22", "go1.23", "go1.24", "go1.25", "go1.26", "go1.27"}
	want := Report{Scripts: scripts, Versions: versions}.Markdown()
	if *updateFlag {
		if err := os.WriteFile("VERDICTS.md", []byte(want), 0o666); err != nil {
			t.Fatal(err)
		}
		return
	}
	data, err := os.ReadFile("VERDICTS.md")
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, count, _ := strings.Cut(want, "\n\n")
	_, count, _ = strings.Cut(count, "\n\n")
	count, _, _ = strings.Cut(count, ",") // "600 claims"
	if !strings.Contains(string(readme), "proves "+count+" about") {
		t.Errorf("README.md does not say %q", count)
	}
	if got := strings.ReplaceAll(string(data), "\r\n", "\n"); got != want {
		t.Errorf("VERDICTS.md is not what the headers say%s\n\tgo test ./testscripts -run TestVerdicts -update", difference(got, want))
	}
}

// difference lists the lines that only one of two texts has.
func difference(got, want string) string {
	var b strings.Builder
	only := func(sign, text, other string) {
		has := map[string]bool{}
		for line := range strings.Lines(other) {
			has[line] = true
		}
		for line := range strings.Lines(text) {
			if !has[line] {
				b.WriteString("\n" + sign + strings.TrimSuffix(line, "\n"))
			}
		}
	}
	only("-", got, want)
	only("+", want, got)
	return b.String()
}

func TestMarkdown(t *testing.T) {
	claim := func(id, says, holds, na, reason string) Claim {
		h, err := ParseVersions(holds)
		if err != nil {
			t.Fatal(err)
		}
		n, err := ParseVersions(na)
		if err != nil {
			t.Fatal(err)
		}
		return Claim{ID: id, Says: says, Holds: h, NA: n, Reason: reason}
	}
	scripts := []*Script{
		{Topic: "work", File: "work/b.txtar", Claims: []Claim{
			claim("back", "It comes and goes.", "go1.20,go1.21.2..", "none", ""),
			claim("late", "It comes late.", "go1.21.2..", "..go1.19", "no go.work"),
		}},
		{Topic: "goproxy", File: "goproxy/a.txtar", Claims: []Claim{
			claim("pipe", "In A|B `A|*` and url.<base> of *.git\\ [x] at $A.", "all", "none", ""),
			claim("only-na", "From then on.", "go1.20..", "..go1.19", "none"),
		}},
		{Topic: "work", File: "work/c.txtar", Claims: []Claim{claim("never", "Never.", "none", "none", "")}},
	}
	want := "5 claims, of which 2 change between versions.\n" + `
## goproxy

| 1.19 | 1.20 | 1.21.1 | 1.21.2 | claim |
|------|------|------|------|---|
| yes  | yes  | yes  | yes  | In A\|B ` + "`A\\|*`" + ` and url.\<base> of \*.git\\ \[x] at \$A. [pipe](goproxy/a.txtar) |
| n/a  | yes  | yes  | yes  | From then on. (n/a: none) [only-na](goproxy/a.txtar) |

## work

| 1.19 | 1.20 | 1.21.1 | 1.21.2 | claim |
|------|------|------|------|---|
| no   | →yes | →no  | →yes | It comes and goes. [back](work/b.txtar) |
| n/a  | no   | no   | →yes | It comes late. (n/a: no go.work) [late](work/b.txtar) |
| no   | no   | no   | no   | Never. [never](work/c.txtar) |
`
	got := Report{Scripts: scripts, Versions: []string{"go1.19", "go1.20", "go1.21.1", "go1.21.2"}}.Markdown()
	parts := strings.SplitN(got, "\n\n", 5) // title, what it is, counts, key, tables
	if got = parts[2] + "\n\n" + parts[4]; got != want {
		t.Errorf("differs:%s", difference(got, want))
	}
	if scripts[0].Topic != "work" {
		t.Error("the caller's slice is sorted")
	}
}
