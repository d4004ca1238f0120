package trace

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"example.com/gox/internal/gateway"
)

func report() *Report {
	start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	r := &Report{Command: []string{"build", "./..."}, Profile: "office", GOPROXY: "https://xxxxx@a.example,https://b.example", Start: start, Millis: 400}
	at := func(ms int) time.Time { return start.Add(time.Duration(ms) * time.Millisecond) }
	r.Add([]gateway.Record{
		{Time: at(30), Module: "m.example", Version: "v1.0.0", File: "zip", Path: "/m.example/@v/v1.0.0.zip", Upstream: "https://b.example", Index: 1, Status: 200, Source: "upstream", Bytes: 5_000_000, Phases: gateway.Phases{DNS: 1, Connect: 2, TLS: 3, FirstByte: 4, Total: 200}, Remote: "[2001:db8::1]:443", Redirects: []gateway.Redirect{{Status: 302, URL: "https://cdn.example/x?xxxxx"}}},
		{Time: at(0), Module: "m.example", Version: "v1.0.0", File: "info", Path: "/m.example/@v/v1.0.0.info", Upstream: "https://a.example", Status: 404, Source: "upstream", Phases: gateway.Phases{Total: 10}},
		{Time: at(10), Module: "m.example", Version: "v1.0.0", File: "info", Path: "/m.example/@v/v1.0.0.info", Upstream: "https://b.example", Index: 1, Status: 200, Source: "upstream", Bytes: 50, Phases: gateway.Phases{Total: 10}},
		{Time: at(20), Module: "m.example", Version: "v1.0.0", File: "zip", Path: "/m.example/@v/v1.0.0.zip", Upstream: "https://a.example", Status: 502, Source: "gateway", Error: `Get "https://a.example/m": dial tcp: refused`, Tries: []gateway.Try{{Error: "x", Why: "retry", Millis: 5}}, Phases: gateway.Phases{Total: 8}},
		{Time: at(250), Module: "none.example", Version: "v1.0.0", File: "info", Upstream: "https://a.example", Status: 404, Source: "upstream"},
		{Time: at(260), Module: "list.example", File: "list", Upstream: "https://a.example", Status: 200, Source: "upstream"},
		{Time: at(270), File: "sumdb", SumDB: "sum.example", Path: "/sumdb/sum.example/lookup/<script>alert(1)</script>", Upstream: "https://a.example", Status: 200, Source: "upstream"},
		{Time: at(280), Module: "broken.example", Version: "v1.0.0", File: "zip", Upstream: "https://a.example", Status: 200, Source: "upstream", Error: "unexpected EOF", Bytes: 10},
	})
	return r
}

func TestReport(t *testing.T) {
	r := report()
	var got []string
	for _, m := range r.Modules {
		got = append(got, strings.Join([]string{m.Path, m.Version, m.Source, m.From, strings.Join(m.Files, "+"), fmt.Sprint(m.Bytes), m.before()}, "|"))
	}
	want := []string{
		"broken.example|v1.0.0|not found|||0|https://a.example 200 unexpected EOF (zip)",
		"list.example||proxy|https://a.example|list|0|",
		"m.example|v1.0.0|proxy|https://b.example|info+zip|5000050|https://a.example 404 (info); https://a.example dial tcp: refused (zip)",
		"none.example|v1.0.0|not found|||0|https://a.example 404 (info)",
	}
	if !slices.Equal(got, want) {
		t.Errorf("modules\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if len(r.Upstreams) != 2 {
		t.Fatalf("%+v", r.Upstreams)
	}
	a, b := r.Upstreams[0], r.Upstreams[1]
	if a.Requests != 6 || a.Found != 2 || a.Missing != 2 || a.Failed != 2 || a.SumDB != 1 || a.Again != 1 || a.Bytes != 10 {
		t.Errorf("a: %+v", a)
	}
	if b.Requests != 2 || b.Found != 2 || b.Bytes != 5_000_050 || b.Slowest != 200 {
		t.Errorf("b: %+v", b)
	}
	if !slices.IsSortedFunc(r.Records, func(a, b gateway.Record) int { return a.Time.Compare(b.Time) }) {
		t.Error("the records are not in their order")
	}
}

// The archive has every member that the format's version 1.2 demands.
func TestHAR(t *testing.T) {
	var b bytes.Buffer
	if err := report().WriteHAR(&b); err != nil {
		t.Fatal(err)
	}
	var har struct {
		Log map[string]any
	}
	if err := json.Unmarshal(b.Bytes(), &har); err != nil {
		t.Fatal(err)
	}
	need := func(what string, v any, names string) map[string]any {
		m, _ := v.(map[string]any)
		for _, name := range strings.Fields(names) {
			if m[name] == nil {
				t.Errorf("%s has no %s: %v", what, name, m)
			}
		}
		return m
	}
	log := need("log", har.Log, "version creator entries pages")
	need("creator", log["creator"], "name version")
	entries := log["entries"].([]any)
	if len(entries) != 8 {
		t.Fatalf("%d entries", len(entries))
	}
	for _, e := range entries {
		e := need("entry", e, "startedDateTime time request response cache timings pageref")
		need("request", e["request"], "method url httpVersion cookies headers queryString headersSize bodySize")
		response := need("response", e["response"], "status statusText httpVersion cookies headers content redirectURL headersSize bodySize")
		need("content", response["content"], "size mimeType")
		timings := need("timings", e["timings"], "send wait receive blocked dns connect ssl")
		sum := 0.0
		for _, name := range []string{"blocked", "dns", "connect", "send", "wait", "receive"} {
			sum += max(0, timings[name].(float64))
		}
		if total := e["time"].(float64); total-sum > 0.01 || sum-total > 0.01 {
			t.Errorf("the phases add up to %g, not to %g: %v", sum, total, timings)
		}
	}
	zip := entries[3].(map[string]any)
	if zip["serverIPAddress"] != "2001:db8::1" || zip["request"].(map[string]any)["url"] != "https://b.example/m.example/@v/v1.0.0.zip" {
		t.Errorf("%v", zip)
	}
}

// The page needs nothing from elsewhere, and what proxies say is not taken for
// a part of it.
func TestHTML(t *testing.T) {
	var b bytes.Buffer
	r := report()
	r.Git = []Git{{Args: []string{"git", "fetch"}, Repository: "https://r.example"}}
	if err := r.WriteHTML(&b); err != nil {
		t.Fatal(err)
	}
	page := b.String()
	if m := regexp.MustCompile(`(?i)(src|href|url\()\s*=?\s*["']?(https?:)?//`).FindString(page); m != "" {
		t.Errorf("it fetches: %s", m)
	}
	if strings.Contains(page, "<script>alert") {
		t.Error("a path is taken for a script")
	}
	for _, want := range []string{"m.example@v1.0.0", "none.example", "unexpected EOF", "302 to https://cdn.example", "git fetch", `class="not-found"`, "8 requests, 5.0 MB"} {
		if !strings.Contains(page, want) && !strings.Contains(page, strings.ReplaceAll(want, `class="not-found"`, `class="s not-found"`)) {
			t.Errorf("no %s in the page", want)
		}
	}
	if strings.Contains(page, "ZgotmplZ") {
		t.Error("the template does not trust one of its values")
	}
	var empty bytes.Buffer
	if err := (&Report{Command: []string{"version"}}).WriteHTML(&empty); err != nil || !strings.Contains(empty.String(), "no proxy was asked") {
		t.Errorf("of nothing: %v", err)
	}
}

func TestText(t *testing.T) {
	var b bytes.Buffer
	r := report()
	r.Command = append(r.Command, "\x1b[2J")
	if err := r.WriteText(&b); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(b.String(), "\x1b") {
		t.Error("a terminal would obey it")
	}
}

// Where modules came from that no proxy was asked for.
func TestLook(t *testing.T) {
	tests := []struct {
		name, args, goflags string
		files               string // NAME: content, blank line between
		cached, fresh       string // in the module cache before the run, and since
		want                string
	}{
		{"cached", "build", "", "go.mod: module m\nrequire a.example v1.0.0", "a.example@v1.0.0", "", "a.example v1.0.0 cache"},
		{"cached, with a capital letter", "build", "", "go.mod: module m\nrequire a.example/B v1.0.0", "a.example/!b@v1.0.0", "", "a.example/B v1.0.0 cache"},
		{"new", "build", "", "go.mod: module m\nrequire a.example v1.0.0", "", "a.example@v1.0.0", "a.example v1.0.0 direct https://a.example/repo"},
		{"nowhere", "build", "", "go.mod: module m\nrequire a.example v1.0.0", "", "", "a.example v1.0.0 unknown"},
		{"replaced by a directory", "build", "", "go.mod: module m\nrequire a.example v1.0.0\nreplace a.example => ./a", "", "", "a.example v1.0.0 replace DIR/a by DIR/go.mod:3"},
		{"replaced, one version", "build", "", "go.mod: module m\nrequire a.example v1.0.0\nreplace a.example v1.0.0 => ./a\nreplace a.example => ./b", "", "", "a.example v1.0.0 replace DIR/a by DIR/go.mod:3"},
		{"replaced, another version", "build", "", "go.mod: module m\nrequire a.example v1.0.0\nreplace a.example v2.0.0 => ./a", "a.example@v1.0.0", "", "a.example v1.0.0 cache"},
		{"replaced by a module", "build", "", "go.mod: module m\nrequire a.example v1.0.0\nreplace a.example => b.example v1.2.0", "b.example@v1.2.0", "", "a.example v1.0.0 cache"},
		{"vendored", "build", "", "go.mod: module m\ngo 1.18\nrequire a.example v1.0.0\n\nvendor/modules.txt: # a.example v1.0.0", "a.example@v1.0.0", "", "a.example v1.0.0 vendor DIR/vendor"},
		{"vendored, old go.mod", "build", "", "go.mod: module m\ngo 1.13\nrequire a.example v1.0.0\n\nvendor/modules.txt: #", "a.example@v1.0.0", "", "a.example v1.0.0 cache"},
		{"vendored, old go.mod, flag", "build -mod=vendor", "", "go.mod: module m\ngo 1.13\nrequire a.example v1.0.0\n\nvendor/modules.txt: #", "", "", "a.example v1.0.0 vendor DIR/vendor"},
		{"vendored, -mod=mod", "build -mod mod", "", "go.mod: module m\ngo 1.18\nrequire a.example v1.0.0\n\nvendor/modules.txt: #", "a.example@v1.0.0", "", "a.example v1.0.0 cache"},
		{"vendored, GOFLAGS", "build", "-mod=mod", "go.mod: module m\ngo 1.18\nrequire a.example v1.0.0\n\nvendor/modules.txt: #", "a.example@v1.0.0", "", "a.example v1.0.0 cache"},
		{"vendored, but go mod", "mod download", "", "go.mod: module m\ngo 1.18\nrequire a.example v1.0.0\n\nvendor/modules.txt: #", "a.example@v1.0.0", "", "a.example v1.0.0 cache"},
		{"another go.mod", "build", "-modfile=go.alt.mod", "go.mod: module m\n\ngo.alt.mod: module m\nrequire a.example v1.0.0", "a.example@v1.0.0", "", "a.example v1.0.0 cache"},
		{"workspace", "build", "", "go.work: go 1.18\nuse ./x\nuse ./y\n\nx/go.mod: module x.example\nrequire (\ny.example v1.0.0\na.example v1.0.0\n)\n\ny/go.mod: module y.example\nrequire a.example v1.1.0", "a.example@v1.1.0", "",
			"a.example v1.1.0 cache\nx.example  workspace DIR/x\ny.example  workspace DIR/y"},
		{"workspace, replaced in go.work", "build", "", "go.work: go 1.18\nuse ./x\nreplace a.example => ./w\n\nx/go.mod: module x.example\nrequire a.example v1.0.0\nreplace a.example v1.0.0 => ./a", "", "",
			"a.example v1.0.0 replace DIR/w by DIR/go.work:3\nx.example  workspace DIR/x"},
		{"workspace, vendor without its header", "build", "", "go.work: go 1.22\nuse ./x\n\nx/go.mod: module x.example\nrequire a.example v1.0.0\n\nvendor/modules.txt: # a", "a.example@v1.0.0", "",
			"a.example v1.0.0 cache\nx.example  workspace DIR/x"},
		{"workspace, vendored", "build", "", "go.work: go 1.22\nuse ./x\n\nx/go.mod: module x.example\nrequire a.example v1.0.0\n\nvendor/modules.txt: ## workspace", "a.example@v1.0.0", "",
			"a.example v1.0.0 vendor DIR/vendor\nx.example  workspace DIR/x"},
		{"a version by name", "install a.example@latest", "", "go.mod: module m\nrequire a.example v1.0.0", "a.example@v1.0.0", "", ""},
		{"no module", "build", "", "x: y", "", "", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			dir, cache := t.TempDir(), t.TempDir()
			write := func(path, data string, when time.Time) {
				if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(data), 0o600); err != nil {
					t.Fatal(err)
				}
				if err := os.Chtimes(path, when, when); err != nil {
					t.Fatal(err)
				}
			}
			start := time.Now().Add(-time.Hour)
			for _, file := range strings.Split(test.files, "\n\n") {
				name, data, _ := strings.Cut(file, ": ")
				write(filepath.Join(dir, name), data+"\n", start)
			}
			for when, m := range map[time.Time]string{start.Add(-time.Hour): test.cached, start.Add(time.Minute): test.fresh} {
				if path, version, ok := strings.Cut(m, "@"); ok {
					base := filepath.Join(cache, "cache/download", path, "@v", version)
					write(base+".zip", "", when)
					write(base+".info", `{"Version":"x","Origin":{"VCS":"git","URL":"https://user:pw@a.example/repo"}}`, when)
				}
			}
			r := &Report{Start: start}
			r.Look(Place{Dir: dir, Args: strings.Fields(test.args), GOFLAGS: test.goflags, GOMODCACHE: cache, GoVersion: "go1.27.0"})
			var got []string
			for _, m := range r.Modules {
				line := m.Path + " " + m.Version + " " + m.Source
				if m.From != "" {
					line += " " + strings.ReplaceAll(m.From, "xxxxx@", "")
				}
				if m.Source == Replace {
					line += " " + m.Evidence
				}
				got = append(got, strings.ReplaceAll(line, dir, "DIR"))
			}
			if got := strings.Join(got, "\n"); got != test.want {
				t.Errorf("got\n%s\nwant\n%s", got, test.want)
			}
		})
	}
}

func TestReadGit(t *testing.T) {
	dir := t.TempDir()
	repo := filepath.Join(dir, "0123")
	os.WriteFile(repo+".info", []byte("git3:https://me:pw@r.example/x\n"), 0o600)
	path := filepath.Join(dir, "trace")
	lines := []string{
		`{"event":"version","sid":"1"}`,
		`{"event":"start","sid":"2","time":"2026-01-01T00:00:01Z","argv":["git","fetch","https://tok:en@r.example/x"]}`,
		`{"event":"start","sid":"1","time":"2026-01-01T00:00:00Z","argv":["git","tag","-l"]}`,
		fmt.Sprintf(`{"event":"def_param","sid":"1","param":"PWD","value":%q}`, repo),
		`{"event":"start","sid":"1/9","time":"2026-01-01T00:00:00Z","argv":["git","upload-pack"]}`,
		`{"event":"exit","sid":"1","t_abs":0.25,"code":3}`,
		`{"event":"exit","sid":"7","t_abs":0.25,"code":3}`,
		`{"event":`,
	}
	if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	var r Report
	if err := r.ReadGit(path); err != nil {
		t.Fatal(err)
	}
	got := ""
	for _, g := range r.Git {
		got += fmt.Sprintf("%s | %s | %g %d %t\n", strings.Join(g.Args, " "), g.Repository, g.Millis, g.ExitCode, g.Remote())
	}
	want := "git tag -l | https://xxxxx@r.example/x | 250 3 false\n" +
		"git fetch https://xxxxx@r.example/x | https://xxxxx@r.example/x | 0 -1 true\n"
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
