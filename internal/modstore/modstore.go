// Package modstore looks into module caches: it verifies what is in them, and
// keeps a store of verified modules, by hash, which new caches are filled from
// without a download.
//
// The store is one for each user, beside the caches of package modcache, under
// the same root. Nothing comes into it that does not have the hash which a go.sum
// demands, so caches of any source may share it.
package modstore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"time"

	"example.com/gox/internal/modcache"
)

// Store is the store of verified modules under one cache root, and a look into
// all module caches there. Its methods may be called by any number of
// goroutines and processes at once.
type Store struct {
	// Root is gox's cache directory, an absolute path. It need not exist.
	// Every method fails if it is "", save Verified.
	Root string
}

func (s Store) caches() modcache.Store { return modcache.Store{Root: s.Root} }

// List returns all caches with their sizes: isolated ones by key, the store as
// one entry, fresh ones. Hard links count as modcache.Measure counts them. A Root
// that does not exist yet holds none. With an error, what could be found comes
// too.
func (s Store) List(ctx context.Context) ([]modcache.Entry, error) {
	entries, err := s.caches().Entries()
	if store, serr := s.entry(); serr == nil {
		i := slices.IndexFunc(entries, func(e modcache.Entry) bool { return e.Kind == "fresh" })
		if i < 0 {
			i = len(entries)
		}
		entries = slices.Insert(entries, i, store)
	} else if s.Root != "" && !errors.Is(serr, fs.ErrNotExist) {
		err = errors.Join(err, serr)
	}
	return entries, errors.Join(err, modcache.Measure(ctx, entries))
}

// Remove removes what List knows as key, as modcache.Store.Remove does. The
// store is refused as long as a cache has links into it.
func (s Store) Remove(key string) error {
	if key == kindVerified && s.Root != "" {
		return s.remove()
	}
	return s.caches().Remove(key)
}

// Prune removes what modcache.Store.Prune does, and from the store the modules
// that were not used for as long and to which no cache has links. It returns
// what it removed, or with DryRun would remove, as List does.
func (s Store) Prune(ctx context.Context, opts modcache.PruneOptions) (removed []modcache.Entry, err error) {
	if opts.Now.IsZero() {
		opts.Now = time.Now()
	}
	removed, err = s.caches().Prune(ctx, opts)
	if s.Root == "" || ctx.Err() != nil {
		return removed, err
	}
	modules, serr := s.prune(ctx, opts)
	return append(removed, modules...), errors.Join(err, serr)
}

// Verify compares every module version in the cache key, both its zip and its
// extracted directory, with the hash that go noted when it downloaded it. An
// extracted directory may be a symbolic link. It returns what differs, by
// module and version. errors.Is(err, fs.ErrNotExist) holds if there is no such
// cache; the faults are complete only if err is nil.
//
// Whether the hash is the right one is go.sum's business, save in the store,
// where a module stands under it. What go itself would extract again, after an
// interruption, is no fault.
func (s Store) Verify(ctx context.Context, key string) ([]Fault, error) {
	if key == kindVerified && s.Root != "" {
		return s.verify(ctx)
	}
	e, err := s.caches().Entry(key)
	if err != nil {
		return nil, err
	}
	return verifyCache(ctx, e.Dir)
}

func (s Store) check() error {
	if s.Root == "" || !filepath.IsAbs(s.Root) {
		return fmt.Errorf("cache directory %q: not an absolute path\n\tset GOX_CACHE to an absolute path", s.Root)
	}
	return nil
}

// ignoreMissing forgives what others remove meanwhile.
func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
