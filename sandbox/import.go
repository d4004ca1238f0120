package sandbox

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/mod/module"

	"example.com/gox/internal/gocmd"
	"example.com/gox/internal/modstore"
)

// importDir is where an archive is unpacked, in the sandbox that it becomes.
const importDir = "import"

// ownGOROOT is where the toolchain of an archive stands in it.
const ownGOROOT = "go"

// Import makes a sandbox of an archive that Export has written, or of what
// ExportText has. Of c count Name,
// Dir, Cache, Environ, Keep, Net, Helper and Log; any other field is an error. No network is
// needed, and none is used, where the toolchain came along or is installed; of a
// text file go fetches the modules that do not stand in it.
//
// What is taken is proved first: each file is what the archive's list says, the
// workspace what the manifest says, and each module what go.sum and the
// manifest say. An archive that fails in any of this leaves nothing behind.
func Import(ctx context.Context, c Config, r io.Reader) (*Sandbox, error) {
	if only := (Config{Name: c.Name, Dir: c.Dir, Cache: c.Cache, Environ: c.Environ, Keep: c.Keep, Log: c.Log, Net: c.Net, Helper: c.Helper}); !sameConfig(c, only) {
		return nil, errors.New("sandbox: Import takes Name or Dir, Cache, Environ, Keep, Net, Helper and Log; what a sandbox is made of is in the archive")
	}
	if err := c.check(); err != nil {
		return nil, err
	}
	in := bufio.NewReader(r)
	if head, err := in.Peek(2); err == nil && string(head) == "# " {
		return importText(ctx, c, in)
	}
	r = in
	s, final, err := c.begin()
	if err != nil {
		return nil, err
	}
	if err := s.stage(c.parent(s.cache)); err != nil {
		return nil, err
	}
	if err := s.take(ctx, &c, r); err != nil {
		if full := mend(s.dir, err); full != nil {
			err = full
		}
		return nil, errors.Join(fmt.Errorf("%s: not imported: %w", c.label(), err), s.discard())
	}
	if final != "" {
		old := s.ModCache()
		err := s.settle(&c, final)
		if goroot := filepath.Join(s.dir, ownGOROOT); exists(goroot) {
			s.toolchain.Go = gocmd.At(filepath.Join(goroot, "bin", "go")) // it has moved
		}
		if err == nil {
			err = s.store().Moved(ctx, old, s.ModCache())
		}
		if err != nil {
			return nil, errors.Join(fmt.Errorf("%s: %w", c.label(), err), s.discard())
		}
	}
	return s, nil
}

// sameConfig is reflect.DeepEqual without Log, which is a function.
func sameConfig(a, b Config) bool {
	a.Log, b.Log = nil, nil
	return reflect.DeepEqual(a, b)
}

// take makes s of the archive in r.
func (s *Sandbox) take(ctx context.Context, c *Config, r io.Reader) error {
	if err := s.furnish(); err != nil {
		return err
	}
	at := filepath.Join(s.dir, importDir)
	if err := os.Mkdir(at, 0o755); err != nil {
		return err
	}
	root, err := os.OpenRoot(at)
	if err != nil {
		return err
	}
	defer root.Close()
	m, err := readArchive(ctx, r, root)
	if err != nil {
		return err
	}
	if m.Go.OS != runtime.GOOS || m.Go.Arch != runtime.GOARCH {
		return fmt.Errorf("it is for %s/%s, and this is %s/%s", m.Go.OS, m.Go.Arch, runtime.GOOS, runtime.GOARCH)
	}
	s.manifest, s.variables = *m, m.Variables
	if err := s.takeTree(at); err != nil {
		return err
	}
	if err := s.takeModules(ctx, at); err != nil {
		return err
	}
	if err := s.takeToolchain(ctx, c, at); err != nil {
		return err
	}
	for _, v := range m.Variables {
		if v.Secret && c.Log != nil {
			c.log("%s: its value is a secret, and is not in the archive", v.Name)
		}
	}
	if err := os.RemoveAll(at); err != nil {
		return err
	}
	return s.note(ctx)
}

// takeTree moves the workspace to where it belongs, if it is what the manifest
// says and no link leads out of it.
func (s *Sandbox) takeTree(at string) error {
	from := filepath.Join(at, treeDir)
	if err := os.Mkdir(from, 0o755); err != nil && !errors.Is(err, fs.ErrExist) { // an empty one has no members
		return err
	}
	_, tree, err := sums(from, nil, nil)
	if err != nil {
		return err
	}
	if tree != s.manifest.Tree {
		return damaged("the workspace has the hash %s (%d files, %d bytes), and the manifest says %s (%d files, %d bytes)",
			tree.Sum, tree.Files, tree.Size, s.manifest.Tree.Sum, s.manifest.Tree.Files, s.manifest.Tree.Size)
	}
	root, err := os.OpenRoot(from)
	if err != nil {
		return err
	}
	files := map[string]fs.FileInfo{}
	err = fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			files[name], err = d.Info()
		}
		return err
	})
	if err == nil {
		err = escapes(root, files)
	}
	root.Close()
	if err != nil {
		return err
	}
	for _, dir := range append([]string{s.manifest.Dir, path.Dir(s.manifest.Work)}, dirsOf(s.manifest.Main)...) {
		if dir != "" && !filepath.IsLocal(filepath.FromSlash(dir)) {
			return damaged("the manifest names %q, which is not in the workspace", dir)
		}
	}
	if err := os.Remove(s.Tree()); err != nil {
		return err
	}
	return os.Rename(from, s.Tree())
}

func dirsOf(main []Main) (dirs []string) {
	for _, m := range main {
		dirs = append(dirs, m.Dir)
	}
	return dirs
}

// takeModules puts the modules of the archive into gox's store, which hashes
// them, and from there into the module cache.
func (s *Sandbox) takeModules(ctx context.Context, at string) error {
	list, err := s.sums()
	if err != nil {
		return err
	}
	known := map[string]string{}
	for _, sum := range list {
		if before, twice := known[sum.String()]; twice && before != sum.H1 {
			return damaged("%s: the go.sum files have two hashes for it", sum)
		}
		known[sum.String()] = sum.H1
	}
	proxy := filepath.Join(at, archiveProxy)
	download := filepath.Join(at, "cache", "download")
	if err := os.Mkdir(filepath.Dir(download), 0o755); err != nil {
		return err
	}
	if err := os.Rename(proxy, download); errors.Is(err, fs.ErrNotExist) {
		err = os.Mkdir(download, 0o755)
		if err != nil {
			return err
		}
	} else if err != nil {
		return err
	}
	var wanted []modstore.Sum
	claimed := map[string]bool{} // the files that something vouches for
	claim := func(sum modstore.Sum) error {
		base, err := escapedPath(sum.Path, sum.Version)
		if err != nil {
			return damaged("%v", err)
		}
		suffix := ".zip"
		if sum.GoMod {
			suffix = ".mod"
		}
		file := filepath.Join(download, filepath.FromSlash(base))
		if _, err := os.Lstat(file + suffix); err != nil || claimed[file+suffix] {
			return nil
		}
		claimed[file+suffix] = true
		if !sum.GoMod {
			claimed[file+".info"] = true
			info, err := os.ReadFile(file + ".info")
			if err != nil || string(info) != string(modstore.CanonicalInfo(info, sum.Version)) {
				return damaged("%s.info: not as gox writes it", base)
			}
			if err := os.WriteFile(file+".ziphash", []byte(sum.H1), 0o644); err != nil {
				return err
			}
			claimed[file+".ziphash"] = true
		}
		wanted = append(wanted, sum)
		return nil
	}
	for _, mod := range s.manifest.Modules {
		sum := modstore.Sum{Path: mod.Path, Version: mod.Version, H1: mod.Sum}
		if h1, ok := known[sum.String()]; ok && h1 != mod.Sum {
			return damaged("%s: the manifest has the hash %s, and go.sum %s", sum, mod.Sum, h1)
		}
		if err := module.Check(mod.Path, mod.Version); err != nil {
			return damaged("%v", err)
		}
		if mod.Sum == "" {
			continue
		}
		if err := claim(sum); err != nil {
			return err
		}
	}
	for _, sum := range list {
		if err := claim(sum); err != nil {
			return err
		}
	}
	toolchain, err := s.toolchainBase()
	if err != nil {
		return err
	}
	err = filepath.WalkDir(download, func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || claimed[file] {
			return err
		}
		rel, err := filepath.Rel(download, file)
		if err != nil || strings.TrimSuffix(filepath.ToSlash(rel), path.Ext(rel)) == toolchain {
			return err
		}
		return damaged("%s/%s: neither go.sum nor the manifest has a hash for it", archiveProxy, filepath.ToSlash(rel))
	})
	if err != nil {
		return err
	}
	if len(wanted) == 0 {
		return nil
	}
	store := modstore.Store{Root: s.cache}
	// What the store has it does not look at again.
	wrong, err := store.Check(ctx, at, slices.DeleteFunc(slices.Clone(wanted), func(sum modstore.Sum) bool { return !store.Has(sum) }))
	if err != nil {
		return err
	}
	if len(wrong) > 0 {
		return damaged("%s: %s", wrong[0].Sum, wrong[0].Reason)
	}
	report, err := store.Warm(ctx, modstore.Warming{
		Dir: s.ModCache(), Sums: wanted, From: []string{at}, GoVersion: s.manifest.Go.Version,
	})
	if err != nil {
		return err
	}
	if len(report.Refused) > 0 {
		return damaged("%s: %s", report.Refused[0].Sum, report.Refused[0].Reason)
	}
	if len(report.Missing) > 0 {
		return damaged("%s: not taken", report.Missing[0])
	}
	s.warmth = Warmth{Mode: report.Mode, Linked: report.Modules, Took: report.Took}
	return nil
}

// toolchainBase returns where the pinned toolchain stands in a module proxy.
func (s *Sandbox) toolchainBase() (string, error) {
	modPath, version, _ := strings.Cut(toolchainModule(s.manifest.Go.Version), "@")
	base, err := escapedPath(modPath, version)
	if err != nil {
		return "", damaged("go version %q: %v", s.manifest.Go.Version, err)
	}
	return base, nil
}

// takeToolchain finds the pinned toolchain: installed, or in the archive. The
// one in the archive stays in the sandbox, and does not come into gox's store:
// no checksum database has vouched for it, only the manifest.
func (s *Sandbox) takeToolchain(ctx context.Context, c *Config, at string) error {
	base, err := s.toolchainBase()
	if err != nil {
		return err
	}
	file := filepath.Join(at, "cache", "download", filepath.FromSlash(base)+".zip")
	if _, err := os.Lstat(file); err == nil {
		modPath, version, _ := strings.Cut(toolchainModule(s.manifest.Go.Version), "@")
		goroot := filepath.Join(s.dir, ownGOROOT)
		h1, err := modstore.Unpack(ctx, file, goroot, module.Version{Path: modPath, Version: version})
		if err != nil {
			return fmt.Errorf("go %s: %w", s.manifest.Go.Version, err)
		}
		if h1 != s.manifest.Go.Sum {
			return damaged("the toolchain has the hash %s, and the manifest says %s", h1, s.manifest.Go.Sum)
		}
		if _, err := gocmd.Finish(goroot); err != nil {
			return err
		}
		s.toolchain = toolchain{gocmd.At(filepath.Join(goroot, "bin", "go")), h1}
		if s.toolchain.Version != s.manifest.Go.Version {
			return damaged("the toolchain is %q, and the manifest says %s", s.toolchain.Version, s.manifest.Go.Version)
		}
		// By a path that holds wherever the sandbox goes.
		return os.WriteFile(filepath.Join(s.dir, gorootFile), []byte(ownGOROOT), 0o644)
	}
	c.Go = strings.TrimPrefix(s.manifest.Go.Version, "go")
	if s.toolchain, err = c.chooseGo(ctx, s.cache); err != nil {
		return fmt.Errorf("%w\n\tor export it with the toolchain: gox sandbox export --with-toolchain", err)
	}
	if s.toolchain.h1 != s.manifest.Go.Sum {
		return fmt.Errorf("%s: its hash is %s, and the manifest says %s", s.toolchain.GOROOT, s.toolchain.h1, s.manifest.Go.Sum)
	}
	return nil
}
