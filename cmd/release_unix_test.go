//go:build unix

package cmd_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// buildRelease builds a release into dir.
func buildRelease(tb testing.TB, dir string) {
	tb.Helper()
	if out, err := exec.Command("sh", filepath.Join("..", ".ci", "release"), dir).CombinedOutput(); err != nil {
		tb.Fatalf("%v\n%s", err, out)
	}
}

// A release is two programs, and nobody need know.
func TestRelease(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a release, and -short")
	}
	dir := t.TempDir()
	release, elsewhere := filepath.Join(dir, "release"), filepath.Join(dir, "elsewhere")
	buildRelease(t, release)
	if err := os.Mkdir(elsewhere, 0o777); err != nil {
		t.Fatal(err)
	}
	gox := filepath.Join(elsewhere, "gox")
	if err := os.Symlink(filepath.Join(release, "gox"), gox); err != nil {
		t.Fatal(err)
	}
	found, err := exec.LookPath("go")
	if err != nil {
		t.Fatal(err)
	}
	p := newPlace(t, found, map[string]string{"profiles.toml": "[profile.p]\ngoproxy = \"https://proxy.test\"\n"})
	for _, tt := range []struct {
		args           string
		status         string
		stdout, stderr string // a part of each
	}{
		{"-p p env GOPROXY", "0", "https://proxy.test\n", ""},
		{"-p p nosuch", "2", "", "unknown command"},
		{"profile list", "0", "profiles.toml:1", ""},
		{"profile nosuch", "2", "", "gox profile"},
		{"-p p explain GOPROXY", "0", "profiles.toml:2", ""},
		{"--help", "0", "usage:", ""},
		{"--nope", "125", "", "unknown flag"},
	} {
		status, stdout, stderr := p.run(t, append([]string{gox}, strings.Fields(tt.args)...)...)
		if status != tt.status || !strings.Contains(stdout, tt.stdout) || !strings.Contains(stderr, tt.stderr) {
			t.Errorf("gox %s: status %s, stdout %q, stderr %q; want %+v", tt.args, status, stdout, stderr, tt)
		}
	}
	if err := os.Remove(filepath.Join(release, "gox-verbs")); err != nil {
		t.Fatal(err)
	}
	status, _, stderr := p.run(t, gox, "profile", "list")
	if status != "127" || !strings.Contains(stderr, "put both into one directory") {
		t.Errorf("without gox-verbs: status %s, stderr %q", status, stderr)
	}
	if status, stdout, _ := p.run(t, gox, "-p", "p", "env", "GOPROXY"); status != "0" || stdout != "https://proxy.test\n" {
		t.Errorf("without gox-verbs, a wrapped run: status %s, stdout %q", status, stdout)
	}
}
