// Package modcache keeps isolated module caches: where a profile's downloads
// live, and nobody else's.
//
// An isolated cache stands at a stable path made of the profile's name and a
// digest of its sources, so that another source is another path and a path is
// never refilled from elsewhere:
//
//	key := modcache.Key("office", sources)
//	gomodcache, err := store.Use(key, info) // go fills it
//
// A fresh cache belongs to one run. Its owner's lock, and not a process number
// or a date, tells whether that run still lives.
//
// go owns what is in a module cache. This package decides where caches stand,
// and lists and removes them. What looks into them is package modstore: a
// wrapped run has no need of it, and starts sooner without.
package modcache

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"example.com/gox/internal/owned"
)

// Kinds of marker.
const (
	kindIsolated = "modcache"
	kindFresh    = "fresh"
)

// payload is the GOMODCACHE in a directory of ours, beside the marker.
const payload = "mod"

// noted is how long a noted use stands for later ones, which so write nothing.
const noted = 5 * time.Minute

// Store is all module caches under one cache root. Its methods may be called
// by any number of goroutines and processes at once.
type Store struct {
	// Root is gox's cache directory, an absolute path. It need not exist.
	// Every method fails if it is "", save Path.
	Root string
}

// Key names the isolated cache of a profile: its name, with what a file name
// should not hold replaced by "_", and 12 hexadecimal digits of a digest of
// its sources. It changes whenever a source or the order of sources does.
func Key(profile string, sources []string) string {
	name := strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9', strings.ContainsRune("._+-", r):
			return r
		}
		return '_'
	}, profile[:min(len(profile), 80)])
	if name == "" || name[0] == '.' {
		name = "_" + name // dot names are for what is half made or half removed
	}
	h := sha256.New()
	for _, s := range sources {
		fmt.Fprintf(h, "%d:%s,", len(s), s)
	}
	return fmt.Sprintf("%s-%x", name, h.Sum(nil)[:6])
}

// Path returns the GOMODCACHE of the isolated cache key. It touches nothing.
func (s Store) Path(key string) string {
	return filepath.Join(s.isolated(key), payload)
}

// Paths returns the GOMODCACHE of each isolated cache that there is. It touches
// nothing.
func (s Store) Paths() ([]string, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(filepath.Join(s.Root, "mod"))
	var paths []string
	for _, e := range entries {
		if path := s.Path(e.Name()); valid(e.Name()) && e.IsDir() {
			paths = append(paths, path)
		}
	}
	return paths, ignoreMissing(err)
}

// Use returns the GOMODCACHE of the isolated cache key and notes the time of
// use, to some minutes. The first use makes the cache, empty, and keeps info in its marker:
// info["profile"] is the profile's name, and nothing in it may be secret.
// Concurrent first uses all succeed.
//
// A cache that stands but cannot be written to is left to go, which may find
// all that it needs there. Other errors name the directory and the mend.
func (s Store) Use(key string, info map[string]string) (gomodcache string, err error) {
	if err := s.check(); err != nil {
		return "", err
	}
	if !valid(key) {
		return "", fmt.Errorf("module cache %q: not a name that gox gives", key)
	}
	dir := s.isolated(key)
	marker := filepath.Join(dir, owned.MarkerName)
	if fi, err := os.Stat(marker); err != nil {
		if err := adopt(dir, owned.Marker{Kind: kindIsolated, Name: key, Info: info}); err != nil {
			return "", err
		}
	} else if now := time.Now(); now.Sub(fi.ModTime()).Abs() > noted {
		os.Chtimes(marker, time.Time{}, now) // one that belongs to somebody else is good enough
	}
	return filepath.Join(dir, payload), nil
}

// adopt makes dir, or puts a marker where a go command has made it: one that
// was still running when its cache was removed makes GOMODCACHE once more.
func adopt(dir string, m owned.Marker) error {
	var err error
	for range 3 { // others may make, adopt or remove it meanwhile
		if err = owned.Make(dir, m); !errors.Is(err, fs.ErrExist) {
			return err
		}
		if adoptable(dir) {
			if err = owned.Adopt(dir, m); !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	return err
}

// adoptable reports whether dir, a name that only gox gives, is a directory
// with nothing in it but a GOMODCACHE.
func adoptable(dir string) bool {
	if fi, err := os.Lstat(dir); err != nil || !fi.IsDir() {
		return false
	}
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		if e.Name() != payload || !e.IsDir() {
			return false
		}
	}
	return err == nil
}

// reclaim removes the directory dir of ours, adopted first where it has to be.
// errors.Is(err, fs.ErrNotExist) holds where there is none.
func reclaim(dir string, m owned.Marker) error {
	if adoptable(dir) {
		if err := owned.Adopt(dir, m); err != nil {
			return err
		}
	}
	return owned.Remove(dir)
}

// valid reports whether key can be a directory of ours: one path element that
// is not reserved for what is half made or half removed.
func valid(key string) bool {
	return key != "" && key[0] != '.' && filepath.IsLocal(key) && !strings.ContainsAny(key, `/\`)
}

// ignoreMissing forgives what a running go command removes meanwhile.
func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func (s Store) isolated(key string) string { return filepath.Join(s.Root, "mod", key) }

func (s Store) check() error {
	if s.Root == "" {
		return errors.New("no cache directory is known\n\tset HOME, XDG_CACHE_HOME or GOX_CACHE")
	}
	if !filepath.IsAbs(s.Root) {
		return fmt.Errorf("cache directory %s: not an absolute path\n\tset GOX_CACHE to an absolute path", s.Root)
	}
	return nil
}
