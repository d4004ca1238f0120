package modstore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/mod/module"

	"example.com/gox/internal/gotest"
	"example.com/gox/internal/modcache"
	"example.com/gox/internal/owned"
)

// stock puts a module into the cache from as go does, and returns what go.sum
// says of it.
func stock(t testing.TB, from, path, version string, files map[string]string) []Sum {
	t.Helper()
	m := module.Version{Path: path, Version: version}
	if files == nil {
		files = map[string]string{"m.go": "package m\n"}
	}
	goMod := "module " + path + "\n\ngo 1.18\n"
	files["go.mod"] = goMod
	_, base := fill(t, from, m, files)
	write(t, base+".mod", goMod)
	write(t, base+".info", `{"Version":"`+version+`","Time":"2020-02-02T02:02:02Z","Origin":{"VCS":"git","URL":"https://evil.example"}}`)
	hash, err := os.ReadFile(base + ".ziphash")
	if err != nil {
		t.Fatal(err)
	}
	return []Sum{{path, version, false, string(hash)}, {path, version, true, hashGoMod([]byte(goMod))}}
}

func warm(t testing.TB, s Store, w Warming) Warmth {
	t.Helper()
	report, err := s.Warm(t.Context(), w)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// checkStore asserts that everything in the store is what it should be, and that
// no half-made entry is left.
func checkStore(t *testing.T, s Store) {
	t.Helper()
	faults, err := s.Verify(t.Context(), "verified")
	if err != nil || len(faults) > 0 {
		t.Errorf("store: %v, %v", faults, err)
	}
	left, _ := os.ReadDir(filepath.Join(s.Root, "fresh"))
	for _, e := range left {
		if !strings.HasPrefix(e.Name(), ".tmp-") { // a few bytes, swept when they are an hour old
			t.Errorf("left: %s", e.Name())
		}
	}
}

func TestWarm(t *testing.T) {
	s := Store{Root: filepath.Join(t.TempDir(), "gox")}
	from := t.TempDir()
	sums := slices.Concat(
		stock(t, from, "a.example/One", "v1.0.0", nil),
		stock(t, from, "a.example/two/v2", "v2.3.4", nil),
	)
	other := Sum{Path: "a.example/three", Version: "v1.0.0", H1: sums[0].H1}
	dir := filepath.Join(t.TempDir(), "mod")
	w := Warming{Dir: dir, Sums: append(slices.Clone(sums), other), From: []string{filepath.Join(from, "missing"), from}}
	got := warm(t, s, w)
	if got.Mode != Symlink || got.Modules != 2 || got.GoMods != 2 || got.Inserted != 4 || len(got.Refused) != 0 || !slices.Equal(got.Missing, []Sum{other}) {
		t.Errorf("first: %+v", got)
	}
	checkStore(t, s)
	if info := read(t, filepath.Join(dir, "cache/download/a.example/!one/@v/v1.0.0.info")); info != `{"Version":"v1.0.0","Time":"2020-02-02T02:02:02Z"}` {
		t.Errorf("info: %s", info)
	}
	for _, never := range []string{".lock"} {
		if !missing(filepath.Join(dir, "cache/download/a.example/!one/@v/v1.0.0"+never)) {
			t.Errorf("linked: %s", never)
		}
	}
	file := filepath.Join(dir, "a.example/!one@v1.0.0/m.go")
	if fi, err := os.Stat(file); err != nil || fi.Mode().Perm() != 0o444 {
		t.Errorf("%s: %v, %v", file, fi, err)
	}

	// The source is not needed again, and what stands stays.
	w.From, w.Dir = nil, filepath.Join(t.TempDir(), "mod")
	if got := warm(t, s, w); got.Modules != 2 || got.GoMods != 2 || got.Inserted != 0 {
		t.Errorf("second: %+v", got)
	}
	mine := filepath.Join(w.Dir, "cache/download/a.example/two/v2/@v/v2.3.4.info")
	if err := os.Remove(mine); err != nil {
		t.Fatal(err)
	}
	write(t, mine, "mine")
	warm(t, s, w)
	if got := read(t, mine); got != "mine" {
		t.Errorf("what stood was replaced: %q", got)
	}
}

func read(t testing.TB, file string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// What another cache has wrong is refused, and the next one asked.
func TestWarmRefuses(t *testing.T) {
	tests := []struct {
		name   string
		poison func(t *testing.T, base string)
		want   string // in the reason; "" where it is only missing
	}{
		{"other bytes in the zip", func(t *testing.T, base string) {
			other := t.TempDir()
			stock(t, other, "a.example/m", "v1.0.0", map[string]string{"m.go": "package evil\n"})
			data := read(t, filepath.Join(other, "cache/download/a.example/m/@v/v1.0.0.zip"))
			if err := os.WriteFile(base+".zip", []byte(data), 0o666); err != nil {
				t.Fatal(err)
			}
		}, "it hashes to h1:"},
		{"no zip", func(t *testing.T, base string) { os.Remove(base + ".zip") }, ""},
		{"another hash noted", func(t *testing.T, base string) {
			write(t, base+".ziphash", "h1:AAAA")
		}, ""},
		{"not a zip", func(t *testing.T, base string) { write(t, base+".zip", "x") }, "not a valid zip"},
		{"half a zip", func(t *testing.T, base string) {
			if err := os.Truncate(base+".zip", 100); err != nil {
				t.Fatal(err)
			}
		}, "not a valid zip"},
		{"a directory", func(t *testing.T, base string) {
			os.Remove(base + ".zip")
			write(t, base+".zip/x", "")
		}, "not a regular file"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := Store{Root: filepath.Join(t.TempDir(), "gox")}
			bad, good := t.TempDir(), t.TempDir()
			sums := stock(t, bad, "a.example/m", "v1.0.0", nil)
			stock(t, good, "a.example/m", "v1.0.0", nil)
			base := filepath.Join(bad, "cache/download/a.example/m/@v/v1.0.0")
			test.poison(t, base)
			w := Warming{Dir: filepath.Join(t.TempDir(), "mod"), Sums: sums[:1], From: []string{bad}}
			got := warm(t, s, w)
			if got.Modules != 0 || len(got.Missing) != 1 || !missing(filepath.Join(w.Dir, "a.example")) {
				t.Errorf("taken: %+v", got)
			}
			if n := len(got.Refused); test.want == "" && n > 0 || test.want != "" && (n != 1 || !strings.Contains(got.Refused[0].Reason, test.want)) {
				t.Errorf("refused: %+v, want %q", got.Refused, test.want)
			}
			checkStore(t, s)
			w.From = []string{bad, good}
			if got := warm(t, s, w); got.Modules != 1 {
				t.Errorf("the good one was not taken: %+v", got)
			}
		})
	}
	t.Run("go.mod", func(t *testing.T) {
		s := Store{Root: filepath.Join(t.TempDir(), "gox")}
		from := t.TempDir()
		sums := stock(t, from, "a.example/m", "v1.0.0", nil)
		write(t, filepath.Join(from, "cache/download/a.example/m/@v/v1.0.0.mod"), "module a.example/m\n")
		got := warm(t, s, Warming{Dir: filepath.Join(t.TempDir(), "mod"), Sums: sums[1:], From: []string{from}})
		if got.GoMods != 0 || len(got.Refused) != 1 {
			t.Errorf("taken: %+v", got)
		}
	})
}

// An entry that is not whole is made again.
func TestWarmMendsStore(t *testing.T) {
	s := Store{Root: filepath.Join(t.TempDir(), "gox")}
	from := t.TempDir()
	sums := stock(t, from, "a.example/m", "v1.0.0", nil)
	warm(t, s, Warming{Dir: filepath.Join(t.TempDir(), "mod"), Sums: sums, From: []string{from}})
	for _, sum := range sums {
		key, err := sum.key()
		if err != nil {
			t.Fatal(err)
		}
		if sum.GoMod {
			alter(t, s.verified(filepath.Join(goModDir, key)))
			continue
		}
		// As a power failure may leave them.
		for _, name := range []string{"hash", owned.MarkerName} {
			file := s.verified(filepath.Join(key, name))
			if err := errors.Join(os.Chmod(file, 0o666), os.Truncate(file, 0)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if faults, err := s.Verify(t.Context(), "verified"); err != nil || len(faults) != 2 {
		t.Errorf("Verify: %v, %v", faults, err)
	}
	if got := warm(t, s, Warming{Dir: filepath.Join(t.TempDir(), "mod"), Sums: sums, From: []string{from}}); got.Inserted != 2 {
		t.Errorf("not mended: %+v", got)
	}
	checkStore(t, s)
}

func TestWarmConcurrently(t *testing.T) {
	s := Store{Root: filepath.Join(t.TempDir(), "gox")}
	from, parent := t.TempDir(), t.TempDir()
	var sums []Sum
	for i := range 12 {
		sums = append(sums, stock(t, from, fmt.Sprintf("a.example/m%d", i), "v1.0.0", nil)...)
	}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			got, err := s.Warm(t.Context(), Warming{Dir: filepath.Join(parent, fmt.Sprint(i)), Sums: sums, From: []string{from}})
			if err != nil || got.Modules != 12 || got.GoMods != 12 {
				t.Errorf("%+v, %v", got, err)
			}
		})
	}
	wg.Wait()
	checkStore(t, s)
}

func TestVerifiedStoreIsManaged(t *testing.T) {
	s := Store{Root: filepath.Join(t.TempDir(), "gox")}
	from := t.TempDir()
	one := stock(t, from, "a.example/one", "v1.0.0", nil)
	two := stock(t, from, "a.example/two", "v1.0.0", nil)
	first, second := filepath.Join(t.TempDir(), "mod"), filepath.Join(t.TempDir(), "mod")
	warm(t, s, Warming{Dir: first, Sums: one, From: []string{from}})
	warm(t, s, Warming{Dir: second, Sums: two, From: []string{from}})

	list, err := s.List(t.Context())
	if err != nil || len(list) != 1 || list[0].Key != "verified" || list[0].Modules != 2 || list[0].Size == 0 {
		t.Errorf("List: %+v, %v", list, err)
	}
	moved := first + "-moved"
	if err := errors.Join(os.Rename(first, moved), s.Moved(t.Context(), first, moved), s.Moved(t.Context(), "/nowhere", "/x")); err != nil {
		t.Fatal(err)
	}
	first = moved
	if err := s.Remove("verified"); err == nil || !strings.Contains(err.Error(), "has links into it") {
		t.Errorf("Remove of a store in use: %v", err)
	}
	later := modcache.PruneOptions{UnusedFor: time.Hour, Now: time.Now().Add(2 * time.Hour)}
	if got, err := s.Prune(t.Context(), later); err != nil || len(got) != 0 {
		t.Errorf("Prune took what is linked: %+v, %v", got, err)
	}
	if err := os.RemoveAll(second); err != nil {
		t.Fatal(err)
	}
	dry := later
	dry.DryRun = true
	for _, opts := range []modcache.PruneOptions{dry, later} {
		if got, err := s.Prune(t.Context(), opts); err != nil || len(got) != 1 || got[0].Modules != 1 || got[0].Files != 7 {
			t.Errorf("Prune %+v: %+v, %v", opts, got, err)
		}
	}
	checkStore(t, s)
	if _, err := os.Stat(filepath.Join(first, "a.example/one@v1.0.0/m.go")); err != nil {
		t.Errorf("what is in use is gone: %v", err)
	}
	if got := warm(t, s, Warming{Dir: second, Sums: two}); got.Modules != 0 {
		t.Errorf("Prune left: %+v", got)
	}
	if err := os.RemoveAll(first); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(second); err != nil {
		t.Fatal(err)
	}
	if err := s.Remove("verified"); err != nil {
		t.Error(err)
	}
	if err := s.Remove("verified"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Remove again: %v", err)
	}
}

// The last go that follows no links, the first that does, and a new one take a warmed cache for their own: with no
// network they build from it, embedded files included, and list it.
func TestWarmServesGo(t *testing.T) {
	for _, version := range []string{"1.20", "1.21", "1.27"} {
		t.Run(version, func(t *testing.T) {
			goCmd := gotest.Toolchain(t, version)
			s := Store{Root: filepath.Join(t.TempDir(), "gox")}
			from, dir, work := t.TempDir(), filepath.Join(t.TempDir(), "mod"), t.TempDir()
			sums := stock(t, from, "a.example/Dep", "v1.0.0", map[string]string{
				"m.go":       "package m\n\nimport \"embed\"\n\n//go:embed data\nvar F embed.FS\n",
				"data/x.txt": "x",
				"sub/s.go":   "package sub\n",
			})
			write(t, filepath.Join(work, "go.mod"), "module main.example\n\ngo 1.18\n\nrequire a.example/Dep v1.0.0\n")
			write(t, filepath.Join(work, "main.go"), "package main\n\nimport (\n\t\"a.example/Dep\"\n\t_ \"a.example/Dep/sub\"\n)\n\nfunc main() { print(m.F.ReadFile) }\n")
			var lines strings.Builder
			for _, sum := range sums {
				path, v, _ := strings.Cut(sum.String(), "@")
				fmt.Fprintln(&lines, path, v, sum.H1)
			}
			write(t, filepath.Join(work, "go.sum"), lines.String())
			run := func(args ...string) (string, error) {
				cmd := exec.CommandContext(t.Context(), goCmd, args...)
				cmd.Dir = work
				cmd.Env = append(os.Environ(), "GOMODCACHE="+dir, "GOPROXY=off", "GOFLAGS=", "GOWORK=off", "GOTOOLCHAIN=local", "GOENV=off", "GONOSUMDB=*")
				out, err := cmd.CombinedOutput()
				return string(out), err
			}
			if out, err := run("vet", "."); err == nil {
				t.Fatalf("a cold cache did as well: %s", out)
			}
			got := warm(t, s, Warming{Dir: dir, Sums: sums, From: []string{from}, GoVersion: "go" + version})
			if old := version == "1.20"; (got.Mode == Symlink) == old {
				t.Errorf("mode %s", got.Mode)
			}
			if out, err := run("list", "-deps", "./..."); err != nil || !strings.Contains(out, "a.example/Dep/sub") {
				t.Errorf("list -deps: %v\n%s", err, out)
			}
			if out, err := run("list", "-f", "{{.EmbedFiles}}", "a.example/Dep/..."); err != nil || !strings.Contains(out, "[data/x.txt]") {
				t.Errorf("list: %v\n%s", err, out)
			}
			if out, err := run("mod", "download", "-json"); err != nil {
				t.Errorf("mod download: %v\n%s", err, out)
			}
			if out, err := run("mod", "graph"); err != nil {
				t.Errorf("mod graph: %v\n%s", err, out)
			}
			if out, err := run("clean", "-modcache"); err != nil {
				t.Errorf("clean -modcache: %v\n%s", err, out)
			}
			checkStore(t, s) // clean follows no link
		})
	}
}

func TestParseSums(t *testing.T) {
	const h1 = "h1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
	tests := []struct{ name, in, want string }{
		{"two", "a.example/m v1.0.0 " + h1 + "\n\na.example/m v1.0.0/go.mod " + h1, "[a.example/m@v1.0.0 a.example/m@v1.0.0/go.mod]"},
		{"none", "\n \n", "[]"},
		{"a hash of the future", "a.example/m v1.0.0 h2:xyz\n", "[]"},
		{"two fields", "a.example/m v1.0.0\n", "error"},
		{"not base64", "a.example/m v1.0.0 h1:!\n", "error"},
		{"too short", "a.example/m v1.0.0 h1:AAAA\n", "error"},
		{"way out", "a.example/../m v1.0.0 " + h1 + "\n", "error"},
		{"way out in the version", "a.example/m v1.0.0/../x " + h1 + "\n", "error"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			sums, err := ParseSums("go.sum", []byte(test.in))
			got := fmt.Sprint(sums)
			if err != nil {
				got = "error"
			}
			if got != test.want {
				t.Errorf("%s (%v), want %s", got, err, test.want)
			}
		})
	}
}

func FuzzParseSums(f *testing.F) {
	f.Add("a.example/m v1.0.0/go.mod h1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n")
	f.Fuzz(func(t *testing.T, data string) {
		sums, err := ParseSums("go.sum", []byte(data))
		if err != nil {
			return
		}
		for _, s := range sums {
			path, v, err := s.escaped()
			if err != nil || !filepath.IsLocal(path+"@"+v) || strings.ContainsAny(v, `/\`) {
				t.Errorf("%v leads to %q %q: %v", s, path, v, err)
			}
		}
	})
}

func TestWarmStops(t *testing.T) {
	s := Store{Root: filepath.Join(t.TempDir(), "gox")}
	from := t.TempDir()
	sums := stock(t, from, "a.example/m", "v1.0.0", nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Warm(ctx, Warming{Dir: filepath.Join(t.TempDir(), "mod"), Sums: sums, From: []string{from}}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}
