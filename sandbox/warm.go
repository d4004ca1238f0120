package sandbox

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"example.com/gox/internal/modstore"
)

// A Warmth says how the module cache of a new sandbox was filled.
type Warmth struct {
	Mode       string        `json:"mode,omitempty"` // "symlink", "reflink" or "copy"; "" where nothing was at hand
	Linked     int           `json:"linked"`         // module versions that were at hand
	Downloaded int           `json:"downloaded"`     // module versions that go downloaded
	Took       time.Duration `json:"took"`           // what the linking took, in nanoseconds
}

// Warmth returns how the module cache was filled. It is zero for a sandbox that
// was opened.
func (s *Sandbox) Warmth() Warmth { return s.warmth }

// warm gives s what its go.sum files name and this machine has: out of gox's
// store of verified modules, where it is taken from the module caches in from if its
// bytes hash to what go.sum says, the manifest or more. It returns what is
// there, as Sum.String has it.
func (s *Sandbox) warm(ctx context.Context, from []string, more []modstore.Sum) (map[string]bool, error) {
	list, err := s.sums()
	if err != nil {
		return nil, err
	}
	for _, m := range s.manifest.Modules {
		if m.Sum != "" {
			list = append(list, modstore.Sum{Path: m.Path, Version: m.Version, H1: m.Sum})
		}
	}
	list = append(list, more...)
	if len(list) == 0 {
		return nil, nil
	}
	report, err := s.store().Warm(ctx, modstore.Warming{
		Dir: s.ModCache(), Sums: list, From: from, GoVersion: s.toolchain.Version,
	})
	if err != nil {
		return nil, err
	}
	at := map[string]bool{}
	for _, sum := range list {
		at[sum.String()] = true
	}
	for _, sum := range report.Missing {
		delete(at, sum.String())
	}
	s.warmth.Took += report.Took
	if report.Modules > 0 {
		s.warmth.Mode = report.Mode
	}
	return at, nil
}

// sums returns what the go.sum and go.work.sum files of the main modules say.
func (s *Sandbox) sums() ([]modstore.Sum, error) {
	var files []string
	if s.manifest.Work != "" {
		files = append(files, s.inside(strings.TrimSuffix(s.manifest.Work, "go.work")+"go.work.sum"))
	}
	for _, m := range s.manifest.Main {
		files = append(files, s.inside(m.Dir+"/go.sum"))
	}
	var all []modstore.Sum
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			continue // a module without requirements has none
		}
		rel, _ := filepath.Rel(s.Tree(), file)
		list, err := modstore.ParseSums(rel, data)
		if err != nil {
			return nil, err
		}
		all = append(all, list...)
	}
	return all, nil
}

// moduleCaches returns the module caches of this user's where modules may be at
// hand: go's own, and gox's.
func (c *Config) moduleCaches(cache string) []string {
	dirs := slices.Clone(c.caches)
	switch gopath := filepath.SplitList(c.getenv("GOPATH")); {
	case c.getenv("GOMODCACHE") != "":
		dirs = append(dirs, c.getenv("GOMODCACHE"))
	case len(gopath) > 0:
		dirs = append(dirs, filepath.Join(gopath[0], "pkg", "mod"))
	case c.getenv("HOME") != "":
		dirs = append(dirs, filepath.Join(c.getenv("HOME"), "go", "pkg", "mod"))
	}
	for _, pattern := range []string{"mod/*/mod", "sandbox/*/mod"} {
		found, _ := filepath.Glob(filepath.Join(cache, filepath.FromSlash(pattern)))
		dirs = append(dirs, found...)
	}
	return slices.DeleteFunc(dirs, func(dir string) bool { return !filepath.IsAbs(dir) })
}
