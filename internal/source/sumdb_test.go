package source

import (
	"crypto/rand"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/module"
	"golang.org/x/mod/sumdb"
	"golang.org/x/mod/sumdb/note"

	"example.com/gox/internal/gateway"
)

// sumDB serves a checksum database that knows what w's proxies have, and returns
// its GOSUMDB.
func (w *world) sumDB(t *testing.T) string {
	t.Helper()
	signer, verifier, err := note.GenerateKey(rand.Reader, "sums.test")
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(sumdb.NewServer(sumdb.NewTestServer(signer, func(path, version string) ([]byte, error) {
		var lines strings.Builder
		for line := range strings.Lines(w.sums) {
			if strings.HasPrefix(line, path+" "+version+" ") || strings.HasPrefix(line, path+" "+version+"/go.mod ") {
				lines.WriteString(line)
			}
		}
		return []byte(lines.String()), nil
	})))
	t.Cleanup(server.Close)
	return verifier + " " + server.URL
}

// Upstreams and go.sum are compared with what the checksum database says, which
// is asked for nothing that GONOSUMDB matches.
func TestProbeSumDB(t *testing.T) {
	w := newWorld(t, goInPath(t))
	key, url, _ := strings.Cut(w.sumDB(t), " ") // one for all, as go remembers its tree
	gosumdb := "GOSUMDB=" + key + " " + url
	other, _, _ := strings.Cut(w.sumDB(t), " ")
	dep := v("example.com/dep", "v1.0.0")
	changed := []byte("module example.com/dep\n\ngo 1.16\n")
	wrong := func(suffix string) func(string) string {
		return func(sums string) string {
			return strings.Replace(sums, "example.com/dep v1.0.0"+suffix+" h1:", "example.com/dep v1.0.0"+suffix+" h1:0", 1)
		}
	}
	tests := []struct {
		name    string
		require module.Version
		env     []string
		answers map[string][]byte
		zip     bool
		gosum   func(string) string
		knows   bool
		alarms  []string // the worst first
		text    string   // in the first
		note    string
	}{
		{name: "all agree", require: dep, knows: true},
		{name: "escaped names", require: v("example.com/Upper", "v1.0.0-RC1"), knows: true},
		{name: "an upstream has another go.mod", require: dep, answers: map[string][]byte{"/b/example.com/dep/@v/v1.0.0.mod": changed},
			knows: true, alarms: []string{"sumdb", "differ"}, text: "/b says that its go.mod is h1:"},
		{name: "both have", require: dep, answers: map[string][]byte{"/a/example.com/dep/@v/v1.0.0.mod": changed, "/b/example.com/dep/@v/v1.0.0.mod": changed},
			knows: true, alarms: []string{"sumdb", "sumdb", "sum"}, text: "/a says that its go.mod is h1:"},
		{name: "other content", require: dep, zip: true, answers: map[string][]byte{"/b/example.com/dep/@v/v1.0.0.zip": w.files["/a/example.com/dep/@v/v1.1.0.zip"]},
			knows: true, alarms: []string{"sumdb", "differ"}, text: "/b says that its content is h1:"},
		{name: "other content in go.sum, which no probe without it sees", require: dep, gosum: wrong(""),
			knows: true, alarms: []string{"sumdb"}, text: "go.sum says that its content is h1:0"},
		{name: "GONOSUMDB", require: dep, env: []string{"GONOSUMDB=example.com"}, gosum: wrong("")},
		{name: "GOPRIVATE", require: dep, env: []string{"GOPRIVATE=example.com", "GONOPROXY=none"}, gosum: wrong("")},
		{name: "GOSUMDB=off", require: dep, env: []string{"GOSUMDB=off"}, gosum: wrong(""), note: "GOSUMDB=off, so that"},
		{name: "signed by another", require: dep, env: []string{"GOSUMDB=" + other + " " + url}, gosum: wrong(""), note: "the checksum database said nothing of 1 of 1 modules"},
		{name: "no database there", require: dep, env: []string{"GOSUMDB=gone.test+00000000+AAAA http://127.0.0.1:1"}, gosum: wrong(""), note: "the checksum database said nothing of 1 of 1 modules"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			q := probeSite(t, w, tt.require, append([]string{gosumdb}, tt.env...)...)
			if tt.gosum != nil {
				write(t, filepath.Join(q.Dir, "go.sum"), tt.gosum(w.sums))
			}
			for path, data := range tt.answers {
				w.answer(t, path, data)
			}
			q.Arguments = []string{tt.require.Path}
			r, err := List(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			if err := r.Probe(t.Context(), q, ProbeOptions{Gateway: gateway.Config{Environ: q.Env, Dir: q.Dir}, Zip: tt.zip, SumDB: true}); err != nil {
				t.Fatal(err)
			}
			m := r.Modules[0]
			if knows := m.SumDB != nil && m.SumDB.Name == "sums.test" && m.SumDB.ModHash != "" && m.SumDB.ZipHash != ""; knows != tt.knows {
				t.Errorf("the database said %+v, want something: %t", m.SumDB, tt.knows)
			}
			var kinds []string
			for _, a := range r.Alarms {
				kinds = append(kinds, string(a.Kind))
			}
			if !slices.Equal(kinds, tt.alarms) {
				t.Errorf("alarms %v, want %q", r.Alarms, tt.alarms)
			} else if len(r.Alarms) > 0 && !strings.Contains(r.Alarms[0].Text, tt.text) {
				t.Errorf("%s: no %s", r.Alarms[0], tt.text)
			}
			if notes := strings.Join(r.Notes, "\n"); !strings.Contains(notes, tt.note) || tt.note == "" && strings.Contains(notes, "database") {
				t.Errorf("notes %s, want %q", notes, tt.note)
			}
		})
	}
}
