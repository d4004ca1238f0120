package modcache

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"example.com/gox/internal/owned"
)

func write(t testing.TB, file, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(content), 0o666); err != nil {
		t.Fatal(err)
	}
}

func use(t *testing.T, s Store, key string) string {
	t.Helper()
	dir, err := s.Use(key, map[string]string{"profile": "office"})
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func fresh(t *testing.T, s Store) *Fresh {
	t.Helper()
	f, err := s.Fresh(map[string]string{"profile": "ci"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func list(t *testing.T, s Store) []Entry {
	t.Helper()
	entries, err := s.Entries()
	if err := errors.Join(err, Measure(t.Context(), entries)); err != nil {
		t.Fatal(err)
	}
	return entries
}

// names returns what stands in dir, "" for nothing or no dir.
func names(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	var list []string
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return strings.Join(list, " ")
}

// age sets the time of last use of the isolated cache key.
func age(t *testing.T, s Store, key string, at time.Time) {
	t.Helper()
	if err := os.Chtimes(filepath.Join(s.isolated(key), owned.MarkerName), at, at); err != nil {
		t.Fatal(err)
	}
}

func TestKey(t *testing.T) {
	if got, want := Key("office", []string{"https://a.example", "direct"}), "office-c58097968ed5"; got != want {
		t.Errorf("Key = %q, want %q: the keys of caches that stand must not change", got, want)
	}
	keys := make(map[string]int)
	for i, sources := range [][]string{
		nil, {""}, {"", ""}, {"a"}, {"a", "b"}, {"b", "a"}, {"ab"}, {"a,b"}, {"a,1:b"},
	} {
		key := Key("p", sources)
		if j, ok := keys[key]; ok {
			t.Errorf("sources %d and %d have the same key %s", i, j, key)
		}
		keys[key] = i
	}
	for _, test := range []struct{ profile, want string }{
		{"go1.22_x-y+z", "go1.22_x-y+z-"},
		{"", "_-"},
		{"..", "_..-"},
		{".tmp-", "_.tmp--"},
		{"a,b", "a_b-"},
		{"a/../b", "a_.._b-"},
		{`c:\x`, "c__x-"},
		{"büro", "b_ro-"},
		{strings.Repeat("x", 300), strings.Repeat("x", 80) + "-"},
	} {
		key := Key(test.profile, nil)
		if !strings.HasPrefix(key, test.want) || len(key) != len(test.want)+12 || !valid(key) || isID(key) {
			t.Errorf("Key(%q) = %q, want %s…", test.profile, key, test.want)
		}
	}
}

func TestUse(t *testing.T) {
	s := Store{Root: filepath.Join(t.TempDir(), "not", "yet")}
	key := Key("office", []string{"direct"})
	want := filepath.Join(s.Root, "mod", key, "mod")
	if got := s.Path(key); got != want {
		t.Errorf("Path = %s, want %s", got, want)
	}
	if _, err := os.Stat(s.Root); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Path touched the disk: %v", err)
	}
	if got := use(t, s, key); got != want {
		t.Errorf("Use = %s, want %s", got, want)
	}
	old := time.Now().Add(-100 * time.Hour)
	age(t, s, key, old)
	created := list(t, s)[0].Created
	use(t, s, key)
	e := list(t, s)[0]
	if time.Since(e.LastUse) > time.Hour {
		t.Errorf("LastUse = %v after use", e.LastUse)
	}
	recent := time.Now().Add(-noted / 2)
	age(t, s, key, recent)
	use(t, s, key)
	if got := list(t, s)[0].LastUse; !got.Equal(recent) {
		t.Errorf("a use soon after another was noted: %v, not %v", got, recent)
	}
	if !e.Created.Equal(created) || e.Profile != "office" || e.Key != key || e.Dir != want {
		t.Errorf("entry = %+v", e)
	}
	if got := names(t, s.isolated("")); got != key {
		t.Errorf("in <root>/mod: %s", got)
	}
}

func TestUseRefuses(t *testing.T) {
	for _, test := range []struct {
		name, root, key string // $R is a directory that exists
		file            string // to write first
		want            string
	}{
		{"no root", "", "k", "", "no cache directory is known\n\tset HOME, XDG_CACHE_HOME or GOX_CACHE"},
		{"relative root", "cache", "k", "", "cache directory cache: not an absolute path\n\tset GOX_CACHE to an absolute path"},
		{"no key", "$R", "", "", `module cache "": not a name that gox gives`},
		{"key that leads out", "$R", "../x", "", `module cache "../x": not a name that gox gives`},
		{"reserved key", "$R", ".trash-1", "", `module cache ".trash-1": not a name that gox gives`},
		{"root is a file", "$R/file", "k", "file", "$R/file: not a directory\n\tmove that file away, or set GOX_CACHE to another directory"},
		{"file in the way", "$R", "k", "mod/k", "$R/mod/k: it stands there already, without a gox marker file\n\tmove it away, or set GOX_CACHE to another directory"},
		{"foreign directory", "$R", "k", "mod/k/mine", "$R/mod/k: it stands there already, without a gox marker file\n\tmove it away, or set GOX_CACHE to another directory"},
		{"foreign file beside mod", "$R", "k", "mod/k/mod", "$R/mod/k: it stands there already, without a gox marker file\n\tmove it away, or set GOX_CACHE to another directory"},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			if test.file != "" {
				write(t, filepath.Join(dir, test.file), "mine")
			}
			s := Store{Root: filepath.FromSlash(strings.ReplaceAll(test.root, "$R", dir))}
			_, err := s.Use(test.key, nil)
			if err == nil {
				t.Fatal("Use succeeded")
			}
			if got := filepath.ToSlash(strings.ReplaceAll(err.Error(), dir, "$R")); got != test.want {
				t.Errorf("error:\n%s\nwant:\n%s", got, test.want)
			}
			if test.file != "" {
				if data, err := os.ReadFile(filepath.Join(dir, test.file)); string(data) != "mine" {
					t.Errorf("the user's file: %q, %v", data, err)
				}
			} else if got := names(t, dir); got != "" {
				t.Errorf("left: %s", got)
			}
		})
	}
}

func TestNoRoot(t *testing.T) {
	var s Store
	ctx := context.Background()
	for name, f := range map[string]func() error{
		"Fresh":   func() error { _, err := s.Fresh(nil); return err },
		"Entries": func() error { _, err := s.Entries(); return err },
		"Entry":   func() error { _, err := s.Entry("k"); return err },
		"Remove":  func() error { return s.Remove("k") },
		"Prune":   func() error { _, err := s.Prune(ctx, PruneOptions{}); return err },
	} {
		if err := f(); err == nil || !strings.Contains(err.Error(), "\n\tset HOME, XDG_CACHE_HOME or GOX_CACHE") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A go command that still runs when its cache is removed makes GOMODCACHE
// again, without our marker.
func TestAdopt(t *testing.T) {
	s := Store{Root: t.TempDir()}
	for _, key := range []string{"used-1", "listed-1", "pruned-1"} {
		write(t, filepath.Join(s.Path(key), "m@v1.0.0", "go.mod"), "module m")
	}
	write(t, filepath.Join(s.isolated("foreign-1"), "x"), "")
	use(t, s, "used-1")
	if _, err := owned.Read(s.isolated("used-1")); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(s.Path("used-1"), "m@v1.0.0", "go.mod")); err != nil {
		t.Error(err)
	}
	var keys []string
	for _, e := range list(t, s) {
		keys = append(keys, e.Key+" "+e.Profile)
	}
	if got, want := strings.Join(keys, ", "), "listed-1 listed, pruned-1 pruned, used-1 office"; got != want {
		t.Errorf("Entries: %s, want %s", got, want)
	}
	if err := s.Remove("listed-1"); err != nil {
		t.Error(err)
	}
	if err := s.Remove("foreign-1"); err == nil || !strings.Contains(err.Error(), "not removed: it holds no gox marker file") {
		t.Errorf("Remove of what is not ours: %v", err)
	}
	age(t, s, "used-1", time.Now().Add(2*time.Hour))
	if _, err := s.Prune(context.Background(), PruneOptions{UnusedFor: time.Hour, Now: time.Now().Add(2 * time.Hour)}); err != nil {
		t.Error(err)
	}
	if got, want := names(t, s.isolated("")), "foreign-1 used-1"; got != want {
		t.Errorf("left: %s, want %s", got, want)
	}
}

func TestFresh(t *testing.T) {
	s := Store{Root: filepath.Join(t.TempDir(), "not", "yet")}
	f, g := fresh(t, s), fresh(t, s)
	if f.GOMODCACHE() == g.GOMODCACHE() {
		t.Errorf("two runs share %s", f.GOMODCACHE())
	}
	for _, e := range list(t, s) {
		if e.Kind != "fresh" || !e.InUse || e.Profile != "ci" {
			t.Errorf("entry = %+v", e)
		}
		err := s.Remove(e.Key)
		if err == nil || !strings.HasSuffix(err.Error(), e.Key+": not removed: in use by a running command") {
			t.Errorf("Remove of one in use: %v", err)
		}
	}
	write(t, filepath.Join(f.GOMODCACHE(), "m@v1.0.0", "go.mod"), "module m")
	for range 2 {
		if err := f.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
	left := list(t, s)
	if len(left) != 1 || left[0].Dir != g.GOMODCACHE() {
		t.Errorf("left: %+v", left)
	}
	if err := g.Close(); err != nil {
		t.Error(err)
	}
	if got := names(t, s.fresh("")); got != "" {
		t.Errorf("left: %s", got)
	}
}

// What is in <root>/fresh without anybody who holds its lock goes away.
func TestSweepFresh(t *testing.T) {
	const id = "0123456789abcdef"
	dead := owned.Marker{Kind: kindFresh, Name: id}
	for _, test := range []struct {
		name  string
		setup func(t *testing.T, s Store)
		left  string
	}{
		{"killed after its lock was made", func(t *testing.T, s Store) { write(t, s.fresh(id)+".lock", "") }, ""},
		{"killed in its run", func(t *testing.T, s Store) {
			write(t, s.fresh(id)+".lock", "")
			if err := owned.Make(s.fresh(id), dead); err != nil {
				t.Fatal(err)
			}
			write(t, filepath.Join(s.fresh(id), "mod", "x"), "")
		}, ""},
		{"without its lock file", func(t *testing.T, s Store) {
			if err := owned.Make(s.fresh(id), dead); err != nil {
				t.Fatal(err)
			}
		}, ""},
		{"made again by go after Close", func(t *testing.T, s Store) { write(t, filepath.Join(s.fresh(id), "mod", "x"), "") }, ""},
		{"killed while removing", func(t *testing.T, s Store) {
			write(t, s.fresh(id)+".lock", "")
			write(t, filepath.Join(s.fresh(".trash-1"), owned.MarkerName), "{}")
			write(t, filepath.Join(s.fresh(".trash-1"), "mod", "x"), "")
		}, ""},
		{"somebody else's", func(t *testing.T, s Store) {
			write(t, filepath.Join(s.fresh("mine"), "x"), "")
			write(t, s.fresh("mine.lock"), "")
			write(t, filepath.Join(s.fresh(id), "x"), "")
		}, id + " mine mine.lock"},
	} {
		for how, sweep := range map[string]func(s Store) error{
			"Fresh": func(s Store) error {
				f, err := s.Fresh(nil)
				if err != nil {
					return err
				}
				return f.Close()
			},
			"Prune": func(s Store) error {
				_, err := s.Prune(context.Background(), PruneOptions{})
				if test.left != "" && err != nil && strings.HasSuffix(err.Error(), id+": not removed: it holds no gox marker file") {
					return nil // Prune says so, Fresh does not
				}
				return err
			},
		} {
			t.Run(test.name+"/"+how, func(t *testing.T) {
				s := Store{Root: t.TempDir()}
				test.setup(t, s)
				if err := sweep(s); err != nil {
					t.Error(err)
				}
				if got := names(t, s.fresh("")); got != test.left {
					t.Errorf("left: %q, want %q", got, test.left)
				}
			})
		}
	}
}

func TestEntries(t *testing.T) {
	s := Store{Root: t.TempDir()}
	if got := list(t, s); len(got) != 0 {
		t.Errorf("Entries of nothing: %+v", got)
	}
	a, b := use(t, s, "b-1"), use(t, s, "a-1")
	f := fresh(t, s)
	markers := func(dir string) string {
		return filepath.Join(dir, "cache", "download", "m.example", "@v", "v1.0.0")
	}
	for _, dir := range []string{a, b, f.GOMODCACHE()} {
		write(t, markers(dir)+".ziphash", "12345")
		write(t, filepath.Join(dir, "own"), "123")
	}
	write(t, markers(b)+".zip", strings.Repeat("x", 1000))
	for _, to := range []string{a, f.GOMODCACHE()} {
		if err := os.Link(markers(b)+".zip", markers(to)+".zip"); err != nil {
			t.Fatal(err)
		}
	}
	if err := owned.Make(s.isolated("foreign"), owned.Marker{Kind: "toolchain"}); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(s.isolated("plain"), "x"), "")
	write(t, s.isolated("file"), "")

	entries := list(t, s)
	type row struct {
		kind, profile, dir string
		size               int64
		files, modules     int
		inUse              bool
	}
	var got []row
	for _, e := range entries {
		got = append(got, row{e.Kind, e.Profile, e.Dir, e.Size, e.Files, e.Modules, e.InUse})
		if e.Created.IsZero() || e.LastUse.IsZero() || e.Info["profile"] != e.Profile {
			t.Errorf("entry %+v", e)
		}
	}
	again := int64(0)
	if _, ok := linked(must(os.Stat(markers(a) + ".zip"))); !ok {
		again = 1000 // hard links are not known here
	}
	want := []row{
		{"isolated", "office", b, 1008, 3, 1, false},
		{"isolated", "office", a, 8 + again, 3, 1, false},
		{"fresh", "ci", f.GOMODCACHE(), 8 + again, 3, 1, true},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("Entries:\n%+v\nwant:\n%+v", got, want)
	}

	write(t, filepath.Join(s.isolated("damaged"), owned.MarkerName), "")
	entries, err := s.Entries()
	if len(entries) != 3 || err == nil || !strings.Contains(err.Error(), "gox.json: not a gox marker file") {
		t.Errorf("Entries with a damaged marker: %d entries, %v", len(entries), err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := Measure(ctx, entries); !errors.Is(err, context.Canceled) {
		t.Errorf("Measure, cancelled: %v", err)
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func TestRemove(t *testing.T) {
	s := Store{Root: t.TempDir()}
	use(t, s, "a-1")
	for _, key := range []string{"b-1", "", ".", "..", "../mod", "a-1/mod", "0123456789abcdef"} {
		if err := s.Remove(key); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("Remove(%q): %v, want fs.ErrNotExist", key, err)
		}
	}
	if err := s.Remove("a-1"); err != nil {
		t.Error(err)
	}
	if got := names(t, s.isolated("")) + names(t, s.fresh("")); got != "" {
		t.Errorf("left: %s", got)
	}
}

func TestPrune(t *testing.T) {
	now := time.Now()
	for _, test := range []struct {
		name    string
		opts    PruneOptions
		removed string // keys, the abandoned fresh cache as "dead"
		left    string
	}{
		{"zero options", PruneOptions{}, "dead", "new-1 old-1"},
		{"unused for a day", PruneOptions{UnusedFor: 24 * time.Hour}, "old-1 dead", "new-1"},
		{"unused for a year", PruneOptions{UnusedFor: 365 * 24 * time.Hour}, "dead", "new-1 old-1"},
		{"a day from now", PruneOptions{UnusedFor: 24 * time.Hour, Now: now.Add(25 * time.Hour)}, "new-1 old-1 dead", ""},
		{"dry run", PruneOptions{UnusedFor: 24 * time.Hour, DryRun: true}, "old-1 dead", "new-1 old-1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := Store{Root: t.TempDir()}
			use(t, s, "new-1")
			write(t, filepath.Join(use(t, s, "old-1"), "x"), "123")
			age(t, s, "old-1", now.Add(-48*time.Hour))
			live := fresh(t, s)
			const dead = "0123456789abcdef"
			if err := owned.Make(s.fresh(dead), owned.Marker{Kind: kindFresh}); err != nil {
				t.Fatal(err)
			}
			removed, err := s.Prune(context.Background(), test.opts)
			if err != nil {
				t.Fatal(err)
			}
			var keys []string
			for _, e := range removed {
				keys = append(keys, strings.ReplaceAll(e.Key, dead, "dead"))
				if e.Key == "old-1" && e.Size != 3 {
					t.Errorf("size of what is removed: %d, want 3", e.Size)
				}
			}
			if got := strings.Join(keys, " "); got != test.removed {
				t.Errorf("removed: %s, want %s", got, test.removed)
			}
			if got := names(t, s.isolated("")); got != test.left {
				t.Errorf("left: %s, want %s", got, test.left)
			}
			if _, err := os.Stat(filepath.Dir(live.GOMODCACHE())); err != nil {
				t.Error(err)
			}
			if _, err := os.Stat(s.fresh(dead)); errors.Is(err, fs.ErrNotExist) == test.opts.DryRun {
				t.Errorf("the abandoned one: %v", err)
			}
		})
	}
}

// BenchmarkUse is what gox adds to each run in an isolated cache.
func BenchmarkUse(b *testing.B) {
	s := Store{Root: b.TempDir()}
	info := map[string]string{"profile": "office"}
	key := Key("office", []string{"https://proxy.corp.example", "direct"})
	for b.Loop() {
		if _, err := s.Use(key, info); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkFresh(b *testing.B) {
	s := Store{Root: b.TempDir()}
	for b.Loop() {
		f, err := s.Fresh(nil)
		if err == nil {
			err = f.Close()
		}
		if err != nil {
			b.Fatal(err)
		}
	}
}
