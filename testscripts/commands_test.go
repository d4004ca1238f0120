package testscripts

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

func commandRows() string {
	var b strings.Builder
	b.WriteString("<!-- commands -->\n| command | |\n|---|---|\n")
	for _, c := range commandTable {
		not := ""
		if c.negatable {
			not = "[!] "
		}
		fmt.Fprintf(&b, "| `%s%s %s` | %s |\n", not, c.name, strings.ReplaceAll(c.args, "|", `\|`), c.summary)
	}
	b.WriteString("<!-- end -->")
	return b.String()
}

func TestCommandsInREADME(t *testing.T) {
	data, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	if want := commandRows(); !strings.Contains(string(data), want) {
		t.Errorf("README.md: the table of commands should be\n%s", want)
	}
}

func TestCommandTable(t *testing.T) {
	if n := len(commandTable); n > 12 {
		t.Errorf("%d commands, want a dozen at most", n)
	}
	if !slices.IsSortedFunc(commandTable, func(a, b command) int { return strings.Compare(a.name, b.name) }) {
		t.Error("not sorted")
	}
	for _, c := range commandTable {
		if c.args == "" || c.summary == "" || strings.HasSuffix(c.summary, ".") {
			t.Errorf("%s: wants arguments, and a summary without a full stop", c.name)
		}
	}
}
