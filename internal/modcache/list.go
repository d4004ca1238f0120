package modcache

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"example.com/gox/internal/owned"
)

// Entry is one module cache.
type Entry struct {
	Key     string            `json:"key"`
	Kind    string            `json:"kind"`              // "isolated", "fresh", or "verified" for package modstore's store
	Profile string            `json:"profile,omitempty"` // "" if not known
	Dir     string            `json:"dir"`               // the GOMODCACHE
	Size    int64             `json:"size"`              // bytes of content
	Files   int               `json:"files"`
	Modules int               `json:"modules"` // module versions downloaded, as opposed to only looked at
	Created time.Time         `json:"created,omitzero"`
	LastUse time.Time         `json:"lastUse"`
	InUse   bool              `json:"inUse"` // whether a run holds it; only known of fresh ones
	Info    map[string]string `json:"info,omitempty"`
}

// Entries returns all caches, isolated ones first, by key, without Size, Files
// and Modules, for which there is Measure. A Root that does not exist yet holds
// none. With an error, what could be found comes too.
func (s Store) Entries() ([]Entry, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	var list []Entry
	var errs []error
	add := func(dir, kind string) {
		e, err := entry(dir, kind)
		if err == nil {
			list = append(list, e)
		} else if !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	mod, err := os.ReadDir(s.isolated(""))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		errs = append(errs, err)
	}
	for _, d := range mod {
		if valid(d.Name()) && d.IsDir() {
			add(s.isolated(d.Name()), kindIsolated)
		}
	}
	ids, err := s.freshIDs()
	errs = append(errs, err)
	for _, id := range ids {
		n := len(list)
		if add(s.fresh(id), kindFresh); n < len(list) {
			list[n].InUse = s.inUse(id)
		}
	}
	return list, errors.Join(errs...)
}

// entry reads the marker of dir. errors.Is(err, fs.ErrNotExist) holds where
// dir is not a cache.
func entry(dir, kind string) (Entry, error) {
	key := filepath.Base(dir)
	e := Entry{Key: key, Kind: "isolated", Dir: filepath.Join(dir, payload)}
	if kind == kindFresh {
		e.Kind = "fresh"
	}
	m, err := owned.Read(dir)
	if errors.Is(err, fs.ErrNotExist) && adoptable(dir) {
		m, err = owned.Marker{Kind: kind}, nil
	}
	if err != nil {
		return e, err
	}
	if m.Kind != kind {
		return e, fmt.Errorf("%s: a %s of gox: %w", dir, m.Kind, fs.ErrNotExist)
	}
	if e.LastUse, err = LastUse(dir); err != nil {
		return e, err
	}
	e.Created, e.Info, e.Profile = m.Created, m.Info, m.Info["profile"]
	if i := strings.LastIndexByte(key, '-'); e.Profile == "" && i > 0 {
		e.Profile = key[:i]
	}
	return e, nil
}

// Entry returns the cache that Entries knows as key. errors.Is(err,
// fs.ErrNotExist) holds if there is none.
func (s Store) Entry(key string) (Entry, error) {
	if err := s.check(); err != nil {
		return Entry{}, err
	}
	e, err := Entry{}, error(fs.ErrNotExist)
	if valid(key) {
		if e, err = entry(s.isolated(key), kindIsolated); errors.Is(err, fs.ErrNotExist) {
			e, err = entry(s.fresh(key), kindFresh)
		}
	}
	if errors.Is(err, fs.ErrNotExist) {
		return Entry{}, fmt.Errorf("module cache %q: %w", key, fs.ErrNotExist)
	}
	return e, err
}

// LastUse returns the time of the marker in dir, or of dir where it has none.
func LastUse(dir string) (time.Time, error) {
	fi, err := os.Stat(filepath.Join(dir, owned.MarkerName))
	if errors.Is(err, fs.ErrNotExist) {
		fi, err = os.Stat(dir)
	}
	if err != nil {
		return time.Time{}, err
	}
	return fi.ModTime(), nil
}

// Measure fills in Size, Files and Modules. A file with several hard links
// counts once, in the first of entries that has it (on Windows, in each).
func Measure(ctx context.Context, entries []Entry) error {
	var errs []error
	seen := make(map[fileID]bool)
	for i := range entries {
		e := &entries[i]
		err := filepath.WalkDir(e.Dir, func(path string, d fs.DirEntry, err error) error {
			if err == nil {
				err = ctx.Err()
			}
			if err != nil || !d.Type().IsRegular() {
				return ignoreMissing(err)
			}
			fi, err := d.Info()
			if err != nil {
				return ignoreMissing(err)
			}
			e.Files++
			if filepath.Ext(path) == ".ziphash" {
				e.Modules++
			}
			if id, ok := linked(fi); ok {
				if seen[id] {
					return nil
				}
				seen[id] = true
			}
			e.Size += fi.Size()
			return nil
		})
		if ctx.Err() != nil {
			return ctx.Err()
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// Remove removes the cache that Entries knows as key. errors.Is(err,
// fs.ErrNotExist) holds if there is none. A fresh cache in use is refused; an
// isolated one is removed under whoever uses it.
func (s Store) Remove(key string) error {
	if err := s.check(); err != nil {
		return err
	}
	if !valid(key) {
		return fmt.Errorf("module cache %q: %w", key, fs.ErrNotExist)
	}
	err := reclaim(s.isolated(key), owned.Marker{Kind: kindIsolated, Name: key})
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if _, err := os.Lstat(s.fresh(key)); err != nil {
		return fmt.Errorf("module cache %q: %w", key, fs.ErrNotExist)
	}
	if err := s.removeFresh(key); errors.Is(err, owned.ErrHeld) {
		return fmt.Errorf("%s: not removed: %w", s.fresh(key), err)
	} else {
		return err
	}
}

// PruneOptions says what Prune removes.
type PruneOptions struct {
	// UnusedFor is how long an isolated cache must have lain unused, to some
	// minutes. Zero leaves all isolated caches alone.
	UnusedFor time.Duration
	// Now is the time to reckon from. Zero means the present.
	Now time.Time
	// DryRun removes nothing.
	DryRun bool
}

// Prune removes isolated caches that nobody used for a while, fresh caches that
// outlived their run, and what was left half made or half removed. It returns
// what it removed, or with DryRun would remove, measured.
func (s Store) Prune(ctx context.Context, opts PruneOptions) (removed []Entry, err error) {
	if opts.Now.IsZero() {
		opts.Now = time.Now()
	}
	entries, err := s.Entries()
	errs := []error{err}
	entries = slices.DeleteFunc(entries, func(e Entry) bool {
		if e.Kind == "fresh" {
			return e.InUse
		}
		return opts.UnusedFor <= 0 || opts.Now.Sub(e.LastUse) < opts.UnusedFor
	})
	errs = append(errs, Measure(ctx, entries))
	if opts.DryRun || ctx.Err() != nil {
		return entries, errors.Join(errs...)
	}
	for _, e := range entries {
		if ctx.Err() != nil {
			break
		}
		var err error
		if e.Kind == "fresh" {
			err = s.removeFresh(e.Key)
		} else if used, _ := LastUse(s.isolated(e.Key)); used.After(e.LastUse) {
			continue // while we measured
		} else {
			err = reclaim(s.isolated(e.Key), owned.Marker{Kind: kindIsolated, Name: e.Key})
		}
		switch {
		case err == nil:
			removed = append(removed, e)
		case errors.Is(err, owned.ErrHeld), errors.Is(err, fs.ErrNotExist): // somebody else's now
		default:
			errs = append(errs, err)
		}
	}
	errs = append(errs, ctx.Err())
	if ctx.Err() == nil && s.Root != "" {
		errs = append(errs, owned.Sweep(s.isolated("")), s.sweepFresh())
	}
	return removed, errors.Join(errs...)
}
