package testscripts

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

// pageReport is a report with every kind of cell, on scripts that gox ships.
func pageReport(t *testing.T) Report {
	t.Helper()
	scripts, err := All()
	if err != nil {
		t.Fatal(err)
	}
	r := Report{Scripts: scripts, Versions: []string{"go1.18.10", "go1.22.12"}, Missing: []Missing{{"go1.99", errors.New("no release <of it>")}}}
	for i, s := range scripts {
		for _, v := range r.Versions {
			res := Result{Script: s, Version: v, Duration: time.Second}
			switch {
			case s.File == "goproxy/pipe.txtar" && v == "go1.22.12":
				res.Err, res.Transcript = ErrDeviates, "FAIL: goproxy/pipe.txtar:30: <odd>\x1b[31m & so on\n"
				res.locate()
				res.Line = lineOf(t, s, "[holds:pipe-any]")
			case i == 0:
				res.Skipped = "nobody knows why"
			}
			r.Results = append(r.Results, res)
		}
	}
	return r
}

// lineOf returns the first line of a script that begins so.
func lineOf(t *testing.T, s *Script, prefix string) int {
	t.Helper()
	for i, line := range strings.Split(s.Text, "\n") {
		if strings.HasPrefix(line, prefix) {
			return i + 1
		}
	}
	t.Fatalf("%s: no line begins with %q", s.File, prefix)
	return 0
}

// browser returns a function that loads a page in a real browser and returns
// the document as it is then.
func browser(t *testing.T) func(url string) string {
	t.Helper()
	var program string
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil && program == "" {
			program = found
		}
	}
	if program == "" {
		const missing = "chromium: not found in PATH: nothing to look at the page with\n\tapt-get install chromium"
		if os.Getenv("CI") == "true" {
			t.Fatal(missing)
		}
		t.Skip(missing)
	}
	return func(url string) string {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		cmd := exec.CommandContext(ctx, program,
			"--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
			"--disable-component-update", "--disable-sync", "--user-data-dir="+t.TempDir(), "--dump-dom", url)
		var stderr strings.Builder
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%v\n%s", err, &stderr)
		}
		return string(out)
	}
}

func TestPage(t *testing.T) {
	r := pageReport(t)
	file := filepath.Join(t.TempDir(), "page.html")
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(r.WriteHTML(f), f.Close()); err != nil {
		t.Fatal(err)
	}
	look := browser(t)
	url := "file://" + filepath.ToSlash(file)

	// rows returns the ids of the claims that can be seen, and the rest.
	rows := func(dom string) (shown, hidden []string) {
		for _, m := range regexp.MustCompile(`<tr class="claim[^"]*" id="c-([^"]*)"( hidden="")?>`).FindAllStringSubmatch(dom, -1) {
			if m[2] == "" {
				shown = append(shown, m[1])
			} else {
				hidden = append(hidden, m[1])
			}
		}
		return shown, hidden
	}
	claims := map[string]Row{}
	for _, topic := range r.Topics() {
		for _, row := range topic.Rows {
			claims[row.Claim.ID] = row
		}
	}
	checks := func(t *testing.T, dom string, want func(id string, row Row) bool) {
		t.Helper()
		shown, hidden := rows(dom)
		if len(shown)+len(hidden) != len(claims) || len(shown) == 0 {
			t.Fatalf("%d rows to be seen, %d hidden, of %d", len(shown), len(hidden), len(claims))
		}
		for _, id := range shown {
			if !want(id, claims[id]) {
				t.Errorf("%s is shown", id)
			}
		}
		for _, id := range hidden {
			if want(id, claims[id]) {
				t.Errorf("%s is hidden", id)
			}
		}
	}
	text := func(row Row) string {
		return strings.ToLower(row.Script.Topic + " " + row.Script.File + " " + row.Claim.Says + " " + row.Claim.ID + " " + row.Claim.Reason)
	}
	t.Run("all", func(t *testing.T) {
		dom := look(url)
		checks(t, dom, func(string, Row) bool { return true })
		for _, want := range []string{
			`<strong>go1.99 could not be had:</strong> no release &lt;of it&gt;`,
			`<td class="deviates" data-go="1.22"><span>FAIL</span></td>`,
			`<td class="unproved" data-go="1.22"><span>?</span></td>`,
			`<td class="skipped" data-go="1.18"><span>skip</span></td>`,
			`&lt;odd&gt;`,
			`<div class="tools" id="tools" role="search">`,
		} {
			if !strings.Contains(dom, want) {
				t.Errorf("the page lacks %s", want)
			}
		}
	})
	t.Run("filter", func(t *testing.T) {
		dom := look(url + "#q=VENDOR%20workspace&changes")
		checks(t, dom, func(_ string, row Row) bool {
			return row.Changes && strings.Contains(text(row), "vendor") && strings.Contains(text(row), "workspace")
		})
		if strings.Contains(dom, `<section id="t-work" hidden`) || !strings.Contains(dom, `<section id="t-http" hidden`) {
			t.Error("not those topics hidden that have nothing to show")
		}
	})
	t.Run("fails", func(t *testing.T) {
		checks(t, look(url+"#fails"), func(_ string, row Row) bool { return row.Script.File == "goproxy/pipe.txtar" })
	})
	t.Run("a script opens", func(t *testing.T) {
		dom := look(url + "#s-work/use_first.txtar")
		if !strings.Contains(dom, `<details id="s-work/use_first.txtar" open="">`) || strings.Count(dom, " open=\"\"") != 1 {
			t.Error("not just this one is open")
		}
	})
	t.Run("without JavaScript", func(t *testing.T) {
		// The browser shows what became of a document only where it runs scripts.
		page, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		static := regexp.MustCompile(`(?s)<script>.*?</script>`).ReplaceAll(page, nil)
		if err := os.WriteFile(file, static, 0o666); err != nil || len(static) == len(page) {
			t.Fatal(err, len(static))
		}
		dom := look(url + "#q=vendor")
		checks(t, dom, func(string, Row) bool { return true })
		if !strings.Contains(dom, `role="search" hidden=""`) {
			t.Error("a filter that does nothing is shown")
		}
	})
}
