//go:build unix

package cmd_test

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"example.com/gox/internal/source"
)

// sourcesOf asks gox source about the workspace or module in dir, and holds the
// answer against where go takes each package of patterns from. run runs gox
// under the profile.
func sourcesOf(t *testing.T, run func(dir string, args ...string) string, dir string, patterns ...string) map[string]source.Module {
	t.Helper()
	listed := run(dir, append([]string{"list", "-deps", "-json=ImportPath,Dir,Standard,Module"}, patterns...)...)
	var report source.Report
	if err := json.Unmarshal([]byte(run(dir, "source", "--json")), &report); err != nil {
		t.Fatal(err)
	}
	if report.Incomplete != "" || report.Fault != "" {
		t.Errorf("%s %s", report.Incomplete, report.Fault)
	}
	found := map[string]source.Module{}
	for _, m := range report.Modules {
		found[m.Path] = m
	}
	packages := 0
	for d := json.NewDecoder(strings.NewReader(listed)); ; {
		var p struct {
			ImportPath, Dir string
			Standard        bool
			Module          *struct{ Path, Version string }
		}
		if d.Decode(&p) != nil {
			break
		}
		if p.Standard {
			continue
		}
		packages++
		m, ok := found[p.Module.Path]
		within := func(dir string) bool {
			return p.Dir == dir || strings.HasPrefix(p.Dir, dir+string(filepath.Separator))
		}
		switch {
		case !ok:
			t.Errorf("%s: nothing is said of its module %s", p.ImportPath, p.Module.Path)
		case m.Version != p.Module.Version:
			t.Errorf("%s: %s of version %s, go says %s", p.ImportPath, m.Path, m.Version, p.Module.Version)
		case m.Dir == "" || !within(m.Dir):
			t.Errorf("%s: %s from %q, go takes it from %s", p.ImportPath, m.Source, m.Dir, p.Dir)
		case m.Source != source.Main && m.Source != source.Use && m.Source != source.Directory && m.Source != source.Vendor && m.Source != source.ModCache:
			t.Errorf("%s: %s, but go has it in %s", p.ImportPath, m.Source, p.Dir)
		}
	}
	if packages < 200 {
		t.Errorf("only %d packages", packages)
	}
	return found
}

// wantSource checks what is said of one module: its source, and the file of
// the line that decides, one of files below dir.
func wantSource(t *testing.T, m source.Module, kind source.Kind, dir string, files ...string) {
	t.Helper()
	if m.Source != kind || len(m.Evidence) == 0 || m.Evidence[0].Line == 0 {
		t.Errorf("%s: %s by %v, want %s", m.Path, m.Source, m.Evidence, kind)
		return
	}
	if rel, err := filepath.Rel(dir, m.Evidence[0].File); err != nil || !slices.Contains(files, rel) {
		t.Errorf("%s: by %v, want one of %q", m.Path, m.Evidence[0], files)
	}
}
