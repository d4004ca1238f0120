package sandbox

import (
	"archive/zip"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/module"
	"golang.org/x/mod/sumdb/dirhash"

	"example.com/gox/internal/modstore"
	"example.com/gox/internal/owned"
)

// ExportOptions says what else an archive is to hold.
type ExportOptions struct {
	// Toolchain takes the pinned toolchain along, so that the machine that
	// imports needs neither it nor a network.
	Toolchain bool
}

// Export writes an archive of s to w: a tar file under gzip with the manifest,
// the files of the workspace as they are now, and a module proxy, as
// GOPROXY=file:// reads one, of the module versions that the build list needs
// and no others. The same sandbox gives the same bytes. Secrets do not come
// along.
func (s *Sandbox) Export(ctx context.Context, w io.Writer, o ExportOptions) error {
	m, members, err := s.members(ctx)
	if err != nil {
		return err
	}
	modules, err := s.proxyMembers(m)
	if err != nil {
		return err
	}
	members = append(members, modules...)
	if o.Toolchain {
		tc, remove, err := s.toolchainMembers(ctx)
		if err != nil {
			return err
		}
		defer remove()
		members = append(members, tc...)
	}
	slices.SortFunc(members, func(a, b member) int { return strings.Compare(a.name, b.name) })
	return writeArchive(ctx, w, append([]member{fromBytes(manifestFile, "-", m.Marshal())}, members...))
}

// ExportFile is Export to a file, which is there whole or not at all, and is
// replaced if it was there. What an ExportFile that was killed has left, under
// that name with ".part", the next one takes over.
func (s *Sandbox) ExportFile(ctx context.Context, file string, o ExportOptions) error {
	return writeWhole(file, func(w io.Writer) error { return s.Export(ctx, w, o) })
}

// writeWhole makes file of what write writes.
func writeWhole(file string, write func(io.Writer) error) (err error) {
	part := file + ".part"
	lock, err := owned.TryLock(part, false)
	if errors.Is(err, owned.ErrHeld) {
		return fmt.Errorf("%s: another export is writing it", part)
	}
	if err != nil {
		return err
	}
	defer lock.Close()
	f, err := os.OpenFile(part, os.O_WRONLY|os.O_TRUNC, 0)
	if err != nil {
		return err
	}
	err = write(f)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(part, file)
	}
	if err != nil {
		os.Remove(part)
		return fmt.Errorf("%s: %w", file, err)
	}
	return nil
}

// members returns the files of the workspace, and the manifest of what it is
// now.
func (s *Sandbox) members(ctx context.Context) (*Manifest, []member, error) {
	changes, err := s.Changes()
	if err != nil {
		return nil, nil, err
	}
	m := s.manifest
	if slices.ContainsFunc(changes, func(c Change) bool { return decides(c.Path) }) {
		now := &Sandbox{dir: s.dir, cache: s.cache, build: s.build, toolchain: s.toolchain, variables: s.variables, manifest: s.manifest, net: s.net}
		now.manifest.Main, now.manifest.Modules, now.manifest.Work = []Main{}, []Module{}, ""
		if err := now.modules(ctx, nil); err != nil {
			return nil, nil, err
		}
		m = now.manifest
	}
	list, tree, err := sums(s.Tree(), nil, nil)
	if err != nil {
		return nil, nil, err
	}
	m.Tree = tree
	if m.Tree.Size > treeLimit {
		return nil, nil, fmt.Errorf("the workspace has %d bytes, and an archive takes %d\n\tremove what is built in it", m.Tree.Size, int64(treeLimit))
	}
	var members []member
	for line := range strings.Lines(string(list)) {
		f := strings.SplitN(strings.TrimSuffix(line, "\n"), " ", 3)
		name, err := unspell(f[2])
		if err != nil {
			return nil, nil, err
		}
		at := filepath.Join(s.Tree(), filepath.FromSlash(name))
		full := path.Join(treeDir, name)
		if f[1] == "l" {
			target, err := os.Readlink(at)
			if err != nil {
				return nil, nil, err
			}
			members = append(members, fromBytes(full, "l", []byte(target)))
			continue
		}
		file, err := fromFile(full, f[1], at)
		if err == nil && file.sum != f[0] {
			err = errChanged
		}
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", name, err)
		}
		members = append(members, file)
	}
	return &m, members, nil
}

// decides reports whether the build list may depend on the file of that path.
func decides(name string) bool {
	switch path.Base(name) {
	case "go.mod", "go.sum", "go.work", "go.work.sum", "modules.txt":
		return true
	}
	return strings.HasSuffix(name, ".mod") || strings.HasSuffix(name, ".sum")
}

// proxyMembers returns the files of a module proxy for the build list of m: the
// zips of its modules, and every go.mod file that a go.sum has the hash of and
// the module cache has. In a vendored workspace they may be missing.
func (s *Sandbox) proxyMembers(m *Manifest) ([]member, error) {
	vendored := true
	for _, dir := range s.governed() {
		vendored = vendored && s.vendored(dir)
	}
	var members []member
	have := map[string]bool{}
	add := func(modPath, version, suffix string, required bool) error {
		base, err := escapedPath(modPath, version)
		if err != nil {
			return err
		}
		name := path.Join(archiveProxy, base+suffix)
		if have[name] {
			return nil
		}
		file := filepath.Join(s.ModCache(), "cache", "download", filepath.FromSlash(base)+suffix)
		var mem member
		if suffix == ".info" {
			data, err := os.ReadFile(file)
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
			mem = fromBytes(name, "-", modstore.CanonicalInfo(data, version))
		} else if mem, err = fromFile(name, "-", file); errors.Is(err, fs.ErrNotExist) && !required {
			return nil
		} else if errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%s@%s: not in the module cache of the sandbox\n\tgox sandbox run %s -- go mod download", modPath, version, s.name)
		} else if err != nil {
			return err
		}
		have[name] = true
		members = append(members, mem)
		return nil
	}
	list, err := s.sums()
	if err != nil {
		return nil, err
	}
	goMods := map[string]bool{}
	for _, sum := range list {
		goMods[sum.String()] = sum.GoMod
	}
	for _, mod := range m.Modules {
		if mod.Sum == "" {
			continue // nothing of it is built
		}
		before := len(members)
		if err := add(mod.Path, mod.Version, ".zip", !vendored); err != nil {
			return nil, err
		}
		if len(members) == before {
			continue
		}
		if err := add(mod.Path, mod.Version, ".info", true); err != nil {
			return nil, err
		}
		// Where the module graph is pruned there is a version whose go.mod nobody has
		// read: nothing vouches for it then.
		if goMods[mod.Path+"@"+mod.Version+"/go.mod"] {
			if err := add(mod.Path, mod.Version, ".mod", true); err != nil {
				return nil, err
			}
		}
	}
	for _, sum := range list {
		if !sum.GoMod {
			continue
		}
		if err := add(sum.Path, sum.Version, ".mod", false); err != nil {
			return nil, err
		}
	}
	return members, nil
}

// escapedPath returns where a module version stands in a module proxy, without
// the suffix.
func escapedPath(modPath, version string) (string, error) {
	p, err := module.EscapePath(modPath)
	if err != nil {
		return "", err
	}
	v, err := module.EscapeVersion(version)
	return p + "/@v/" + v, err
}

// toolchainMembers returns the pinned toolchain as the module that it is
// published as. A release's is what the checksum database has the hash of.
func (s *Sandbox) toolchainMembers(ctx context.Context) (_ []member, remove func(), err error) {
	tmp, err := os.MkdirTemp(filepath.Join(s.dir, "tmp"), "export-")
	if err != nil {
		return nil, nil, err
	}
	remove = func() { os.RemoveAll(tmp) }
	defer func() {
		if err != nil {
			remove()
		}
	}()
	name := toolchainModule(s.toolchain.Version)
	modPath, version, _ := strings.Cut(name, "@")
	zipped, h1, err := zipGOROOT(ctx, filepath.Join(tmp, "zip"), s.toolchain.GOROOT, name)
	if err == nil && h1 != s.manifest.Go.Sum {
		err = fmt.Errorf("its hash is %s, and the manifest says %s", h1, s.manifest.Go.Sum)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", s.toolchain.GOROOT, err)
	}
	base, err := escapedPath(modPath, version)
	if err != nil {
		return nil, nil, err
	}
	info, err := json.Marshal(struct{ Version string }{version})
	if err != nil {
		return nil, nil, err
	}
	zipped.name = path.Join(archiveProxy, base+".zip")
	return []member{
		zipped,
		fromBytes(path.Join(archiveProxy, base+".info"), "-", info),
		fromBytes(path.Join(archiveProxy, base+".mod"), "-", []byte("module "+modPath)),
	}, remove, nil
}

// zipGOROOT writes the zip of the module called name, whose files are those of
// goroot, as hashGOROOT hashes them, and returns it with its h1 hash. It is not
// compressed: the archive is.
func zipGOROOT(ctx context.Context, file, goroot, name string) (m member, h1 string, err error) {
	files, err := toolchainFiles(goroot, name)
	if err != nil {
		return m, "", err
	}
	f, err := os.Create(file)
	if err != nil {
		return m, "", err
	}
	defer func() {
		if cerr := f.Close(); err == nil {
			err = cerr
		}
	}()
	sum := sha256.New()
	z := zip.NewWriter(io.MultiWriter(f, sum))
	h1, err = dirhash.Hash1(files, func(n string) (io.ReadCloser, error) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		w, err := z.CreateHeader(&zip.FileHeader{Name: n, Method: zip.Store})
		if err != nil {
			return nil, err
		}
		in, err := os.Open(filepath.Join(goroot, strings.TrimPrefix(n, name)))
		if err != nil {
			return nil, err
		}
		return struct {
			io.Reader
			io.Closer
		}{io.TeeReader(in, w), in}, nil
	})
	if err == nil {
		err = z.Close()
	}
	if err != nil {
		return m, "", err
	}
	size, err := f.Seek(0, io.SeekCurrent)
	return member{
		kind: "-", size: size, sum: fmt.Sprintf("%x", sum.Sum(nil)),
		open: func() (io.ReadCloser, error) { return os.Open(file) },
	}, h1, err
}
