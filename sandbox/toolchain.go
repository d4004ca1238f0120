package sandbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/mod/sumdb/dirhash"

	"example.com/gox/internal/gocmd"
	"example.com/gox/profiles"
)

// chooseGo returns the toolchain that c asks for, installed.
func (c *Config) chooseGo(ctx context.Context, cache string) (toolchain, error) {
	if filepath.IsAbs(c.Go) {
		return atGOROOT(c.Go)
	}
	host, hostErr := gocmd.Find(c.getenv("PATH"), "")
	spec := c.Go
	if spec == "" {
		if hostErr != nil {
			return toolchain{}, hostErr
		}
		if !profiles.IsGoVersion(host.Version) {
			return toolchain{}, fmt.Errorf("%s: which go version to pin is not to be told by its place\n\tname one: --go 1.26", host.Path)
		}
		spec = host.Version
	}
	store := &gocmd.Toolchains{Dir: filepath.Join(cache, "toolchain"), Go: host.Path}
	found, err := store.Lookup(spec)
	if errors.Is(err, fs.ErrNotExist) {
		found, err = c.install(ctx, store, spec)
	}
	if err != nil {
		return toolchain{}, err
	}
	return installed(store, found)
}

// install fetches a toolchain into the store, as the host's environment and the
// profile say where from.
func (c *Config) install(ctx context.Context, store *gocmd.Toolchains, spec string) (gocmd.Toolchain, error) {
	profile := c.Profile
	if profile == nil {
		profile = &profiles.Profile{}
	}
	env, _ := profile.Env(profiles.Inputs{Environ: c.environ(), Overrides: c.Env, Dir: store.Dir, GOROOT: gocmd.At(store.Go).GOROOT})
	store.Env = env.Environ()
	versions, err := store.Resolve(ctx, spec)
	if err != nil {
		return gocmd.Toolchain{}, err
	}
	return store.Install(ctx, versions[len(versions)-1])
}

// installed returns a toolchain of the store with the hash that it came with.
func installed(store *gocmd.Toolchains, found gocmd.Toolchain) (toolchain, error) {
	all, err := store.Installed()
	if err != nil {
		return toolchain{}, err
	}
	i := slices.IndexFunc(all, func(t gocmd.Toolchain) bool { return t.Version == found.Version })
	if i < 0 {
		return toolchain{}, fmt.Errorf("go %s: it was removed meanwhile\n\tgox toolchain install %[1]s", strings.TrimPrefix(found.Version, "go"))
	}
	return toolchain{gocmd.Go{Path: found.Go, GOROOT: found.GOROOT, Version: found.Version}, all[i].H1}, nil
}

// atGOROOT returns the toolchain at goroot, taken as it is.
func atGOROOT(goroot string) (toolchain, error) {
	path := filepath.Join(goroot, "bin", "go")
	if _, err := os.Stat(path); err != nil {
		return toolchain{}, fmt.Errorf("%s: no go command in this GOROOT", path)
	}
	g := gocmd.At(path)
	if g.GOROOT == "" || g.Version == "" {
		return toolchain{}, fmt.Errorf("%s: not a GOROOT with a VERSION file", goroot)
	}
	h1, err := hashGOROOT(g.GOROOT, g.Version)
	return toolchain{g, h1}, err
}

// hashGOROOT returns the hash of a GOROOT's files, as the module that the
// release of that version is published as has it. That module has a _go.mod for
// each go.mod, which only come when it is installed.
func hashGOROOT(goroot, version string) (string, error) {
	module := toolchainModule(version)
	files, err := toolchainFiles(goroot, module)
	if err != nil {
		return "", err
	}
	return dirhash.Hash1(files, func(name string) (io.ReadCloser, error) {
		return os.Open(filepath.Join(goroot, strings.TrimPrefix(name, module)))
	})
}

// toolchainFiles returns the files of a GOROOT that are the module's, sorted,
// each with the module before it: all but the go.mod files that are copies.
func toolchainFiles(goroot, module string) ([]string, error) {
	files, err := dirhash.DirFiles(goroot, module)
	if err != nil {
		return nil, err
	}
	at := func(name string) string { return filepath.Join(goroot, strings.TrimPrefix(name, module)) }
	files = slices.DeleteFunc(files, func(name string) bool {
		if path.Base(name) != "go.mod" {
			return false
		}
		data, err := os.ReadFile(at(name))
		from, ferr := os.ReadFile(at(path.Dir(name) + "/_go.mod"))
		return err == nil && ferr == nil && bytes.Equal(data, from)
	})
	slices.Sort(files)
	return files, nil
}

// toolchainModule returns the module version that is the toolchain.
func toolchainModule(version string) string {
	return "golang.org/toolchain@v0.0.1-" + version + "." + runtime.GOOS + "-" + runtime.GOARCH
}
