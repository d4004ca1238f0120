//go:build unix

package cmd_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"example.com/gox/internal/gocmd"
)

// Two builds of gox that both stand in PATH as go do not run one another for
// ever, or at all: each finds the real go behind them.
func TestAnotherBuildIsNotGo(t *testing.T) {
	found, err := gocmd.Find(os.Getenv("PATH"), "")
	if err != nil {
		t.Fatal(err)
	}
	goPath := found.Path
	p := newPlace(t, goPath, map[string]string{"profiles.toml": "[profile.p]\ngoproxy = \"https://proxy.test\"\n"})
	other := filepath.Join(t.TempDir(), "go")
	if err := buildGox(other, "-ldflags=-s"); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "go")
	if err := os.Symlink(filepath.Join(bin, "gox"), link); err != nil {
		t.Fatal(err)
	}
	list := []string{filepath.Dir(other), filepath.Dir(link)}
	p.env = append(p.env, "PATH="+strings.Join(append(list, bin, filepath.Dir(goPath), os.Getenv("PATH")), ":"))
	_, want, _ := p.run(t, goPath, "version")
	for _, argv := range [][]string{
		{"gox", "version"},
		{"gox", "-p", "p", "version"},
		{"go", "version"},
		{link, "version"},
	} {
		if status, stdout, stderr := p.run(t, argv...); status != "0" || stdout != want || stderr != "" {
			t.Errorf("%q: status %s, %q %q, want %q", argv, status, stdout, stderr, want)
		}
	}

	// Control: with only the two in PATH, each says so.
	p.env = append(p.env, "PATH="+strings.Join(list, ":"))
	for _, path := range []string{filepath.Join(bin, "gox"), other, link} {
		cmd := p.command("version")
		cmd.Path, cmd.Args = path, []string{path, "version"}
		var stderr strings.Builder
		cmd.Stderr = &stderr
		if status := end(t, cmd.Run()); status != "127" || !strings.Contains(stderr.String(), "only gox itself found in PATH, as "+other) {
			t.Errorf("%s: status %s, %q", path, status, stderr.String())
		}
	}
}
