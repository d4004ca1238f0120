package modstore

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gofrs/flock"
	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"
	"golang.org/x/mod/sumdb/dirhash"

	"example.com/gox/internal/modcache"
	"example.com/gox/internal/owned"
)

// What stands in the store of verified modules: <key>, a module version each;
// gomod/<key>, go.mod files; users/<…>, which caches have links to what;
// answers/<key>, what go has said.
const (
	kindVerified = "verified"
	goModDir     = "gomod"
	usersDir     = "users"
	// link is the name in <GOMODCACHE>/cache of a link to the store, through
	// which all others go. It is short for the reason that keys are.
	link = "v"
)

func (s Store) verified(name string) string { return filepath.Join(s.Root, kindVerified, name) }

// Verified returns the directory of the store of verified modules. Nobody but
// this package writes into it.
func (s Store) Verified() string { return s.verified("") }

// verifiedLock is held shared by who links, and alone by who removes.
func (s Store) verifiedLock() *flock.Flock { return flock.New(s.verified(".lock")) }

// isEntry reports whether name can be that of a module version in the store.
func isEntry(name string) bool {
	return len(name) == 24 && strings.Trim(name, "0123456789abcdef") == ""
}

// register notes that the cache dir has links to have, for Prune.
func (s Store) register(dir string, have []Sum) error {
	users := s.verified(usersDir)
	if err := owned.Make(users, owned.Marker{Kind: kindVerified, Name: usersDir}); err != nil {
		return err
	}
	name := userName(dir)
	// What an earlier call noted holds on.
	u, _ := s.user(name)
	if u.dir != dir {
		u = user{dir: dir}
	}
	noted := make(map[string]bool)
	for _, key := range u.keys {
		noted[key] = true
	}
	for _, sum := range have {
		key, err := sum.key()
		if err != nil {
			return err
		}
		if sum.GoMod {
			key = goModDir + "/" + key
		}
		if !noted[key] {
			noted[key] = true
			u.keys = append(u.keys, key)
		}
	}
	return s.noteUser(u)
}

// userName names the file of the cache dir in usersDir.
func userName(dir string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(dir)))[:24] }

// noteUser writes the file of u.
func (s Store) noteUser(u user) error {
	users := s.verified(usersDir)
	tmp := filepath.Join(users, fmt.Sprintf(".%016x", rand.Uint64()))
	err := os.WriteFile(tmp, []byte(strings.Join(append([]string{u.dir}, u.keys...), "\n")+"\n"), 0o666)
	if err == nil {
		err = os.Rename(tmp, filepath.Join(users, userName(u.dir)))
	}
	if err != nil {
		os.Remove(tmp)
		return owned.Mend(users, err)
	}
	return nil
}

// Moved tells the store that the cache at from, which Warm has filled, is at to
// now: Prune goes by the place.
func (s Store) Moved(ctx context.Context, from, to string) error {
	if _, err := os.Lstat(s.verified(filepath.Join(usersDir, userName(from)))); err != nil {
		return ignoreMissing(err) // nothing of it is linked
	}
	lock := s.verifiedLock()
	if _, err := lock.TryRLockContext(ctx, 10*time.Millisecond); err != nil {
		return placeError(s.verified(""), err)
	}
	defer lock.Close()
	u, err := s.user(userName(from))
	if err != nil {
		return ignoreMissing(err)
	}
	u.dir = to
	return s.noteUser(u) // the other is forgotten by the next Prune
}

// A user is a module cache with links into the store.
type user struct {
	dir  string
	keys []string
}

func (s Store) user(name string) (user, error) {
	data, err := os.ReadFile(s.verified(filepath.Join(usersDir, name)))
	if err != nil {
		return user{}, err
	}
	lines := strings.Split(strings.TrimSuffix(string(data), "\n"), "\n")
	return user{dir: lines[0], keys: lines[1:]}, nil
}

// users returns the caches that have links into the store, and forgets those
// that are gone. The caller holds the lock alone.
func (s Store) users() ([]user, error) {
	entries, err := os.ReadDir(s.verified(usersDir))
	if err != nil {
		return nil, ignoreMissing(err)
	}
	var all []user
	for _, e := range entries {
		if e.Name() == owned.MarkerName {
			continue
		}
		u, err := s.user(e.Name())
		if err != nil {
			return nil, err
		}
		// A cache on a disk that is not mounted now is as good as gone: go says
		// what it misses, and Warm puts it back.
		if _, err := os.Lstat(filepath.Join(u.dir, "cache", link)); !isEntry(e.Name()) || errors.Is(err, fs.ErrNotExist) {
			os.Remove(s.verified(filepath.Join(usersDir, e.Name())))
			continue
		}
		all = append(all, u)
	}
	return all, nil
}

// verifiedNames returns the entries of the store, modules and go.mod files.
func (s Store) verifiedNames() (modules, goMods []string, err error) {
	list := func(dir string) (names []string, err error) {
		entries, err := os.ReadDir(s.verified(dir))
		for _, e := range entries {
			if isEntry(e.Name()) {
				names = append(names, filepath.Join(dir, e.Name()))
			}
		}
		return names, err
	}
	if modules, err = list(""); err != nil {
		return nil, nil, err
	}
	goMods, err = list(goModDir)
	return modules, goMods, err
}

// entry is the store as one entry, without its size.
func (s Store) entry() (modcache.Entry, error) {
	e := modcache.Entry{Key: kindVerified, Kind: kindVerified, Dir: s.verified("")}
	m, err := owned.Read(s.verified(goModDir))
	if err != nil {
		return e, err
	}
	e.Created = m.Created
	modules, _, err := s.verifiedNames()
	e.Modules = len(modules)
	e.LastUse = m.Created
	for _, name := range modules {
		if used, err := modcache.LastUse(s.verified(name)); err == nil && used.After(e.LastUse) {
			e.LastUse = used
		}
	}
	return e, err
}

// prune removes from the store what was not used for a while and no cache has
// links to, and returns it as one entry, or none.
func (s Store) prune(ctx context.Context, opts modcache.PruneOptions) ([]modcache.Entry, error) {
	if _, err := os.Lstat(s.verified("")); err != nil {
		return nil, ignoreMissing(err)
	}
	lock := s.verifiedLock()
	if locked, err := lock.TryLock(); err != nil || !locked {
		return nil, err // who is at work there now has a use for it
	}
	defer lock.Close()
	if !opts.DryRun {
		if err := owned.Sweep(s.verified("")); err != nil {
			return nil, err
		}
	}
	if opts.UnusedFor <= 0 {
		return nil, nil
	}
	users, err := s.users()
	if err != nil {
		return nil, err
	}
	linked := make(map[string]bool)
	for _, u := range users {
		for _, key := range u.keys {
			linked[filepath.FromSlash(key)] = true
		}
	}
	modules, goMods, err := s.verifiedNames()
	if err != nil {
		return nil, ignoreMissing(err)
	}
	gone := modcache.Entry{Key: kindVerified, Kind: kindVerified, Dir: s.verified("")}
	old := func(name string) bool {
		used, err := modcache.LastUse(s.verified(name))
		if err != nil || linked[name] || opts.Now.Sub(used) < opts.UnusedFor {
			return false
		}
		if used.After(gone.LastUse) {
			gone.LastUse = used
		}
		return true
	}
	for _, name := range modules {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if !old(name) {
			continue
		}
		e := []modcache.Entry{{Dir: s.verified(name)}}
		if err := modcache.Measure(ctx, e); err != nil {
			return nil, err
		}
		if !opts.DryRun {
			if err := owned.Remove(e[0].Dir); err != nil {
				return nil, err
			}
		}
		gone.Modules, gone.Files, gone.Size = gone.Modules+1, gone.Files+e[0].Files, gone.Size+e[0].Size
	}
	for _, name := range goMods {
		fi, err := os.Lstat(s.verified(name))
		if err != nil || linked[name] || opts.Now.Sub(fi.ModTime()) < opts.UnusedFor {
			continue
		}
		if !opts.DryRun {
			if err := os.Remove(s.verified(name)); err != nil {
				return nil, err
			}
		}
		gone.Files, gone.Size = gone.Files+1, gone.Size+fi.Size()
	}
	if err := s.pruneAnswers(opts, &gone); err != nil {
		return nil, err
	}
	if gone.Files == 0 {
		return nil, nil
	}
	return []modcache.Entry{gone}, nil
}

// remove removes the store.
func (s Store) remove() error {
	if _, err := s.entry(); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("module cache %q: %w", kindVerified, fs.ErrNotExist)
		}
		return err
	}
	lock := s.verifiedLock()
	locked, err := lock.TryLock()
	if err != nil {
		return owned.Mend(s.verified(""), err)
	}
	if !locked {
		return fmt.Errorf("%s: not removed: %w", s.verified(""), owned.ErrHeld)
	}
	defer lock.Close()
	users, err := s.users()
	if err != nil {
		return err
	}
	if len(users) > 0 {
		return fmt.Errorf("%s: not removed: %s has links into it\n\tremove that first, or gox cache prune, which takes what nobody needs", s.verified(""), users[0].dir)
	}
	modules, _, err := s.verifiedNames()
	if err != nil {
		return err
	}
	var errs []error
	for _, name := range append(modules, usersDir, answersDir, goModDir) {
		if err := owned.Remove(s.verified(name)); !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(append(errs, owned.Sweep(s.verified("")))...)
}

// verify hashes all that is in the store.
func (s Store) verify(ctx context.Context) ([]Fault, error) {
	modules, goMods, err := s.verifiedNames()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("module cache %q: %w", kindVerified, fs.ErrNotExist)
	}
	if err != nil {
		return nil, err
	}
	return faultsOf(ctx, append(modules, goMods...), func(name string) []Fault {
		if ctx.Err() != nil {
			return nil
		}
		if filepath.Dir(name) == goModDir {
			return s.verifyGoMod(name)
		}
		return s.verifyEntry(name)
	})
}

func (s Store) verifyGoMod(name string) []Fault {
	file := s.verified(name)
	data, err := os.ReadFile(file)
	if err != nil {
		return []Fault{{Path: file, Problem: unreadable(err)}}
	}
	got := hashGoMod(data)
	if key, _ := (Sum{GoMod: true, H1: got}).key(); key != filepath.Base(name) {
		return []Fault{{Module: modfile.ModulePath(data), Path: file, Problem: GoModAltered, Got: got}}
	}
	return nil
}

func (s Store) verifyEntry(name string) (faults []Fault) {
	dir := s.verified(name)
	m, err := owned.Read(dir)
	if err != nil {
		return []Fault{{Path: dir, Problem: unreadable(err)}}
	}
	path, v, _ := strings.Cut(m.Name, "@")
	want := m.Info["h1"]
	d := download{Version: module.Version{Path: path, Version: v}, dir: filepath.Join(dir, "dir")}
	check := func(at, problem string, hash func() (string, error)) {
		got, err := hash()
		if err != nil {
			faults = append(faults, Fault{path, v, at, unreadable(err), "", ""})
		} else if got != want {
			faults = append(faults, Fault{path, v, at, problem, want, got})
		}
	}
	zip := filepath.Join(dir, "zip")
	check(zip, ZipAltered, func() (string, error) { return dirhash.HashZip(zip, dirhash.Hash1) })
	check(d.dir, DirAltered, d.hashDir)
	check(filepath.Join(dir, "hash"), ZiphashMalformed, func() (string, error) {
		data, err := os.ReadFile(filepath.Join(dir, "hash"))
		return string(data), err
	})
	if key, _ := (Sum{Path: path, Version: v, H1: want}).key(); key != name {
		faults = append(faults, Fault{path, v, dir, "stands under another's name", key, name})
	}
	return faults
}
