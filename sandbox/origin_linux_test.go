package sandbox

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"example.com/gox/internal/gotest"
)

// kept returns the origins under a cache directory.
func kept(t *testing.T, cache string) (list []string) {
	t.Helper()
	for _, name := range names(t, origins(cache)) {
		if name != lockFile {
			list = append(list, name)
		}
	}
	return list
}

// Sandboxes of equal workspaces have one origin, which goes with the last of them.
func TestOriginShared(t *testing.T) {
	c := config(t)
	c.Cache, c.Files = cache(t), hello()
	named := func(name string) Config {
		c := c
		c.Name = name
		return c
	}
	var boxes []*Sandbox
	for _, name := range []string{"a", "b"} {
		s, err := New(t.Context(), named(name))
		if err != nil {
			t.Fatal(err)
		}
		boxes = append(boxes, s)
	}
	a, b := boxes[0], boxes[1]
	one, erra := a.origin()
	two, errb := b.origin()
	if erra != nil || errb != nil || one != two || len(kept(t, c.Cache)) != 1 {
		t.Errorf("origins %s and %s, %v %v, kept %q", one, two, erra, errb, kept(t, c.Cache))
	}
	other := c
	other.Files = map[string]string{"go.mod": "module other.test/o\n\ngo 1.18\n", "o.go": "package o\n"}
	third := ForTest(t, other)
	if len(kept(t, c.Cache)) != 2 {
		t.Errorf("kept %q, want two", kept(t, c.Cache))
	}
	if err := third.Close(); err != nil || len(kept(t, c.Cache)) != 1 {
		t.Errorf("kept %q, want one: %v", kept(t, c.Cache), err)
	}
	// What changes in one changes neither the origin nor the other.
	write(t, a.inside("main.go"), "package main\n")
	if changes, err := b.Changes(); err != nil || len(changes) > 0 {
		t.Errorf("the other has changed: %v %v", changes, err)
	}
	a.Close()
	if err := Remove(named("a")); err != nil {
		t.Fatal(err)
	}
	// As in a copy of the cache that was made without its links.
	used := filepath.Join(b.Dir(), usedFile)
	if err := errors.Join(os.Remove(used), os.WriteFile(used, nil, 0o666), sweepOrigins(c.Cache)); err != nil {
		t.Fatal(err)
	}
	if v, err := b.Verify(t.Context(), VerifyOptions{Cached: true}); err != nil || v.Difference != nil {
		t.Errorf("without the other: %+v, %v", v, err)
	}
	write(t, b.inside("main.go"), "package main\n\nfunc main() {}\n")
	var patch strings.Builder
	if changed, err := b.Diff(t.Context(), &patch); err != nil || !changed || !strings.HasPrefix(patch.String(), "diff --git origin/main.go tree/main.go\n") {
		t.Errorf("Diff: %v, %v\n%s", changed, err, patch.String())
	}
	// What was done to the origin comes to light.
	write(t, filepath.Join(two, "main.go"), "package other\n")
	if v, err := b.Verify(t.Context(), VerifyOptions{Cached: true}); err != nil || v.Difference == nil || v.Difference.Name != "origin/main.go" {
		t.Errorf("an origin that was written to: %+v, %v", v.Difference, err)
	}
	b.Close()
	if err := Remove(named("b")); err != nil || len(kept(t, c.Cache)) != 0 {
		t.Errorf("kept %q, want none: %v", kept(t, c.Cache), err)
	}
}

// What a killed New left of an origin is completed, or goes.
func TestOriginHalfMade(t *testing.T) {
	c := config(t)
	c.Cache, c.Files = cache(t), hello()
	s, err := New(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	at := filepath.Join(origins(c.Cache), kept(t, c.Cache)[0])
	for what, spoil := range map[string]func() error{
		"without tree": func() error { return os.RemoveAll(filepath.Join(at, originTree)) },
		"without used": func() error { return os.Remove(filepath.Join(at, originUsed)) },
	} {
		if err := spoil(); err != nil {
			t.Fatal(err)
		}
		again, err := New(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		if v, err := again.Verify(t.Context(), VerifyOptions{Cached: true}); err != nil || v.Difference != nil {
			t.Errorf("%s: %+v, %v", what, v, err)
		}
		if err := again.Close(); err != nil {
			t.Error(err)
		}
	}
	if err := s.Close(); err != nil || len(kept(t, c.Cache)) != 0 {
		t.Errorf("kept %q: %v", kept(t, c.Cache), err)
	}
	if _, err := s.origin(); !errors.Is(err, fs.ErrNotExist) && (err == nil || !strings.Contains(err.Error(), "gox sandbox create")) {
		t.Errorf("an origin that is gone: %v", err)
	}
}

// On another file system a sandbox has an origin of its own.
func TestOriginElsewhere(t *testing.T) {
	disk := gotest.Disk(t, "4m")
	c := config(t)
	c.Cache, c.Files, c.Dir = cache(t), hello(), filepath.Join(disk, "box")
	s, err := New(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if fi, err := os.Lstat(filepath.Join(s.Dir(), originDir)); err != nil || !fi.IsDir() {
		t.Errorf("%v, %v, want a directory", fi, err)
	}
	if v, err := s.Verify(t.Context(), VerifyOptions{Cached: true}); err != nil || v.Difference != nil {
		t.Errorf("%+v, %v", v, err)
	}
	write(t, s.inside("new"), "")
	if changed, err := s.Diff(t.Context(), t.Output()); err != nil || !changed {
		t.Errorf("Diff: %v, %v", changed, err)
	}
	if err := s.Close(); err != nil || len(names(t, disk)) > 0 {
		t.Errorf("left: %q, %v", names(t, disk), err)
	}
}

// However many are made and removed at once, each has its origin, and in the
// end there is none.
func TestOriginsAtOnce(t *testing.T) {
	c := config(t)
	c.Cache, c.Files = cache(t), hello()
	var wg sync.WaitGroup
	for i := range 6 {
		wg.Go(func() {
			for range 4 {
				s, err := New(t.Context(), c)
				if err != nil {
					t.Error(err)
					return
				}
				origin, err := s.origin()
				if err == nil {
					var list []byte
					if list, _, err = sums(origin, nil, nil); err == nil && sumOf(list) != s.Manifest().Tree.Sum {
						err = fmt.Errorf("not whole:\n%s", list)
					}
				}
				if err := errors.Join(err, s.Close()); err != nil {
					t.Errorf("%d: %v", i, err)
				}
			}
		})
	}
	wg.Wait()
	if err := sweepOrigins(c.Cache); err != nil || len(kept(t, c.Cache)) != 0 {
		t.Errorf("kept %q, %v", kept(t, c.Cache), err)
	}
}
