package sandbox

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/version"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"

	"example.com/gox/internal/envvar"
	"example.com/gox/internal/modstore"
	"example.com/gox/internal/redact"
)

// modules finds the main modules, and brings the module versions that they need
// into the module cache: out of the caches in from, else through the sources
// that the variables name.
func (s *Sandbox) modules(ctx context.Context, from []string) error {
	if err := s.workspace(); err != nil {
		return err
	}
	question, err := s.question()
	if err != nil {
		return err
	}
	if ok, err := s.recall(ctx, question, from); ok || err != nil {
		return err
	}
	before, err := s.answering(false)
	if err != nil {
		return err
	}
	if err := s.mains(ctx); err != nil {
		return err
	}
	for _, dir := range s.governed() {
		err := error(nil)
		if s.vendored(dir) {
			err = s.vendoredModules(dir)
		} else {
			err = s.needed(ctx, dir, from)
		}
		if err != nil {
			return err
		}
	}
	s.manifest.sort()
	s.manifest.Modules = slices.Compact(s.manifest.Modules)
	return s.remember(question, before)
}

// workspace finds the go.work in force.
func (s *Sandbox) workspace() error {
	if work := envvar.Get(s.Environ(s.manifest.Dir), "GOWORK"); work != "off" {
		rel, err := filepath.Rel(s.Tree(), work)
		if err != nil {
			return err
		}
		s.manifest.Work = filepath.ToSlash(rel)
	}
	return nil
}

// mains finds the main modules, as go sees them.
func (s *Sandbox) mains(ctx context.Context) error {
	m := &s.manifest
	for _, dir := range s.governed() {
		out, err := s.output(ctx, s.inside(dir), s.Environ(dir), "list", "-m", "-f", "{{.Path}}\t{{.Dir}}")
		if err != nil {
			return err
		}
		for line := range strings.Lines(string(out)) {
			name, where, _ := strings.Cut(strings.TrimSpace(line), "\t")
			rel, err := filepath.Rel(s.Tree(), where)
			if err != nil {
				return err
			}
			m.Main = append(m.Main, Main{name, filepath.ToSlash(rel)})
		}
	}
	m.sort()
	return nil
}

// needed brings the module versions that the main modules governed by dir need
// into the module cache, and notes them. Needed are those of the build list of
// which a go.sum has more than the go.mod: for any system and tags, some package
// or test of the main modules, or of what it imports, lies in them.
func (s *Sandbox) needed(ctx context.Context, dir string, from []string) error {
	at, err := s.warm(ctx, from, nil)
	if err != nil {
		return err
	}
	list, exact, err := s.selected(ctx, dir)
	if err != nil {
		return err
	}
	sums, err := s.sums()
	if err != nil {
		return err
	}
	var vouched strings.Builder
	paths := map[string]bool{}
	for _, sum := range sums {
		suffix := ""
		if sum.GoMod {
			suffix = "/go.mod"
		} else {
			paths[sum.Path] = true
		}
		fmt.Fprintf(&vouched, "%s %s%s %s\n", sum.Path, sum.Version, suffix, sum.H1)
	}
	var missing []string
	for _, m := range list {
		if paths[m.Path] && !at[m.String()] {
			missing = append(missing, m.String())
		}
	}
	if len(missing) > 0 {
		if s.progress != nil {
			s.progress("fetching %d modules, %d are at hand", len(missing), len(list)-len(missing))
		}
		fetch := filepath.Join(s.dir, "tmp", "fetch")
		found, err := s.download(ctx, fetch, vouched.String(), missing)
		if err == nil {
			// They are at hand from now on, for the next sandbox too.
			var since []modstore.Sum
			for _, d := range found {
				if d.Sum != "" {
					since = append(since, modstore.Sum{Path: d.Path, Version: d.Version, H1: d.Sum})
				}
			}
			_, err = s.warm(ctx, []string{fetch}, since)
		}
		if err = errors.Join(err, os.RemoveAll(fetch)); err != nil {
			return err
		}
	}
	if !exact {
		// Where modules meet that were not made for one another, one may import of
		// another what nothing else imports; and in a workspace go looks into every
		// module that may hold a package, to see that only one does.
		out, err := s.output(ctx, s.inside(dir), s.Environ(dir),
			append([]string{"list", "-e", "-deps", "-test", "-f", "{{with .Error}}{{.}}{{end}}"}, s.patterns(dir)...)...)
		if err != nil {
			return err
		}
		if first, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n"); first != "" {
			s.unloaded = true
			if s.log != nil {
				s.log("there are packages that do not load, and what they need may not be here: %s", redact.Text(first))
			}
		}
		if _, err := s.warm(ctx, []string{s.ModCache()}, nil); err != nil { // for the next sandbox
			return err
		}
	}
	for _, m := range list {
		base, err := escapedPath(m.Path, m.Version)
		if err != nil {
			return err
		}
		h1, err := os.ReadFile(filepath.Join(s.ModCache(), "cache", "download", filepath.FromSlash(base)+".ziphash"))
		if err != nil {
			continue
		}
		s.manifest.Modules = append(s.manifest.Modules, Module{m.Path, m.Version, string(h1)})
		if at[m.String()] {
			s.warmth.Linked++
		} else {
			s.warmth.Downloaded++
		}
	}
	return nil
}

// selected returns the build list of the main modules governed by dir, without
// these, and with replacements in place of what they replace. It is exact where
// the go.sum has all that the packages need.
func (s *Sandbox) selected(ctx context.Context, dir string) (list []module.Version, exact bool, err error) {
	if list, ok := s.required(dir); ok {
		return list, true, nil
	}
	const format = "{{if not .Main}}{{with .Replace}}{{.Path}}\t{{.Version}}{{else}}{{.Path}}\t{{.Version}}{{end}}{{end}}"
	// This brings the go.mod files, and fails where one is not to be had. To list
	// modules go wants the time of each version besides, a request each; with -e it
	// does without.
	if err := s.quietly(ctx, s.inside(dir), s.Environ(dir), "mod", "graph"); err != nil {
		return nil, false, err
	}
	env := append(s.Environ(dir), "GOPROXY=off", "GONOPROXY=none")
	out, err := s.output(ctx, s.inside(dir), env, "list", "-m", "-e", "-f", format, "all")
	if err != nil {
		return nil, false, err
	}
	for line := range strings.Lines(string(out)) {
		name, version, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		if version != "" { // else a directory
			list = append(list, module.Version{Path: name, Version: version})
		}
	}
	return list, false, nil
}

// required is selected for a single main module whose go.mod is the build list,
// as it is since go1.17. Otherwise it reports false.
func (s *Sandbox) required(dir string) ([]module.Version, bool) {
	flags := envvar.Get(s.Environ(dir), "GOFLAGS")
	// In a workspace go looks through the whole module graph for a package, and
	// not through the go.mod first.
	if s.manifest.Work != "" || len(s.governed()) != 1 || strings.Contains(flags, "-mod") {
		return nil, false
	}
	at := path.Join(dir, "go.mod")
	data, err := os.ReadFile(s.inside(at))
	if err != nil {
		return nil, false
	}
	mod, err := modfile.Parse(at, data, nil)
	if err != nil || mod.Go == nil || version.Compare("go"+mod.Go.Version, "go1.17") < 0 {
		return nil, false
	}
	if len(mod.Require) > 0 && !exists(s.inside(path.Join(dir, "go.sum"))) {
		return nil, false
	}
	var list []module.Version
	for _, r := range mod.Require {
		v := r.Mod
		for _, rep := range mod.Replace {
			if rep.Old == r.Mod || rep.Old.Version == "" && rep.Old.Path == r.Mod.Path && v == r.Mod {
				v = rep.New
			}
		}
		if v.Version != "" {
			list = append(list, v)
		}
	}
	return list, true
}

// patterns returns the patterns of all packages of the main modules governed by
// dir, as seen from there.
func (s *Sandbox) patterns(dir string) []string {
	var words []string
	for _, m := range s.manifest.Main {
		rel, err := filepath.Rel(filepath.FromSlash("/"+dir), filepath.FromSlash("/"+m.Dir))
		// Of modules without go.work, each directory has its own.
		if err == nil && (s.manifest.Work != "" || rel == ".") {
			words = append(words, "./"+path.Join(filepath.ToSlash(rel), "..."))
		}
	}
	return words
}

// governed returns the directories whose go.work or go.mod say what is built:
// one, or where neither the root nor the WorkDir is in a module, those of all
// modules in the tree.
func (s *Sandbox) governed() []string {
	dir := s.manifest.Dir
	if s.manifest.Work != "" {
		return []string{path.Dir(s.manifest.Work)}
	}
	for d := dir; ; d = path.Dir(d) {
		if d == "." {
			d = ""
		}
		if exists(s.inside(path.Join(d, "go.mod"))) {
			return []string{d}
		}
		if d == "" {
			break
		}
	}
	var all []string
	filepath.WalkDir(s.Tree(), func(name string, d fs.DirEntry, err error) error {
		if err != nil || name == s.Tree() {
			return nil
		}
		if base := d.Name(); d.IsDir() && (base == "vendor" || base == "testdata" || base[0] == '.' || base[0] == '_') {
			return fs.SkipDir
		}
		if d.Name() == "go.mod" && !d.IsDir() {
			if rel, err := filepath.Rel(s.Tree(), filepath.Dir(name)); err == nil {
				all = append(all, filepath.ToSlash(rel))
			}
		}
		return nil
	})
	return all
}

// vendored reports whether go takes the modules of dir from its vendor
// directory.
func (s *Sandbox) vendored(dir string) bool {
	flags := " " + envvar.Get(s.Environ(dir), "GOFLAGS") + " "
	for _, mode := range []string{"mod", "readonly"} {
		if strings.Contains(flags, "-mod="+mode+" ") {
			return false
		}
	}
	if !exists(s.inside(path.Join(dir, "vendor", "modules.txt"))) {
		return false
	}
	return s.manifest.Work == "" || version.Compare(s.toolchain.Version, "go1.22") >= 0
}

// vendoredModules notes the modules in a vendor directory, with the hashes
// that the go.sum files have of them.
func (s *Sandbox) vendoredModules(dir string) error {
	data, err := os.ReadFile(s.inside(path.Join(dir, "vendor", "modules.txt")))
	if err != nil {
		return err
	}
	sums := map[string]string{}
	files := []string{path.Join(dir, "go.work.sum"), path.Join(dir, "go.sum")}
	for _, m := range s.manifest.Main {
		files = append(files, path.Join(m.Dir, "go.sum"))
	}
	for _, file := range files {
		sum, err := os.ReadFile(s.inside(file))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		for line := range strings.Lines(string(sum)) {
			if f := strings.Fields(line); len(f) == 3 {
				sums[f[0]+" "+f[1]] = f[2]
			}
		}
	}
	for line := range strings.Lines(string(data)) {
		f := strings.Fields(line)
		if len(f) < 3 || f[0] != "#" || module.CanonicalVersion(f[2]) == "" {
			continue
		}
		s.manifest.Modules = append(s.manifest.Modules, Module{f[1], f[2], sums[f[1]+" "+f[2]]})
	}
	return nil
}

// downloaded is a module version as `go mod download -json` tells of it.
type downloaded struct {
	Path, Version, Dir, Sum, Error string
}

// download lets go download module versions, as it does outside of any module,
// into the module cache dir. sums, the content of a go.sum file, vouches for them
// before the checksum database is asked.
func (s *Sandbox) download(ctx context.Context, dir, sums string, versions []string) ([]downloaded, error) {
	// A module of its own, so that no go.mod of the workspace has a say, and no
	// go.sum of it is written.
	scratch := filepath.Join(s.dir, "tmp", "download")
	if err := os.Mkdir(scratch, 0o755); err != nil {
		return nil, err
	}
	defer os.RemoveAll(scratch)
	for name, content := range map[string]string{"go.mod": "module download.invalid\n", "go.sum": sums} {
		if err := os.WriteFile(filepath.Join(scratch, name), []byte(content), 0o644); err != nil {
			return nil, err
		}
	}
	env := append(s.Environ(""), "GOWORK=off", "GOFLAGS=-modcacherw", "GOMODCACHE="+dir)
	out, err := s.output(ctx, scratch, env, append([]string{"mod", "download", "-json"}, versions...)...)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	var all []downloaded
	var errs []error
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var m downloaded
		if derr := d.Decode(&m); errors.Is(derr, io.EOF) {
			break
		} else if derr != nil {
			return nil, errors.Join(derr, err)
		}
		if m.Error != "" {
			errs = append(errs, errors.New(redact.Text(m.Error)))
		}
		all = append(all, m)
	}
	if len(errs) == 0 && err != nil {
		errs = append(errs, err)
	}
	return all, errors.Join(errs...)
}
