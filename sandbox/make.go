package sandbox

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"go/version"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"
	"golang.org/x/mod/sumdb/dirhash"

	"example.com/gox/internal/gocmd"
	"example.com/gox/internal/modcache"
	"example.com/gox/internal/owned"
	"example.com/gox/internal/redact"
)

// mend returns err with what the user can do about it where the disk is full,
// nil where it is not.
func mend(dir string, err error) error {
	for _, full := range []error{syscall.ENOSPC, syscall.EDQUOT} {
		if errors.Is(err, full) || strings.Contains(err.Error(), full.Error()) {
			return owned.Mend(filepath.Dir(dir), full)
		}
	}
	return nil
}

// make fills the directory of s.
func (s *Sandbox) make(ctx context.Context, c *Config) error {
	vars, err := c.variables(ctx, s.toolchain)
	if err != nil {
		return err
	}
	s.manifest = Manifest{
		Format: manifestFormat, Gox: gox(), Variables: vars, Dir: path.Clean("/" + c.WorkDir)[1:],
		Go:   GoVersion{Version: s.toolchain.Version, OS: runtime.GOOS, Arch: runtime.GOARCH, Sum: s.toolchain.h1},
		Main: []Main{}, Modules: []Module{},
	}
	s.variables = vars
	if c.Profile != nil {
		s.manifest.Profile = c.Profile.Name
	}
	if err := s.furnish(); err != nil {
		return err
	}
	if err := s.defaults(ctx); err != nil {
		return err
	}
	if filepath.IsAbs(c.Go) {
		if err := os.WriteFile(filepath.Join(s.dir, gorootFile), []byte(c.Go), 0o644); err != nil {
			return err
		}
	}
	if err := s.fill(ctx, c); err != nil {
		return err
	}
	if err := s.assemble(ctx, c); err != nil {
		return err
	}
	if err := s.modules(ctx, c.moduleCaches(s.cache)); err != nil {
		return err
	}
	if s.manifest.Go.CC, err = s.compiler(ctx); err != nil {
		return err
	}
	return s.note(ctx)
}

// furnish makes what is in a sandbox besides the workspace.
func (s *Sandbox) furnish() error {
	for _, dir := range []string{treeDir, "home", "tmp", "gopath", "mod"} {
		if err := os.Mkdir(filepath.Join(s.dir, dir), 0o755); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(s.build, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(s.dir, "home", ".gitconfig"), nil, 0o644); err != nil {
		return err
	}
	// Telemetry would count, and since go1.23 start a process that goes on writing
	// into HOME after its go has ended. Its mode stands in a file.
	for _, config := range []string{".config", "Library/Application Support"} { // os.UserConfigDir
		dir := filepath.Join(s.dir, "home", config, "go", "telemetry")
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, "mode"), []byte("off"), 0o644); err != nil {
			return err
		}
		if runtime.GOOS != "darwin" {
			break
		}
	}
	// go looks for a go.mod as far as the root of the file system.
	return os.WriteFile(filepath.Join(s.dir, guardFile), []byte("module sandbox.invalid\n\ngo 1.18\n"), 0o644)
}

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
		src := source{root: root, git: findGit(), host: c.environ(), avoid: []string{s.cache, s.dir}, log: c.log, told: map[string]bool{}}
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
	err := fs.WalkDir(tree.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if name != "." && (d.Name() == "vendor" || d.Name() == "testdata" || strings.HasPrefix(d.Name(), ".") || strings.HasPrefix(d.Name(), "_")) {
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
		sources = append(sources, name+"="+lookup(env, name))
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

// quietly runs go with args in dir; what it prints is in the error.
func (s *Sandbox) quietly(ctx context.Context, dir string, env []string, args ...string) error {
	_, err := s.output(ctx, dir, env, args...)
	return err
}

// output runs go with args in dir and returns its standard output.
func (s *Sandbox) output(ctx context.Context, dir string, env []string, args ...string) ([]byte, error) {
	var out, errs bytes.Buffer
	code, err := s.run(ctx, s.net.fetching(), gocmd.Cmd{Path: s.toolchain.Path, Args: args, Dir: dir, Env: env, Stdout: &out, Stderr: &errs})
	if err == nil {
		err = ctx.Err()
	}
	if err == nil && code != 0 {
		err = &ExitError{Args: args, Code: code, Stderr: redact.Text(errs.String())}
	}
	return out.Bytes(), err
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

// modules finds the main modules, and brings the module versions that they need
// into the module cache: out of the caches in from, else through the sources
// that the variables name.
func (s *Sandbox) modules(ctx context.Context, from []string) error {
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
	return nil
}

// mains finds the main modules, as go sees them.
func (s *Sandbox) mains(ctx context.Context) error {
	m := &s.manifest
	env := s.Environ(m.Dir)
	if work := lookup(env, "GOWORK"); work != "off" {
		rel, err := filepath.Rel(s.Tree(), work)
		if err != nil {
			return err
		}
		m.Work = filepath.ToSlash(rel)
	}
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
			_, err = s.warm(ctx, []string{fetch}, found)
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
		if first, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n"); first != "" && s.log != nil {
			s.log("there are packages that do not load, and what they need may not be here: %s", redact.Text(first))
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
	flags := lookup(s.Environ(dir), "GOFLAGS")
	// In a workspace go looks through the whole module graph for a package, and
	// not through the go.mod first.
	if s.manifest.Work != "" || len(s.manifest.Main) != 1 || strings.Contains(flags, "-mod") {
		return nil, false
	}
	at := path.Join(s.manifest.Main[0].Dir, "go.mod")
	data, err := os.ReadFile(s.inside(at))
	if err != nil {
		return nil, false
	}
	mod, err := modfile.Parse(at, data, nil)
	if err != nil || mod.Go == nil || version.Compare("go"+mod.Go.Version, "go1.17") < 0 {
		return nil, false
	}
	if len(mod.Require) > 0 && !exists(s.inside(path.Join(s.manifest.Main[0].Dir, "go.sum"))) {
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

func lookup(environ []string, name string) string {
	for _, entry := range slices.Backward(environ) {
		if value, ok := strings.CutPrefix(entry, name+"="); ok {
			return value
		}
	}
	return ""
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
	flags := " " + lookup(s.Environ(dir), "GOFLAGS") + " "
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

// compiler returns the C compiler and the hash of its file where cgo is on.
func (s *Sandbox) compiler(ctx context.Context) (string, error) {
	env := s.Environ("")
	if lookup(env, "CGO_ENABLED") != "1" {
		return "", nil
	}
	out, err := s.output(ctx, s.Tree(), env, "env", "CC")
	if err != nil {
		return "", err
	}
	name := strings.TrimSpace(string(out))
	program, _, _ := strings.Cut(name, " ")
	file, err := s.lookup(program, s.Tree(), env)
	if err != nil {
		return "", fmt.Errorf("CGO_ENABLED=1, and the C compiler %s: %w", name, err)
	}
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return fmt.Sprintf("%s sha256:%x", name, h.Sum(nil)), nil
}

// note writes down what the workspace is, and keeps it as it is now.
func (s *Sandbox) note(ctx context.Context) error {
	list, tree, err := sums(s.Tree())
	if err != nil {
		return err
	}
	s.manifest.Tree = tree
	if err := os.WriteFile(filepath.Join(s.dir, sumsFile), list, 0o644); err != nil {
		return err
	}
	origin := filepath.Join(s.dir, originDir)
	if err := os.Mkdir(origin, 0o755); err != nil {
		return err
	}
	dst, err := os.OpenRoot(origin)
	if err != nil {
		return err
	}
	defer dst.Close()
	src := source{root: s.Tree()}
	if err := src.all(ctx, dst); err != nil {
		return err
	}
	return s.manifest.write(s.dir)
}
