package modstore

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"golang.org/x/mod/module"
	"golang.org/x/mod/semver"
	"golang.org/x/mod/sumdb/dirhash"
)

// What a Fault's Problem is, unless something could not be read.
const (
	ZiphashMissing   = "ziphash missing"
	ZiphashMalformed = "ziphash malformed"
	DirAltered       = "directory altered"
	ZipAltered       = "zip altered"
	GoModAltered     = "go.mod altered" // only in the store
)

// Fault is one difference between what go downloaded and what is in the cache.
type Fault struct {
	Module  string `json:"module"`
	Version string `json:"version"`
	Path    string `json:"path"`    // the directory or file at fault
	Problem string `json:"problem"` // one of the constants above, or "unreadable: …"
	Want    string `json:"want,omitempty"`
	Got     string `json:"got,omitempty"` // h1: hashes, where they differ
}

// String returns "module@version: problem: path".
func (f Fault) String() string {
	return fmt.Sprintf("%s@%s: %s: %s", f.Module, f.Version, f.Problem, f.Path)
}

// download is one module version in a cache.
type download struct {
	module.Version
	dir  string // where it is, or would be, extracted
	base string // cache/download/<module>/@v/<version>, to which suffixes come
}

// verifyCache verifies all that go downloaded into a GOMODCACHE.
func verifyCache(ctx context.Context, gomodcache string) ([]Fault, error) {
	downloads, err := downloads(ctx, gomodcache)
	if err != nil {
		return nil, err
	}
	return faultsOf(ctx, slices.Collect(maps.Values(downloads)), download.verify)
}

// faultsOf returns what verify finds wrong with each of list, by module and
// version.
func faultsOf[T any](ctx context.Context, list []T, verify func(T) []Fault) ([]Fault, error) {
	var mu sync.Mutex
	var faults []Fault
	err := each(ctx, list, func(d T) error {
		found := verify(d)
		mu.Lock()
		defer mu.Unlock()
		faults = append(faults, found...)
		return nil
	})
	slices.SortFunc(faults, func(a, b Fault) int {
		return cmp.Or(cmp.Compare(a.Module, b.Module), semver.Compare(a.Version, b.Version), cmp.Compare(a.Path, b.Path))
	})
	return faults, err
}

// downloads finds the module versions in gomodcache, by what stands extracted
// and by the zips.
func downloads(ctx context.Context, gomodcache string) (map[string]download, error) {
	all := make(map[string]download)
	cache := filepath.Join(gomodcache, "cache")
	zips := filepath.Join(cache, "download")
	// add takes the path and version as they are on disk, escaped. Names that
	// are not go's are none of our business.
	add := func(path, version string) {
		m, err := module.UnescapePath(filepath.ToSlash(path))
		if err != nil {
			return
		}
		v, err := module.UnescapeVersion(version)
		if err != nil {
			return
		}
		name := path + "@" + version
		all[name] = download{
			Version: module.Version{Path: m, Version: v},
			dir:     filepath.Join(gomodcache, name),
			base:    filepath.Join(zips, path, "@v", version),
		}
	}
	walk := func(root string, visit func(rel string, d fs.DirEntry) error) error {
		return filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err == nil {
				err = ctx.Err()
			}
			if err != nil || path == root {
				return ignoreMissing(err)
			}
			err = visit(path[len(root)+1:], d)
			if err == fs.SkipDir && !d.IsDir() {
				return nil // it would skip the rest of the parent
			}
			return err
		})
	}
	extracted := walk(gomodcache, func(rel string, d fs.DirEntry) error {
		if rel == "cache" {
			return fs.SkipDir
		}
		path, version, ok := strings.Cut(rel, "@")
		if !ok || !d.IsDir() && d.Type()&fs.ModeSymlink == 0 {
			return nil
		}
		add(path, version)
		return fs.SkipDir
	})
	zipped := walk(zips, func(rel string, d fs.DirEntry) error {
		if rel == "sumdb" {
			return fs.SkipDir
		}
		path, file := filepath.Split(rel)
		path, inV := strings.CutSuffix(filepath.Clean(path), string(filepath.Separator)+"@v")
		version, isZip := strings.CutSuffix(file, ".zip")
		if inV && isZip {
			add(path, version)
		}
		return nil
	})
	return all, errors.Join(extracted, zipped)
}

// verify returns what differs.
func (d download) verify() (faults []Fault) {
	fault := func(path, problem, want, got string) {
		faults = append(faults, Fault{d.Path, d.Version.Version, path, problem, want, got})
	}
	data, err := os.ReadFile(d.base + ".ziphash")
	want := strings.TrimSpace(string(data))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		// go unpacks this one from GOROOT and notes no hash.
		if d.Path != "golang.org/fips140" {
			fault(d.base+".ziphash", ZiphashMissing, "", "")
		}
		return faults
	case err != nil:
		fault(d.base+".ziphash", unreadable(err), "", "")
		return faults
	case !strings.HasPrefix(want, "h1:"):
		fault(d.base+".ziphash", ZiphashMalformed, "", "")
		return faults
	}
	compare := func(path, altered string, hash func() (string, error)) {
		switch got, err := hash(); {
		case errors.Is(err, fs.ErrNotExist) && missing(path):
		case err != nil:
			fault(path, unreadable(err), "", "")
		case got != want:
			fault(path, altered, want, got)
		}
	}
	compare(d.base+".zip", ZipAltered, func() (string, error) {
		return dirhash.HashZip(d.base+".zip", dirhash.Hash1)
	})
	if missing(d.base + ".partial") {
		compare(d.dir, DirAltered, d.hashDir)
	}
	return faults
}

// hashDir is dirhash.HashDir for the extracted directory. In a toolchain, where
// go.mod files could not be in the module's zip, go (since 1.21) copies each
// _go.mod to go.mod. As long as it is a copy, it does not count.
func (d download) hashDir() (string, error) {
	dir, err := filepath.EvalSymlinks(d.dir) // dirhash does not walk into a link
	if err != nil {
		return "", err
	}
	prefix := d.String()
	files, err := dirhash.DirFiles(dir, prefix)
	if err != nil {
		return "", err
	}
	open := func(name string) (io.ReadCloser, error) {
		return os.Open(filepath.Join(dir, strings.TrimPrefix(name, prefix)))
	}
	if d.Path == "golang.org/toolchain" {
		files = slices.DeleteFunc(files, func(name string) bool {
			copied, ok := strings.CutSuffix(filepath.Join(dir, strings.TrimPrefix(name, prefix)), "go.mod")
			if !ok {
				return false
			}
			have, err := os.ReadFile(copied + "go.mod")
			original, oerr := os.ReadFile(copied + "_go.mod")
			return err == nil && oerr == nil && bytes.Equal(have, original)
		})
	}
	return dirhash.Hash1(files, open)
}

func missing(path string) bool {
	_, err := os.Lstat(path)
	return errors.Is(err, fs.ErrNotExist)
}

// unreadable makes a Problem of err.
func unreadable(err error) string {
	if pe := (*fs.PathError)(nil); errors.As(err, &pe) {
		err = pe.Err
	}
	return "unreadable: " + err.Error()
}
