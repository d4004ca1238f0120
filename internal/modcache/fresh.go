package modcache

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"example.com/gox/internal/owned"
)

// A fresh cache is two names in <root>/fresh: the directory <id>, and <id>.lock
// beside it. Whoever wants <id>, to fill it or to remove it, first holds the
// lock, so the lock file is the first to come and the last to go.
const lockSuffix = ".lock"

// Fresh is a module cache of one run. Close it.
type Fresh struct {
	dir  string
	mu   sync.Mutex
	lock *owned.Lock // nil once closed
}

// Fresh makes a new, empty cache; info is kept in its marker as Use keeps it.
// What earlier runs could not remove, because they were killed, is removed on
// the way if nothing uses it any more.
//
// On Unix the commands that this process starts from now on inherit the lock:
// the cache counts as in use while any process of the run lives, even if this
// one is killed. Errors name the directory and the mend.
func (s Store) Fresh(info map[string]string) (*Fresh, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	s.sweepFresh() // the next one's chance, if it fails
	parent := s.fresh("")
	if err := os.MkdirAll(parent, 0o777); err != nil {
		at := parent
		if pe := (*fs.PathError)(nil); errors.As(err, &pe) {
			at = pe.Path
		}
		return nil, owned.Mend(at, err)
	}
	owned.Spread(parent)
	for {
		id := fmt.Sprintf("%016x", rand.Uint64())
		lock, err := owned.OpenLock(s.fresh(id)+lockSuffix, os.O_CREATE|os.O_EXCL, false)
		if errors.Is(err, owned.ErrHeld) || errors.Is(err, fs.ErrExist) {
			continue // a sweeper was between our open and our lock
		}
		if err != nil {
			return nil, owned.Mend(parent, err)
		}
		f := &Fresh{dir: s.fresh(id), lock: lock}
		if err := lock.Inherit(); err != nil {
			lock.Drop()
			return nil, owned.Mend(parent, err)
		}
		if err := owned.Make(f.dir, freshMarker(id, info)); err != nil {
			lock.Drop()
			return nil, err
		}
		return f, nil
	}
}

// GOMODCACHE returns the directory for go to fill.
func (f *Fresh) GOMODCACHE() string { return filepath.Join(f.dir, payload) }

// Close removes the cache and everything in it. The run must be over: what a
// command still writes may stay behind until a later Fresh or Prune. Calls
// after a successful one do nothing; after a failed one, they try again.
func (f *Fresh) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.lock == nil {
		return nil
	}
	if err := reclaim(f.dir, freshMarker(filepath.Base(f.dir), nil)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	err := f.lock.Drop()
	f.lock = nil
	return err
}

func freshMarker(id string, info map[string]string) owned.Marker {
	return owned.Marker{Kind: kindFresh, Name: id, Info: info}
}

// isID reports whether name is one that Fresh gives. No Key looks like it.
func isID(name string) bool {
	return len(name) == 16 && strings.Trim(name, "0123456789abcdef") == ""
}

// freshIDs returns the ids in <root>/fresh, of lock files and of directories.
func (s Store) freshIDs() ([]string, error) {
	entries, err := os.ReadDir(s.fresh(""))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var ids []string
	for _, e := range entries { // sorted, so <id> comes right before <id>.lock
		id := strings.TrimSuffix(e.Name(), lockSuffix)
		if isID(id) && (len(ids) == 0 || ids[len(ids)-1] != id) {
			ids = append(ids, id)
		}
	}
	return ids, err
}

// sweepFresh removes the fresh caches that nothing uses any more, and what was
// left half made or half removed.
func (s Store) sweepFresh() error {
	ids, err := s.freshIDs()
	errs := []error{err}
	for _, id := range ids {
		if err := s.removeFresh(id); !errors.Is(err, owned.ErrHeld) && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	errs = append(errs, owned.Sweep(s.fresh("")))
	return errors.Join(errs...)
}

// removeFresh removes the fresh cache id. errors.Is(err, owned.ErrHeld) holds where
// it is in use, fs.ErrNotExist where there is nothing but perhaps a lock file,
// which is removed too.
func (s Store) removeFresh(id string) error {
	lock, err := owned.OpenLock(s.fresh(id)+lockSuffix, os.O_CREATE, false)
	if err != nil {
		return err
	}
	return errors.Join(reclaim(s.fresh(id), freshMarker(id, nil)), lock.Drop())
}

// inUse reports whether some process holds the lock of the fresh cache id.
func (s Store) inUse(id string) bool {
	lock, err := owned.OpenLock(s.fresh(id)+lockSuffix, 0, false)
	if err == nil {
		lock.Close()
		return false
	}
	return !errors.Is(err, fs.ErrNotExist)
}

func (s Store) fresh(id string) string { return filepath.Join(s.Root, "fresh", id) }
