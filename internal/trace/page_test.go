package trace

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// What the page shows is what a browser shows.
func TestPageInABrowser(t *testing.T) {
	program, err := exec.LookPath("chromium")
	if err != nil {
		const missing = "chromium: not found in PATH: nothing to look at the page with\n\tapt-get install chromium"
		if os.Getenv("CI") == "true" {
			t.Fatal(missing)
		}
		t.Skip(missing)
	}
	file := filepath.Join(t.TempDir(), "page.html")
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(report().WriteHTML(f), f.Close()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program,
		"--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
		"--disable-component-update", "--disable-sync", "--user-data-dir="+t.TempDir(), "--dump-dom", "file://"+filepath.ToSlash(file)+"#q=m.example%20missing")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	dom := string(out)
	rows := regexp.MustCompile(`<tr data-f="([^"]*)"[^>]*?( hidden="")?>`).FindAllStringSubmatch(dom, -1)
	if len(rows) != 8 {
		t.Fatalf("%d requests in\n%s", len(rows), dom)
	}
	for _, row := range rows {
		if want := strings.Contains(row[1], "m.example") && strings.Contains(row[1], "missing"); want != (row[2] == "") {
			t.Errorf("shown is %t: %s", row[2] == "", row[1])
		}
	}
	if !strings.Contains(dom, "<th><button>module</button></th>") {
		t.Error("the columns cannot be sorted")
	}
}
