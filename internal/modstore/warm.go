package modstore

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
	"strings"
	"sync"
	"time"

	"example.com/gox/internal/owned"
)

// A Warming says which module versions a module cache is to have from the
// start, and where they may come from.
type Warming struct {
	// Dir is the GOMODCACHE to fill, an absolute path. What stands in it stays.
	Dir string
	// Sums are the module versions that it needs, and what their bytes are.
	Sums []Sum
	// From are other GOMODCACHEs of this user. Nothing in them is believed:
	// what is taken is hashed first.
	From []string
	// GoVersion is the go that will use Dir, as in "go1.22.12". It decides how
	// modules are put there. "" is a new one.
	GoVersion string
}

// How a module stands in a warmed cache.
const (
	Symlink = "symlink" // its directory is a link into the store
	Reflink = "reflink" // copied, with blocks shared by the file system
	Copied  = "copy"
)

// Warmth is what Warm did.
type Warmth struct {
	Mode     string        `json:"mode"`     // Symlink, Reflink or Copied
	Modules  int           `json:"modules"`  // module versions that the cache has now
	GoMods   int           `json:"goMods"`   // go.mod files, those of Modules included
	Inserted int           `json:"inserted"` // of both, those that were new to the store
	Missing  []Sum         `json:"missing"`  // to be had neither from the store nor from From
	Refused  []Refusal     `json:"refused"`  // what From has under false pretences
	Took     time.Duration `json:"took"`     // nanoseconds
}

// A Refusal is a module version of another cache whose bytes are not those
// that go.sum names, although that cache says so.
type Refusal struct {
	Sum
	File   string `json:"file"`
	Reason string `json:"reason"`
}

// Warm fills w.Dir with the module versions of w.Sums that this user's store of
// verified modules has, and first takes into the store what it lacks and w.From
// has. A go command that finds a module there downloads nothing.
//
// Only bytes that hash to what w.Sums say are ever taken, and of what go knows
// about a version only that which the hash covers, its time besides: no lock
// files, no lists of versions, nothing of the checksum database. What w.From
// does not have, or has wrong, is reported and left for go to download.
//
// Each module's directory is one symbolic link into the store, whose files are
// read-only. Before Go 1.21 no pattern M/... is matched through a link, and some systems have
// no links: there it is a copy, which shares blocks where the file system can.
// Hard links are never made: who writes to one name writes to all.
//
// What was killed halfway is completed by the next call. Any number of calls
// may run at once. Errors name the directory and the mend.
func (s Store) Warm(ctx context.Context, w Warming) (Warmth, error) {
	start := time.Now()
	report := Warmth{Mode: Symlink, Missing: []Sum{}, Refused: []Refusal{}}
	if err := s.check(); err != nil {
		return report, err
	}
	if !filepath.IsAbs(w.Dir) {
		return report, fmt.Errorf("module cache %q: not an absolute path", w.Dir)
	}
	if err := owned.Make(s.verified(goModDir), owned.Marker{Kind: kindVerified, Name: goModDir}); err != nil {
		return report, err
	}
	// Prune holds it alone: nothing goes away between the look and the link.
	lock := s.verifiedLock()
	if _, err := lock.TryRLockContext(ctx, 10*time.Millisecond); err != nil {
		return report, placeError(s.verified(""), err)
	}
	defer lock.Close()

	have, err := s.take(ctx, w, &report)
	if err != nil {
		return report, err
	}
	if err := s.register(w.Dir, have); err != nil {
		return report, err
	}
	if err := s.place(ctx, w, have, &report); err != nil {
		return report, err
	}
	report.Took = time.Since(start)
	return report, nil
}

// take returns those of w.Sums that the store has in the end.
func (s Store) take(ctx context.Context, w Warming, report *Warmth) ([]Sum, error) {
	sums := slices.Clone(w.Sums)
	slices.SortFunc(sums, func(a, b Sum) int {
		return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Version, b.Version), cmp.Compare(b.H1, a.H1))
	})
	sums = slices.Compact(sums)
	stage := &stage{store: s}
	defer stage.close()
	var mu sync.Mutex
	var have []Sum
	err := each(ctx, sums, func(sum Sum) error {
		ok, fresh := s.Has(sum), false
		var refused []Refusal
		if !ok {
			var err error
			if fresh, refused, err = s.insert(ctx, stage, sum, w.From); err != nil {
				return err
			}
			ok = fresh
		}
		mu.Lock()
		defer mu.Unlock()
		report.Refused = append(report.Refused, refused...)
		switch {
		case !ok:
			report.Missing = append(report.Missing, sum)
			return nil
		case sum.GoMod:
			report.GoMods++
		default:
			report.Modules++
		}
		if fresh {
			report.Inserted++
		}
		have = append(have, sum)
		return nil
	})
	// As if one after the other.
	order := func(a, b Sum) int {
		return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Version, b.Version))
	}
	slices.SortFunc(have, order)
	slices.SortFunc(report.Missing, order)
	slices.SortFunc(report.Refused, func(a, b Refusal) int { return cmp.Or(order(a.Sum, b.Sum), cmp.Compare(a.File, b.File)) })
	return have, err
}

// useNoted is how long the note of a use may be old. To write it each time is as
// much work as all else that Has does.
const useNoted = time.Hour

// Has reports whether the store of verified modules has what sum says, and notes
// its use.
func (s Store) Has(sum Sum) bool {
	key, err := sum.key()
	if err != nil {
		return false
	}
	noted := s.verified(filepath.Join(key, owned.MarkerName))
	if sum.GoMod {
		noted = s.verified(filepath.Join(goModDir, key))
		data, err := os.ReadFile(noted)
		if err != nil || hashGoMod(data) != sum.H1 {
			return false
		}
	} else if data, err := os.ReadFile(s.verified(filepath.Join(key, "hash"))); err != nil || string(data) != sum.H1 {
		return false
	}
	return note(noted) == nil
}

// A placing is one name to be made in a module cache.
type placing struct {
	at     string // relative to GOMODCACHE
	source string // relative to the store
	dir    bool
}

// place puts what have names into w.Dir.
func (s Store) place(ctx context.Context, w Warming, have []Sum, report *Warmth) error {
	if w.GoVersion != "" && version.Compare(version.Lang(w.GoVersion), "go1.21") < 0 {
		report.Mode = ""
	}
	var list, last []placing
	for _, sum := range have {
		key, err := sum.key()
		if err != nil {
			return err
		}
		path, v, err := sum.escaped()
		if err != nil {
			return err
		}
		base := filepath.Join("cache", "download", filepath.FromSlash(path), "@v", v)
		if sum.GoMod {
			list = append(list, placing{at: base + ".mod", source: filepath.Join(goModDir, key)})
			continue
		}
		list = append(list,
			placing{at: base + ".zip", source: filepath.Join(key, "zip")},
			placing{at: base + ".info", source: filepath.Join(key, "info")},
			placing{at: base + ".ziphash", source: filepath.Join(key, "hash")})
		// What go takes for extracted has its hash already.
		last = append(last, placing{at: filepath.Join(filepath.FromSlash(path) + "@" + v), source: filepath.Join(key, "dir"), dir: true})
	}
	if err := os.MkdirAll(filepath.Join(w.Dir, "cache"), 0o777); err != nil {
		return placeError(w.Dir, err)
	}
	if report.Mode == Symlink {
		report.Mode = s.linkStore(w.Dir)
	}
	if err := makeParents(ctx, w.Dir, slices.Concat(list, last)); err != nil {
		return placeError(w.Dir, err)
	}
	reflinks := true
	var mu sync.Mutex
	put := func(p placing) error {
		at := filepath.Join(w.Dir, p.at)
		if report.Mode == Symlink {
			up := strings.Repeat(".."+string(filepath.Separator), strings.Count(p.at, string(filepath.Separator)))
			err := os.Symlink(filepath.Join(up, "cache", link, p.source), at)
			if errors.Is(err, fs.ErrExist) {
				return nil
			}
			return err
		}
		cloned, err := replicate(s.verified(p.source), at, p.dir)
		if !cloned {
			mu.Lock()
			reflinks = false
			mu.Unlock()
		}
		return err
	}
	for _, part := range [][]placing{list, last} {
		if err := each(ctx, part, put); err != nil {
			return placeError(w.Dir, err)
		}
	}
	if report.Mode == "" {
		if report.Mode = Copied; reflinks {
			report.Mode = Reflink
		}
	}
	return nil
}

// linkStore makes the link to the store in the module cache dir, and returns
// Symlink, or "" where there can be none.
func (s Store) linkStore(dir string) string {
	at, target := filepath.Join(dir, "cache", link), s.verified("")
	for range 2 {
		if err := os.Symlink(target, at); err == nil {
			return Symlink
		}
		if have, err := os.Readlink(at); err != nil {
			return ""
		} else if have == target {
			return Symlink
		}
		// The store has moved, and all links with it.
		os.Remove(at)
	}
	return ""
}

// makeParents makes the directories that list stands in: all of one depth, and
// then those in them.
func makeParents(ctx context.Context, root string, list []placing) error {
	known := map[string]bool{".": true, "cache": true}
	var levels [][]string
	for _, p := range list {
		for dir := filepath.Dir(p.at); !known[dir]; dir = filepath.Dir(dir) {
			known[dir] = true
			depth := strings.Count(dir, string(filepath.Separator))
			for len(levels) <= depth {
				levels = append(levels, nil)
			}
			levels[depth] = append(levels[depth], dir)
		}
	}
	for _, level := range levels {
		err := each(ctx, level, func(dir string) error {
			if err := os.Mkdir(filepath.Join(root, dir), 0o777); !errors.Is(err, fs.ErrExist) {
				return err
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func placeError(dir string, err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return owned.Mend(dir, err)
}

// replicate copies the file or directory from to at, unless it is there, and
// reports whether all blocks are shared.
func replicate(from, at string, dir bool) (cloned bool, err error) {
	if _, err := os.Lstat(at); err == nil {
		return true, nil
	}
	tmp := at + ".tmp"
	if !dir {
		if cloned, err = copyFile(from, tmp); err != nil {
			return cloned, err
		}
		return cloned, os.Rename(tmp, at)
	}
	// What stands under this name another call left halfway; two calls do not
	// fill one cache.
	if err := removeReadOnly(tmp); err != nil {
		return false, err
	}
	cloned = true
	err = filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		to := tmp + path[len(from):]
		if d.IsDir() {
			return os.Mkdir(to, 0o777)
		}
		shared, err := copyFile(path, to)
		cloned = cloned && shared
		return err
	})
	if err != nil {
		return false, err
	}
	if err := os.Rename(tmp, at); err != nil {
		return false, err
	}
	return cloned, freeze(at)
}

// removeReadOnly removes the tree at path, if it is there.
func removeReadOnly(path string) error {
	err := filepath.WalkDir(path, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			return os.Chmod(path, 0o700)
		}
		return ignoreMissing(err)
	})
	if err != nil {
		return err
	}
	return os.RemoveAll(path)
}

// freeze takes the write permission from all directories in the tree at path.
func freeze(path string) error {
	return filepath.WalkDir(path, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			err = os.Chmod(path, 0o555)
		}
		return err
	})
}

// each calls f for every element, on all processors, until one fails.
func each[T any](ctx context.Context, list []T, f func(T) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	// Several at once: handing one over costs nearly as much as a link, and two that
	// make links in one directory wait for one another.
	batch := min(len(list)/(16*runtime.GOMAXPROCS(0))+1, 64)
	work := make(chan []T)
	for range min(runtime.GOMAXPROCS(0), len(list)) {
		wg.Go(func() {
			for part := range work {
				for _, v := range part {
					if ctx.Err() != nil {
						return
					}
					if err := f(v); err != nil {
						cancel(err)
					}
				}
			}
		})
	}
	for part := range slices.Chunk(list, batch) {
		select {
		case work <- part:
		case <-ctx.Done():
		}
	}
	close(work)
	wg.Wait()
	return context.Cause(ctx)
}
