package sandbox

import (
	"context"
	"errors"
	"fmt"
	"go/version"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/sumdb/dirhash"

	"example.com/gox/internal/envvar"
	"example.com/gox/internal/modcache"
)

// assemble extracts the published modules that c uses, and joins them by
// go.work.
func (s *Sandbox) assemble(ctx context.Context, c *Config) error {
	if len(c.Use) == 0 {
		return nil
	}
	c.progress("fetching %s", strings.Join(c.Use, ", "))
	found, err := s.published(ctx, c.Use)
	if err != nil {
		return err
	}
	tree, err := os.OpenRoot(s.Tree())
	if err != nil {
		return err
	}
	defer tree.Close()
	uses := []string{}
	if !exists(s.inside("go.work")) && exists(s.inside("go.mod")) {
		uses = append(uses, ".")
	}
	newest := "1.18"
	dropped, loosened := 0, []string{}
	for _, m := range found {
		dir := filepath.FromSlash(m.Path)
		if exists(s.inside(filepath.Join(m.Path, "go.mod"))) {
			return fmt.Errorf("--use %s@%s: there is a module at %s already", m.Path, m.Version, m.Path)
		}
		if err := mkdirAll(tree, dir); err != nil {
			return err
		}
		sub, err := tree.OpenRoot(dir)
		if err != nil {
			return err
		}
		src := source{root: m.Dir, log: c.log, told: map[string]bool{}}
		err = src.extract(ctx, sub)
		sub.Close()
		if err == nil {
			var n int
			if n, err = s.loosen(m, &newest); n > 0 {
				dropped, loosened = dropped+n, append(loosened, m.Path)
			}
		}
		if err != nil {
			return fmt.Errorf("--use %s@%s: %w", m.Path, m.Version, err)
		}
		uses = append(uses, "./"+m.Path)
	}
	if dropped > 0 {
		c.log("%d replacements by directories taken out of the go.mod of %s", dropped, strings.Join(loosened, ", "))
	}
	env := append(s.Environ(""), "GOWORK="+s.inside("go.work"))
	if !exists(s.inside("go.work")) {
		if err := s.quietly(ctx, s.Tree(), env, "work", "init"); err != nil {
			return err
		}
		// What init writes is the version of the go at hand.
		if err := s.quietly(ctx, s.Tree(), env, "work", "edit", "-go="+newest); err != nil {
			return err
		}
	}
	return s.quietly(ctx, s.Tree(), env, append([]string{"work", "use"}, uses...)...)
}

// published returns the modules that versions name, extracted in a module cache
// that all sandboxes with these sources share.
func (s *Sandbox) published(ctx context.Context, versions []string) ([]downloaded, error) {
	env := s.Environ("")
	var sources []string
	for _, name := range []string{"GOPROXY", "GONOPROXY", "GOPRIVATE", "GOSUMDB", "GONOSUMDB", "GOINSECURE", "GOVCS"} {
		sources = append(sources, name+"="+envvar.Get(env, name))
	}
	const profile = "sandbox-use"
	dir, err := modcache.Store{Root: s.cache}.Use(modcache.Key(profile, sources), map[string]string{"profile": profile})
	if err != nil {
		return nil, err
	}
	found, err := s.download(ctx, dir, "", versions)
	if err != nil {
		return nil, err
	}
	for _, m := range found {
		// go takes what is extracted for right; others may have written to it.
		h1, err := dirhash.HashDir(m.Dir, m.Path+"@"+m.Version, dirhash.Hash1)
		if err != nil {
			return nil, err
		}
		if h1 != m.Sum {
			return nil, fmt.Errorf("--use %s@%s: %s is not what was downloaded\n\tgox cache verify", m.Path, m.Version, m.Dir)
		}
	}
	return found, nil
}

// extract copies a module out of the module cache, and makes it writable.
func (s *source) extract(ctx context.Context, dst *os.Root) error {
	if err := s.all(ctx, dst); err != nil {
		return err
	}
	return fs.WalkDir(dst.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		return dst.Chmod(name, 0o644)
	})
}

// loosen makes a published module one of a workspace: replacements by
// directories, which count for nobody who requires the module, would count
// here, and lead nowhere. It returns how many it took out. newest becomes the
// module's go version if it is newer.
func (s *Sandbox) loosen(m downloaded, newest *string) (dropped int, err error) {
	file := s.inside(path.Join(m.Path, "go.mod"))
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) { // published before there were modules
		return 0, os.WriteFile(file, []byte("module "+modfile.AutoQuote(m.Path)+"\n"), 0o644)
	}
	if err != nil {
		return 0, err
	}
	mod, err := modfile.Parse(path.Join(m.Path, "go.mod"), data, nil)
	if err != nil {
		return 0, err
	}
	if mod.Go != nil && version.Compare("go"+mod.Go.Version, "go"+*newest) > 0 {
		*newest = mod.Go.Version
	}
	for _, r := range slices.Clone(mod.Replace) {
		if r.New.Version == "" {
			if err := mod.DropReplace(r.Old.Path, r.Old.Version); err != nil {
				return dropped, err
			}
			dropped++
		}
	}
	if dropped == 0 {
		return 0, nil
	}
	mod.Cleanup()
	if data, err = mod.Format(); err != nil {
		return dropped, err
	}
	return dropped, os.WriteFile(file, data, 0o644)
}
