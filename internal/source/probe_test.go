package source

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/module"

	"example.com/gox/internal/gateway"
)

// probeSite is a main module with a full module cache, to be listed and probed.
func probeSite(t *testing.T, w *world, require module.Version, env ...string) Query {
	t.Helper()
	goPath := goInPath(t)
	root := t.TempDir()
	write(t, filepath.Join(root, "go.mod"), "module m\n\ngo 1.18\n\nrequire "+require.Path+" "+require.Version+"\n")
	write(t, filepath.Join(root, "go.sum"), w.sums)
	copyTree(t, w.full, filepath.Join(root, ".gomodcache"), everything)
	return Query{Go: goPath, Dir: root, Env: append(append(w.environ(), "GOMODCACHE="+filepath.Join(root, ".gomodcache"), "GOPROXY="+w.url+"/a,"+w.url+"/b"), env...)}
}

// goInPath is the go that these tests run, any one.
func goInPath(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("go")
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// answer puts an answer into the world for as long as the test runs.
func (w *world) answer(t *testing.T, path string, data []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	was, had := w.files[path]
	w.files[path] = data
	if data == nil {
		delete(w.files, path)
	}
	t.Cleanup(func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.files[path] = was
		if !had {
			delete(w.files, path)
		}
	})
}

func TestProbe(t *testing.T) {
	goPath := goInPath(t)
	w := newWorld(t, goPath)
	failing := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		http.Error(rw, "out of order", http.StatusServiceUnavailable)
	}))
	t.Cleanup(failing.Close)
	dep, lib := v("example.com/dep", "v1.0.0"), v("private.test/lib", "v1.0.0")
	const depA, depB, libB = "/a/example.com/dep/@v/v1.0.0", "/b/example.com/dep/@v/v1.0.0", "/b/private.test/lib/@v/v1.0.0"
	other := []byte("module example.com/dep\n\ngo 1.16\n")
	tests := []struct {
		name    string
		require module.Version
		env     []string
		answers map[string][]byte // nil is 404
		zip     bool
		all     bool
		want    string   // of Answers; $W is the world
		alarms  []string // kinds
		text    string   // in the first alarm
		silent  bool     // nobody but the first proxy is asked
	}{
		{name: "both agree", require: dep, want: "$W/a serves, $W/b serves"},
		{name: "only the second", require: v("example.com/onlyb", "v1.0.0"), want: "$W/a 404, $W/b serves"},
		{name: "go.mod files differ", require: dep, answers: map[string][]byte{depB + ".mod": other},
			want: "$W/a serves, $W/b serves", alarms: []string{"differ"}, text: "serve different go.mod files: h1:"},
		{name: "contents differ, unseen", require: dep, answers: map[string][]byte{depB + ".zip": w.files["/a/example.com/dep/@v/v1.1.0.zip"]},
			want: "$W/a serves, $W/b serves"},
		{name: "contents differ, with zip", require: dep, zip: true, answers: map[string][]byte{depB + ".zip": w.files["/a/example.com/dep/@v/v1.1.0.zip"]},
			want: "$W/a serves, $W/b serves", alarms: []string{"differ"}, text: "different content"},
		{name: "commits differ", require: dep, answers: map[string][]byte{
			depA + ".info": []byte(`{"Version":"v1.0.0","Origin":{"Hash":"aa"}}`), depB + ".info": []byte(`{"Version":"v1.0.0","Origin":{"Hash":"bb"}}`)},
			want: "$W/a serves, $W/b serves", alarms: []string{"differ"}, text: "different commits: aa, bb"},
		{name: "no source has it any more", require: dep, answers: map[string][]byte{depA + ".info": nil, depB + ".info": nil},
			want: "$W/a 404, $W/b 404", alarms: []string{"unserved"}},
		{name: "that one failed proves nothing", require: dep, env: []string{"GOPROXY=" + w.url + "/nothing," + failing.URL},
			want: "$W/nothing 404, $F 503"},
		{name: "go.sum knows another", require: dep, answers: map[string][]byte{depA + ".mod": other, depB + ".mod": nil},
			want: "$W/a serves, $W/b 404", alarms: []string{"sum"}, text: "go.sum says that its go.mod is h1:"},
		{name: "html for json", require: dep, answers: map[string][]byte{depA + ".info": []byte("<html>sign in")},
			want: "$W/a failed, $W/b serves"},
		{name: "another version", require: dep, answers: map[string][]byte{depA + ".info": []byte(`{"Version":"v1.0.1"}`)},
			want: "$W/a failed, $W/b serves"},
		{name: "direct behind a proxy that has it", require: dep, env: []string{"GOPROXY=" + w.url + "/a,direct"},
			want: "$W/a serves, direct not asked"},
		{name: "direct fails", require: dep, env: []string{"GOPROXY=" + w.url + "/nothing,direct"},
			want: "$W/nothing 404, direct failed", alarms: []string{"unserved"}},
		{name: "private, direct", require: lib, env: []string{"GOPRIVATE=private.test"},
			want: "direct failed", alarms: []string{"unserved"}, silent: true},
		{name: "private, own proxy first", require: lib, env: []string{"GOPRIVATE=private.test", "GONOPROXY=none"},
			want: "$W/a serves, $W/b not asked", silent: true},
		{name: "private, and the next has it too", require: lib, env: []string{"GOPRIVATE=private.test", "GONOPROXY=none"}, all: true,
			want: "$W/a serves, $W/b serves"}, // of the loopback: it is meant to
		{name: "file", require: dep, env: []string{"GOPROXY=" + fileURL(filepath.Join(w.full, "cache", "download"))},
			want: "file://" + filepath.ToSlash(w.full) + "/cache/download serves"},
		{name: "off", require: dep, env: []string{"GOPROXY=off"}, want: "off not asked"},
		{name: "invalid", require: dep, env: []string{"GOPROXY=mirror"}, want: "mirror not asked"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for path, data := range tt.answers {
				w.answer(t, path, data)
			}
			q := probeSite(t, w, tt.require, tt.env...)
			r, err := List(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			before := snapshot(t, q.Dir)
			w.requests()
			if err := r.Probe(t.Context(), q, ProbeOptions{Gateway: gateway.Config{Environ: q.Env, Dir: q.Dir}, Zip: tt.zip, All: tt.all}); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(before, snapshot(t, q.Dir)) {
				t.Error("probing changed files")
			}
			if asked := strings.Join(w.requests(), " "); tt.silent && strings.Contains(asked, "/b/") {
				t.Errorf("asked %s", asked)
			}
			m := r.Modules[len(r.Modules)-1]
			if want := strings.NewReplacer("$W", w.url, "$F", failing.URL).Replace(tt.want); m.Answers() != want {
				t.Errorf("answers %q, want %q; %+v", m.Answers(), want, m.Probe)
			}
			var kinds []string
			for _, a := range r.Alarms {
				kinds = append(kinds, string(a.Kind))
			}
			if !slices.Equal(kinds, tt.alarms) {
				t.Errorf("alarms %v, want %q", r.Alarms, tt.alarms)
			} else if len(kinds) > 0 && !strings.Contains(r.Alarms[0].String(), tt.text) {
				t.Errorf("alarm %q, want %q", r.Alarms[0].String(), tt.text)
			}
		})
	}
}

// One that does not answer is given up, and its credentials are not told.
func TestProbeHangs(t *testing.T) {
	goPath := goInPath(t)
	w := newWorld(t, goPath)
	hanging := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	t.Cleanup(hanging.Close)
	q := probeSite(t, w, v("example.com/dep", "v1.0.0"), "GOPROXY="+strings.Replace(hanging.URL, "://", "://user:hidden-word@", 1)+"|"+w.url+"/a")
	r, err := List(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Probe(t.Context(), q, ProbeOptions{Gateway: gateway.Config{Environ: q.Env, Dir: q.Dir}, Timeout: 3 * time.Second}); err != nil {
		t.Fatal(err)
	}
	got := r.Modules[1].Probe
	if len(got) != 2 || got[0].Outcome != Failed || got[0].Error != "no answer in 3s" || got[1].Outcome != Serves {
		t.Errorf("%+v", got)
	}
	var page, dot strings.Builder
	if err := r.WriteHTML(&page); err != nil {
		t.Fatal(err)
	}
	if err := r.WriteDOT(&dot); err != nil {
		t.Fatal(err)
	}
	text := page.String() + dot.String() + strings.Join(r.Modules[1].Why(), "\n") + r.Modules[1].Answers()
	if !strings.Contains(text, "no answer in 3s") || strings.Contains(text, "hidden-word") {
		t.Error("the password is told, or the answer is not")
	}
}

// Only a record of these bytes at that time proves who filled the module cache.
func TestRecords(t *testing.T) {
	goPath := goInPath(t)
	w := newWorld(t, goPath)
	q := probeSite(t, w, v("example.com/dep", "v1.0.0"), "GOPRIVATE=private.test,*.git.corp.example", "GONOPROXY=none", "GOPROXY=https://proxy.corp.example,https://public.example")
	zip := filepath.Join(q.Dir, ".gomodcache", "cache", "download", "example.com", "dep", "@v", "v1.0.0.zip")
	data, err := os.ReadFile(zip)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(zip)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(data)
	right := gateway.Record{
		Time: info.ModTime().Add(-time.Second), Run: "1", Module: "example.com/dep", Version: "v1.0.0", File: gateway.Zip,
		Upstream: "https://one.example", Status: 200, Source: gateway.FromUpstream, SHA256: hex.EncodeToString(sum[:]), Phases: gateway.Phases{Total: 1000},
	}
	with := func(f func(*gateway.Record)) gateway.Record { r := right; f(&r); return r }
	tests := []struct {
		name    string
		records []gateway.Record
		want    string // the upstream
		alarm   string // kind and part of the text
	}{
		{"none", nil, "", ""},
		{"right", []gateway.Record{right}, "https://one.example", ""},
		{"other bytes", []gateway.Record{with(func(r *gateway.Record) { r.SHA256 = strings.Repeat("0", 64) })}, "", ""},
		{"long before", []gateway.Record{with(func(r *gateway.Record) { r.Time = r.Time.Add(-time.Hour) })}, "", ""},
		{"after", []gateway.Record{with(func(r *gateway.Record) { r.Time = r.Time.Add(time.Hour) })}, "", ""},
		{"failed", []gateway.Record{with(func(r *gateway.Record) { r.Status = 404 })}, "", ""},
		{"another version", []gateway.Record{with(func(r *gateway.Record) { r.Version = "v1.1.0" })}, "", ""},
		{"two at a time", []gateway.Record{right, with(func(r *gateway.Record) { r.Upstream = "https://two.example" })}, "", ""},
		{"hops before it", []gateway.Record{with(func(r *gateway.Record) { r.Upstream, r.Status = "https://two.example", 404 }), right}, "https://one.example", ""},
		{"leak", []gateway.Record{with(func(r *gateway.Record) {
			r.Module, r.Upstream, r.Status, r.File = "private.test/lib", "https://public.example", 404, gateway.Info
		})}, "", "leak GOPRIVATE matches it, and yet https://public.example was asked for it"},
		{"leak to a checksum database", []gateway.Record{with(func(r *gateway.Record) {
			r.Module, r.Upstream, r.File, r.SumDB = "private.test/lib", "https://proxy.corp.example", gateway.SumDB, "sum.example"
		})}, "", "leak GOPRIVATE matches it, and yet the checksum database sum.example was asked"},
		{"confusion", []gateway.Record{with(func(r *gateway.Record) { r.Module, r.Upstream = "x.git.corp.example/lib", "https://public.example" })}, "", "confusion GOPRIVATE matches it, and yet https://public.example has served it"},
		{"the first of GOPROXY is meant", []gateway.Record{with(func(r *gateway.Record) { r.Module, r.Upstream = "private.test/lib", "https://proxy.corp.example" })}, "", ""},
		{"one of the same domain is meant", []gateway.Record{with(func(r *gateway.Record) {
			r.Module, r.Upstream = "x.git.corp.example/lib", "https://mirror.corp.example:8443"
		})}, "", ""},
		{"one on the loopback is meant", []gateway.Record{with(func(r *gateway.Record) { r.Module, r.Upstream = "private.test/lib", "http://127.0.0.1:3000" })}, "", ""},
		{"public modules may go anywhere", []gateway.Record{with(func(r *gateway.Record) { r.Module, r.Upstream = "public.test/lib", "https://public.example" })}, "", ""},
		{"differ", []gateway.Record{
			with(func(r *gateway.Record) { r.File = gateway.Mod }),
			with(func(r *gateway.Record) {
				r.File, r.Upstream, r.SHA256 = gateway.Mod, "https://two.example", strings.Repeat("0", 64)
			}),
		}, "", "differ https://one.example and https://two.example have served different go.mod files"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			q := q
			q.Records = []string{filepath.Join(t.TempDir(), "records")}
			if err := (gateway.Log{Path: q.Records[0]}).Append(tt.records...); err != nil {
				t.Fatal(err)
			}
			r, err := List(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			m, got := r.Modules[1], ""
			if m.Source != ModCache {
				t.Fatalf("%+v", m)
			}
			if m.Filled != nil {
				got = m.Filled.Upstream
			}
			if got != tt.want {
				t.Errorf("filled by %q, want %q", got, tt.want)
			}
			alarm := ""
			for _, a := range r.Alarms {
				alarm += string(a.Kind) + " " + a.Text
			}
			if len(r.Alarms) > 1 || !strings.Contains(alarm, tt.alarm) || tt.alarm == "" && alarm != "" {
				t.Errorf("alarms %q, want %q", alarm, tt.alarm)
			}
		})
	}
}

func TestIsolated(t *testing.T) {
	tests := []struct {
		name    string
		sources []string
		want    string
	}{
		{"one proxy", []string{"GOPROXY=https://user:pass@a.example", "GOPRIVATE="}, "https://xxxxx@a.example"},
		{"direct", []string{"GOPROXY=direct"}, "direct"},
		{"two", []string{"GOPROXY=https://a.example,direct"}, ""},
		{"private", []string{"GOPROXY=https://a.example,https://b.example", "GOPRIVATE=example.com"}, "direct"},
		{"go's default", []string{"GOPROXY="}, ""},
		{"a list that go refuses", []string{"GOPROXY=mirror"}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := settings{isolated: isolatedSettings(tt.sources)}
			got := ""
			if f := s.filled(v("example.com/dep", "v1.0.0")); f != nil {
				got = f.Upstream
			}
			if got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}

// A private path that goes, or would go, to somebody else's proxy.
func TestProbeStrays(t *testing.T) {
	w := newWorld(t, goInPath(t))
	address := strings.TrimPrefix(w.url, "http://")
	lib := v("private.test/lib", "v1.0.0")
	tests := []struct {
		name  string
		proxy string
		all   bool
		gone  bool // the first does not have it
		want  string
	}{
		{"the first has it", "http://proxy.corp.example/a,http://public.example/b", false, false, ""},
		{"the first does not", "http://proxy.corp.example/a,http://public.example/b", false, true, "leak GOPRIVATE matches it, http://proxy.corp.example/a does not serve it, and so go asks http://public.example/b for it"},
		{"the other has it too", "http://proxy.corp.example/a,http://public.example/b", true, false, "confusion GOPRIVATE matches it, and http://public.example/b has one too"},
		{"the other is of the same domain", "http://proxy.corp.example/a,http://public.private.test/b", true, false, ""},
		{"off after the first", "http://proxy.corp.example/a,off,http://public.example/b", true, true, "unserved"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.gone {
				w.answer(t, "/a/private.test/lib/@v/v1.0.0.info", nil)
			}
			q := probeSite(t, w, lib, "GOPRIVATE=private.test", "GONOPROXY=none", "GOPROXY="+tt.proxy)
			r, err := List(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			hosts := map[string]string{"proxy.corp.example": address, "public.example": address, "public.private.test": address}
			environ := slices.DeleteFunc(slices.Clone(q.Env), func(e string) bool { return strings.HasPrefix(e, "HTTP") })
			w.requests()
			err = r.Probe(t.Context(), q, ProbeOptions{All: tt.all, Gateway: gateway.Config{Environ: environ, Dir: q.Dir, Policy: gateway.Policy{Hosts: hosts}}})
			if err != nil {
				t.Fatal(err)
			}
			if asked := strings.Join(w.requests(), " "); !strings.Contains(asked, "/a/private.test/") || strings.Contains(asked, "/b/private.test/") != (tt.all && !tt.gone) {
				t.Errorf("asked %s", asked)
			}
			var got []string
			for _, a := range r.Alarms {
				got = append(got, string(a.Kind)+" "+a.Text)
			}
			if text := strings.Join(got, "\n"); !strings.HasPrefix(text, tt.want) || len(got) > 1 || tt.want == "" && text != "" {
				t.Errorf("alarms %q, want %q", text, tt.want)
			}
		})
	}
}
