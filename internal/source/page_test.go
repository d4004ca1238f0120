package source

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// The page shows each module and what is alarming, spells out what could be
// markup, and filters by its address, in a real browser.
func TestPage(t *testing.T) {
	dir := t.TempDir()
	r := &Report{GoVersion: "go1.22.1", GoMod: filepath.Join(dir, "go.mod"), GoProxy: "https://proxy.example", ModCache: "/cache",
		Modules: []Module{
			{Path: "example.com/main", Source: Main, Dir: dir, Evidence: []Evidence{{File: filepath.Join(dir, "go.mod"), Line: 1, Text: "module example.com/main"}}},
			{Path: "example.com/dep", Version: "v1.0.0", Source: ModCache, Dir: "/cache/dep", Note: "<b>bold</b>", Ask: []Entry{{URL: "https://proxy.example"}}},
			{Path: "example.com/gone", Version: "v1.2.0", Source: Nowhere, Note: "GOPROXY=off"},
		},
		Alarms: []Alarm{{Kind: Differ, Module: "example.com/dep", Version: "v1.0.0", Text: "a & b <differ>", Mend: "look"}},
	}
	var b strings.Builder
	if err := r.WriteHTML(&b); err != nil {
		t.Fatal(err)
	}
	page := b.String()
	for _, want := range []string{"a &amp; b &lt;differ&gt;", "&lt;b&gt;bold", ">go.mod:1<", `class="tag nowhere"`} {
		if !strings.Contains(page, want) {
			t.Errorf("no %s in the page", want)
		}
	}
	if regexp.MustCompile(`(src|href)=|@import|url\(`).MatchString(page) {
		t.Error("the page needs something else")
	}
	file := filepath.Join(dir, "page.html")
	if err := os.WriteFile(file, []byte(page), 0o666); err != nil {
		t.Fatal(err)
	}
	for filter, want := range map[string]string{"": "3 of 3 modules", "#q=gone+OFF": "1 of 3 modules"} {
		dom := browse(t, "file://"+file+filter)
		if !strings.Contains(dom, want) {
			t.Errorf("%s: not %q", filter, want)
		}
		if hidden := strings.Count(dom, `hidden=""`); hidden != 3-int(want[0]-'0') {
			t.Errorf("%s: %d rows are hidden, want %s", filter, hidden, want)
		}
	}
}

// browse returns the document that a browser makes of a page.
func browse(t *testing.T, url string) string {
	t.Helper()
	program, err := exec.LookPath("chromium")
	if err != nil {
		const missing = "chromium: not found in PATH: nothing to look at the page with\n\tapt-get install chromium"
		if os.Getenv("CI") == "true" {
			t.Fatal(missing)
		}
		t.Skip(missing)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program,
		"--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
		"--disable-component-update", "--disable-sync", "--user-data-dir="+t.TempDir(), "--dump-dom", url)
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}
