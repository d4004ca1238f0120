package source

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"example.com/gox/internal/gotest"
)

var (
	randomLayouts = flag.Int("layouts", 5, "how many layouts TestRandomLayouts makes up for each go")
	// What chance finds must not stop somebody else's change.
	randomSeed = flag.Uint64("seed", 1, "the first of them, 0 for a new one each time")
)

// Layouts that nobody thought of: replaces, uses, vendor directories, flags and
// caches by chance. There is no known answer, but it must never be another
// than go's.
func TestRandomLayouts(t *testing.T) {
	for _, goVersion := range []string{"1.18", "1.21", "1.27"} {
		t.Run("go"+goVersion, func(t *testing.T) {
			goPath := gotest.Toolchain(t, goVersion)
			w := newWorld(t, goPath)
			seed := *randomSeed
			if seed == 0 {
				seed = rand.Uint64()
			}
			for i := range uint64(*randomLayouts) {
				t.Run(fmt.Sprint(seed+i), func(t *testing.T) { w.checkRandom(t, goPath, rand.New(rand.NewPCG(seed+i, 1))) })
			}
		})
	}
}

func (w *world) checkRandom(t *testing.T, goPath string, r *rand.Rand) {
	root := t.TempDir()
	pick := func(of ...string) string { return of[r.IntN(len(of))] }
	maybe := func(n int, text string) string {
		if r.IntN(n) == 0 {
			return text
		}
		return ""
	}
	replaces := func() string {
		var b strings.Builder
		seen := map[string]bool{}
		for range r.IntN(3) {
			old := "example.com/" + pick("dep", "dep", "user", "fork") + pick("", " v1.0.0", " v1.1.0")
			if !seen[old] {
				fmt.Fprintf(&b, "replace %s => %s\n", old, pick("ROOT/one", "ROOT/two", "example.com/fork v1.0.0", "example.com/dep v1.1.0", "ROOT/gone"))
			}
			seen[old] = true
		}
		return b.String()
	}
	// Directories as each file sees them.
	from := func(text, up string) string { return strings.ReplaceAll(text, "ROOT", up) }
	for _, dir := range []string{"one", "two", "dep"} {
		write(t, filepath.Join(root, dir, "go.mod"), "module example.com/dep\n\ngo 1.17\n")
		write(t, filepath.Join(root, dir, "x.go"), "package dep\n")
	}
	goLine := pick("1.13", "1.16", "1.17", "1.18")
	for _, m := range []string{"a", "b"} {
		requires := "require example.com/dep " + pick("v1.0.0", "v1.1.0") + "\n" + maybe(2, "require example.com/user v1.0.0\n")
		write(t, filepath.Join(root, m, "go.mod"), "module example.com/"+m+"\n\ngo "+goLine+"\n\n"+requires+from(replaces(), ".."))
		code := "package " + m + "\n\nimport _ \"example.com/dep\"\n"
		if strings.Contains(requires, "user") {
			code += "\nimport _ \"example.com/user\"\n"
		}
		write(t, filepath.Join(root, m, m+".go"), code)
		if r.IntN(8) > 0 {
			write(t, filepath.Join(root, m, "go.sum"), w.sums)
		}
	}
	workspace := r.IntN(3) > 0
	work := "go 1.18\n\nuse ./a\n" + maybe(2, "use ./b\n") + maybe(4, "use ./dep\n") + from(replaces(), ".")
	if workspace {
		write(t, filepath.Join(root, "go.work"), work)
	}
	cache := filepath.Join(root, ".gomodcache")
	env := append(w.environ(), "GOMODCACHE="+cache,
		"GOPROXY="+strings.NewReplacer("$A", w.url+"/a", "$B", w.url+"/b").Replace(pick("$A,$B", "$B", "$A|$B,off", "off", "$A,mirror")))
	dir := filepath.Join(root, "a")
	if r.IntN(3) == 0 { // made before the rest is changed
		c := exec.Command(goPath, pick("mod", "work"), "vendor")
		c.Dir, c.Env = dir, append(slices.Clone(env), "GOPROXY="+w.url+"/b", "PWD="+dir)
		if !workspace || r.IntN(2) == 0 && c.Args[1] == "mod" {
			c.Env = append(c.Env, "GOWORK=off")
		}
		c.Run() // or not
		if workspace && r.IntN(3) == 0 {
			write(t, filepath.Join(root, "go.work"), work+from(replaces(), "."))
		}
		discard(cache)
	}
	switch pick("none", "mods", "full", "full") {
	case "mods":
		copyTree(t, w.mods, cache, everything)
	case "full":
		copyTree(t, w.full, cache, everything)
	}
	env = append(env, "GOFLAGS="+pick("", "", "", "-mod=readonly", "-mod=vendor", "-mod=mod"))

	before := snapshot(t, root)
	w.requests()
	report, err := List(t.Context(), Query{Go: goPath, Dir: dir, Env: env})
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
	for _, m := range report.Modules {
		for _, e := range append(slices.Clone(m.Evidence), m.Beats...) {
			checkLine(t, e)
		}
	}
	w.compare(t, report, goPath, dir, env, []string{"./..."})
	if t.Failed() {
		for _, file := range before {
			if !strings.Contains(file, ".gomodcache") && !strings.Contains(file, "go.sum") {
				t.Log(file)
			}
		}
		t.Log(env[len(env)-3:], report.Notes, report.Incomplete)
		for _, m := range report.Modules {
			t.Log(brief(m), m.Note)
		}
	}
}
