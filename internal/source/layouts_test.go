package source

import (
	"bytes"
	"encoding/json"
	"go/version"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
	"golang.org/x/mod/module"

	"example.com/gox/internal/gotest"
)

// layoutVersions are the go versions that the layouts are looked at with.
var layoutVersions = []string{"1.18", "1.20", "1.22", "1.24", "1.27"}

// A layout is a file in testdata/layouts. Before its files stand lines of
//
//	dir: DIR               where go works
//	env: NAME=VALUE        $A and $B are the proxies
//	cache: none|mods|full  what the module cache has: nothing, go.mod files, all
//	sums: none             no go.sum files; else each module has a complete one
//	run: [NAME=VALUE] ARGS a go command to run first
//	remove: GLOB           in the module cache, after that
//	write: FILE            the file of the archive called FILE.late is put there after that
//	list: PACKAGES         what go list is asked, for comparison; else ./...
//	fault: TEXT            go refuses, and says TEXT
//	want: MODULE KIND [EVIDENCE…] [over EVIDENCE…]
//
// and comments. "[1.22..] " before a line limits it to these versions of go.
// Evidence is FILE:LINE; for what the module cache or the vendor directory has,
// FILE. KIND may say who would be asked: ask=a,b.
type layout struct {
	name  string
	files *txtar.Archive
	lines [][2]string
}

func readLayouts(t *testing.T) []layout {
	names, err := filepath.Glob("testdata/layouts/*.txtar")
	if err != nil || len(names) == 0 {
		t.Fatal(names, err)
	}
	var all []layout
	for _, name := range names {
		a, err := txtar.ParseFile(name)
		if err != nil {
			t.Fatal(err)
		}
		l := layout{name: strings.TrimSuffix(filepath.Base(name), ".txtar"), files: a}
		for line := range strings.Lines(string(a.Comment)) {
			if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
				continue
			}
			l.lines = append(l.lines, [2]string{"", line})
			if rest, ok := strings.CutPrefix(line, "["); ok {
				limit, rest, _ := strings.Cut(rest, "] ")
				l.lines[len(l.lines)-1] = [2]string{limit, rest}
			}
		}
		all = append(all, l)
	}
	return all
}

// get returns what the lines with a word say for a go.
func (l layout) get(word, goVersion string) []string {
	var all []string
	for _, line := range l.lines {
		from, to, _ := strings.Cut(line[0], "..")
		if from != "" && version.Compare("go"+goVersion, "go"+from) < 0 || to != "" && version.Compare("go"+goVersion, "go"+to) > 0 {
			continue
		}
		if rest, ok := strings.CutPrefix(line[1], word+":"); ok {
			all = append(all, strings.TrimSpace(rest))
		}
	}
	return all
}

func (l layout) one(word, goVersion, otherwise string) string {
	if all := l.get(word, goVersion); len(all) > 0 {
		return all[len(all)-1]
	}
	return otherwise
}

// Every layout has a known answer, and go itself, asked to list the packages
// with the proxies at hand, takes each module from where the answer says.
func TestLayouts(t *testing.T) {
	layouts := readLayouts(t)
	if len(layouts) < 40 {
		t.Errorf("%d layouts", len(layouts))
	}
	versions := layoutVersions
	if testing.Short() {
		versions = []string{"1.18", "1.27"}
	}
	for _, goVersion := range versions {
		t.Run("go"+goVersion, func(t *testing.T) {
			goPath := gotest.Toolchain(t, goVersion)
			t.Parallel()
			w := newWorld(t, goPath)
			for _, l := range layouts {
				if len(l.get("want", goVersion)) == 0 && len(l.get("fault", goVersion)) == 0 {
					continue
				}
				t.Run(l.name, func(t *testing.T) { w.check(t, l, goPath, goVersion) })
			}
		})
	}
}

func (w *world) check(t *testing.T, l layout, goPath, goVersion string) {
	root := t.TempDir()
	cache := filepath.Join(root, ".gomodcache")
	late := map[string]string{}
	for _, f := range l.files.Files {
		if name, ok := strings.CutSuffix(f.Name, ".late"); ok {
			late[name] = string(f.Data)
			continue
		}
		write(t, filepath.Join(root, f.Name), string(f.Data))
		if filepath.Ext(f.Name) == ".mod" && l.one("sums", goVersion, "") != "none" {
			write(t, filepath.Join(root, strings.TrimSuffix(f.Name, "mod")+"sum"), w.sums)
		}
	}
	dir := filepath.Join(root, l.one("dir", goVersion, "."))
	replacer := strings.NewReplacer("$A", w.url+"/a", "$B", w.url+"/b", "$ROOT", root)
	env := append(w.environ(), "GOPROXY="+w.url+"/a,"+w.url+"/b", "GOMODCACHE="+cache)
	for _, e := range l.get("env", goVersion) {
		env = append(env, replacer.Replace(e))
	}
	for _, command := range l.get("run", goVersion) {
		env, args := append(slices.Clone(env), "GOPROXY="+w.url+"/b", "GOFLAGS="), strings.Fields(command)
		for strings.Contains(args[0], "=") {
			env, args = append(env, args[0]), args[1:]
		}
		w.run(t, goPath, dir, env, args...)
		os.RemoveAll(cache)
	}
	switch l.one("cache", goVersion, "mods") {
	case "mods":
		copyTree(t, w.mods, cache, everything)
	case "full":
		copyTree(t, w.full, cache, everything)
	}
	for _, glob := range l.get("remove", goVersion) {
		names, err := filepath.Glob(filepath.Join(cache, glob))
		if err != nil || len(names) == 0 {
			t.Fatalf("remove: %s: %q, %v", glob, names, err)
		}
		for _, name := range names {
			os.RemoveAll(name)
		}
	}
	for _, name := range l.get("write", goVersion) {
		write(t, filepath.Join(root, name), late[name])
	}

	before := snapshot(t, root)
	w.requests()
	r, err := List(t.Context(), Query{Go: goPath, Dir: dir, Env: env})
	if err != nil {
		t.Fatal(err)
	}
	if asked := w.requests(); len(asked) > 0 {
		t.Errorf("to list, the proxies were asked: %q", asked)
	}
	for _, file := range snapshot(t, root) {
		if !slices.Contains(before, file) {
			t.Errorf("listing changed or made %.200q", file)
		}
	}

	short := strings.NewReplacer(root+string(filepath.Separator), "", w.url+"/", "")
	if want := l.one("fault", goVersion, ""); !strings.Contains(r.Fault, want) || want == "" && r.Fault != "" {
		t.Errorf("fault %q, want %q", r.Fault, want)
	}
	var got []string
	for _, m := range r.Modules {
		got = append(got, short.Replace(brief(m)))
	}
	want := l.get("want", goVersion)
	if !slices.Equal(got, want) {
		t.Errorf("got\n\t%s\nwant\n\t%s\nnotes %q, incomplete %q", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"), r.Notes, r.Incomplete)
	}
	for _, m := range r.Modules {
		for _, e := range append(slices.Clone(m.Evidence), m.Beats...) {
			checkLine(t, e)
		}
	}
	w.compare(t, r, goPath, dir, env, strings.Fields(l.one("list", goVersion, "./...")))
}

// brief is an answer in the words of a layout.
func brief(m Module) string {
	words := []string{m.Path, string(m.Source)}
	if m.Source == Ask {
		words[1] += "="
		for i, e := range m.Ask {
			words[1] += e.URL
			if i < len(m.Ask)-1 {
				words[1] += map[bool]string{true: "|", false: ","}[e.Always]
			}
		}
	}
	if m.Version != "" {
		words[0] += "@" + m.Version
	}
	for _, e := range m.Evidence {
		words = append(words, e.String())
	}
	for i, e := range m.Beats {
		if i == 0 {
			words = append(words, "over")
		}
		words = append(words, e.String())
	}
	return strings.Join(words, " ")
}

// checkLine reads a line of evidence where it is said to stand.
func checkLine(t *testing.T, e Evidence) {
	t.Helper()
	if e.Line == 0 {
		return
	}
	data, err := os.ReadFile(e.File)
	if err != nil {
		t.Error(err)
		return
	}
	line := strings.ReplaceAll(strings.Split(string(data), "\n")[e.Line-1], `"`, "")
	fields := strings.Fields(e.Text)
	if !strings.Contains(strings.Join(strings.Fields(line), " "), strings.Join(fields[1:], " ")) {
		t.Errorf("%v: %q is not what stands there: %q", e, e.Text, line)
	}
}

func (w *world) run(t *testing.T, goPath, dir string, env []string, args ...string) {
	t.Helper()
	c := exec.Command(goPath, args...)
	c.Dir, c.Env = dir, append(slices.Clone(env), "PWD="+dir)
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// compare lets go load the packages and sees where it takes them from.
func (w *world) compare(t *testing.T, r *Report, goPath, dir string, env []string, patterns []string) {
	t.Helper()
	type pkg struct {
		ImportPath, Dir string
		Module          *struct{ Path, Version, Dir string }
		Standard        bool
	}
	c := exec.Command(goPath, append([]string{"list", "-e", "-deps", "-json"}, patterns...)...)
	c.Dir, c.Env = dir, append(slices.Clone(env), "PWD="+dir)
	var stdout, stderr bytes.Buffer
	c.Stdout, c.Stderr = &stdout, &stderr
	err := c.Run()
	if (err != nil) != (r.Fault != "") && r.Incomplete == "" {
		t.Errorf("go list: %v\n%s\nbut fault is %q", err, &stderr, r.Fault)
	}
	if r.Fault != "" {
		return
	}
	asked := w.requests()
	compared := 0
	for d := json.NewDecoder(&stdout); ; {
		var p pkg
		if err := d.Decode(&p); err != nil {
			break
		}
		if p.Module == nil || p.Standard {
			continue
		}
		i := slices.IndexFunc(r.Modules, func(m Module) bool { return m.Path == p.Module.Path })
		if i < 0 {
			if r.Incomplete == "" {
				t.Errorf("%s: its module %s is missing", p.ImportPath, p.Module.Path)
			}
			continue
		}
		m := r.Modules[i]
		if m.Version != p.Module.Version && m.Source != Unknown {
			t.Errorf("%s: version %s, go says %s", m.Path, m.Version, p.Module.Version)
		}
		compared++
		requests := func() (all []string) {
			path, version := escaped(m.Content())
			for _, a := range asked {
				if strings.HasSuffix(a, "/"+path+"/@v/"+version+".zip") {
					all = append(all, strings.Split(a, "/")[1])
				}
			}
			return all
		}()
		if m.Source != Ask && len(requests) > 0 {
			t.Errorf("%s: %s, but these were asked for it: %q", m.Path, m.Source, requests)
		}
		switch m.Source {
		case Main, Use, Directory, Vendor:
			if p.Dir != m.Dir && !strings.HasPrefix(p.Dir, m.Dir+string(filepath.Separator)) || m.Dir == "" {
				t.Errorf("%s: %s in %q, go says %s", m.Path, m.Source, m.Dir, p.Dir)
			}
		case ModCache:
			if p.Dir != m.Dir {
				t.Errorf("%s: %s in %q, go says %s", m.Path, m.Source, m.Dir, p.Dir)
			}
		case Ask:
			// go walks the list until one has it.
			for i, who := range requests {
				if i >= len(m.Ask) || !strings.HasSuffix(m.Ask[i].URL, "/"+who) {
					t.Errorf("%s: would ask %v, go asked %q", m.Path, m.Ask, requests)
				}
			}
			if len(requests) == 0 && m.Ask[0].URL != direct {
				t.Errorf("%s: would ask %v, go asked nobody; its directory is %s", m.Path, m.Ask, p.Dir)
			}
		case Nowhere, GoMod:
			if p.Dir != "" {
				t.Errorf("%s: nowhere, but go has it in %s", m.Path, p.Dir)
			}
		}
	}
	if compared == 0 && r.Incomplete == "" && r.GoProxy != "off" {
		t.Errorf("go listed no package of any module: %s", &stderr)
	}
}

func escaped(m module.Version) (path, version string) {
	path, _ = module.EscapePath(m.Path)
	version, _ = module.EscapeVersion(m.Version)
	return path, version
}
