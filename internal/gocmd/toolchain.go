package gocmd

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"go/version"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"example.com/gox/internal/owned"
)

// Toolchains is a store of Go toolchains. Each is fetched by go itself as a
// version of the module golang.org/toolchain, from where the environment says,
// and verified by the checksum database, whatever the environment says.
//
// Any number of processes may use a store at once.
type Toolchains struct {
	// Dir, an absolute path, holds the toolchains, and nothing but what
	// Toolchains puts there. It is made when it is first needed.
	Dir string
	// Go is the go command that downloads: any real one since Go 1.18.
	// If "", the newest toolchain in Dir does.
	Go string
	// Env is the whole environment of that command: it decides where a
	// toolchain comes from (GOPROXY, GOAUTH, HTTPS_PROXY, HOME, …).
	Env []string
	// Progress is told what goes on, if not nil. Its calls do not overlap, and
	// none comes after the method that causes them has returned.
	Progress func(Progress)
}

// A Toolchain is an installed toolchain.
type Toolchain struct {
	Version string // as in "go1.22.12"
	GOROOT  string
	Go      string // the go command in GOROOT

	// What was noted down when it was installed. Lookup leaves these zero.
	H1        string    // the hash that the checksum database confirmed
	Installed time.Time // UTC
	Size      int64     // of its files, in bytes
}

// kind is that of a toolchain's marker.
const kind = "toolchain"

// platform ends the name of a toolchain's directory, as it does the version of
// the module.
const platform = "." + runtime.GOOS + "-" + runtime.GOARCH

// Installed returns the toolchains of this platform in the store, oldest
// version first.
func (t *Toolchains) Installed() ([]Toolchain, error) {
	versions, err := t.versions()
	if err != nil {
		return nil, err
	}
	var all []Toolchain
	for _, v := range versions {
		tc, err := t.read(v)
		if errors.Is(err, fs.ErrNotExist) {
			continue // not gox's, or removed meanwhile
		}
		if err != nil {
			return nil, err
		}
		all = append(all, tc)
	}
	slices.SortFunc(all, func(a, b Toolchain) int { return version.Compare(a.Version, b.Version) })
	return all, nil
}

// Lookup returns the newest installed toolchain that spec (see CheckSpec)
// means. It neither waits nor uses the network.
// errors.Is(err, fs.ErrNotExist) holds where none is installed.
func (t *Toolchains) Lookup(spec string) (Toolchain, error) {
	sp, err := parseSpec(spec)
	if err != nil {
		return Toolchain{}, err
	}
	versions := []string{sp[0].release}
	if len(sp) > 1 || sp.needsList() {
		if versions, err = t.versions(); err != nil {
			return Toolchain{}, err
		}
	}
	for v := sp.newest(versions); v != ""; v = sp.newest(versions) {
		if t.stands(v) {
			return t.toolchain(v), nil
		}
		versions = slices.DeleteFunc(versions, func(w string) bool { return w == v })
	}
	return Toolchain{}, &missingError{fmt.Sprintf("go %s: not installed\n\tgox toolchain install %[1]s", display(spec))}
}

// Remove removes the toolchain of the release version, as in "go1.22.12" or
// "1.22.12". errors.Is(err, fs.ErrNotExist) holds where it is not installed.
func (t *Toolchains) Remove(version string) error {
	v, err := release(version)
	if err != nil {
		return err
	}
	err = owned.Remove(t.dir(v))
	if errors.Is(err, fs.ErrNotExist) {
		return &missingError{fmt.Sprintf("go %s: not installed\n\tgox toolchain list", display(v))}
	}
	return err
}

// release is parseRelease with an error.
func release(s string) (string, error) {
	v, ok := parseRelease(s)
	if !ok {
		return "", fmt.Errorf("%q: not a release of go\n\tname it in full, as in 1.22.12", s)
	}
	return v, nil
}

// versions returns the releases in the store, by the names of its directories.
func (t *Toolchains) versions() ([]string, error) {
	entries, err := os.ReadDir(t.Dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var versions []string
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), platform)
		if v, valid := parseRelease(name); ok && valid && v == name {
			versions = append(versions, v)
		}
	}
	return versions, nil
}

// dir returns where the release v stands or would stand.
func (t *Toolchains) dir(v string) string { return filepath.Join(t.Dir, v+platform) }

// stands reports whether the release v is installed. Its marker proves that it
// is whole: both come into place by one rename.
func (t *Toolchains) stands(v string) bool {
	_, err := os.Stat(filepath.Join(t.dir(v), owned.MarkerName))
	return err == nil
}

// toolchain returns what is known of the release v without looking.
func (t *Toolchains) toolchain(v string) Toolchain {
	root := filepath.Join(t.dir(v), "go")
	return Toolchain{Version: v, GOROOT: root, Go: filepath.Join(root, "bin", "go"+exe)}
}

// read returns all that is known of the release v.
func (t *Toolchains) read(v string) (Toolchain, error) {
	tc := t.toolchain(v)
	m, err := owned.Read(t.dir(v))
	if err != nil {
		return tc, err
	}
	tc.H1, tc.Installed = m.Info["h1"], m.Created
	tc.Size, _ = strconv.ParseInt(m.Info["size"], 10, 64)
	return tc, nil
}

// A missingError is an fs.ErrNotExist with a text of its own.
type missingError struct{ text string }

func (e *missingError) Error() string        { return e.text }
func (e *missingError) Is(target error) bool { return target == fs.ErrNotExist }

// Available returns the releases for this platform that the module proxies
// list, oldest first, release candidates included.
func (t *Toolchains) Available(ctx context.Context) ([]string, error) {
	versions, _, err := t.available(ctx, "list --available")
	return versions, err
}

// Resolve returns the releases that spec (see CheckSpec) means, oldest first,
// by what the module proxies list. Where spec names each release in full,
// nothing is asked. errors.Is(err, fs.ErrNotExist) holds where a minor version
// has no release.
func (t *Toolchains) Resolve(ctx context.Context, spec string) ([]string, error) {
	sp, err := parseSpec(spec)
	if err != nil {
		return nil, err
	}
	var listed []string
	var goproxy string
	if sp.needsList() {
		if listed, goproxy, err = t.available(ctx, "install "+spec); err != nil {
			return nil, err
		}
	}
	var versions []string
	for _, tm := range sp {
		if tm.release != "" {
			versions = append(versions, tm.release)
			continue
		}
		for n := tm.lo; n <= tm.hi; n++ {
			v := newestOf(listed, n)
			if v == "" {
				return nil, &missingError{fmt.Sprintf("go 1.%d: no release of it for %s at GOPROXY=%s\n\tthe newest there is %s",
					n, platform[1:], goproxy, display(listed[len(listed)-1]))}
			}
			versions = append(versions, v)
		}
	}
	slices.SortFunc(versions, func(a, b string) int { return cmp.Or(version.Compare(a, b), cmp.Compare(a, b)) })
	return slices.Compact(versions), nil
}

// newestOf returns the newest patch release of Go 1.n among versions.
func newestOf(versions []string, n int) string {
	return spec{{lo: n, hi: n}}.newest(versions)
}
