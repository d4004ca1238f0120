package testscripts

import (
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"example.com/gox/internal/gotest"
)

// ownScript loads a script of the user's.
func ownScript(t *testing.T, name, text string) (*Script, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	return LoadOwn(file, name)
}

func TestLoadOwn(t *testing.T) {
	tests := []struct {
		name, text string
		claims     []string // "id: says: holds"
		wants      []string // parts of the error
	}{
		{"no header", "exec go version\n", []string{"my-script: My script: all"}, nil},
		{"a comment", "# Vendored code is\n# used.\n\n# another\nexec go version\n", []string{"my-script: Vendored code is used.: all"}, nil},
		{"a comment with a colon", "# note: this\nexec go version\n", []string{"my-script: note: this: all"}, nil},
		{"a claim", "# claim: one\n# Some words.\nexec go version\n", []string{"one: Some words.: all"}, nil},
		{"holds alone", "# holds: go1.20..\n[holds] exec go version\n[!holds] exit 2 go bogus\n", []string{"my-script: My script: go1.20.."}, nil},
		{"two claims", "# claim: one\n# says: It is.\n# claim: two\n# says: It is not,\n#   ever.\n# holds: none\nexec go version\n[holds:two] exec go x\n[!holds:two] exit 2 go x\n", []string{"one: It is.: all", "two: It is not, ever.: none"}, nil},
		{"nothing", "", nil, []string{"my script.txtar:1: nothing is asserted, so that it cannot fail\n\tend it with"}},
		{"nothing asserted", "proxy A\nenv GOPROXY=$A\n", nil, []string{":3: nothing is asserted"}},
		{"holds without a condition", "# holds: go1.20..\nexec go version\n", nil, []string{"no assertion stands under [holds]\n\tadd one, as in: [holds] exec", "under [!holds]"}},
		{"holds of one of two", "# claim: one\n# claim: two\n# holds: none\n[holds:two] exec go version\n", nil, []string{"no assertion stands under [!holds:two]"}},
		{"versions", "# holds: 1.20\nexec go version\n", nil, []string{`my script.txtar:1: holds: "1.20": not a go version`}},
		{"condition", "[windws] exec go version\n", nil, []string{"my script.txtar:1: [windws]: unknown condition"}},
		{"a module without a version", "exec go version\n-- proxy/A/example.com/dep/dep.go --\n", nil, []string{"module@version/file"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, err := ownScript(t, "my script.txtar", tt.text)
			if tt.wants == nil {
				if err != nil {
					t.Fatal(err)
				}
				var claims []string
				for _, c := range s.Claims {
					says := strings.Replace(c.Says, "my script", "My script", 1)
					claims = append(claims, c.ID+": "+says+": "+c.Holds.String())
				}
				if !slices.Equal(claims, tt.claims) {
					t.Errorf("claims %q, want %q", claims, tt.claims)
				}
				if s.Topic == "" {
					t.Error("no topic")
				}
				return
			}
			for _, want := range tt.wants {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("error %v, want one with %q", err, want)
				}
			}
		})
	}
	if _, err := parse("x/y.txtar", []byte("exec go version\n"), false); err == nil {
		t.Error("a shipped script needs no header")
	}
}

// A suite runs each script with each go, tells of all of it, and returns it in
// order; what failed stands in the reports.
func TestSuite(t *testing.T) {
	var scripts []*Script
	for name, text := range map[string]string{
		"bad.txtar":  "# claim: one\n# holds: go1.20..\n# claim: two\n[holds:one] exec go list -f <ok> fmt\n[!holds:one] exit 2 go bogus\n[holds:two] exec go bogus\n",
		"good.txtar": "proxy A\nenv GOPROXY=$A\nexec go mod download example.com/dep@v1.0.0\n-- go.mod --\nmodule m\n-- proxy/A/example.com/dep@v1.0.0/x.go --\npackage x\n",
		"skip.txtar": "skip 'not today'\nexec go version\n",
		"wait.txtar": "exit never=1ms sleep 60\n",
	} {
		s, err := ownScript(t, name, text)
		if err != nil {
			t.Fatal(err)
		}
		scripts = append(scripts, s)
	}
	slices.SortFunc(scripts, func(a, b *Script) int { return strings.Compare(a.File, b.File) })
	report := Report{Scripts: scripts, Missing: []Missing{{"go1.99", errors.New("nobody has it")}}}
	var events []string
	suite := Suite{Scripts: scripts, Jobs: 3, Done: func(res Result) {
		if res.Err == nil && res.Skipped == "" && res.Transcript == "" {
			t.Errorf("%s: no transcript", res.Script.File)
		}
		data, err := json.Marshal(res.Event(false))
		if err != nil {
			t.Error(err)
		}
		events = append(events, string(data))
	}}
	for _, v := range []string{"1.18", "1.27"} {
		r := &Runner{Go: gotest.Toolchain(t, v), GOCACHE: goCache(t), Environ: os.Environ(), Dir: t.TempDir()}
		suite.Runners = append(suite.Runners, r)
		report.Versions = append(report.Versions, versionOf(t, r))
	}
	report.Results = suite.Run(t.Context())
	var ran []string
	for _, res := range report.Results {
		word := "ok"
		if res.Err != nil {
			word = "fails"
		}
		ran = append(ran, res.Script.File+" "+res.Version[:6]+" "+word)
	}
	want := []string{
		"bad.txtar go1.18 fails", "bad.txtar go1.27 fails", "good.txtar go1.18 ok", "good.txtar go1.27 ok",
		"skip.txtar go1.18 ok", "skip.txtar go1.27 ok", "wait.txtar go1.18 ok", "wait.txtar go1.27 ok",
	}
	if !slices.Equal(ran, want) || len(events) != len(want) {
		t.Errorf("ran %q\nwant %q, and %d events", ran, want, len(events))
	}
	all := strings.Join(events, "\n")
	for _, part := range []string{
		`"outcome":"fail","script":"bad.txtar","claims":[{"id":"one","verdict":"unproved"},{"id":"two","verdict":"deviates"}]`,
		`"error":"bad.txtar:6: unexpected command failure","line":6,`,
		`"outcome":"skip","script":"skip.txtar","claims":[{"id":"skip","verdict":"skipped"}],`,
		`"skipped":"not today"`,
		`"outcome":"pass","script":"good.txtar"`,
	} {
		if !strings.Contains(all, part) {
			t.Errorf("the events lack %s\n%s", part, all)
		}
	}
	if got := report.Markdown(); !strings.Contains(got, "\n| ?    | ?    | bad [one](bad.txtar) |\n| FAIL | FAIL | bad [two](bad.txtar) |\n") || !strings.Contains(got, "\ngo1.99 could not be had: nobody has it\n") {
		t.Errorf("not in the table:\n%s", got)
	}

	var b strings.Builder
	if err := report.WriteJUnit(&b); err != nil {
		t.Fatal(err)
	}
	var junit struct {
		Suites []struct {
			Name     string `xml:"name,attr"`
			Tests    int    `xml:"tests,attr"`
			Failures int    `xml:"failures,attr"`
			Errors   int    `xml:"errors,attr"`
			Skipped  int    `xml:"skipped,attr"`
			Cases    []struct {
				Name    string `xml:"name,attr"`
				Failure string `xml:"failure"`
			} `xml:"testcase"`
		} `xml:"testsuite"`
	}
	if err := xml.Unmarshal([]byte(b.String()), &junit); err != nil {
		t.Fatal(err)
	}
	if n := len(junit.Suites); n != 3 {
		t.Fatalf("%d suites\n%s", n, &b)
	}
	for _, s := range junit.Suites[:2] {
		if s.Tests != 5 || s.Failures != 1 || s.Errors != 1 || s.Skipped != 1 || !strings.Contains(s.Cases[1].Failure, "go bogus") {
			t.Errorf("%+v", s)
		}
	}
	if s := junit.Suites[2]; s.Name != "go1.99" || s.Errors != 1 {
		t.Errorf("%+v", s)
	}
}

// Interrupted, a suite ends what runs, begins nothing more, and leaves nothing
// behind.
func TestSuiteInterrupted(t *testing.T) {
	dir := t.TempDir()
	var scripts []*Script
	for _, name := range []string{"a.txtar", "b.txtar", "c.txtar"} {
		s, err := ownScript(t, name, "proxy A\nenv GOPROXY=$A\nfault A hang\nexit never=60s go mod download example.com/dep@v1.0.0\n-- go.mod --\nmodule m\n")
		if err != nil {
			t.Fatal(err)
		}
		scripts = append(scripts, s)
	}
	r := newest(t)
	r.Dir = dir
	ctx, cancel := context.WithCancel(t.Context())
	suite := Suite{Scripts: scripts, Runners: []*Runner{r}, Jobs: 2}
	done := make(chan []Result)
	go func() { done <- suite.Run(ctx) }()
	for len(entries(t, dir)) < 2 {
		select {
		case <-done:
			t.Fatal("it ended by itself")
		default:
		}
	}
	cancel()
	results := <-done
	if len(results) != 2 {
		t.Errorf("%d results, want 2", len(results))
	}
	for _, res := range results {
		if !errors.Is(res.Err, context.Canceled) {
			t.Errorf("%s: %v", res.Script.File, res.Err)
		}
	}
	if left := entries(t, dir); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

func entries(t *testing.T, dir string) []string {
	t.Helper()
	es, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range es {
		names = append(names, e.Name())
	}
	return names
}

func TestSnapshot(t *testing.T) {
	files := map[string]string{
		".gitignore": "/ignored\n", "tracked": "1", "deep/er/tracked": "2", "deleted": "", "untracked": "3", "ignored": "4", "sp ace\nline": "5",
	}
	filled := func(t *testing.T) string {
		dir := t.TempDir()
		for name, text := range files {
			file := filepath.Join(dir, name)
			if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, []byte(text), 0o666); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Symlink("tracked", filepath.Join(dir, "link")); err != nil {
			t.Skip(err)
		}
		return dir
	}
	tree := func(t *testing.T, dir string) map[string]string {
		got := map[string]string{}
		err := filepath.WalkDir(dir, func(name string, d os.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			rel, err := filepath.Rel(dir, name)
			if err != nil {
				return err
			}
			if d.Type() == os.ModeSymlink {
				got[rel], err = os.Readlink(name)
				return err
			}
			data, err := os.ReadFile(name)
			got[rel] = string(data)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	check := func(t *testing.T, dir string, missing ...string) {
		t.Helper()
		got := tree(t, dir)
		for name, text := range files {
			text, ok := text, true
			if slices.Contains(missing, name) {
				text, ok = "", false
			}
			if g, have := got[filepath.FromSlash(name)]; g != text || have != ok {
				t.Errorf("%q: %q, %v", name, g, have)
			}
		}
		if want := len(files) - len(missing) + 1; len(got) != want || got["link"] != "tracked" {
			t.Errorf("%d files, want %d: %q", len(got), want, got)
		}
	}
	t.Run("no git", func(t *testing.T) {
		to := filepath.Join(t.TempDir(), "copy")
		if err := Snapshot(t.Context(), to, filled(t), os.Environ()); err != nil {
			t.Fatal(err)
		}
		check(t, to)
	})
	t.Run("into itself", func(t *testing.T) {
		dir := filled(t)
		to := filepath.Join(dir, "deep", "copy")
		if err := Snapshot(t.Context(), to, dir, os.Environ()); err != nil {
			t.Fatal(err)
		}
		check(t, to)
	})
	t.Run("git", func(t *testing.T) {
		dir := filled(t)
		git := func(args ...string) {
			cmd := exec.Command("git", args...)
			cmd.Dir = dir
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("git %q: %v\n%s", args, err, out)
			}
		}
		git("init", "-q")
		git("add", "tracked", "deep", "deleted", ".gitignore")
		if err := os.Remove(filepath.Join(dir, "deleted")); err != nil {
			t.Fatal(err)
		}
		to := filepath.Join(t.TempDir(), "copy")
		if err := Snapshot(t.Context(), to, dir, os.Environ()); err != nil {
			t.Fatal(err)
		}
		check(t, to, "deleted", "ignored")
		to = filepath.Join(t.TempDir(), "part")
		if err := Snapshot(t.Context(), to, filepath.Join(dir, "deep"), os.Environ()); err != nil {
			t.Fatal(err)
		}
		if got := tree(t, to); len(got) != 1 || got[filepath.Join("er", "tracked")] != "2" {
			t.Errorf("%q", got)
		}
		if err := Snapshot(t.Context(), to+"2", dir, []string{"PATH=" + t.TempDir()}); err == nil || !strings.Contains(err.Error(), "git: not found") {
			t.Errorf("without git: %v", err)
		}
	})
}
