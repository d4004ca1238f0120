package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/mod/modfile"
)

// fill brings the workspace into the tree.
func (s *Sandbox) fill(ctx context.Context, c *Config) error {
	tree, err := os.OpenRoot(s.Tree())
	if err != nil {
		return err
	}
	defer tree.Close()
	if c.From != "" {
		// By its real path, or what leads into it by another is taken for outside.
		root, err := filepath.EvalSymlinks(c.From)
		if err != nil {
			return err
		}
		if fi, err := os.Stat(root); err != nil || !fi.IsDir() {
			return fmt.Errorf("%s: not a directory", c.From)
		}
		c.progress("copying %s", c.From)
		src := source{root: root, git: findGit(), host: c.environ(), avoid: []string{s.cache, s.dir}, log: c.log, told: map[string]bool{}, index: s.index}
		if err := src.copyTo(ctx, tree); err != nil {
			return fmt.Errorf("%s: not copied: %w", c.From, err)
		}
	}
	for name, content := range c.Files {
		name = filepath.FromSlash(name)
		if err := mkdirAll(tree, filepath.Dir(name)); err != nil {
			return err
		}
		if err := tree.WriteFile(name, []byte(content), 0o644); err != nil {
			return err
		}
		s.index.forget(filepath.ToSlash(name))
	}
	if c.WorkDir != "" {
		if fi, err := os.Stat(s.inside(c.WorkDir)); err != nil || !fi.IsDir() {
			return fmt.Errorf("%s: no such directory in what was copied", c.WorkDir)
		}
	}
	return s.outsiders(tree)
}

// outsiders returns an error where a go.work or a go.mod names a directory
// outside of the tree, which is not there any more.
func (s *Sandbox) outsiders(tree *os.Root) error {
	var errs []error
	look := func(file, dir, what string) {
		if !modfile.IsDirectoryPath(dir) && !filepath.IsAbs(dir) {
			return
		}
		if filepath.IsAbs(dir) || !filepath.IsLocal(filepath.Join(filepath.Dir(filepath.FromSlash(file)), filepath.FromSlash(dir))) {
			errs = append(errs, fmt.Errorf("%s: %s %s: outside of the workspace that is copied\n\tname with --from a folder that holds both, and let the path be relative", file, what, dir))
		}
	}
	err := walk(s.Tree(), func(name string, d fs.DirEntry) error {
		if d.IsDir() {
			if d.Name() == "vendor" || d.Name() == "testdata" || strings.HasPrefix(d.Name(), ".") || strings.HasPrefix(d.Name(), "_") {
				return fs.SkipDir
			}
			return nil
		}
		if d.Name() != "go.mod" && d.Name() != "go.work" || !d.Type().IsRegular() {
			return nil
		}
		data, err := fs.ReadFile(tree.FS(), name)
		if err != nil {
			return err
		}
		var replaces []*modfile.Replace
		if d.Name() == "go.work" {
			work, err := modfile.ParseWork(name, data, nil)
			if err != nil {
				return nil // go says it better, should it matter
			}
			for _, use := range work.Use {
				look(name, use.Path, "use")
			}
			replaces = work.Replace
		} else {
			mod, err := modfile.Parse(name, data, nil) // ParseLax reads no replacements
			if err != nil {
				return nil
			}
			replaces = mod.Replace
		}
		for _, r := range replaces {
			if r.New.Version == "" {
				look(name, r.New.Path, "replace "+r.Old.Path+" =>")
			}
		}
		return nil
	})
	return errors.Join(append(errs, err)...)
}
